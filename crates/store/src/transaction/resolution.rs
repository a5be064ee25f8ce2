//! Resolution: which write first had seen both versions of a conflict. A fact about entries, as every part
//! of a ledger row that regions share.
//!
//! Versions of one origin are ordered, and what their writers' region had applied only grows: the first one
//! of an origin that can have seen both is found by halving.

use atoll_core::content::Class;
use atoll_core::slot::{HistoryEnd, Superseded};
use atoll_core::state::{LedgerRow, ReadState, SlotName};
use atoll_core::{Dot, Timestamp};

use super::Transaction;
use crate::error::StoreError;
use crate::records::slot_key;

/// A write, by time.
pub(crate) type Resolution = (Timestamp, Dot);

impl Transaction<'_> {
    /// The first write, by time, that replaced versions of the row's slot and had seen both of its own.
    /// `None` while one of the two stands, or when history has forgotten it.
    pub(crate) fn resolution(&self, row: &LedgerRow) -> Result<Option<Resolution>, StoreError> {
        let slot = self.slot(&row.at)?;
        let stands = |dot| slot.siblings.iter().any(|v| v.dot == dot);
        if stands(row.first.dot) || stands(row.second.dot) {
            return Ok(None);
        }
        let mut first = None;
        let above = row.at.path.above().into_iter();
        for path in std::iter::once(row.at.path.clone()).chain(above) {
            let at = SlotName {
                path,
                ..row.at.clone()
            };
            self.resolution_at(&at, row, &mut first)?;
        }
        Ok(first)
    }

    /// The same among the versions of the slot `at`, which is the row's or above it.
    fn resolution_at(
        &self,
        at: &SlotName,
        row: &LedgerRow,
        first: &mut Option<Resolution>,
    ) -> Result<(), StoreError> {
        let slot = self.slot(at)?;
        for sibling in &slot.siblings {
            self.offer(row, (sibling.time, sibling.dot), first)?;
        }
        let key = slot_key::encode(at);
        for end in &slot.history {
            let mut next = self.first_informed(&key, *end, row)?;
            while let Some(version) = next {
                let write = (version.time, version.dot);
                if first.is_some_and(|known| known <= write) {
                    break;
                }
                if self.offer(row, write, first)? {
                    break;
                }
                next = self.next_version(&key, end.class, end.last, version.dot.seq + 1)?;
            }
        }
        Ok(())
    }

    /// Takes `write` as the first when it is: it replaced versions of the slot and had seen both.
    fn offer(
        &self,
        row: &LedgerRow,
        write: Resolution,
        first: &mut Option<Resolution>,
    ) -> Result<bool, StoreError> {
        if first.is_some_and(|known| known <= write) {
            return Ok(false);
        }
        let context = self.context_of(&row.at, write.1)?;
        let saw_both = context.is_some_and(|c| c.covers(row.first.dot) && c.covers(row.second.dot));
        if saw_both {
            *first = Some(write);
        }
        Ok(saw_both)
    }

    /// The first superseded version of a class and origin whose region had applied both.
    fn first_informed(
        &self,
        slot_key: &[u8],
        end: HistoryEnd,
        row: &LedgerRow,
    ) -> Result<Option<Superseded>, StoreError> {
        let HistoryEnd { class, first, last } = end;
        let (mut from, mut to) = (first, last.seq + 1);
        let mut found = None;
        while from < to {
            let middle = from + (to - from) / 2;
            let Some(version) = self.next_version(slot_key, class, last, middle)? else {
                to = middle;
                continue;
            };
            let knew_both = |entry: &atoll_core::Entry| {
                entry.dependencies.covers(row.first.dot)
                    && entry.dependencies.covers(row.second.dot)
            };
            if self.with_entry(version.dot, knew_both)?.unwrap_or_default() {
                to = middle;
                found = Some(version);
            } else {
                from = version.dot.seq + 1;
            }
        }
        Ok(found)
    }

    /// The first superseded version of a class and origin at or after a sequence.
    fn next_version(
        &self,
        slot_key: &[u8],
        class: Class,
        last: Dot,
        from: u64,
    ) -> Result<Option<Superseded>, StoreError> {
        let mut next = None;
        if from <= last.seq {
            let seqs = (from, last.seq);
            self.history_of(slot_key, class, last.replica, seqs, false, &mut |version| {
                next = Some(version);
                false
            })?;
        }
        Ok(next)
    }
}
