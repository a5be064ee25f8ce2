//! The region's Raft group: its types, log, state machine and network.
//!
//! A region of one node is the smallest case: one voter, no network. Everything that changes a region goes
//! through here, once.

mod codec;
mod log_store;
mod network;
mod state_machine;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use openraft::{BasicNode, Config, SnapshotPolicy};

use atoll_store::{Command, Outcome, Region, StoreError};

pub(crate) use state_machine::StateMachine;

use crate::published::Published;

openraft::declare_raft_types!(
    /// The types of a region's Raft group.
    pub(crate) TypeConfig:
        D = Proposal,
        R = Outcome,
        NodeId = u64,
        Node = BasicNode,
);

pub(crate) type Raft = openraft::Raft<TypeConfig, StateMachine>;

/// The only node of a region of one.
pub(crate) const SOLE_NODE: u64 = 1;

/// A command on its way through the Raft log: as bytes for the disk, as it is for apply.
#[derive(Debug, Clone)]
pub(crate) struct Proposal {
    bytes: Bytes,
    command: Arc<Command>,
}

impl Proposal {
    pub(crate) fn new(command: Command) -> Self {
        Proposal {
            bytes: command.encode(),
            command: Arc::new(command),
        }
    }

    fn from_bytes(bytes: Bytes) -> Result<Self, StoreError> {
        let command = Arc::new(Command::decode(&bytes)?);
        Ok(Proposal { bytes, command })
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a command of {} bytes", self.bytes.len())
    }
}

/// Starts the group over `region`'s engine and waits until everything committed before is applied.
pub(crate) async fn start(region: Region, published: Arc<Published>) -> Result<Raft, String> {
    let config = Config {
        cluster_name: region.store().to_string(),
        heartbeat_interval: 250,
        election_timeout_min: 750,
        election_timeout_max: 1500,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(10_000),
        max_in_snapshot_log_to_keep: 1_000,
        ..Config::default()
    };
    let config = config.validate().map_err(|e| e.to_string())?;
    let log = log_store::LogStore::open(Arc::clone(region.engine())).map_err(|e| e.to_string())?;
    let machine = StateMachine::open(region, published)?;
    let raft = Raft::new(
        SOLE_NODE,
        Arc::new(config),
        network::NoNetwork,
        log,
        machine,
    )
    .await
    .map_err(|e| e.to_string())?;
    if !raft.is_initialized().await.map_err(|e| e.to_string())? {
        let members = BTreeMap::from([(SOLE_NODE, BasicNode::default())]);
        raft.initialize(members).await.map_err(|e| e.to_string())?;
    }
    raft.wait(Some(std::time::Duration::from_secs(600)))
        .metrics(
            |m| m.current_leader == Some(SOLE_NODE) && m.last_applied.is_some(),
            "leader",
        )
        .await
        .map_err(|e| e.to_string())?;
    // A blank entry of this term behind everything that was logged before: once it is applied, so are they.
    raft.write_blank().await.map_err(|e| e.to_string())?;
    Ok(raft)
}
