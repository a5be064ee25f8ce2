//! What an entry does to the state: the same at its origin and everywhere else.
//!
//! Precondition, kept by the caller (causal delivery): all of the entry's dependencies are applied, and
//! the entry itself is not.

use crate::conflict::{self, Seen};
use crate::content::Content;
use crate::counter::{Discount, Floor, Position};
use crate::entry::{Entry, Operation, SlotWrite};
use crate::hlc::Timestamp;
use crate::ids::Dot;
use crate::path::Path;
use crate::slot::{ConflictMark, Slot, Version};
use crate::state::{SlotName, WriteState};
use crate::version_vector::VersionVector;

/// What applying an entry brought about, beyond the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effects {
    /// Ledger rows that are new.
    pub conflicts: usize,
}

/// Applies an entry to the state.
///
/// # Errors
/// When the state cannot be read; nothing must be committed then.
pub fn apply<S: WriteState>(state: &mut S, entry: &Entry) -> Result<Effects, S::Error> {
    let mut effects = Effects::default();
    let mut index = 0;
    for operation in &entry.operations {
        let write = EntryWrite {
            dot: entry.dot,
            time: entry.time,
            dependencies: &entry.dependencies,
            operation,
        };
        effects.conflicts += write.apply(state, &mut index)?;
    }
    Ok(effects)
}

/// Takes what an applied entry added to counters out of them: it repeats another entry
/// ([`crate::idempotency`]).
///
/// # Errors
/// When the state cannot be read; nothing must be committed then.
pub fn discount<S: WriteState>(state: &mut S, entry: &Entry) -> Result<(), S::Error> {
    let mut index = 0;
    for operation in &entry.operations {
        for write in &operation.writes {
            let SlotWrite::Add { path, delta } = write else {
                continue;
            };
            index += 1;
            let at = SlotName {
                collection: operation.collection.clone(),
                key: operation.key.clone(),
                path: path.clone(),
            };
            let mut slot = state.slot(&at)?;
            slot.counter.discount(Discount {
                replica: entry.dot.replica,
                position: Position {
                    seq: entry.dot.seq,
                    index,
                },
                delta: *delta,
            });
            state.put_slot(&at, slot);
        }
    }
    Ok(())
}

/// One operation within its entry.
#[derive(Debug, Clone, Copy)]
pub struct EntryWrite<'a> {
    /// The entry's dot.
    pub dot: Dot,
    /// The entry's time.
    pub time: Timestamp,
    /// The entry's dependencies.
    pub dependencies: &'a VersionVector,
    /// The operation.
    pub operation: &'a Operation,
}

impl EntryWrite<'_> {
    /// Applies the operation; `index` counts what the entry adds to counters. Answers with how many
    /// ledger rows are new.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn apply<S: WriteState>(&self, state: &mut S, index: &mut u32) -> Result<usize, S::Error> {
        let mut conflicts = 0;
        for write in &self.operation.writes {
            let at = self.slot_name(write.path());
            match write {
                SlotWrite::Assign {
                    content,
                    clear,
                    creates,
                    ..
                } => {
                    conflicts += self.assign(state, &at, content, *creates)?;
                    if *clear {
                        self.clear_below(state, &at)?;
                    }
                }
                SlotWrite::Mark { .. } => self.mark(state, &at)?,
                SlotWrite::Drop { .. } => self.drop_covered(state, &at)?,
                SlotWrite::Add { delta, .. } => {
                    *index += 1;
                    let position = Position {
                        seq: self.dot.seq,
                        index: *index,
                    };
                    self.count(state, &at, position, *delta)?;
                }
                SlotWrite::Reset { floors, .. } => self.reset(state, &at, floors)?,
            }
        }
        Ok(conflicts)
    }

    fn slot_name(&self, path: &Path) -> SlotName {
        SlotName {
            collection: self.operation.collection.clone(),
            key: self.operation.key.clone(),
            path: path.clone(),
        }
    }

    fn context(&self) -> &VersionVector {
        self.operation.context.as_ref().unwrap_or(self.dependencies)
    }

    /// Whether this write has seen the version `dot`. A later write of the same entry has.
    fn has_seen(&self, dot: Dot) -> bool {
        dot == self.dot || self.context().covers(dot)
    }

    fn assign<S: WriteState>(
        &self,
        state: &mut S,
        at: &SlotName,
        content: &Content,
        creates: bool,
    ) -> Result<usize, S::Error> {
        let mut slot = state.slot(at)?;
        self.supersede(state, at, &mut slot);
        let mut version = Version {
            dot: self.dot,
            time: self.time,
            content: content.clone(),
            creates,
            conflict: ConflictMark::default(),
        };
        let seen = Seen {
            dependencies: self.dependencies,
            context: self.context(),
        };
        let fresh = if slot.siblings.is_empty() && slot.history.is_empty() {
            0
        } else {
            conflict::record(state, at, &mut slot, &mut version, seen)?
        };
        slot.insert(version);
        state.put_slot(at, slot);
        Ok(fresh)
    }

    /// Takes the siblings that this write has seen out of the slot, into its history.
    fn supersede<S: WriteState>(&self, state: &mut S, at: &SlotName, slot: &mut Slot) {
        let (seen, rest) = std::mem::take(&mut slot.siblings)
            .into_iter()
            .partition(|v| self.has_seen(v.dot));
        slot.siblings = rest;
        let seen: Vec<Version> = seen;
        for version in seen {
            if version.dot == self.dot {
                continue; // replaced within its own entry: no other region ever sees it
            }
            let past = version.superseded(self.dot);
            slot.note_history(&past);
            state.put_history(at, &past);
        }
    }

    fn clear_below<S: WriteState>(&self, state: &mut S, at: &SlotName) -> Result<(), S::Error> {
        for (path, mut slot) in state.below(at)? {
            if slot.siblings.iter().any(|v| self.has_seen(v.dot)) {
                let below = self.slot_name(&path);
                self.supersede(state, &below, &mut slot);
                state.put_slot(&below, slot);
            }
        }
        Ok(())
    }

    fn mark<S: WriteState>(&self, state: &mut S, at: &SlotName) -> Result<(), S::Error> {
        let mut slot = state.slot(at)?;
        slot.siblings.retain(|v| !self.has_seen(v.dot));
        slot.insert(Version {
            dot: self.dot,
            time: self.time,
            content: Content::Object,
            creates: false,
            conflict: ConflictMark::default(),
        });
        state.put_slot(at, slot);
        Ok(())
    }

    fn drop_covered<S: WriteState>(&self, state: &mut S, at: &SlotName) -> Result<(), S::Error> {
        let mut slot = state.slot(at)?;
        slot.siblings.retain(|v| !self.has_seen(v.dot));
        state.put_slot(at, slot);
        Ok(())
    }

    fn count<S: WriteState>(
        &self,
        state: &mut S,
        at: &SlotName,
        position: Position,
        delta: i64,
    ) -> Result<(), S::Error> {
        let mut slot = state.slot(at)?;
        slot.counter.add(self.dot.replica, position, delta);
        state.put_slot(at, slot);
        Ok(())
    }

    fn reset<S: WriteState>(
        &self,
        state: &mut S,
        at: &SlotName,
        floors: &[Floor],
    ) -> Result<(), S::Error> {
        let mut slot = state.slot(at)?;
        slot.counter.reset(floors);
        state.put_slot(at, slot);
        Ok(())
    }
}
