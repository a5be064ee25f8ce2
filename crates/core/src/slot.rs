//! The stored form of one register, field, element or counter: a set of concurrent versions.
//!
//! Every policy is a view of this set ([`crate::view`]); changing a policy changes no slot.

use crate::content::{Class, Content};
use crate::counter::Counter;
use crate::hlc::Timestamp;
use crate::ids::{Dot, ReplicaId};

/// The smallest version that is concurrent with another one: what its ledger row names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partner {
    /// The partner's time.
    pub time: Timestamp,
    /// The partner's dot.
    pub dot: Dot,
}

impl Partner {
    /// The order of versions everywhere: by time, then replica id, then sequence.
    #[must_use]
    pub fn rank(&self) -> (Timestamp, ReplicaId, u64) {
        (self.time, self.dot.replica, self.dot.seq)
    }
}

/// One version of a slot that no version here has replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The entry that wrote it.
    pub dot: Dot,
    /// That entry's time.
    pub time: Timestamp,
    /// What it says.
    pub content: Content,
    /// Whether its writer saw nothing there.
    pub creates: bool,
    /// What is known of its conflicts.
    pub conflict: ConflictMark,
}

/// What a version carries of its conflicts: enough to keep its ledger row right as more arrives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConflictMark {
    /// The smallest concurrent version seen so far.
    pub partner: Option<Partner>,
    /// Origins whose concurrent versions have met this one already (sorted).
    pub met: Vec<ReplicaId>,
}

/// A version that was replaced, kept for the ledger until no concurrent version can arrive any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superseded {
    /// The entry that wrote it.
    pub dot: Dot,
    /// That entry's time.
    pub time: Timestamp,
    /// The class of what it said; the value itself is in the log.
    pub class: Class,
    /// Whether its writer saw nothing there.
    pub creates: bool,
    /// What is known of its conflicts.
    pub conflict: ConflictMark,
    /// The entry that replaced it first, as this region saw it.
    pub by: Dot,
}

/// Where the superseded versions of one class and origin lie: tells without a read that there are none to
/// look at, and spares looking where they have been forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryEnd {
    /// The class of the superseded versions.
    pub class: Class,
    /// None is kept of a smaller sequence.
    pub first: u64,
    /// The greatest superseded dot of one origin.
    pub last: Dot,
}

/// One slot.
///
/// Invariant: `siblings` is sorted by dot and holds no two versions of one dot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slot {
    /// The concurrent versions.
    pub siblings: Vec<Version>,
    /// Where the history of superseded versions begins and ends, by class and origin.
    pub history: Vec<HistoryEnd>,
    /// The sums of a counter; empty for every other type.
    pub counter: Counter,
}

impl Slot {
    /// Whether nothing is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.siblings.is_empty() && self.history.is_empty() && self.counter.is_empty()
    }

    /// Whether any sibling is a value or an object.
    #[must_use]
    pub fn has_live_sibling(&self) -> bool {
        self.siblings.iter().any(|v| v.content.is_live())
    }

    /// Inserts a version in its place.
    pub fn insert(&mut self, version: Version) {
        let at = self.siblings.partition_point(|v| v.dot < version.dot);
        self.siblings.insert(at, version);
    }

    /// Remembers that history now holds `version`.
    pub fn note_history(&mut self, version: &Superseded) {
        let same = |end: &&mut HistoryEnd| {
            end.class == version.class && end.last.replica == version.dot.replica
        };
        match self.history.iter_mut().find(same) {
            Some(end) => {
                end.first = end.first.min(version.dot.seq);
                end.last.seq = end.last.seq.max(version.dot.seq);
            }
            None => self.history.push(HistoryEnd {
                class: version.class,
                first: version.dot.seq,
                last: version.dot,
            }),
        }
        self.history
            .sort_unstable_by_key(|end| (end.class, end.last.replica));
    }
}

impl Version {
    /// This version as another one's partner.
    #[must_use]
    pub fn as_partner(&self) -> Partner {
        Partner {
            time: self.time,
            dot: self.dot,
        }
    }

    /// What remains of it once `by` replaced it.
    #[must_use]
    pub fn superseded(self, by: Dot) -> Superseded {
        let Version {
            dot,
            time,
            content,
            creates,
            conflict,
        } = self;
        Superseded {
            dot,
            time,
            class: content.class(),
            creates,
            conflict,
            by,
        }
    }
}

impl Superseded {
    /// This version as another one's partner.
    #[must_use]
    pub fn as_partner(&self) -> Partner {
        Partner {
            time: self.time,
            dot: self.dot,
        }
    }
}
