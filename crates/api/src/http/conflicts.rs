//! The ledger: every conflict, how it came out, and what lost.

use serde::{Deserialize, Serialize};

use super::RawJson;
use super::raw_json::{is_false, present};

/// Query of `GET /v1/conflicts`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConflictQuery {
    /// Only of this collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// Only of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `open` or `resolved`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// A list's `next`, or a time: only rows detected later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Most rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Rows of the ledger, in the order of detection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictList {
    /// The rows.
    pub conflicts: Vec<Conflict>,
    /// The `since` of the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One conflict. All but `seenHere` is equal in every region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conflict {
    /// Its name, the same in every region.
    pub id: String,
    /// `write-write`, `create-create`, `update-delete`, …
    pub kind: String,
    /// The collection.
    pub collection: String,
    /// The key.
    pub key: String,
    /// The field, as a JSON Pointer (RFC 6901); absent for the whole value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The two versions, smaller (time, replica) first.
    pub versions: Vec<ConflictVersion>,
    /// The policy by which the outcome holds.
    pub policy: String,
    /// How it came out: `latest-kept`, `origin-kept`, `siblings-kept`, `update-kept`, `delete-kept`,
    /// `both-kept`, …
    pub outcome: String,
    /// When the later of the two was written.
    pub detected: String,
    /// When a version was written that saw both; absent while none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<String>,
    /// When this region noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_here: Option<String>,
}

/// One side of a conflict. JSON is under `value`; other bytes are under `valueBase64`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConflictVersion {
    /// The entry that wrote it.
    pub dot: String,
    /// The region that wrote it.
    pub region: String,
    /// When it was written.
    pub time: String,
    /// The value, when it is JSON and still kept.
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
    /// Whether this version is a delete.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deleted: bool,
    /// Whether the policy prefers this version to the other; absent when it keeps both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wins: Option<bool>,
}
