//! The nodes of a region.

use serde::{Deserialize, Serialize};

/// Answer of `GET /v1/nodes`, and of changing them: the region's nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeList {
    /// The nodes.
    pub nodes: Vec<NodeStatus>,
}

/// One node of a region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// Its name, such as `eu-0`: stays when its disk is replaced.
    pub name: String,
    /// Where the region's other nodes reach it.
    pub address: String,
    /// Its id: drawn when its data directory was made.
    pub id: String,
    /// What it does in its region.
    pub role: NodeRole,
    /// Commands of the region's log that it lacks, as the leader knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands_behind: Option<u64>,
}

/// What a node does in its region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeRole {
    /// Decides the order of writes.
    Leader,
    /// Has a vote.
    Follower,
    /// Gets everything, and has no vote yet.
    Learner,
}

/// Body of `POST /v1/nodes`: a node that runs and is to be one of the region's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeAddress {
    /// `http://host:port` where the region's other nodes reach it.
    pub address: String,
}
