//! The state is what the entries say, by rules written after SEMANTICS and not after the code: brute force,
//! with no history, no early stop and no order of arrival.
//!
//! - A version stands unless some write to its slot, or one that clears it from above, had seen it.
//! - An element is in a set when an add of it stands. A counter is the sum of the additions that no reset
//!   had seen, each request's once ([`one_application`]).
//! - The ledger has a row for each version that a concurrent one disagrees with; it names the smallest such.
//!   A conflict that no policy decides is resolved by the first write that had seen both.
//!
//! Seen to fail: `Mischief::LoseSibling`, `Mischief::LoseRow`; and, by hand, an apply in core that does not
//! look at narrowed contexts, and a ledger that notes of its first version only whether it creates.

use std::collections::BTreeMap;

use atoll_core::conflict::conflict_id;
use atoll_core::slot::Partner;
use atoll_core::state::{ConflictId, LedgerRow, SlotName};
use atoll_core::view;
use atoll_core::{Dot, Path, ReplicaId, Slot, Timestamp};

use super::{Violation, one_application};
use crate::book::{Book, KeyBook, KeyName, SlotBook, Taking, Written};
use crate::snapshot::Snapshot;

const NAME: &str = "follows-entries";

/// Ledger rows, and when the first write came that had seen both of their versions.
type Rows = BTreeMap<ConflictId, (LedgerRow, Option<Timestamp>)>;

/// Compares a region, which holds all entries, with what they say. Rows detected before `trimmed` may be gone.
pub(crate) fn check(region: &Snapshot, book: &Book, trimmed: Timestamp) -> Result<(), Violation> {
    let mut rows: Rows = BTreeMap::new();
    for (name, key) in book.keys() {
        let slots = region.slots.get(name).map_or(&[][..], Vec::as_slice);
        check_key(key, slots, book).map_err(|what| {
            let what = format!("r{}: {}/{}{what}", region.region, name.0, name.1);
            Violation::new(NAME, what)
        })?;
        for (path, slot) in &key.slots {
            add_rows(name, key, path, slot, &mut rows);
        }
    }
    rows.retain(|_, (row, _)| row.first.time.max(row.second.time) >= trimmed);
    check_ledger(region, &rows).map_err(|what| {
        let what = format!("r{}: {what}", region.region);
        Violation::new(NAME, what)
    })?;
    if region.rows != region.rows_counted {
        let what = format!(
            "r{} counts {} ledger rows and has {}",
            region.region, region.rows_counted, region.rows
        );
        return Err(Violation::new(NAME, what));
    }
    Ok(())
}

fn check_key(key: &KeyBook, slots: &[(Path, Slot)], book: &Book) -> Result<(), String> {
    let nothing = Slot::default();
    for (path, written) in &key.slots {
        let found = slots.iter().find(|(p, _)| p == path);
        let slot = found.map_or(&nothing, |(_, slot)| slot);
        let stored: Vec<Dot> = slot.siblings.iter().map(|v| v.dot).collect();
        let expected = standing(key, path, written);
        if stored != expected {
            return Err(format!(
                "{} holds {stored:?}, not {expected:?}",
                path.pointer()
            ));
        }
        for version in &slot.siblings {
            let said = key.version(path, version.dot);
            if said.is_none_or(|w| w.content != version.content || w.time != version.time) {
                return Err(format!(
                    "{} holds {version:?}, not {said:?}",
                    path.pointer()
                ));
            }
        }
        let (sum, expected) = (slot.counter.value(), one_application::sum(written, book));
        if sum != expected {
            return Err(format!("{} counts {sum}, not {expected}", path.pointer()));
        }
    }
    match slots.iter().find(|(path, _)| !key.slots.contains_key(path)) {
        Some((path, _)) => Err(format!("{} was never written", path.pointer())),
        None => Ok(()),
    }
}

fn standing(key: &KeyBook, path: &Path, slot: &SlotBook) -> Vec<Dot> {
    let stands = |version: &&Written| !key.takings(path).any(|taking| taking.takes(version));
    let mut dots: Vec<Dot> = slot.versions.iter().filter(stands).map(|v| v.dot).collect();
    dots.sort_unstable();
    dots.dedup();
    dots
}

/// The rows of one slot: every version against every other.
fn add_rows(name: &KeyName, key: &KeyBook, path: &Path, slot: &SlotBook, rows: &mut Rows) {
    let at = || SlotName {
        collection: name.0.clone(),
        key: name.1.clone(),
        path: path.clone(),
    };
    for version in &slot.versions {
        let others = slot.versions.iter().filter(|w| w.dot != version.dot);
        let partners = others.filter(|other| conflict(key, path, version, other));
        let Some(partner) = partners.min_by_key(|other| rank(other)) else {
            continue;
        };
        let is_first = rank(version) < rank(partner);
        let (first, second) = if is_first {
            (version, partner)
        } else {
            (partner, version)
        };
        let id = conflict_id(&at(), version.dot, partner.dot);
        let (row, _) = rows.entry(id).or_insert_with(|| {
            let row = LedgerRow {
                at: at(),
                first: as_partner(first),
                second: as_partner(second),
                classes: (first.content.class(), second.content.class()),
                creates: first.creates && second.creates,
                named_by_first: false,
                named_by_second: false,
            };
            let saw_both = key
                .takings(path)
                .filter(|taking| taking.has_seen(version.dot) && taking.has_seen(partner.dot));
            (row, saw_both.map(Taking::time).min())
        });
        row.named_by_first |= is_first;
        row.named_by_second |= !is_first;
    }
}

/// Whether two versions of one slot are in conflict.
fn conflict(key: &KeyBook, path: &Path, one: &Written, other: &Written) -> bool {
    if one.is_mark || !one.content.class().disagrees_with(other.content.class()) {
        return false;
    }
    if one.source.dependencies().covers(other.dot) {
        stood_unseen(key, path, other, one)
    } else if other.source.dependencies().covers(one.dot) {
        stood_unseen(key, path, one, other)
    } else {
        true
    }
}

/// Whether `earlier` stood in the state that the writer of `later` met, and was not in its context.
fn stood_unseen(key: &KeyBook, path: &Path, earlier: &Written, later: &Written) -> bool {
    let (context, dependencies) = (later.source.context(), later.source.dependencies());
    let mut takings = key.takings(path);
    !context.covers(earlier.dot)
        && !takings.any(|taking| dependencies.covers(taking.by) && taking.takes(earlier))
}

fn rank(version: &Written) -> (Timestamp, ReplicaId, u64) {
    (version.time, version.dot.replica, version.dot.seq)
}

fn as_partner(version: &Written) -> Partner {
    Partner {
        time: version.time,
        dot: version.dot,
    }
}

fn check_ledger(region: &Snapshot, rows: &Rows) -> Result<(), String> {
    for (id, (row, saw_both)) in rows {
        let Some(found) = region.conflicts.get(id) else {
            return Err(format!("there is no ledger row {id}: {row:#?}"));
        };
        if found.row != *row {
            return Err(format!("ledger row {id} is {:#?}, not {row:#?}", found.row));
        }
        let Some(lens) = region.catalog.lens(&row.at.collection) else {
            continue;
        };
        let resolved = match view::verdict(&lens, row).winner {
            Some(_) => Some(row.first.time.max(row.second.time)),
            None => *saw_both,
        };
        if found.resolved != resolved {
            let found = found.resolved;
            return Err(format!(
                "{row:#?} was resolved at {resolved:?}, not {found:?}"
            ));
        }
    }
    match region
        .conflicts
        .iter()
        .find(|(id, _)| !rows.contains_key(id))
    {
        Some((_, conflict)) => Err(format!("there is no conflict {:#?}", conflict.row)),
        None => Ok(()),
    }
}
