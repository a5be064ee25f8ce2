//! Media types: what a body is said to be.

use std::sync::Arc;

use http::HeaderValue;

use atoll_api::http::{Reason, media_type};

use super::bounds::MEDIA_TYPE_BYTES_MAX;
use super::problem::Refused;

/// What a body is said to be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Media {
    /// Nothing is said.
    #[default]
    Absent,
    /// `application/json`, whatever its parameters.
    Json,
    /// `application/merge-patch+json`.
    MergePatch,
    /// Something else.
    Other(Arc<str>),
}

impl Media {
    /// Reads a `Content-Type`.
    pub(crate) fn read(value: &HeaderValue) -> Result<Media, Refused> {
        let text = value.to_str().map_err(|_| invalid())?;
        Media::parse(text)
    }

    /// Reads a media type.
    pub(crate) fn parse(text: &str) -> Result<Media, Refused> {
        if text == media_type::JSON {
            return Ok(Media::Json);
        }
        if text.len() > MEDIA_TYPE_BYTES_MAX {
            return Err(invalid().limit(MEDIA_TYPE_BYTES_MAX));
        }
        let essence = text.split(';').next().unwrap_or_default().trim();
        let (kind, subtype) = essence.split_once('/').ok_or_else(invalid)?;
        if !is_token(kind) || !is_token(subtype) || !is_visible(text) {
            return Err(invalid());
        }
        Ok(if essence.eq_ignore_ascii_case(media_type::JSON) {
            Media::Json
        } else if essence.eq_ignore_ascii_case(media_type::MERGE_PATCH) {
            Media::MergePatch
        } else {
            Media::Other(text.into())
        })
    }

    /// Demands JSON where nothing else is taken; saying nothing will do.
    pub(crate) fn json_only(&self) -> Result<(), Refused> {
        match self {
            Media::Absent | Media::Json => Ok(()),
            Media::MergePatch | Media::Other(_) => Err(unsupported(media_type::JSON)),
        }
    }

    /// Demands a JSON Merge Patch, or JSON.
    pub(crate) fn patch_only(&self) -> Result<(), Refused> {
        match self {
            Media::Absent | Media::Json | Media::MergePatch => Ok(()),
            Media::Other(_) => Err(unsupported(media_type::MERGE_PATCH)),
        }
    }
}

fn unsupported(taken: &str) -> Refused {
    let detail = format!("the body must be {taken}; say so in Content-Type");
    Refused::new(Reason::UnsupportedMediaType, detail)
}

fn invalid() -> Refused {
    Refused::new(
        Reason::InvalidHeader,
        "Content-Type is not a media type such as image/png of at most 255 characters",
    )
}

/// A token of RFC 9110.
fn is_token(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(fits)
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn json_is_json_however_it_is_written() {
        for text in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
        ] {
            assert_eq!(Media::parse(text).unwrap(), Media::Json, "{text}");
        }
        let other = Media::parse("image/svg+xml;x=1").unwrap();
        assert_eq!(other, Media::Other("image/svg+xml;x=1".into()));
        assert!(other.json_only().is_err());
    }

    #[test]
    fn what_is_no_media_type_is_refused() {
        let long = format!("a/{}", "b".repeat(MEDIA_TYPE_BYTES_MAX));
        for text in ["", "json", "a/", "/b", "a b/c", "a/b\u{7f}", &long] {
            assert!(Media::parse(text).is_err(), "{text:?}");
        }
    }
}
