//! `GET /v1/changes`: every change in arrival order.

use serde::{Deserialize, Serialize};

use super::raw_json::is_false;

/// Query of `GET /v1/changes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangesQuery {
    /// A cursor of any region; absent: from the oldest change kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Only changes of this collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// Most lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Whether to go on with changes as they come.
    #[serde(default, skip_serializing_if = "is_false")]
    pub follow: bool,
}

/// One change: a line of NDJSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeLine {
    /// Where to go on after this line, in any region.
    pub cursor: String,
    /// The collection.
    pub collection: String,
    /// The key.
    pub key: String,
    /// The entry; all lines of one entry follow each other.
    pub dot: String,
    /// The region that wrote it.
    pub region: String,
    /// When it was written.
    pub time: String,
    /// Whether it deleted the key.
    pub deleted: bool,
}
