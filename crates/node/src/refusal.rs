//! Why a node does not take a write.

use std::time::Duration;

use atoll_core::intent::Rejection;

use crate::past::RolledBack;

/// Why a write was not accepted. Nothing of it was applied, except where said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It cannot be done.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// This region's clock is off.
    #[error("this region's clock is {} ms {}", offset.as_millis(), if *ahead { "ahead" } else { "behind" })]
    ClockSkew {
        /// By how much.
        offset: Duration,
        /// Whether it is ahead of its peers'.
        ahead: bool,
    },
    /// The region is behind its own past.
    #[error(transparent)]
    RolledBack(#[from] RolledBack),
    /// The disk is full.
    #[error("{0}")]
    DiskFull(String),
    /// The node is about to stop.
    #[error("this node is about to stop")]
    Draining,
    /// The region has no leader now.
    #[error("the region has no leader now")]
    NoLeader,
    /// The leader changed while the write was under way: it may have been applied.
    #[error("the region's leader changed; the write may have been applied")]
    LeaderLost,
    /// Too much is waiting already.
    #[error("too many writes are waiting")]
    Overloaded,
    /// The node stopped before it could answer: the write may have been applied.
    #[error("the node stopped; the write may have been applied")]
    Stopped,
    /// The storage failed: the write may have been applied.
    #[error("{0}")]
    Failed(String),
}
