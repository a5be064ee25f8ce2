//! Problem details (RFC 9457): the one shape of every refusal.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Reason, Vector};

/// A refusal. Fields after `reason` are there only when they help.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// `urn:atoll:problem:<reason>`.
    #[serde(rename = "type", default = "blank")]
    pub type_uri: String,
    /// One sentence, the same for every occurrence of the reason.
    #[serde(default)]
    pub title: String,
    /// The HTTP status.
    #[serde(default)]
    pub status: u16,
    /// What went wrong this time, and what to do. Never holds keys or values of others.
    #[serde(default)]
    pub detail: String,
    /// The request's path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The stable word; see [`Problem::reason`].
    #[serde(rename = "reason", default)]
    pub reason_word: String,
    /// What the region still lacks: region → the sequence needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Vector>,
    /// Seconds after which trying again makes sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// Regions that have the write. The write stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_by: Option<Vec<String>>,
    /// The dot of the write that stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dot: Option<String>,
    /// Which operation of a batch was refused, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<usize>,
    /// The limit that was exceeded, in its own unit (bytes, items, depth).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// How many entries are known to be lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
    /// How far the region's clock is off, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset_seconds: Option<f64>,
    /// Where the node is that leads the region, when that one is to be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
}

fn blank() -> String {
    "about:blank".to_owned()
}

impl Problem {
    /// A refusal for `reason`.
    #[must_use]
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Problem {
            type_uri: reason.type_uri(),
            title: reason.title().to_owned(),
            status: reason.status(),
            detail: detail.into(),
            instance: None,
            reason_word: reason.as_str().to_owned(),
            missing: None,
            retry_after: None,
            seen_by: None,
            dot: None,
            operation: None,
            limit: None,
            lost: None,
            offset_seconds: None,
            leader: None,
        }
    }

    /// The reason, if this version knows it.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.reason_word.parse().ok()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.reason_word, self.status, self.detail)
    }
}

impl std::error::Error for Problem {}
