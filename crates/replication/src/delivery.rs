//! What an [`crate::inbox::Inbox`] is bounded by, is told and answers.

use std::time::Duration;

use bytes::Bytes;

use atoll_core::wire::{BadFrame, EntryFrame};
use atoll_core::{Dot, ReplicaId, Timestamp};

/// One connection of a link. A new connection gets a new number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// Bounds and delays of an [`crate::inbox::Inbox`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxLimits {
    /// Bytes of entries that may wait for others.
    pub waiting_bytes: usize,
    /// How long an entry waits before what it lacks is asked for; `None`: never ask.
    pub ask_after: Option<Duration>,
    /// How long until the same is asked for again, of the next link; also how long a link that lost entries
    /// for want of room waits at most before it starts over.
    pub ask_interval: Duration,
    /// Duplicates in a row after which a link is to leave an origin out; `u32::MAX`: never.
    pub prune_after: u32,
    /// How long announced entries may stay away before a pruned link is to bring them again.
    pub graft_after: Duration,
}

impl Default for InboxLimits {
    fn default() -> Self {
        InboxLimits {
            waiting_bytes: 64 << 20,
            ask_after: Some(Duration::from_millis(50)),
            ask_interval: Duration::from_millis(500),
            prune_after: 4,
            graft_after: Duration::from_millis(500),
        }
    }
}

/// An entry that may be applied, after those handed out before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// Its bytes, as its origin made them.
    pub frame: EntryFrame,
    /// Its dot.
    pub dot: Dot,
    /// When it was written.
    pub time: Timestamp,
    /// Where its request stands in a trace, as in [`Entry`](atoll_core::Entry).
    pub trace: Bytes,
    /// The link that brought it.
    pub link: LinkId,
    /// The region that sent it.
    pub sender: ReplicaId,
    /// How long it waited for its dependencies.
    pub waited: Duration,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Received {
    /// May be applied.
    pub ready: usize,
    /// Wait for others.
    pub waiting: usize,
    /// Known already.
    pub duplicates: usize,
    /// Not kept for want of room; they will be sent again.
    pub dropped: usize,
}

/// An entry that cannot be read. Its link must be closed and stay closed until someone acts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("link {} brought an entry that cannot be applied: {error}", link.0)]
pub struct Poison {
    /// The link that brought it.
    pub link: LinkId,
    /// Its dot, where that can be read.
    pub dot: Option<Dot>,
    /// What is wrong.
    pub error: BadFrame,
}
