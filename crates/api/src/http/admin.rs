//! Links, and what administrators change.

use serde::{Deserialize, Serialize};

use crate::manifest::CollectionSettings;
use crate::topology::Carries;

/// Answer of `GET /v1/links`: the links into this region.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LinkList {
    /// The links, by name.
    pub links: Vec<LinkStatus>,
}

/// One link; also the answer to pausing and resuming it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkStatus {
    /// `source:target`.
    pub name: String,
    /// The region that serves.
    pub from: String,
    /// The region that pulls.
    pub to: String,
    /// What the link is doing.
    pub state: LinkState,
    /// How long ago the oldest entry was written that the source has and the target lacks, in seconds.
    pub lag_seconds: f64,
    /// How many entries the source has and the target lacks.
    pub lag_entries: u64,
    /// Entries received and waiting to be applied.
    pub queue: u64,
    /// Round trip, in seconds; absent until measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_seconds: Option<f64>,
    /// Which entries pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carries: Option<Carries>,
    /// Why it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<LinkRole>,
    /// For how long it has stood in, or has been kept, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_seconds: Option<f64>,
    /// The names of the links that it stands in for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stands_in_for: Vec<String>,
    /// For how long nothing has been heard over it, in seconds; absent while it is heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_seconds: Option<f64>,
    /// Why the link is not streaming, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Why a link is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkRole {
    /// It is declared.
    Declared,
    /// It stands in for declared ones that are down.
    StandsIn,
    /// Its source was not heard of, and is tried.
    Tried,
    /// It was wanted before, and is kept until those wanted now have caught up.
    Kept,
}

/// What a link is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkState {
    /// Opening the stream.
    Connecting,
    /// Fetching what was missed.
    CatchingUp,
    /// Receiving entries as they are committed.
    Streaming,
    /// Waiting before the next try.
    BackingOff,
    /// Not declared; ready to take over from a silent one.
    Standby,
    /// Paused by an administrator.
    Paused,
    /// Stopped at an entry that cannot be applied; needs a person.
    Stopped,
}

/// Body and answer of `PUT /v1/admin/collections`: all collections of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectionList {
    /// The collections.
    pub collections: Vec<CollectionSettings>,
}
