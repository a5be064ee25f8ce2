//! One region: its state, what it has applied, its clock and its log in order of arrival.

use std::rc::Rc;

use atoll_core::apply::{EntryWrite, apply};
use atoll_core::expand::{Failure, expand_within};
use atoll_core::intent::{Intent, Rejection};
use atoll_core::view::{self, Answer, Lens};
use atoll_core::{
    CollectionName, Dot, Entry, Key, Path, ReplicaId, Slot, Timestamp, VersionVector,
};
use bytes::Bytes;

use super::memory::Memory;

/// How a replica gives times to its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// As every region does: above all that it has applied.
    Hybrid,
    /// The bare wall clock: breaks the rule, to show that causality never asks the time.
    Wall,
}

/// One region.
#[derive(Debug, Clone)]
pub(crate) struct Replica {
    pub(crate) id: ReplicaId,
    pub(crate) state: Memory,
    pub(crate) applied: VersionVector,
    pub(crate) last: Timestamp,
    /// In order of arrival.
    pub(crate) log: Vec<Rc<Entry>>,
    /// What had been applied at every earlier moment.
    pub(crate) moments: Vec<VersionVector>,
    pub(crate) clock: Clock,
}

impl Replica {
    pub(crate) fn new(id: u64) -> Self {
        Replica {
            id: ReplicaId(id),
            state: Memory::default(),
            applied: VersionVector::new(),
            last: Timestamp::default(),
            log: Vec::new(),
            moments: vec![VersionVector::new()],
            clock: Clock::Hybrid,
        }
    }

    /// Commits the intents as one entry; none when there is nothing to do. A rejected write changes nothing.
    pub(crate) fn write(
        &mut self,
        lens: Lens<'_>,
        intents: &[Intent],
        now: Timestamp,
    ) -> Result<Option<Rc<Entry>>, Rejection> {
        let mut entry = Entry {
            dot: Dot::new(self.id, self.applied.get(self.id) + 1),
            time: match self.clock {
                Clock::Hybrid => Timestamp::after(now, self.last),
                Clock::Wall => now,
            },
            dependencies: self.applied.clone(),
            operations: Vec::with_capacity(intents.len()),
            trace: Bytes::new(),
            announces: None,
            member: None,
            layout: None,
            idempotency: None,
        };
        // A lone intent changes nothing before it is accepted, and repeats no key.
        let before = (intents.len() > 1).then(|| self.state.clone());
        if let Err(rejection) = self.originate(lens, intents, &mut entry) {
            self.state = before.unwrap_or_else(|| std::mem::take(&mut self.state));
            return Err(rejection);
        }
        if entry.operations.is_empty() {
            return Ok(None);
        }
        let entry = if entry.settle() {
            self.state = before.expect("more than one intent");
            let entry = Rc::new(entry);
            self.apply(&entry);
            entry
        } else {
            self.note(Rc::new(entry))
        };
        Ok(Some(entry))
    }

    /// Expands and applies one intent after the other: each sees what came before it in the same entry.
    fn originate(
        &mut self,
        lens: Lens<'_>,
        intents: &[Intent],
        entry: &mut Entry,
    ) -> Result<(), Rejection> {
        let mut index = 0;
        for (i, intent) in intents.iter().enumerate() {
            let follows = (i > 0).then_some(entry.dot);
            let expanded = expand_within(&self.state, lens, intent, &entry.dependencies, follows);
            let operation = match expanded {
                Ok(operation) => operation,
                Err(Failure::Rejected(rejection)) => return Err(rejection),
                Err(Failure::State(never)) => match never {},
            };
            let write = EntryWrite {
                dot: entry.dot,
                time: entry.time,
                dependencies: &entry.dependencies,
                operation: &operation,
            };
            write
                .apply(&mut self.state, &mut index)
                .expect("a map does not fail");
            if !operation.writes.is_empty() {
                entry.operations.push(operation);
            }
        }
        Ok(())
    }

    /// Applies an entry from elsewhere; answers `false` for one that has been applied, which dies at the
    /// vector.
    pub(crate) fn receive(&mut self, entry: &Rc<Entry>) -> bool {
        if self.applied.covers(entry.dot) {
            return false;
        }
        assert!(
            self.applied.covers_all(&entry.dependencies),
            "causal delivery: {} has {} and gets {} that needs {}",
            self.id,
            self.applied,
            entry.dot,
            entry.dependencies
        );
        self.apply(entry);
        true
    }

    fn apply(&mut self, entry: &Rc<Entry>) {
        apply(&mut self.state, entry).expect("a map does not fail");
        self.note(Rc::clone(entry));
    }

    fn note(&mut self, entry: Rc<Entry>) -> Rc<Entry> {
        self.state.entries.insert(entry.dot, Rc::clone(&entry));
        self.applied.raise(entry.dot);
        self.last = self.last.max(entry.time);
        self.moments.push(self.applied.clone());
        self.log.push(Rc::clone(&entry));
        entry
    }

    /// The entries that `other` has and this replica lacks, in `other`'s order of arrival.
    pub(crate) fn lacking(&self, other: &Replica) -> Vec<Rc<Entry>> {
        let lacks = |entry: &&Rc<Entry>| !self.applied.covers(entry.dot);
        other.log.iter().filter(lacks).cloned().collect()
    }

    pub(crate) fn slots(&self, collection: &CollectionName, key: &Key) -> Vec<(Path, Slot)> {
        self.state.key(collection, key)
    }

    pub(crate) fn answer(&self, lens: Lens<'_>, key: &Key) -> Answer {
        view::answer(&lens, &self.slots(&lens.spec.name, key))
    }
}
