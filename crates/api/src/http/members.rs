//! Members of the store and its topology: `/v1/regions`, `/v1/topology`.

use serde::{Deserialize, Serialize};

use super::Vector;
use crate::manifest::{RegionName, Role, TopologySpec};

/// Answer of `GET /v1/regions`: the members as one node knows them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberList {
    /// The store's id.
    pub store: String,
    /// The region of the node that answers.
    pub region: String,
    /// That region's replica id.
    pub replica: String,
    /// The revision of the topology; 0 while none was declared.
    pub revision: u64,
    /// All that were ever members, in order of admission.
    pub members: Vec<MemberStatus>,
}

/// One member; also the answer to draining it and to cancelling that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberStatus {
    /// How people see it: `eu`, in its second life `eu~2`.
    pub name: String,
    /// The region that it is an incarnation of.
    pub region: String,
    /// Its replica id.
    pub replica: String,
    /// How far it is.
    pub state: MemberState,
    /// What it was last heard to have.
    pub vector: Vector,
    /// Entries that are known of and that it was not heard to have.
    pub lag_entries: u64,
    /// The highest of its sequences that the answering node has.
    pub held: u64,
    /// The highest of its sequences that the answering node has heard of.
    pub announced: u64,
    /// Seconds since the answering node heard of it over a link of its own; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_seconds_ago: Option<f64>,
    /// Where its nodes are, as far as known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<String>,
    /// While it joins, asked of itself: how far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<JoinProgress>,
    /// While it drains: who lacks entries of it still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<DrainProgress>,
    /// Of a retired one: its last sequence that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<u64>,
}

/// How far a member is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemberState {
    /// It takes in what the others have.
    Joining,
    /// It takes writes and answers reads.
    Active,
    /// It takes no writes any more; what it wrote is being proved to be elsewhere.
    Draining,
    /// It originates nothing any more, ever.
    Retired,
}

/// How far a region that joins is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinProgress {
    /// Entries that it has.
    pub applied: u64,
    /// Entries that it knows of.
    pub known: u64,
    /// How long it still takes at the pace so far, in seconds; absent while that cannot be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<f64>,
    /// Regions that were not yet heard to know of it: until all do, it is not admitted, and may be sent nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting_for: Vec<String>,
}

impl JoinProgress {
    /// Whom it waits for, as the end of a sentence; empty while it waits for nobody.
    #[must_use]
    pub fn waits(&self) -> String {
        match &self.waiting_for[..] {
            [] => String::new(),
            regions => format!("; waiting until {} heard of it", regions.join(", ")),
        }
    }
}

/// The proof that every entry of a region that leaves is held by every region that stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DrainProgress {
    /// Entries that it wrote.
    pub entries: u64,
    /// Who was not yet heard to have them all; empty: proved.
    pub waiting_for: Vec<DrainWait>,
}

/// A region that lacks entries of one that leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DrainWait {
    /// Its name.
    pub region: String,
    /// How many it was not heard to have.
    pub missing: u64,
}

/// Query of `DELETE /v1/regions/{name}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RemoveQuery {
    /// Remove it without its own consent: it is dead.
    pub force: bool,
    /// How many of its entries are known to be lost, repeated from the refusal that names them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
}

/// Answer of `DELETE /v1/regions/{name}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Removed {
    /// The region, as people saw it.
    pub region: String,
    /// Its replica id, retired for ever.
    pub replica: String,
    /// Its last sequence that counts.
    pub last: u64,
    /// How many of its entries are known to be lost.
    pub lost: u64,
    /// Members that did not answer: what they hold of it was taken from what was last heard of them.
    pub unheard: Vec<String>,
}

/// Body of `PUT /v1/topology`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TopologyDeclaration {
    /// The revision that it is declared upon; absent: whatever is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// Which regions pull from which.
    pub topology: TopologySpec,
    /// All regions of the store, those that are to join included.
    pub regions: Vec<TopologyRegion>,
}

/// A region of a topology.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TopologyRegion {
    /// Its name.
    pub name: RegionName,
    /// Whether it takes writes.
    #[serde(default)]
    pub role: Role,
    /// `http://host:port` of its nodes; none: where they are known to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<String>,
}

/// Answer of `POST /v1/topology/plan`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TopologyPlan {
    /// The revision that the topology would have.
    pub revision: u64,
    /// What would be done, in order, in words.
    pub steps: Vec<String>,
}

/// Answer of `GET` and `PUT /v1/topology`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TopologyStatus {
    /// Counts declarations; 0 while the links are those of the nodes' configurations.
    pub revision: u64,
    /// Which regions pull from which; absent while none was declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology: Option<TopologySpec>,
    /// The regions.
    pub regions: Vec<TopologyRegion>,
    /// Members that were not yet heard to know of it.
    pub unheard: Vec<String>,
}
