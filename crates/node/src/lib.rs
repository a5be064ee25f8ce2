//! Serves: HTTP, the region's Raft group, links, background work, telemetry.
//!
//! - [`config`]: what a node is told
//! - `start`: from a configuration to a running node and back; `node`: the running whole; `proposer` batches writes into commands
//! - `formation`: how an empty node becomes one of its region; `nodes`: nodes that come and go
//! - `raft`: the region's replicated log and state machine; `published`: what is known after each commit
//! - `link`: pulling from and serving other regions
//! - `members`: regions that join and leave, and the topology
//! - [`surroundings`]: network, disk, wall clock and threads, which a simulator replaces
//! - `tls`: certificates, who is taken, and who was not
//! - `http`: the routes; `telemetry`: the instruments, `watched`: their values; [`limits`]: what the storage can do at best

mod clock;
pub mod config;
mod formation;
mod http;
pub mod limits;
mod link;
mod members;
mod node;
mod nodes;
mod past;
mod proposer;
mod published;
mod raft;
mod refusal;
mod start;
mod status;
pub mod surroundings;
mod tasks;
pub mod telemetry;
mod tls;
mod watched;

pub use config::NodeConfig;
pub use node::Node;
pub use past::RolledBack;
pub use refusal::Refusal;
pub use start::{Running, StartError};
pub use surroundings::Surroundings;
