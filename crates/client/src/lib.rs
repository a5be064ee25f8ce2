//! Asks: the one HTTP caller, sessions, retries, region links.
//!
//! Nothing else in Atoll makes HTTP calls: timeouts, retries and headers live here.
//!
//! - [`link`]: the long-lived stream between two regions

pub mod link;

/// How we name ourselves to servers.
pub const USER_AGENT: &str = concat!("atoll/", env!("CARGO_PKG_VERSION"));
