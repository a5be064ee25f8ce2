//! Brute force: what must be stored and listed, from the entries alone.
//!
//! Written after SEMANTICS and the definitions in `conflict.rs`, not after the code: it compares every
//! version with every other one and knows no history, no early stop and no order of arrival.

use std::collections::BTreeMap;
use std::rc::Rc;

use atoll_core::conflict::conflict_id;
use atoll_core::slot::Partner;
use atoll_core::state::{ConflictId, LedgerRow, SlotName};
use atoll_core::{Content, Dot, Entry, SlotWrite, Timestamp, VersionVector};

/// A version that some entry wrote.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) at: SlotName,
    pub(crate) dot: Dot,
    pub(crate) time: Timestamp,
    pub(crate) content: Content,
    pub(crate) creates: bool,
    /// A mark of a set: never in the ledger.
    pub(crate) is_mark: bool,
    pub(crate) context: VersionVector,
    pub(crate) dependencies: VersionVector,
}

/// A write that takes versions out of a slot, and below it, too, when it clears.
#[derive(Debug, Clone)]
pub(crate) struct Taking {
    pub(crate) at: SlotName,
    pub(crate) by: Dot,
    pub(crate) clears: bool,
    /// Whether it leaves nothing but a tombstone.
    pub(crate) deletes: bool,
    pub(crate) context: VersionVector,
}

/// All that a set of entries says.
pub(crate) struct Oracle {
    pub(crate) versions: Vec<Written>,
    pub(crate) takings: Vec<Taking>,
}

impl Oracle {
    pub(crate) fn of(entries: &[Rc<Entry>]) -> Self {
        let mut oracle = Oracle {
            versions: Vec::new(),
            takings: Vec::new(),
        };
        for entry in entries {
            for operation in &entry.operations {
                let context = operation.context.as_ref().unwrap_or(&entry.dependencies);
                for write in &operation.writes {
                    let at = SlotName {
                        collection: operation.collection.clone(),
                        key: operation.key.clone(),
                        path: write.path().clone(),
                    };
                    oracle.add(entry, context, at, write);
                }
            }
        }
        oracle
    }

    fn add(&mut self, entry: &Entry, context: &VersionVector, at: SlotName, write: &SlotWrite) {
        let (content, creates, clears, is_mark) = match write {
            SlotWrite::Assign {
                content,
                clear,
                creates,
                ..
            } => (Some(content.clone()), *creates, *clear, false),
            SlotWrite::Mark { .. } => (Some(Content::Object), false, false, true),
            SlotWrite::Drop { .. } => (None, false, false, true),
            SlotWrite::Add { .. } | SlotWrite::Reset { .. } => return,
        };
        // Within an entry a set's marks come and go in order; other slots are written once.
        self.versions
            .retain(|v| !(v.is_mark && v.dot == entry.dot && v.at == at));
        self.takings.push(Taking {
            at: at.clone(),
            by: entry.dot,
            clears,
            deletes: write.deletes(),
            context: context.clone(),
        });
        self.versions.extend(content.map(|content| Written {
            at,
            dot: entry.dot,
            time: entry.time,
            content,
            creates,
            is_mark,
            context: context.clone(),
            dependencies: entry.dependencies.clone(),
        }));
    }

    /// The writes that took this version out of its slot: those that had seen it and wrote there, or
    /// cleared from above.
    pub(crate) fn takings_of(&self, version: &Written) -> impl Iterator<Item = &Taking> {
        let (at, dot) = (version.at.clone(), version.dot);
        self.takings.iter().filter(move |taking| {
            let reaches = taking.at == at
                || taking.clears
                    && taking.at.collection == at.collection
                    && taking.at.key == at.key
                    && at.path.as_bytes().starts_with(taking.at.path.as_bytes());
            reaches && taking.context.covers(dot)
        })
    }

    /// What stands in the end, by slot and dot.
    pub(crate) fn standing(&self) -> BTreeMap<(SlotName, Dot), &Written> {
        let stands = |version: &&Written| self.takings_of(version).next().is_none();
        self.versions
            .iter()
            .filter(stands)
            .map(|version| ((version.at.clone(), version.dot), version))
            .collect()
    }

    /// Whether two versions of one slot conflict.
    fn conflict(&self, one: &Written, other: &Written) -> bool {
        if one.is_mark || !one.content.class().disagrees_with(other.content.class()) {
            return false;
        }
        if one.dependencies.covers(other.dot) {
            self.stood_unseen(other, one)
        } else if other.dependencies.covers(one.dot) {
            self.stood_unseen(one, other)
        } else {
            true
        }
    }

    /// Whether `earlier` was in the state that the writer of `later` met, and was not in its context.
    fn stood_unseen(&self, earlier: &Written, later: &Written) -> bool {
        let there = |taking: &Taking| later.dependencies.covers(taking.by);
        !later.context.covers(earlier.dot) && !self.takings_of(earlier).any(there)
    }

    /// Each version with its smallest partner by (time, replica id), where it has one.
    pub(crate) fn pairs(&self) -> Vec<(&Written, &Written)> {
        let smallest = |version: &Written| {
            let others = self
                .versions
                .iter()
                .filter(|w| w.at == version.at && w.dot != version.dot);
            let partners = others.filter(|other| self.conflict(version, other));
            partners.min_by_key(|other| rank(other))
        };
        self.versions
            .iter()
            .filter_map(|v| Some((v, smallest(v)?)))
            .collect()
    }

    /// The rows that the ledger must have.
    pub(crate) fn ledger(&self) -> BTreeMap<ConflictId, LedgerRow> {
        let mut rows = BTreeMap::new();
        for (version, partner) in self.pairs() {
            let is_first = rank(version) < rank(partner);
            let (first, second) = if is_first {
                (version, partner)
            } else {
                (partner, version)
            };
            let id = conflict_id(&version.at, version.dot, partner.dot);
            let row = rows.entry(id).or_insert_with(|| LedgerRow {
                at: version.at.clone(),
                first: as_partner(first),
                second: as_partner(second),
                classes: (first.content.class(), second.content.class()),
                creates: first.creates && second.creates,
                named_by_first: false,
                named_by_second: false,
            });
            row.named_by_first |= is_first;
            row.named_by_second |= !is_first;
        }
        rows
    }
}

fn rank(version: &Written) -> (Timestamp, u64) {
    (version.time, version.dot.replica.0)
}

fn as_partner(version: &Written) -> Partner {
    Partner {
        time: version.time,
        dot: version.dot,
    }
}
