//! Faults put in by hand: each invariant must notice one. Only unit tests can switch them on.

use std::ops::ControlFlow;

use bytes::Bytes;

use atoll_core::Timestamp;
use atoll_store::engine::{Batch, Direction, Engine, Family, MemoryEngine, Read};
use atoll_store::records::{applied, slot};

use crate::invariants::Violation;
use crate::world::World;

/// Something that a driver or a disk does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(test),
    allow(
        dead_code,
        reason = "only tests put faults in; the places for them are always there"
    )
)]
pub(crate) enum Mischief {
    /// A region answers before its Raft log is on the disk.
    ForgetSync,
    /// A region purges its Raft log up to what is applied, not to what is flushed.
    PurgeUnflushed,
    /// A flush writes the state, but an older note of how far the state is.
    FlushInParts,
    /// A restart forgets the greatest time that was applied.
    ForgetTime,
    /// A source passes entries on without saying what they depend on.
    ForgetDependencies,
    /// A source decodes and encodes entries, and loses their last write on the way.
    LoseWrites,
    /// A region forgets a sibling.
    LoseSibling,
    /// A region forgets a ledger row.
    LoseRow,
    /// A region answers sessions without waiting for what they have seen.
    AnswerAtOnce,
    /// A source sends every batch twice.
    SendTwice,
    /// A region takes for stable whatever all others are known to have.
    TrustTheNewest,
    /// A region loses the idempotency keys that it remembers.
    LoseKeys,
    /// A region forgets which additions of a counter are repeats.
    LoseDiscounts,
    /// A region that drains retires without proof.
    SkipProof,
    /// Regions pull from none but those declared.
    NeverStandIn,
    /// Regions drop what is not wanted any more at once.
    DropAtOnce,
}

impl World {
    /// Spoils what a crash left, where a test wants that.
    pub(crate) fn spoil(&self, place: usize, before: &MemoryEngine) -> Result<(), Violation> {
        let disk = &self.places[place].disk;
        let mut batch = Batch::new();
        if self.does(Mischief::FlushInParts) {
            let flushed = before.crash(0).get(Family::Meta, applied::KEY)?;
            match flushed {
                Some(bytes) => batch.put(Family::Meta, applied::KEY, &bytes),
                None => batch.delete(Family::Meta, applied::KEY),
            }
        }
        if self.does(Mischief::ForgetTime)
            && let Some(bytes) = disk.get(Family::Meta, applied::KEY)?
        {
            let mut applied = applied::decode(bytes).map_err(Violation::broken)?;
            applied.time = Timestamp(0);
            batch.put(Family::Meta, applied::KEY, &applied::encode(&applied));
        }
        Ok(disk.commit(&batch)?)
    }

    /// Takes the keys that a region remembers, where a test wants that.
    pub(crate) fn steal_keys(&self, place: usize) -> Result<(), Violation> {
        if !self.does(Mischief::LoseKeys) {
            return Ok(());
        }
        let disk = &self.places[place].disk;
        let mut batch = Batch::new();
        let mut steal = |key: &[u8], _: &[u8]| {
            batch.delete(Family::Meta, key);
            ControlFlow::Continue(())
        };
        disk.scan_prefix(Family::Meta, b"once/", Direction::Forward, &mut steal)?;
        Ok(disk.commit(&batch)?)
    }

    /// Takes something from the last region before all are compared, where a test wants that.
    pub(crate) fn steal(&self) -> Result<(), Violation> {
        let Some(place) = self.places.last() else {
            return Ok(());
        };
        let mut batch = Batch::new();
        if self.does(Mischief::LoseSibling) {
            place
                .disk
                .scan_prefix(Family::State, b"", Direction::Forward, &mut |key, value| {
                    let mut slot = slot::decode(Bytes::copy_from_slice(value)).unwrap_or_default();
                    if slot.siblings.pop().is_some() {
                        batch.put(Family::State, key, &slot::encode(&slot));
                        return ControlFlow::Break(());
                    }
                    ControlFlow::Continue(())
                })?;
        }
        if self.does(Mischief::LoseDiscounts) {
            place
                .disk
                .scan_prefix(Family::State, b"", Direction::Forward, &mut |key, value| {
                    let mut slot = slot::decode(Bytes::copy_from_slice(value)).unwrap_or_default();
                    if !slot.counter.discounts.is_empty() {
                        slot.counter.discounts.clear();
                        batch.put(Family::State, key, &slot::encode(&slot));
                    }
                    ControlFlow::Continue(())
                })?;
        }
        if self.does(Mischief::LoseRow) {
            place
                .disk
                .scan_prefix(Family::Ledger, b"", Direction::Forward, &mut |key, _| {
                    batch.delete(Family::Ledger, key);
                    ControlFlow::Break(())
                })?;
        }
        Ok(place.disk.commit(&batch)?)
    }
}
