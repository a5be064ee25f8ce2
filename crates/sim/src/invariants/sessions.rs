//! Session guarantees: a session reads its own writes and never reads backwards, in whichever region it asks
//! next, as long as it waits for its vector.
//!
//! A version that a session wrote or was shown must be there when it reads the key again, or the region must
//! have applied a write that takes it. What a session added to a counter, or saw there, must be counted.
//!
//! Seen to fail: a region that answers without waiting (`Mischief::AnswerAtOnce`); and, by hand, a store that
//! does not roll a refused batch back.

use std::collections::BTreeMap;

use atoll_core::counter::Position;
use atoll_core::{Dot, Entry, Path, ReplicaId, SlotWrite, VersionVector};
use atoll_store::query::Slots;

use super::Violation;
use crate::book::{Book, KeyName};

const NAME: &str = "sessions";

/// What one session wrote and was shown, by key.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    keys: BTreeMap<KeyName, ShownKey>,
}

#[derive(Debug, Default)]
struct ShownKey {
    versions: Vec<(Path, Dot)>,
    counted: BTreeMap<(Path, ReplicaId), Position>,
}

impl Shown {
    /// The session was told that its write is done.
    pub(crate) fn wrote(&mut self, entry: &Entry) {
        for operation in &entry.operations {
            let name = (operation.collection.clone(), operation.key.clone());
            let shown = self.keys.entry(name).or_default();
            let mut gone: Vec<&Path> = Vec::new();
            for write in &operation.writes {
                let path = write.path().clone();
                match write {
                    SlotWrite::Assign { .. } | SlotWrite::Mark { .. } => {
                        shown.versions.push((path, entry.dot));
                    }
                    SlotWrite::Drop { path } => gone.push(path),
                    SlotWrite::Add { .. } => {
                        let seq = entry.dot.seq;
                        let position = Position { seq, index: 1 };
                        let known = shown.counted.entry((path, entry.dot.replica)).or_default();
                        *known = position.max(*known);
                    }
                    SlotWrite::Reset { .. } => {}
                }
            }
            // What a later write of the same entry took is not there to be read.
            shown
                .versions
                .retain(|(path, dot)| *dot != entry.dot || !gone.contains(&path));
        }
    }

    /// The session reads a key in a region that has applied `applied`.
    pub(crate) fn reads(
        &mut self,
        region: usize,
        key: &KeyName,
        slots: &Slots,
        applied: &VersionVector,
        book: &Book,
    ) -> Result<(), Violation> {
        let before = self.keys.remove(key).unwrap_or_default();
        before.check(region, key, slots, applied, book)?;
        let mut now = ShownKey::default();
        for (path, slot) in slots {
            let versions = slot.siblings.iter().map(|v| (path.clone(), v.dot));
            now.versions.extend(versions);
            let counted = slot
                .counter
                .contributions
                .iter()
                .filter(|c| c.position.seq > 0);
            now.counted
                .extend(counted.map(|c| ((path.clone(), c.replica), c.position)));
        }
        self.keys.insert(key.clone(), now);
        Ok(())
    }
}

impl ShownKey {
    fn check(
        &self,
        region: usize,
        key: &KeyName,
        slots: &Slots,
        applied: &VersionVector,
        book: &Book,
    ) -> Result<(), Violation> {
        let slot = |path: &Path| slots.iter().find(|(p, _)| p == path).map(|(_, slot)| slot);
        for (path, dot) in &self.versions {
            let is_there = slot(path).is_some_and(|s| s.siblings.iter().any(|v| v.dot == *dot));
            if !is_there && !is_taken(path, *dot, key, applied, book) {
                let what = format!(
                    "r{region} shows a session {}/{}{} without {dot}, which it wrote or saw; \
                     the region has {applied}",
                    key.0,
                    key.1,
                    path.pointer()
                );
                return Err(Violation::new(NAME, what));
            }
        }
        for ((path, replica), position) in &self.counted {
            let counter = slot(path).map(|slot| &slot.counter);
            let counted =
                counter.and_then(|c| c.contributions.iter().find(|c| c.replica == *replica));
            if counted.is_none_or(|c| c.position < *position) {
                let what = format!(
                    "r{region} shows a session the counter {}/{}{} with {counted:?}, after {position:?}",
                    key.0,
                    key.1,
                    path.pointer()
                );
                return Err(Violation::new(NAME, what));
            }
        }
        Ok(())
    }
}

fn is_taken(path: &Path, dot: Dot, key: &KeyName, applied: &VersionVector, book: &Book) -> bool {
    let Some(key) = book.key(key) else {
        return false;
    };
    let Some(version) = key.version(path, dot) else {
        return false;
    };
    let mut takings = key.takings(path);
    takings.any(|taking| applied.covers(taking.by) && taking.takes(version))
}
