//! Transaction: what one applied group changes, over what the engine holds.
//!
//! Slots and ledger rows are decoded once per group and encoded once, however often the group touches
//! them. Nothing reaches the engine before [`Transaction::into_batch`]; an entry that is refused half-way
//! is rolled back alone. What a command does depends on the commands before it and never on which of
//! them share its group: nodes of one region group the same log differently.

mod idempotency;
mod prune;
mod resolution;
mod trim;

use std::cell::RefCell;
use std::collections::btree_map::Entry as Place;
use std::collections::{BTreeMap, HashMap};
use std::ops::{Bound, ControlFlow};

use bytes::Bytes;

use atoll_core::conflict;
use atoll_core::content::Class;
use atoll_core::slot::Superseded;
use atoll_core::state::{ConflictId, LedgerRow, ReadState, SlotName, WriteState};
use atoll_core::{Dot, Entry, Path, ReplicaId, Slot, Timestamp, VersionVector, wire};

use crate::engine::{Batch, Direction, Family, Read};
use crate::error::StoreError;
use crate::query;
use crate::records::ledger_row::{self, KeptRow};
use crate::records::{slot, slot_key, superseded};

/// The changes of one group.
pub(crate) struct Transaction<'a> {
    base: &'a dyn Read,
    /// The leader's clock when it proposed: when new ledger rows were seen here.
    now_ms: u64,
    slots: RefCell<BTreeMap<Vec<u8>, Cached>>,
    history: BTreeMap<Vec<u8>, Option<Superseded>>,
    ledger: RefCell<HashMap<ConflictId, CachedRow>>,
    entries: HashMap<Dot, Entry>,
    keys: idempotency::Keys,
    undo: Vec<Undo>,
    /// How often the command at hand wrote which slots.
    touched: BTreeMap<Vec<u8>, usize>,
    /// Versions with a conflict that this group replaced, and how many of them before the entry at hand.
    replaced: Vec<(SlotName, Superseded)>,
    replaced_before: usize,
}

#[derive(Clone)]
struct Cached {
    slot: Slot,
    changed: bool,
}

#[derive(Clone)]
struct CachedRow {
    /// The row as it is now, if it still is there.
    kept: Option<KeptRow>,
    detected: Timestamp,
    /// Whether the engine has it.
    stored: bool,
    changed: bool,
}

enum Undo {
    Slot(Vec<u8>, Option<Cached>),
    History(Vec<u8>, Option<Option<Superseded>>),
    Ledger(ConflictId, Option<CachedRow>),
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(base: &'a dyn Read, now_ms: u64) -> Self {
        Transaction {
            base,
            now_ms,
            slots: RefCell::default(),
            history: BTreeMap::new(),
            ledger: RefCell::default(),
            entries: HashMap::new(),
            keys: idempotency::Keys::default(),
            undo: Vec::new(),
            touched: BTreeMap::new(),
            replaced: Vec::new(),
            replaced_before: 0,
        }
    }

    /// What new ledger rows note as the time at which they were seen here.
    pub(crate) fn set_now(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
    }

    /// Starts an entry: what follows can be rolled back.
    pub(crate) fn begin(&mut self) {
        self.undo.clear();
        self.replaced_before = self.replaced.len();
    }

    /// Takes back everything since [`Transaction::begin`].
    pub(crate) fn roll_back(&mut self) {
        self.replaced.truncate(self.replaced_before);
        let (slots, ledger) = (self.slots.get_mut(), self.ledger.get_mut());
        for step in self.undo.drain(..).rev() {
            match step {
                Undo::Slot(key, before) => {
                    if let Place::Occupied(mut times) = self.touched.entry(key.clone()) {
                        *times.get_mut() -= 1;
                        if *times.get() == 0 {
                            times.remove();
                        }
                    }
                    match before {
                        Some(before) => drop(slots.insert(key, before)),
                        None => drop(slots.remove(&key)),
                    }
                }
                Undo::History(key, Some(before)) => drop(self.history.insert(key, before)),
                Undo::History(key, None) => drop(self.history.remove(&key)),
                Undo::Ledger(id, Some(before)) => drop(ledger.insert(id, before)),
                Undo::Ledger(id, None) => drop(ledger.remove(&id)),
            }
        }
    }

    /// Keeps an entry of this group at hand for [`ReadState::context_of`].
    pub(crate) fn remember(&mut self, entry: Entry) {
        self.entries.insert(entry.dot, entry);
    }

    /// Ledger rows that this group made.
    pub(crate) fn fresh_rows(&mut self) -> impl Iterator<Item = &LedgerRow> {
        let made = self.ledger.get_mut().values().filter(|row| !row.stored);
        made.filter_map(|row| row.kept.as_ref().map(|kept| &kept.row))
    }

    /// Ledger rows of which one entry of this group replaced both versions, and how long after the later of
    /// the two it was written, in milliseconds.
    pub(crate) fn settled_rows(&self) -> Result<Vec<(LedgerRow, u64)>, StoreError> {
        let mut settled = BTreeMap::new();
        for (at, version) in &self.replaced {
            let Some(partner) = version.conflict.partner else {
                continue;
            };
            let went_together = |(there, other): &(SlotName, Superseded)| {
                there == at && other.dot == partner.dot && other.by == version.by
            };
            let Some(entry) = self.entries.get(&version.by) else {
                continue;
            };
            if !self.replaced.iter().any(went_together) {
                continue;
            }
            let id = conflict::conflict_id(at, version.dot, partner.dot);
            if let Some(row) = self.ledger_row(id)? {
                let detected = ledger_row::detected(&row);
                let after_ms = entry.time.millis().saturating_sub(detected.millis());
                settled.insert(id, (row, after_ms));
            }
        }
        Ok(settled.into_values().collect())
    }

    /// By how much the number of ledger rows grew.
    pub(crate) fn ledger_growth(&mut self) -> i64 {
        let rows = self.ledger.get_mut().values();
        rows.map(|row| i64::from(row.kept.is_some()) - i64::from(row.stored))
            .sum()
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
        for (id, row) in self.ledger.into_inner() {
            let (key, id_key) = (ledger_row::key(row.detected, id), ledger_row::id_key(id));
            match row.kept {
                Some(kept) if row.changed => {
                    batch.put(Family::Ledger, &key, &ledger_row::encode(&kept));
                    if !row.stored {
                        let detected = row.detected.0.to_be_bytes();
                        batch.put(Family::Ledger, &id_key, &detected);
                    }
                }
                None if row.stored => {
                    batch.delete(Family::Ledger, &key);
                    batch.delete(Family::Ledger, &id_key);
                }
                Some(_) | None => {}
            }
        }
        self.keys.into_batch(batch);
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
        let mut changes = self.history.range(range);
        let mut next_change = || {
            if descending {
                changes.next_back()
            } else {
                changes.next()
            }
        };
        let mut change = next_change();
        let precedes = |a: &[u8], b: &[u8]| if descending { a > b } else { a < b };
        let direction = if descending {
            Direction::Backward
        } else {
            Direction::Forward
        };
        let mut failed = None;
        let mut done = false;
        self.base.scan(
            Family::History,
            Bound::Included(&from),
            Bound::Included(&to),
            direction,
            &mut |key, value| {
                while let Some((_, version)) = change.filter(|(k, _)| precedes(k, key)) {
                    change = next_change();
                    done = version.as_ref().is_some_and(|v| !visit(v.clone()));
                    if done {
                        return ControlFlow::Break(());
                    }
                }
                let version = match change.filter(|(k, _)| k.as_slice() == key) {
                    Some((_, version)) => {
                        change = next_change();
                        Ok(version.clone())
                    }
                    None => superseded::decode(key, Bytes::copy_from_slice(value)).map(Some),
                };
                match version {
                    Ok(version) => {
                        done = version.is_some_and(|v| !visit(v));
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
        while let Some((_, version)) = change.filter(|_| !done) {
            change = next_change();
            done = version.as_ref().is_some_and(|v| !visit(v.clone()));
        }
        Ok(())
    }

    /// What `read` makes of the entry of a dot; `None` when the log does not have it.
    fn with_entry<T>(
        &self,
        dot: Dot,
        read: impl FnOnce(&Entry) -> T,
    ) -> Result<Option<T>, StoreError> {
        if let Some(entry) = self.entries.get(&dot) {
            return Ok(Some(read(entry)));
        }
        match query::arrival_of(self.base, dot)? {
            Some(arrival) => Ok(Some(read(&wire::decode_entry(&arrival.frame)?))),
            None => Ok(None),
        }
    }

    fn kept_row(&self, id: ConflictId) -> Result<Option<KeptRow>, StoreError> {
        if let Some(cached) = self.ledger.borrow().get(&id) {
            return Ok(cached.kept.clone());
        }
        let kept = query::ledger_row(self.base, id)?;
        if let Some(kept) = &kept {
            let cached = CachedRow {
                detected: ledger_row::detected(&kept.row),
                kept: Some(kept.clone()),
                stored: true,
                changed: false,
            };
            self.ledger.borrow_mut().insert(id, cached);
        }
        Ok(kept)
    }

    fn change_row(
        &mut self,
        id: ConflictId,
        detected: Timestamp,
        kept: Option<KeptRow>,
    ) -> Option<CachedRow> {
        let ledger = self.ledger.get_mut();
        let row = CachedRow {
            kept,
            detected,
            stored: ledger.get(&id).is_some_and(|row| row.stored),
            changed: true,
        };
        ledger.insert(id, row)
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
        let context = self.with_entry(dot, |entry| entry.context_at(at).cloned())?;
        Ok(context.flatten())
    }

    fn ledger_row(&self, id: ConflictId) -> Result<Option<LedgerRow>, StoreError> {
        Ok(self.kept_row(id)?.map(|kept| kept.row))
    }
}

impl WriteState for Transaction<'_> {
    fn put_slot(&mut self, at: &SlotName, slot: Slot) {
        let key = slot_key::encode(at);
        *self.touched.entry(key.clone()).or_default() += 1;
        let changed = true;
        let before = self
            .slots
            .get_mut()
            .insert(key.clone(), Cached { slot, changed });
        self.undo.push(Undo::Slot(key, before));
    }

    fn put_history(&mut self, at: &SlotName, version: &Superseded) {
        let key = superseded::key(&slot_key::encode(at), version.class, version.dot);
        let before = self.history.insert(key.clone(), Some(version.clone()));
        // A version enters history once, when it is replaced; later changes are of its marks.
        if version.conflict.partner.is_some()
            && before.is_none()
            && matches!(self.base.get(Family::History, &key), Ok(None))
        {
            self.replaced.push((at.clone(), version.clone()));
        }
        self.undo.push(Undo::History(key, before));
    }

    fn put_ledger_row(&mut self, id: ConflictId, row: &LedgerRow, _fresh: bool) {
        let known = self.ledger.get_mut().get(&id).and_then(|r| r.kept.as_ref());
        let kept = KeptRow {
            row: row.clone(),
            seen_here_ms: known.map_or(self.now_ms, |kept| kept.seen_here_ms),
            resolved: known.and_then(|kept| kept.resolved),
        };
        let before = self.change_row(id, ledger_row::detected(row), Some(kept));
        self.undo.push(Undo::Ledger(id, before));
    }

    fn remove_ledger_row(&mut self, id: ConflictId, row: &LedgerRow) {
        let before = self.change_row(id, ledger_row::detected(row), None);
        self.undo.push(Undo::Ledger(id, before));
    }
}
