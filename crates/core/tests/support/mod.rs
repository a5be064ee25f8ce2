//! What the laws of core are tried on: a state in memory, replicas over it, random histories of several
//! replicas, and oracles that say from the entries alone what must come out.
//!
//! - [`memory`]: the state, as maps
//! - [`replica`]: one region: writes, receives
//! - [`history`]: the generator, and the world that a history plays in
//! - [`oracle`]: brute force over all entries
//! - [`model`]: one machine without concurrency
//! - [`law`]: runs a law on many histories

pub(crate) mod history;
pub(crate) mod law;
pub(crate) mod memory;
pub(crate) mod model;
pub(crate) mod oracle;
pub(crate) mod replica;
