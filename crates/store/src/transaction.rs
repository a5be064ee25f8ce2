//! Transaction: what one applied group changes, over what the engine holds.
//!
//! Slots are decoded once per group and encoded once, however often the group touches them. Nothing
//! reaches the engine before [`Transaction::into_batch`]; an entry that is refused half-way is rolled back
//! alone.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ops::{Bound, ControlFlow};

use bytes::Bytes;

use atoll_core::content::Class;
use atoll_core::slot::Superseded;
use atoll_core::state::{ConflictId, LedgerRow, ReadState, SlotName, WriteState};
use atoll_core::{Dot, Entry, Path, ReplicaId, Slot, VersionVector};

use crate::engine::{Batch, Direction, Family, Read};
use crate::error::StoreError;
use crate::query;
use crate::records::{ledger_row, slot, slot_key, superseded};

/// The changes of one group.
pub(crate) struct Transaction<'a> {
    base: &'a dyn Read,
    /// The leader's clock when it proposed: when new ledger rows were seen here.
    now_ms: u64,
    slots: RefCell<BTreeMap<Vec<u8>, Cached>>,
    history: BTreeMap<Vec<u8>, Option<Superseded>>,
    ledger: HashMap<ConflictId, LedgerChange>,
    entries: HashMap<Dot, Entry>,
    undo: Vec<Undo>,
}

#[derive(Clone)]
struct Cached {
    slot: Slot,
    changed: bool,
}

#[derive(Clone)]
struct LedgerChange {
    row: Option<LedgerRow>,
    was: Option<LedgerRow>,
    seen_here_ms: u64,
    fresh: bool,
}

enum Undo {
    Slot(Vec<u8>, Option<Cached>),
    History(Vec<u8>, Option<Option<Superseded>>),
    Ledger(ConflictId, Option<LedgerChange>),
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(base: &'a dyn Read, now_ms: u64) -> Self {
        Transaction {
            base,
            now_ms,
            slots: RefCell::default(),
            history: BTreeMap::new(),
            ledger: HashMap::new(),
            entries: HashMap::new(),
            undo: Vec::new(),
        }
    }

    /// What new ledger rows note as the time at which they were seen here.
    pub(crate) fn set_now(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
    }

    /// Starts an entry: what follows can be rolled back.
    pub(crate) fn begin(&mut self) {
        self.undo.clear();
    }

    /// Takes back everything since [`Transaction::begin`].
    pub(crate) fn roll_back(&mut self) {
        let slots = self.slots.get_mut();
        for step in self.undo.drain(..).rev() {
            match step {
                Undo::Slot(key, Some(before)) => drop(slots.insert(key, before)),
                Undo::Slot(key, None) => drop(slots.remove(&key)),
                Undo::History(key, Some(before)) => drop(self.history.insert(key, before)),
                Undo::History(key, None) => drop(self.history.remove(&key)),
                Undo::Ledger(id, Some(before)) => drop(self.ledger.insert(id, before)),
                Undo::Ledger(id, None) => drop(self.ledger.remove(&id)),
            }
        }
    }

    /// Keeps an entry of this group at hand for [`ReadState::context_of`].
    pub(crate) fn remember(&mut self, entry: Entry) {
        self.entries.insert(entry.dot, entry);
    }

    /// Ledger rows that this group made.
    pub(crate) fn fresh_rows(&self) -> impl Iterator<Item = &LedgerRow> {
        self.ledger
            .values()
            .filter(|change| change.fresh && change.was.is_none())
            .filter_map(|change| change.row.as_ref())
    }

    /// By how much the number of ledger rows grew.
    pub(crate) fn ledger_growth(&self) -> i64 {
        let count = |row: &Option<LedgerRow>| i64::from(row.is_some());
        self.ledger
            .values()
            .map(|c| count(&c.row) - count(&c.was))
            .sum()
    }

    /// Forgets history that nobody can be concurrent with any more: `stable` covers the version and what
    /// replaced it, and no ledger row names it. Looks at a few versions of each slot that the group wrote.
    pub(crate) fn prune(&mut self, stable: &VersionVector) -> Result<(), StoreError> {
        const LOOK_AT: usize = 4;
        if stable.is_empty() {
            return Ok(());
        }
        let candidates: Vec<(Vec<u8>, Slot)> = self
            .slots
            .get_mut()
            .iter()
            .filter(|(_, cached)| cached.changed && !cached.slot.history.is_empty())
            .map(|(key, cached)| (key.clone(), cached.slot.clone()))
            .collect();
        for (key, mut slot) in candidates {
            let mut shrunk = false;
            for end in slot.history.clone() {
                let mut oldest = Vec::new();
                self.history_of(
                    &key,
                    end.class,
                    end.last.replica,
                    (0, u64::MAX),
                    false,
                    &mut |v| {
                        oldest.push(v);
                        oldest.len() < LOOK_AT
                    },
                )?;
                for version in oldest {
                    let gone = stable.covers(version.dot) && stable.covers(version.by);
                    if !gone || version.conflict.partner.is_some() {
                        break;
                    }
                    self.history
                        .insert(superseded::key(&key, version.class, version.dot), None);
                    if version.dot == end.last {
                        slot.history.retain(|e| e != &end);
                        shrunk = true;
                    }
                }
            }
            if shrunk {
                self.slots.get_mut().insert(
                    key,
                    Cached {
                        slot,
                        changed: true,
                    },
                );
            }
        }
        Ok(())
    }

    /// Writes the changes into `batch`.
    pub(crate) fn into_batch(self, batch: &mut Batch) {
        for (key, cached) in self.slots.into_inner() {
            if cached.changed && cached.slot.is_empty() {
                batch.delete(Family::State, &key);
            } else if cached.changed {
                batch.put(Family::State, &key, &slot::encode(&cached.slot));
            }
        }
        for (key, version) in self.history {
            match version {
                Some(version) => batch.put(Family::History, &key, &superseded::encode(&version)),
                None => batch.delete(Family::History, &key),
            }
        }
        for (id, change) in self.ledger {
            if let Some(row) = change.row {
                let detected = ledger_row::detected(&row);
                let bytes = ledger_row::encode(&row, change.seen_here_ms);
                batch.put(Family::Ledger, &ledger_row::key(detected, id), &bytes);
                batch.put(
                    Family::Ledger,
                    &ledger_row::id_key(id),
                    &detected.0.to_be_bytes(),
                );
            } else if let Some(was) = change.was {
                batch.delete(
                    Family::Ledger,
                    &ledger_row::key(ledger_row::detected(&was), id),
                );
                batch.delete(Family::Ledger, &ledger_row::id_key(id));
            }
        }
    }

    fn history_of(
        &self,
        slot_key: &[u8],
        class: Class,
        origin: ReplicaId,
        seqs: (u64, u64),
        descending: bool,
        visit: &mut dyn FnMut(Superseded) -> bool,
    ) -> Result<(), StoreError> {
        let from = superseded::key(slot_key, class, Dot::new(origin, seqs.0));
        let to = superseded::key(slot_key, class, Dot::new(origin, seqs.1));
        if from > to {
            return Ok(());
        }
        let range = (Bound::Included(from.clone()), Bound::Included(to.clone()));
        let mut changed: Vec<(&Vec<u8>, &Option<Superseded>)> = self.history.range(range).collect();
        if !descending {
            changed.reverse(); // the next one is always the last
        }
        let precedes = |a: &[u8], b: &[u8]| if descending { a > b } else { a < b };
        let mut failed = None;
        let mut done = false;
        let direction = if descending {
            Direction::Backward
        } else {
            Direction::Forward
        };
        self.base.scan(
            Family::History,
            Bound::Included(&from),
            Bound::Included(&to),
            direction,
            &mut |key, value| {
                while changed.last().is_some_and(|(k, _)| precedes(k, key)) {
                    if let Some((_, Some(version))) = changed.pop()
                        && !visit(version.clone())
                    {
                        done = true;
                        return ControlFlow::Break(());
                    }
                }
                let version = match changed.pop_if(|(k, _)| k.as_slice() == key) {
                    Some((_, None)) => return ControlFlow::Continue(()),
                    Some((_, Some(version))) => Ok(version.clone()),
                    None => superseded::decode(key, Bytes::copy_from_slice(value)),
                };
                match version {
                    Ok(version) => {
                        done = !visit(version);
                        query::flow(!done)
                    }
                    Err(error) => {
                        failed = Some(error);
                        ControlFlow::Break(())
                    }
                }
            },
        )?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        while !done {
            match changed.pop() {
                Some((_, Some(version))) => done = !visit(version.clone()),
                Some((_, None)) => {}
                None => break,
            }
        }
        Ok(())
    }
}

impl ReadState for Transaction<'_> {
    type Error = StoreError;

    fn slot(&self, at: &SlotName) -> Result<Slot, StoreError> {
        let key = slot_key::encode(at);
        if let Some(cached) = self.slots.borrow().get(&key) {
            return Ok(cached.slot.clone());
        }
        let slot = match self.base.get(Family::State, &key)? {
            Some(bytes) => slot::decode(bytes)?,
            None => Slot::default(),
        };
        let cached = Cached {
            slot: slot.clone(),
            changed: false,
        };
        self.slots.borrow_mut().insert(key, cached);
        Ok(slot)
    }

    fn below(&self, at: &SlotName) -> Result<Vec<(Path, Slot)>, StoreError> {
        let prefix = slot_key::encode(at);
        let mut found: BTreeMap<Vec<u8>, Slot> = BTreeMap::new();
        for (key, bytes) in query::pairs(self.base, Family::State, &prefix)? {
            found.insert(key, slot::decode(bytes)?);
        }
        let cached = self.slots.borrow();
        let overlay = cached.range(prefix.clone()..);
        for (key, cached) in overlay.take_while(|(key, _)| key.starts_with(&prefix)) {
            found.insert(key.clone(), cached.slot.clone());
        }
        found.remove(&prefix);
        let named = found
            .into_iter()
            .filter(|(_, slot)| !slot.is_empty())
            .map(|(key, slot)| {
                let path = slot_key::decode(&key)?.path;
                Ok((path, slot))
            });
        named.collect()
    }

    fn history(
        &self,
        at: &SlotName,
        class: Class,
        origin: ReplicaId,
        seqs: (u64, u64),
        descending: bool,
        visit: &mut dyn FnMut(Superseded) -> bool,
    ) -> Result<(), StoreError> {
        self.history_of(
            &slot_key::encode(at),
            class,
            origin,
            seqs,
            descending,
            visit,
        )
    }

    fn context_of(&self, at: &SlotName, dot: Dot) -> Result<Option<VersionVector>, StoreError> {
        match self.entries.get(&dot) {
            Some(entry) => Ok(Some(query::context_in(entry, at))),
            None => query::context_of(self.base, at, dot),
        }
    }

    fn ledger_row(&self, id: ConflictId) -> Result<Option<LedgerRow>, StoreError> {
        match self.ledger.get(&id) {
            Some(change) => Ok(change.row.clone()),
            None => Ok(query::ledger_row(self.base, id)?.map(|(row, _)| row)),
        }
    }
}

impl WriteState for Transaction<'_> {
    fn put_slot(&mut self, at: &SlotName, slot: Slot) {
        let key = slot_key::encode(at);
        let before = self.slots.get_mut().insert(
            key.clone(),
            Cached {
                slot,
                changed: true,
            },
        );
        self.undo.push(Undo::Slot(key, before));
    }

    fn put_history(&mut self, at: &SlotName, version: &Superseded) {
        let key = superseded::key(&slot_key::encode(at), version.class, version.dot);
        let before = self.history.insert(key.clone(), Some(version.clone()));
        self.undo.push(Undo::History(key, before));
    }

    fn put_ledger_row(&mut self, id: ConflictId, row: &LedgerRow, fresh: bool) {
        let before = self.ledger.get(&id).cloned();
        let change = match &before {
            Some(known) => LedgerChange {
                row: Some(row.clone()),
                ..known.clone()
            },
            None if fresh => LedgerChange {
                row: Some(row.clone()),
                was: None,
                seen_here_ms: self.now_ms,
                fresh: true,
            },
            None => {
                let stored = query::ledger_row(self.base, id).ok().flatten();
                let seen_here_ms = stored.as_ref().map_or(self.now_ms, |(_, seen)| *seen);
                let was = stored.map(|(row, _)| row);
                LedgerChange {
                    row: Some(row.clone()),
                    was,
                    seen_here_ms,
                    fresh: false,
                }
            }
        };
        self.ledger.insert(id, change);
        self.undo.push(Undo::Ledger(id, before));
    }

    fn remove_ledger_row(&mut self, id: ConflictId, row: &LedgerRow) {
        let before = self.ledger.get(&id).cloned();
        let change = match &before {
            Some(known) => LedgerChange {
                row: None,
                ..known.clone()
            },
            None => LedgerChange {
                row: None,
                was: Some(row.clone()),
                seen_here_ms: self.now_ms,
                fresh: false,
            },
        };
        self.ledger.insert(id, change);
        self.undo.push(Undo::Ledger(id, before));
    }
}
