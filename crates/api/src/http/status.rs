//! `GET /v1/status`: a node's view of its region and of the others.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{JoinProgress, MemberState, Vector};
use crate::manifest::{ConflictsSpec, DataType, Role};

/// A node's view of its region and of the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The store's name.
    pub store: String,
    /// The region's name.
    pub region: String,
    /// The region's replica id in this life.
    pub replica: String,
    /// How far the region is as a member of the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<MemberState>,
    /// While it joins: how far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<JoinProgress>,
    /// Whether the region accepts writes.
    pub role: Role,
    /// The node that answers.
    #[serde(default)]
    pub node: String,
    /// Where the node that leads the region is; absent while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// What is applied here.
    pub vector: Vector,
    /// What is on disk everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<Vector>,
    /// The other regions, as last heard of.
    pub peers: Vec<PeerStatus>,
    /// The clock, against the others'.
    pub clock: ClockStatus,
    /// The collections.
    pub collections: Vec<CollectionStatus>,
    /// How far the regions are apart.
    pub convergence: Convergence,
    /// Whether there is a way between all regions; absent in a node that does not know yet, or follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology: Option<Connectivity>,
    /// The certificates of the node that answers; absent without TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsStatus>,
    /// The program's version.
    pub version: String,
}

/// The certificates of a node, and whom they kept away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsStatus {
    /// Whom the node's certificate names: `atoll://STORE/REGION/NODE`.
    pub name: String,
    /// When it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_expires: Option<String>,
    /// When the first of the trusted CAs is over that are not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_expires: Option<String>,
    /// The certificate that it shows: SHA-256 of its DER form, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub certificate_fingerprint: String,
    /// The CAs that it trusts, likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ca_fingerprints: Vec<String>,
    /// Connections and requests that were refused for a certificate, at either end, since the node started.
    pub refused: u64,
    /// The last of them: who it was, why, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_refusal: Option<String>,
    /// Why the files as they are now are not used; absent when they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Whether there is a way between all declared regions, as one of them sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connectivity {
    /// Whether there is.
    pub state: ConnectivityState,
    /// Of a partition: the regions that hear of each other, the own side first. A dead region is a side, too:
    /// from here it looks the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sides: Vec<Vec<String>>,
}

/// Whether there is a way between all declared regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConnectivityState {
    /// Every region hears of every other, and would with any one of the links lost.
    Redundant,
    /// Every region hears of every other; for some link there is no other way.
    Connected,
    /// Some regions do not hear of others.
    Partitioned,
}

/// Another region, as last heard of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerStatus {
    /// Its name.
    pub region: String,
    /// What it had applied.
    pub vector: Vector,
    /// Seconds since it was heard of, over whatever way; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_seconds_ago: Option<f64>,
}

/// A region's clock, against the others'.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClockStatus {
    /// Whether it is good enough to originate writes.
    pub state: ClockState,
    /// Region → how far this clock is ahead of its, in seconds.
    pub offset_seconds: BTreeMap<String, f64>,
    /// The offset beyond which writes are refused, in seconds.
    pub max_skew_seconds: f64,
}

/// Whether a clock is good enough to originate writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClockState {
    /// Within `maxClockSkew` of its peers.
    Good,
    /// Beyond it: writes are refused.
    Skewed,
    /// No peer has been heard of: writes are accepted.
    Unknown,
}

/// A collection as the region has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionStatus {
    /// Its name.
    pub name: String,
    /// What its keys hold.
    #[serde(rename = "type")]
    pub data_type: DataType,
    /// What is shown of concurrent writes; absent for types that merge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflicts: Option<ConflictsSpec>,
}

/// How far the regions are apart, as seen from here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Convergence {
    /// Whether all that any region was last heard to have is everywhere.
    pub converged: bool,
    /// The greatest lag of the links into this region, in seconds.
    pub lag_seconds: f64,
    /// The entries that this region is known to lack.
    pub lag_entries: u64,
    /// Rows in the ledger that nobody has resolved.
    pub open_conflicts: u64,
}

/// Answer of `GET /healthz`: the process is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Always true.
    pub alive: bool,
}

/// Answer of `GET /readyz`: 200 when requests are welcome, otherwise 503 with the same body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Readiness {
    /// Whether requests are welcome.
    pub ready: bool,
    /// What is going on, in a word.
    pub progress: Progress,
    /// How far a region that joins is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<JoinProgress>,
}

/// What a node is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// Rebuilding state from the log.
    Starting,
    /// Waiting for a leader.
    Electing,
    /// Taking in what the other regions have.
    Joining,
    /// Answering requests.
    Serving,
    /// About to stop.
    Draining,
    /// The storage has failed.
    Failed,
}
