//! Reading keys: one, several, or a page of them.

use serde::{Deserialize, Serialize};

use super::RawJson;
use super::raw_json::{is_false, present};

/// Query of `GET …/keys/{key}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadQuery {
    /// Whether to answer in the form of siblings, also when there is one value.
    #[serde(default, skip_serializing_if = "is_false")]
    pub siblings: bool,
}

/// Several versions of a key: the answer 300, and always with `?siblings=true`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Siblings {
    /// The versions; of a Document or Map its merged value comes first.
    pub siblings: Vec<Sibling>,
}

/// One of several concurrent versions. JSON is under `value`; other bytes are under `valueBase64`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sibling {
    /// The value, when it is JSON.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub value: Option<RawJson>,
    /// The value, when it is not JSON, in standard base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_base64: Option<String>,
    /// The media type of `valueBase64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The entry that wrote it.
    pub dot: String,
    /// The region that wrote it.
    pub region: String,
    /// When it was written.
    pub time: String,
    /// Whether this version is a delete.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deleted: bool,
    /// The field that this is a version of, as a JSON Pointer (RFC 6901); absent for the whole value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// Query of `GET …/keys`. Bounds are keys; `start` is included, `end` is not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyQuery {
    /// Only keys that begin so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The first key; a page's `next` goes here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// The key to stop before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// Most items of the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Whether to answer with values.
    #[serde(default, skip_serializing_if = "is_false")]
    pub values: bool,
}

/// A page of keys in order, from one snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPage {
    /// The keys, with their values when asked for.
    pub items: Vec<KeyItem>,
    /// The `start` of the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A key and what it holds; also a line of `atoll import` and `export`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyItem {
    /// The key.
    pub key: String,
    /// The value, when it is JSON.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub value: Option<RawJson>,
    /// The value, when it is not JSON, in standard base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_base64: Option<String>,
    /// The media type of `valueBase64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// All versions, when there are several to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub siblings: Option<Vec<Sibling>>,
}

/// Body of `POST /v1/read`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadRequest {
    /// The keys to read, of any collections.
    pub keys: Vec<KeyRef>,
}

/// A key of a collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRef {
    /// The collection.
    pub collection: String,
    /// The key.
    pub key: String,
}

/// Several keys from one snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadAnswer {
    /// One item for each key asked for, in the order asked.
    pub items: Vec<ReadItem>,
}

/// One of several keys read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadItem {
    /// The collection.
    pub collection: String,
    /// The key.
    pub key: String,
    /// Whether there is anything to show.
    pub found: bool,
    /// The value, when it is JSON.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub value: Option<RawJson>,
    /// The value, when it is not JSON, in standard base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_base64: Option<String>,
    /// The media type of `valueBase64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// All versions, when there are several to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub siblings: Option<Vec<Sibling>>,
    /// The fingerprint for a write's `ifMatch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}
