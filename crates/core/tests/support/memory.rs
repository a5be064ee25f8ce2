//! A state in memory: what the store keeps, as maps.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::rc::Rc;

use atoll_core::content::Class;
use atoll_core::slot::Superseded;
use atoll_core::state::{ConflictId, LedgerRow, ReadState, SlotName, WriteState};
use atoll_core::{CollectionName, Dot, Entry, Key, Path, ReplicaId, Slot, VersionVector};

type HistoryKey = (SlotName, Class, ReplicaId, u64);

/// Slots, history, ledger and kept entries.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    pub(crate) slots: BTreeMap<SlotName, Slot>,
    pub(crate) history: BTreeMap<HistoryKey, Superseded>,
    pub(crate) ledger: BTreeMap<ConflictId, LedgerRow>,
    pub(crate) entries: BTreeMap<Dot, Rc<Entry>>,
    /// Superseded versions read and versions and rows written: the cost of a key's conflicts.
    pub(crate) touched: Cell<usize>,
}

impl Memory {
    /// All slots of a key, in path order.
    pub(crate) fn key(&self, collection: &CollectionName, key: &Key) -> Vec<(Path, Slot)> {
        let root = SlotName {
            collection: collection.clone(),
            key: key.clone(),
            path: Path::root(),
        };
        let of_key = self.slots.range(root..);
        of_key
            .take_while(|(at, _)| at.collection == *collection && at.key == *key)
            .map(|(at, slot)| (at.path.clone(), slot.clone()))
            .collect()
    }

    /// What distinguishes two states that hold the same entries, if anything does. What a version has met
    /// and what replaced it first are notes of arrival and may differ.
    pub(crate) fn difference(&self, other: &Memory) -> Option<String> {
        let slots = || self.slots.iter().zip(&other.slots);
        if self.slots.len() != other.slots.len() || !slots().all(same_slot) {
            return Some(format!("slots {:#?}\nand {:#?}", self.slots, other.slots));
        }
        let history = || self.history.iter().zip(&other.history);
        if self.history.len() != other.history.len() || !history().all(same_superseded) {
            return Some(format!(
                "history {:#?}\nand {:#?}",
                self.history, other.history
            ));
        }
        if self.ledger != other.ledger {
            return Some(format!(
                "ledger {:#?}\nand {:#?}",
                self.ledger, other.ledger
            ));
        }
        None
    }

    fn touch(&self) {
        self.touched.set(self.touched.get() + 1);
    }
}

fn same_slot(((name, a), (other_name, b)): ((&SlotName, &Slot), (&SlotName, &Slot))) -> bool {
    let Slot {
        siblings,
        history,
        counter,
    } = a;
    name == other_name
        && *history == b.history
        && *counter == b.counter
        && siblings.len() == b.siblings.len()
        && siblings.iter().zip(&b.siblings).all(|(v, w)| {
            v.dot == w.dot
                && v.time == w.time
                && v.content == w.content
                && v.creates == w.creates
                && v.conflict.partner == w.conflict.partner
        })
}

fn same_superseded(
    ((name, a), (other_name, b)): ((&HistoryKey, &Superseded), (&HistoryKey, &Superseded)),
) -> bool {
    let Superseded {
        dot,
        time,
        class,
        creates,
        conflict,
        by: _,
    } = a;
    name == other_name
        && *dot == b.dot
        && *time == b.time
        && *class == b.class
        && *creates == b.creates
        && conflict.partner == b.conflict.partner
}

impl ReadState for Memory {
    type Error = Infallible;

    fn slot(&self, at: &SlotName) -> Result<Slot, Infallible> {
        Ok(self.slots.get(at).cloned().unwrap_or_default())
    }

    fn below(&self, at: &SlotName) -> Result<Vec<(Path, Slot)>, Infallible> {
        let from_here = self.slots.range(at.clone()..);
        let below = from_here.take_while(|(name, _)| {
            name.collection == at.collection
                && name.key == at.key
                && name.path.as_bytes().starts_with(at.path.as_bytes())
        });
        Ok(below
            .filter(|(name, _)| name.path != at.path)
            .map(|(name, slot)| (name.path.clone(), slot.clone()))
            .collect())
    }

    fn history(
        &self,
        at: &SlotName,
        class: Class,
        origin: ReplicaId,
        seqs: (u64, u64),
        descending: bool,
        visit: &mut dyn FnMut(Superseded) -> bool,
    ) -> Result<(), Infallible> {
        let name = |seq| (at.clone(), class, origin, seq);
        let mut found = self.history.range(name(seqs.0)..=name(seqs.1));
        let next = || {
            if descending {
                found.next_back()
            } else {
                found.next()
            }
        };
        for (_, version) in std::iter::from_fn(next) {
            self.touch();
            if !visit(version.clone()) {
                break;
            }
        }
        Ok(())
    }

    fn context_of(&self, at: &SlotName, dot: Dot) -> Result<Option<VersionVector>, Infallible> {
        let entry = self.entries.get(&dot);
        Ok(entry.and_then(|entry| entry.context_at(at)).cloned())
    }

    fn ledger_row(&self, id: ConflictId) -> Result<Option<LedgerRow>, Infallible> {
        Ok(self.ledger.get(&id).cloned())
    }
}

impl WriteState for Memory {
    fn put_slot(&mut self, at: &SlotName, slot: Slot) {
        if slot.is_empty() {
            self.slots.remove(at);
        } else {
            self.slots.insert(at.clone(), slot);
        }
    }

    fn put_history(&mut self, at: &SlotName, version: &Superseded) {
        self.touch();
        let name = (
            at.clone(),
            version.class,
            version.dot.replica,
            version.dot.seq,
        );
        self.history.insert(name, version.clone());
    }

    fn put_ledger_row(&mut self, id: ConflictId, row: &LedgerRow, fresh: bool) {
        self.touch();
        let before = self.ledger.insert(id, row.clone());
        assert_eq!(fresh, before.is_none(), "fresh says whether the row is new");
    }

    fn remove_ledger_row(&mut self, id: ConflictId, row: &LedgerRow) {
        self.touch();
        assert!(
            !row.named_by_first && !row.named_by_second,
            "a row that somebody names stays"
        );
        self.ledger
            .remove(&id)
            .expect("only a row that is there goes");
    }
}
