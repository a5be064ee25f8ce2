//! Remembers: RocksDB and its in-memory twin, keys, commit, log, the region's state machine.
//!
//! - [`engine`]: bytes in families, on RocksDB or in memory; nothing above knows which
//! - [`mod@format`]: which data directory may be opened
//! - [`raft_log`]: the region's replicated log, the one thing that is synced
//! - [`records`]: one file per stored record kind
//! - [`command`]: what the Raft log carries → [`region`]: what it does to the state
//! - [`transfer`]: the whole state on its way to another node of the region
//! - [`query`], [`log`]: reading keys, the ledger, and entries in order of arrival

pub mod command;
pub mod engine;
mod error;
pub mod format;
pub mod log;
pub mod query;
pub mod raft_log;
pub mod records;
pub mod region;
mod transaction;
pub mod transfer;

pub use command::{Command, Request};
pub use error::StoreError;
pub use records::arrival::Arrival;
pub use records::identity::Identity;
pub use region::{Catalog, Group, Outcome, Region, Written};
