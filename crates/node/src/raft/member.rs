//! The nodes of a region as its Raft group knows them, and which of them this one is.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use atoll_store::raft_log::{RaftLog, RaftLogError};

/// The id of a node whose directory was formed before nodes had ids of their own.
const FIRST_NODE: u64 = 1;

/// A node as the others reach it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegionNode {
    /// Its name, such as `eu-0`: stays when its disk is replaced.
    pub(crate) name: String,
    /// `http://host:port` for the other nodes.
    pub(crate) address: String,
}

/// Nodes by id. An id is drawn when a data directory is made, and never used again.
pub(crate) type RegionNodes = BTreeMap<u64, RegionNode>;

/// Which node a data directory belongs to. Kept beside the Raft log: it is not part of the region's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeRecord {
    pub(crate) id: u64,
    /// The nodes that form the region with this one, while this one is the one that begins.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) founders: RegionNodes,
}

impl NodeRecord {
    /// The record in a log, if there is one.
    pub(crate) fn read(log: &RaftLog) -> Result<Option<NodeRecord>, String> {
        let bytes = log.node().map_err(|e| e.to_string())?;
        let read = |bytes: bytes::Bytes| {
            serde_json::from_slice(&bytes).map_err(|e| format!("the node's record: {e}"))
        };
        bytes.map(read).transpose()
    }

    /// Writes it, durably.
    pub(crate) fn write(&self, log: &RaftLog) -> Result<(), String> {
        let bytes = serde_json::to_vec(self).map_err(|e| e.to_string())?;
        log.save_node(&bytes)
            .map_err(|e: RaftLogError| e.to_string())
    }

    /// A node that was never anything.
    pub(crate) fn draw() -> NodeRecord {
        // Half of the range: ids pass through JSON readers that know no larger integers, as text and as number.
        NodeRecord {
            id: rand::random_range(2..1 << 53),
            founders: BTreeMap::new(),
        }
    }

    /// The node of a directory from before nodes had records.
    pub(crate) fn of_old() -> NodeRecord {
        NodeRecord {
            id: FIRST_NODE,
            founders: BTreeMap::new(),
        }
    }
}

impl fmt::Display for RegionNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.address)
    }
}
