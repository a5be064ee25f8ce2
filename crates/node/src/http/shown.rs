//! Stored values in the shapes that answers have: JSON as it is, other bytes in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use atoll_api::http::{RawJson, Sibling};
use atoll_core::collection::Regions;
use atoll_core::{Value, view};

/// A value: JSON, or bytes with a media type.
#[derive(Default)]
pub(crate) struct Shown {
    pub(crate) value: Option<RawJson>,
    pub(crate) value_base64: Option<String>,
    pub(crate) media_type: Option<String>,
}

impl Shown {
    pub(crate) fn of(value: &Value) -> Shown {
        let json = match value.media {
            None => std::str::from_utf8(&value.data)
                .ok()
                .and_then(|text| RawJson::from_text(text).ok()),
            Some(_) => None,
        };
        match json {
            Some(json) => Shown {
                value: Some(json),
                ..Shown::default()
            },
            None => Shown {
                value: None,
                value_base64: Some(STANDARD.encode(&value.data)),
                media_type: Some(value.media_type().to_owned()),
            },
        }
    }
}

/// Versions as people read them.
pub(crate) fn siblings(regions: &Regions, siblings: &[view::Sibling]) -> Vec<Sibling> {
    siblings
        .iter()
        .map(|sibling| sibling_of(regions, sibling))
        .collect()
}

fn sibling_of(regions: &Regions, sibling: &view::Sibling) -> Sibling {
    let view::Sibling {
        field,
        value,
        dot,
        time,
    } = sibling;
    let shown = value.as_ref().map(Shown::of).unwrap_or_default();
    Sibling {
        value: shown.value,
        value_base64: shown.value_base64,
        media_type: shown.media_type,
        dot: dot.to_string(),
        region: regions.shown(dot.replica),
        time: time.to_string(),
        deleted: value.is_none(),
        field: field.clone(),
    }
}
