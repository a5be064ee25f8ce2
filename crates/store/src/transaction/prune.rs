//! Pruning: history that nobody can be concurrent with any more is forgotten, and nobody can tell.
//!
//! A superseded version may go when the stable vector covers it and what replaced it: every entry still to
//! come knows both. Three things are still read of it afterwards, and are seen to first:
//! - the conflict that it names may be unresolved, or resolved by a write that is in history itself: the
//!   row notes that write's time, which is final once the write is stable;
//! - it may be what tells that older versions of its slot are gone: a slot's versions go in order of time,
//!   oldest first, whatever their origin, and one that must stay keeps all later ones;
//! - it may have cleared slots below, and be what tells that of their versions: they are told first.

use std::collections::VecDeque;

use atoll_core::conflict::conflict_id;
use atoll_core::slot::{HistoryEnd, Superseded};
use atoll_core::state::{ReadState, SlotName};
use atoll_core::{Entry, Slot, SlotWrite, VersionVector};

use super::{Cached, Transaction};
use crate::error::StoreError;
use crate::records::{ledger_row, slot_key, superseded};

/// Versions of one class and origin looked at for each time that the slot was written.
const LOOK_AT: usize = 4;

impl Transaction<'_> {
    /// Ends a command: forgets history of the slots that it wrote.
    pub(crate) fn prune(&mut self, stable: &VersionVector) -> Result<(), StoreError> {
        for (key, times) in std::mem::take(&mut self.touched) {
            let slots = self.slots.get_mut();
            let has_history = |c: &&Cached| !c.slot.history.is_empty();
            if let Some(cached) = slots.get(&key).filter(has_history)
                && !stable.is_empty()
            {
                let slot = cached.slot.clone();
                self.prune_slot(key, slot, LOOK_AT * times, stable)?;
            }
        }
        Ok(())
    }

    fn prune_slot(
        &mut self,
        key: Vec<u8>,
        mut slot: Slot,
        look_at: usize,
        stable: &VersionVector,
    ) -> Result<(), StoreError> {
        let at = slot_key::decode(&key)?;
        let mut oldest: Vec<VecDeque<Superseded>> = Vec::with_capacity(slot.history.len());
        for end in &slot.history {
            let mut list = VecDeque::new();
            let all = (end.first, end.last.seq);
            self.history_of(&key, end.class, end.last.replica, all, false, &mut |v| {
                list.push_back(v);
                list.len() < look_at
            })?;
            oldest.push(list);
        }
        let mut shrunk = false;
        let mut has_below = None;
        let rank = |v: &Superseded| v.as_partner().rank();
        while let Some(list) = oldest
            .iter_mut()
            .filter(|list| !list.is_empty())
            .min_by_key(|list| list.front().map(rank))
        {
            let Some(version) = list.pop_front() else {
                break;
            };
            let is_stable = stable.covers(version.dot) && stable.covers(version.by);
            if !is_stable || !self.note_resolution(&at, &version, stable)? {
                break;
            }
            let is_last = |end: &HistoryEnd| end.class == version.class && end.last == version.dot;
            let ends = slot.history.iter().any(is_last);
            let looked_far_enough = ends || !list.is_empty();
            let tell = match has_below {
                Some(known) => known,
                None => *has_below.insert(!self.below(&at)?.is_empty()),
            };
            if tell {
                self.tell_below(&at, &version, stable)?;
            }
            self.history
                .insert(superseded::key(&key, version.class, version.dot), None);
            slot.history.retain(|end| !is_last(end));
            forget(&mut slot, &version);
            shrunk = true;
            if !looked_far_enough {
                break; // what comes next of this origin may be older than what is left of others
            }
        }
        if shrunk {
            let changed = true;
            self.slots.get_mut().insert(key, Cached { slot, changed });
        }
        Ok(())
    }

    /// Whether the conflict that a version names needs no history any more; a final resolution is noted.
    fn note_resolution(
        &mut self,
        at: &SlotName,
        version: &Superseded,
        stable: &VersionVector,
    ) -> Result<bool, StoreError> {
        let Some(partner) = version.conflict.partner else {
            return Ok(true);
        };
        let id = conflict_id(at, version.dot, partner.dot);
        let Some(mut kept) = self.kept_row(id)? else {
            return Ok(true); // trimmed
        };
        if kept.resolved.is_some() {
            return Ok(true);
        }
        // All that is still to come knows a stable write, and is later.
        let resolution = self.resolution(&kept.row)?;
        let Some((time, _)) = resolution.filter(|(_, dot)| stable.covers(*dot)) else {
            return Ok(false);
        };
        kept.resolved = Some(time);
        let detected = ledger_row::detected(&kept.row);
        self.change_row(id, detected, Some(kept));
        Ok(true)
    }

    /// Tells the versions below a slot that a write which is about to be forgotten had cleared them.
    fn tell_below(
        &mut self,
        at: &SlotName,
        version: &Superseded,
        stable: &VersionVector,
    ) -> Result<(), StoreError> {
        let clearing = |entry: &Entry| clears(entry, at).then(|| entry.context_at(at).cloned());
        let Some(context) = self.with_entry(version.dot, clearing)?.flatten().flatten() else {
            return Ok(());
        };
        for (path, slot) in self.below(at)? {
            let below = SlotName { path, ..at.clone() };
            let key = slot_key::encode(&below);
            for end in &slot.history {
                let mut cleared = Vec::new();
                let seen = (end.first, context.get(end.last.replica));
                self.history_of(&key, end.class, end.last.replica, seen, false, &mut |v| {
                    cleared.push(v);
                    true
                })?;
                for mut past in cleared {
                    self.note_resolution(&below, &past, stable)?;
                    if !stable.covers(past.by) {
                        past.by = version.dot;
                        let key = superseded::key(&key, past.class, past.dot);
                        self.history.insert(key, Some(past));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Notes that no version of this class and origin is kept up to this one: what was deleted lies in the way of
/// scans for long.
fn forget(slot: &mut Slot, version: &Superseded) {
    let is_its = |end: &&mut HistoryEnd| {
        end.class == version.class && end.last.replica == version.dot.replica
    };
    if let Some(end) = slot.history.iter_mut().find(is_its) {
        end.first = version.dot.seq + 1;
    }
}

/// Whether an entry clears what lies below a slot.
fn clears(entry: &Entry, at: &SlotName) -> bool {
    let operations = entry.operations.iter();
    let mut writes = operations
        .filter(|o| o.collection == at.collection && o.key == at.key)
        .flat_map(|o| &o.writes);
    writes.any(
        |write| matches!(write, SlotWrite::Assign { path, clear: true, .. } if *path == at.path),
    )
}
