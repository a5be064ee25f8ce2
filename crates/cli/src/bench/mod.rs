//! `atoll bench`: load, latency, and what it costs the servers.
//!
//! - `work`: what the requests are; `load`: connections that send them for a while
//! - `processes`: CPU and memory of the servers, from /proc
//! - `suite`: Atoll's own figures, each against its target; it starts real nodes of a `manifest`, measures the
//!   machine's limits (`limits`) and each figure (`figures`)

mod figures;
mod limits;
pub(crate) mod load;
mod manifest;
pub(crate) mod processes;
pub(crate) mod suite;
pub(crate) mod work;
