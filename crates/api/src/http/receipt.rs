//! What a write is answered with.

use serde::{Deserialize, Serialize};

/// A write that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The entry's name.
    pub dot: String,
    /// A session that covers the write.
    pub session: String,
    /// With a write concern beyond `region`: the regions known to have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_by: Option<Vec<String>>,
}
