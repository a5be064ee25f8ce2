//! Asks: the one HTTP caller, sessions, retries, region links.
//!
//! Nothing else in Atoll makes HTTP calls: timeouts, retries and headers live here.
//!
//! - [`Client`]: one region, by one or several of its servers, and all that HTTP v1 can be asked; `data`,
//!   `ledger`, `admin` and `members` by topic
//! - [`Connection`]: one bare connection, for load generators
//! - [`Session`]: all that a client has seen
//! - [`PeerClient`]: calls between the nodes of one region
//! - [`Network`]: how connections are made
//! - [`Dialer`]: plainly or by TLS; [`tls`]: certificates
//! - [`link`]: the long-lived stream between two regions
//! - [`otlp`]: telemetry on its way to a collector

mod admin;
mod attempts;
mod client;
mod connection;
mod data;
mod dialer;
mod error;
mod ledger;
pub mod link;
mod members;
mod network;
mod options;
pub mod otlp;
mod peer;
mod request;
mod resend;
mod session;
pub mod tls;

pub use client::{Client, Settings};
pub use connection::{Connection, RawAnswer};
pub use data::{Changes, Content, Read};
pub use dialer::{Dialer, WrongScheme};
pub use error::{ClientError, innermost};
pub use network::{Dial, Dialing, Duplex, Network, Stream};
pub use options::{ReadOptions, WriteOptions};
pub use peer::{PeerAnswer, PeerClient};
pub use session::Session;

/// How we name ourselves to servers.
pub const USER_AGENT: &str = concat!("atoll/", env!("CARGO_PKG_VERSION"));
