//! One application per idempotency key: a region that knows a key writes no second entry for its request, it
//! answers with one that carries the key; and of entries that were made of one request in several regions, none
//! of which had seen the other, counters count one: the smallest by (time, replica id, sequence).
//!
//! A region knows a key from the entry that brought it until it was told to forget entries of that age.
//!
//! Seen to fail: a region whose keys are lost (`Mischief::LoseKeys`), and one that forgets which additions of a
//! counter are repeats (`Mischief::LoseDiscounts`).

use atoll_core::{Dot, Entry, ReplicaId, SlotWrite, Timestamp};

use super::Violation;
use crate::book::{Addition, Book, SlotBook};
use crate::snapshot::Snapshot;

const NAME: &str = "one-application";

/// A region, which was told to forget the keys of entries before `forgotten`, wrote an entry.
pub(crate) fn check_written(
    region: usize,
    entry: &Entry,
    forgotten: Timestamp,
    book: &Book,
) -> Result<(), Violation> {
    let known = others(entry, book)
        .filter(|other| entry.dependencies.covers(other.dot) && other.time >= forgotten);
    match known.map(|other| other.dot).min() {
        None => Ok(()),
        Some(first) => {
            let what = format!(
                "r{region} wrote {} for a request that it had applied as {first}",
                entry.dot
            );
            Err(Violation::new(NAME, what))
        }
    }
}

/// A region answered a request that it had met before with an entry.
pub(crate) fn check_answer(
    region: usize,
    answered: &Entry,
    key: Option<&atoll_core::IdempotencyKey>,
) -> Result<(), Violation> {
    let carried = answered.idempotency.as_ref().map(|i| &i.key);
    if carried.is_some() && carried == key {
        return Ok(());
    }
    let what = format!(
        "r{region} answered a repeated request with {}, which is of another one",
        answered.dot
    );
    Err(Violation::new(NAME, what))
}

/// Looks at the counters of a region which holds all entries.
pub(crate) fn check_counters(region: &Snapshot, book: &Book) -> Result<(), Violation> {
    for (name, key) in book.keys() {
        let slots = region.slots.get(name).map_or(&[][..], Vec::as_slice);
        for (path, written) in &key.slots {
            if !written.additions.iter().any(|a| is_repeat(a, book)) {
                continue; // `follows_entries` looks at it
            }
            let slot = slots.iter().find(|(p, _)| p == path);
            let (shown, expected) = (
                slot.map_or(0, |(_, slot)| slot.counter.value()),
                sum(written, book),
            );
            if shown != expected {
                let what = format!(
                    "r{} counts {shown} in {}/{}{}, not {expected}: some request counts other than once",
                    region.region,
                    name.0,
                    name.1,
                    path.pointer()
                );
                return Err(Violation::new(NAME, what));
            }
        }
    }
    Ok(())
}

/// What a counter counts: the additions that no reset had seen, without those of repeats.
pub(crate) fn sum(slot: &SlotBook, book: &Book) -> i128 {
    let is_reset = |a: &Addition| slot.resets.iter().any(|reset| reset.forgets(a));
    let counts = |a: &&Addition| !is_reset(a) && !is_repeat(a, book);
    let counted = slot.additions.iter().filter(counts);
    counted.map(|addition| i128::from(addition.delta)).sum()
}

/// Whether an addition is of an entry with a smaller twin: same request, neither has seen the other.
fn is_repeat(addition: &Addition, book: &Book) -> bool {
    let Some(original) = book.original(addition.dot) else {
        return false;
    };
    let entry = &original.entry;
    others(entry, book).any(|other| {
        let is_seen = entry.dependencies.covers(other.dot) || other.dependencies.covers(entry.dot);
        !is_seen && adds(other) && rank(other) < rank(entry)
    })
}

/// The other entries of the same request.
fn others<'b>(entry: &'b Entry, book: &'b Book) -> impl Iterator<Item = &'b Entry> {
    let idempotency = entry.idempotency.as_ref();
    let all = idempotency.map_or(&[][..], |i| book.of_key(&i.key));
    let entries = all.iter().filter_map(|dot| book.original(*dot));
    let entries = entries.map(|original| &*original.entry);
    entries.filter(move |other| other.dot != entry.dot && other.idempotency == entry.idempotency)
}

fn adds(entry: &Entry) -> bool {
    let mut writes = entry.operations.iter().flat_map(|o| &o.writes);
    writes.any(|write| matches!(write, SlotWrite::Add { .. }))
}

fn rank(entry: &Entry) -> (Timestamp, ReplicaId, u64) {
    let Dot { replica, seq } = entry.dot;
    (entry.time, replica, seq)
}
