//! The region's Raft group: its types, log, state machine and network.
//!
//! A region of one node is the smallest case: one voter, nobody to talk to. Everything that changes a region
//! goes through here, once.
//!
//! - `member`: who the nodes are; `group`: this node's part in it, who leads, reads that are current
//! - `log_store`, `state_machine`, `snapshot`: what Raft keeps; `codec`: its bytes
//! - `network`, `message`, `serve`: what nodes say to each other

mod codec;
pub(crate) mod group;
mod log_store;
pub(crate) mod member;
mod message;
pub(crate) mod network;
pub(crate) mod serve;
pub(crate) mod snapshot;
mod state_machine;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use bytes::Bytes;

use atoll_store::{Command, Outcome, StoreError};

pub(crate) use group::Group;
pub(crate) use state_machine::StateMachine;

use member::RegionNode;

openraft::declare_raft_types!(
    /// The types of a region's Raft group.
    pub(crate) TypeConfig:
        D = Proposal,
        R = Outcome,
        NodeId = u64,
        Node = RegionNode,
);

pub(crate) type Raft = openraft::Raft<TypeConfig, StateMachine>;

/// A command on its way through the Raft log: as bytes for the disk, as it is for apply.
#[derive(Debug, Clone)]
pub(crate) struct Proposal {
    bytes: Bytes,
    command: Arc<Command>,
    applied: Application,
}

/// When a command was applied by this node, from when until when; known once its outcome is.
///
/// Who proposed it reads that. The log keeps what waits to be applied as it was proposed; of what had to be read from
/// the disk meanwhile, nobody learns.
#[derive(Debug, Clone, Default)]
pub(crate) struct Application(Arc<OnceLock<(SystemTime, SystemTime)>>);

impl Proposal {
    pub(crate) fn new(command: Command) -> Self {
        Proposal {
            bytes: command.encode(),
            command: Arc::new(command),
            applied: Application::default(),
        }
    }

    /// When it will have been applied.
    pub(crate) fn application(&self) -> Application {
        self.applied.clone()
    }

    fn from_bytes(bytes: Bytes) -> Result<Self, StoreError> {
        let command = Arc::new(Command::decode(&bytes)?);
        Ok(Proposal {
            bytes,
            command,
            applied: Application::default(),
        })
    }
}

impl Application {
    pub(crate) fn times(&self) -> Option<(SystemTime, SystemTime)> {
        self.0.get().copied()
    }

    pub(crate) fn was(&self, from: SystemTime, to: SystemTime) {
        // A log that was applied again after the state was replaced: the first time counts.
        let _ = self.0.set((from, to));
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a command of {} bytes", self.bytes.len())
    }
}
