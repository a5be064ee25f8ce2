//! What the address names: a collection and a key, a link, a conflict.
//!
//! Percent-encoding is undone here, once, and strictly: what does not decode to UTF-8 names nothing.

use std::borrow::Cow;

use bytes::Bytes;
use percent_encoding::percent_decode_str;

use atoll_api::http::{KEY_BYTES_MAX, Reason};
use atoll_core::{CollectionName, Key};

use super::problem::Refused;

const COLLECTIONS: &str = "/v1/collections/";
const LINKS: &str = "/v1/links/";
const REGIONS: &str = "/v1/regions/";
const CONFLICTS: &str = "/v1/conflicts/";

/// The collection and key of `/v1/collections/{collection}/keys/{key}`.
pub(crate) fn key(path: &str) -> Result<(CollectionName, Key), Refused> {
    let (collection, key) = path
        .strip_prefix(COLLECTIONS)
        .and_then(|rest| rest.split_once("/keys/"))
        .ok_or_else(|| nothing_at(path))?;
    Ok((collection_in_path(collection)?, key_of(key)?))
}

/// The same for `…/keys/{key}/ops`.
pub(crate) fn key_of_operations(path: &str) -> Result<(CollectionName, Key), Refused> {
    key(path.strip_suffix("/ops").unwrap_or(path))
}

/// The collection of `/v1/collections/{collection}/keys`.
pub(crate) fn collection(path: &str) -> Result<CollectionName, Refused> {
    let name = path
        .strip_prefix(COLLECTIONS)
        .and_then(|rest| rest.strip_suffix("/keys"))
        .ok_or_else(|| nothing_at(path))?;
    collection_in_path(name)
}

/// The link of `/v1/links/{name}/{action}`.
pub(crate) fn link(path: &str) -> Result<String, Refused> {
    let name = path
        .strip_prefix(LINKS)
        .and_then(|rest| rest.rsplit_once('/'));
    let (name, _) = name.ok_or_else(|| nothing_at(path))?;
    let name = decode(name).ok_or_else(|| nothing_at(path))?;
    Ok(name.into_owned())
}

/// The region of `/v1/regions/{name}` and `/v1/regions/{name}/drain`.
pub(crate) fn region(path: &str) -> Result<String, Refused> {
    let name = path.strip_prefix(REGIONS).ok_or_else(|| nothing_at(path))?;
    let name = name.strip_suffix("/drain").unwrap_or(name);
    let name = decode(name).ok_or_else(|| nothing_at(path))?;
    Ok(name.into_owned())
}

/// The id of `/v1/conflicts/{id}`.
pub(crate) fn conflict(path: &str) -> &str {
    path.strip_prefix(CONFLICTS).unwrap_or_default()
}

/// A collection by its name; one that cannot exist is unknown.
pub(crate) fn collection_name(text: &str) -> Result<CollectionName, Refused> {
    let unknown = |error| Refused::new(Reason::UnknownCollection, format!("{error}"));
    text.parse().map_err(unknown)
}

fn collection_in_path(text: &str) -> Result<CollectionName, Refused> {
    collection_name(&decode(text).unwrap_or(Cow::Borrowed(text)))
}

/// A key as JSON has it.
pub(crate) fn key_in_body(text: String) -> Result<Key, Refused> {
    Key::new(text.into()).map_err(|_| invalid_key("a key has 1 to 1,024 bytes"))
}

/// Why there is no route at `path`: a key that is written wrongly is the likeliest reason.
pub(crate) fn nothing_at(path: &str) -> Refused {
    let keys = path
        .strip_prefix(COLLECTIONS)
        .and_then(|rest| rest.split_once("/keys/"));
    match keys {
        Some((_, "" | "/ops")) => invalid_key("the key is empty"),
        Some(_) => invalid_key("a slash within a key is written %2F"),
        None => Refused::new(
            Reason::NotFound,
            "there is no such route; /v1/openapi.json lists them all",
        ),
    }
}

fn key_of(text: &str) -> Result<Key, Refused> {
    let bytes = match decode(text) {
        Some(Cow::Borrowed(plain)) => Bytes::copy_from_slice(plain.as_bytes()),
        Some(Cow::Owned(decoded)) => decoded.into(),
        None => return Err(invalid_key("the key is not percent-encoded UTF-8")),
    };
    if bytes.len() > KEY_BYTES_MAX {
        return Err(invalid_key("the key is longer than 1,024 bytes").limit(KEY_BYTES_MAX));
    }
    Key::new(bytes).map_err(|_| invalid_key("a key has 1 to 1,024 bytes"))
}

fn invalid_key(detail: &str) -> Refused {
    Refused::new(Reason::InvalidKey, detail)
}

/// `None` when a percent sign is not followed by two hexadecimal digits, or the result is not UTF-8.
pub(crate) fn decode(text: &str) -> Option<Cow<'_, str>> {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|b| *b == b'%') {
        let digits = rest.get(at + 1..at + 3)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        rest = &rest[at + 3..];
    }
    percent_decode_str(text).decode_utf8().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn keys_are_decoded_once() {
        for (given, meant) in [
            ("a", "a"),
            ("a%2Fb", "a/b"),
            ("%2500", "%00"),
            ("%C3%A9", "é"),
            ("%00", "\0"),
            ("a+b", "a+b"),
            ("keys", "keys"),
        ] {
            let (collection, key) = key(&format!("/v1/collections/pages/keys/{given}")).unwrap();
            assert_eq!((collection.as_str(), key.as_str()), ("pages", meant));
        }
        let (_, key) = key_of_operations("/v1/collections/pages/keys/ops/ops").unwrap();
        assert_eq!(key.as_str(), "ops");
    }

    #[test]
    fn what_names_nothing_is_refused_by_name() {
        let reason = |path: &str| key(path).unwrap_err().0.reason_word;
        for key in ["%ff", "%", "%2", "%zz", "%C3", &"k".repeat(1025)] {
            assert_eq!(
                reason(&format!("/v1/collections/pages/keys/{key}")),
                "InvalidKey"
            );
        }
        assert_eq!(reason("/v1/collections/Pages/keys/a"), "UnknownCollection");
        assert_eq!(
            nothing_at("/v1/collections/p/keys/").0.reason_word,
            "InvalidKey"
        );
        assert_eq!(
            nothing_at("/v1/collections/p/keys/a/b").0.reason_word,
            "InvalidKey"
        );
        assert_eq!(nothing_at("/v2").0.reason_word, "NotFound");
    }
}
