//! Entries: one committed atomic write each, as it is logged, shipped and applied everywhere.
//!
//! An entry describes itself: applying it needs no declaration of its collections, so it is never lost
//! on a region that has not heard of one yet.

use bytes::Bytes;

use crate::content::Content;
use crate::counter::Floor;
use crate::hlc::Timestamp;
use crate::ids::{CollectionName, Dot, Key, RegionName};
use crate::path::Path;
use crate::version_vector::VersionVector;

/// One committed atomic write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub dot: Dot,
    /// When it was written; above every time in its dependencies.
    pub time: Timestamp,
    /// All that its origin had applied. Covers `(dot.replica, dot.seq - 1)`.
    pub dependencies: VersionVector,
    /// What it does, in order.
    pub operations: Vec<Operation>,
    /// W3C `traceparent` of the request, or empty.
    pub trace: Bytes,
    /// Set in the first entry of a replica id: the region that it is an incarnation of.
    pub announces: Option<RegionName>,
}

/// What an entry does to one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The collection.
    pub collection: CollectionName,
    /// The key.
    pub key: Key,
    /// What the writer had seen, where that is less than the entry's dependencies.
    pub context: Option<VersionVector>,
    /// The slots it writes.
    pub writes: Vec<SlotWrite>,
}

/// A change of one slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotWrite {
    /// Puts a version there, in place of those that the context covers.
    Assign {
        /// Where.
        path: Path,
        /// What it says.
        content: Content,
        /// Whether the slots below lose the versions that the context covers.
        clear: bool,
        /// Whether the writer saw nothing there.
        creates: bool,
    },
    /// Marks an element of a set as present, in place of the marks that the context covers.
    Mark {
        /// Where.
        path: Path,
    },
    /// Removes the marks that the context covers and leaves nothing: a concurrent mark survives.
    Drop {
        /// Where.
        path: Path,
    },
    /// Adds to a counter.
    Add {
        /// Where.
        path: Path,
        /// By how much.
        delta: i64,
    },
    /// Forgets what a counter's reset had seen.
    Reset {
        /// Where.
        path: Path,
        /// What it had seen, by origin.
        floors: Vec<Floor>,
    },
}

impl SlotWrite {
    /// Where it writes.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            SlotWrite::Assign { path, .. }
            | SlotWrite::Mark { path }
            | SlotWrite::Drop { path }
            | SlotWrite::Add { path, .. }
            | SlotWrite::Reset { path, .. } => path,
        }
    }

    /// Whether it leaves nothing where it writes.
    #[must_use]
    pub fn deletes(&self) -> bool {
        match self {
            SlotWrite::Assign { content, .. } => !content.is_live(),
            SlotWrite::Drop { .. } | SlotWrite::Reset { .. } => true,
            SlotWrite::Mark { .. } | SlotWrite::Add { .. } => false,
        }
    }
}

impl Operation {
    /// Whether it deletes the whole value: every write of it deletes.
    #[must_use]
    pub fn deletes(&self) -> bool {
        self.writes.iter().all(SlotWrite::deletes)
    }
}
