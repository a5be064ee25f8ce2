//! What became of commands, and what they brought about.

use atoll_core::intent::Rejection;
use atoll_core::{CollectionName, Dot, Timestamp, VersionVector};

use super::NotChanged;
use crate::records::arrival::Arrival;

/// What became of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Of each write, in order.
    Written(Vec<Result<Written, Rejection>>),
    /// Of remote entries.
    Merged(Merged),
    /// The collections are as declared now, or why they are not.
    Configured(Result<(), String>),
    /// The membership or the topology was changed by that entry, or why not.
    Changed(Result<Dot, NotChanged>),
    /// Done.
    Done,
}

/// An accepted write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its entry; `None` when there was nothing to do.
    pub entry: Option<(Dot, Timestamp)>,
    /// All that the region had applied right after it.
    pub session: VersionVector,
    /// Whether it had been written before, under the same idempotency key; nothing was changed then.
    pub repeats: bool,
}

/// What became of remote entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Merged {
    /// Applied now.
    pub applied: usize,
    /// Known already.
    pub duplicates: usize,
    /// Not applicable yet; the sender's order was broken on the way, and they must come again.
    pub early: usize,
    /// Not taken: the sender was removed by force. What counts of it comes from those that stay.
    pub refused: usize,
}

/// A new ledger row, for counting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewConflict {
    /// Its collection.
    pub collection: CollectionName,
    /// Its kind, see [`atoll_core::view::Verdict`].
    pub kind: &'static str,
    /// Its outcome, see [`atoll_core::view::Verdict`].
    pub outcome: &'static str,
}

/// What one group of commands brought about.
#[derive(Debug, Default)]
pub struct Group {
    /// Of each command, in order.
    pub outcomes: Vec<Outcome>,
    /// The entries that it added, in order of arrival.
    pub arrivals: Vec<Arrival>,
    /// New ledger rows.
    pub conflicts: Vec<NewConflict>,
    /// Conflicts that were resolved: by their policy as they arose, or by a write that had seen both.
    pub resolutions: Vec<Resolution>,
}

/// A conflict that was resolved, for measuring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// Its collection.
    pub collection: CollectionName,
    /// Its kind, see [`atoll_core::view::Verdict`].
    pub kind: &'static str,
    /// How long after the later of its versions, in milliseconds; 0 when a policy decided.
    pub after_ms: u64,
}
