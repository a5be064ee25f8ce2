//! Decides conversations: what to send, what may be applied, when to relay and to ask.
//!
//! State machines for both ends of a link, without I/O: bytes, clock readings and seeds are arguments,
//! and what should happen is the answer. The node drives them over HTTP/2, the simulator by its own queue.
//!
//! ```text
//!   source region                             target region
//!   Log ─▶ Source ──Welcome, Batch, Heartbeat, Pong──▶ Inbox ─▶ propose, apply
//!            ▲                                          │
//!            └──Hello, Ack, Want, Prune, Resume, Ping───┘
//! ```
//!
//! - [`message`]: what the two ends say → [`frame`]: as bytes
//! - [`source`]: what to send next on one link, from a [`log`]
//! - [`inbox`]: the waiting room of one region, for all of its links, and which of them brings which
//!   origin ([`delivery`] has its answers)
//! - [`knowledge`]: who has what: write concern, the stable vector · [`membership`]: when members come and go
//! - [`topology`]: who pulls from whom → [`healing`]: and while some are dead or cut off → [`report`]: is there
//!   a way · [`steps`]: from one topology to another
//! - [`proof`]: since when regions are known to be equal
//! - [`clock`], [`lag`]: how far peers' clocks and links are off · [`backoff`]: when to dial again

mod asks;
mod backlog;
pub mod backoff;
pub mod clock;
pub mod delivery;
mod draft;
pub mod frame;
pub mod healing;
pub mod hearing;
pub mod inbox;
pub mod knowledge;
pub mod lag;
mod layout;
pub mod log;
pub mod membership;
pub mod message;
pub mod proof;
pub mod report;
mod room;
mod routes;
pub mod source;
pub mod steps;
pub mod topology;
mod view;
mod ways;

use std::time::Duration;

/// One reading of the driver's two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Since any fixed start; never runs backwards.
    pub elapsed: Duration,
    /// The wall clock: milliseconds since 1970; may jump.
    pub wall_ms: u64,
}
