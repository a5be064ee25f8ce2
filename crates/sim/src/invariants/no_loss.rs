//! No loss: a write that a client was told is done is in the log of every region, as its origin made it; and
//! each value that it wrote is shown, or was taken by a write that had seen it, or is the loser of a conflict
//! that the ledger lists.
//!
//! Seen to fail: a region that answers before its Raft log is on the disk (`Mischief::ForgetSync`), and one
//! that purges the Raft log up to what is applied and not only to what is flushed
//! (`Mischief::PurgeUnflushed`), each with a crash behind it.

use std::collections::BTreeSet;

use atoll_core::intent::Action;
use atoll_core::view::{self, Lens};
use atoll_core::{Content, DataType, Dot, Entry, Path, SlotWrite, Timestamp, Value};
use atoll_store::Region;

use super::Violation;
use crate::book::{Acknowledged, Book, KeyName};
use crate::snapshot::Snapshot;

const NAME: &str = "no-loss";

/// A region has lost entries that it had applied.
pub(crate) fn shrunk(region: usize, what: impl std::fmt::Display) -> Violation {
    Violation::new(NAME, format!("r{region} came back without {what}"))
}

/// Looks for every acknowledged write in every region.
pub(crate) fn check_logs(place: usize, region: &Region, book: &Book) -> Result<(), Violation> {
    let log = atoll_store::log::LogReader::new(std::sync::Arc::clone(region.engine()));
    for written in &book.acknowledged {
        let logged = log.entry(written.dot)?;
        let original = book.original(written.dot).map(|original| &original.frame);
        if logged.as_ref().map(|arrival| &arrival.frame) != original || original.is_none() {
            let what = format!(
                "r{place} does not have {}, which r{} acknowledged",
                written.dot, written.by
            );
            return Err(Violation::new(NAME, what));
        }
    }
    Ok(())
}

/// Looks for the values of every acknowledged write in what a region shows.
pub(crate) fn check_values(
    region: &Snapshot,
    book: &Book,
    trimmed: Timestamp,
) -> Result<(), Violation> {
    let rows = region.conflicts.values();
    let listed: BTreeSet<(KeyName, Path, Dot)> = rows
        .flat_map(|conflict| {
            let at = &conflict.row.at;
            let name = || (at.collection.clone(), at.key.clone());
            [conflict.row.first.dot, conflict.row.second.dot]
                .map(|dot| (name(), at.path.clone(), dot))
        })
        .collect();
    for written in &book.acknowledged {
        let Some(original) = book.original(written.dot) else {
            continue;
        };
        check_asked(written, &original.entry)?;
        for operation in &original.entry.operations {
            let name = (operation.collection.clone(), operation.key.clone());
            for write in &operation.writes {
                let SlotWrite::Assign { path, .. } = write else {
                    continue; // marks and additions are looked at by `follows_entries`
                };
                if !is_explained(region, book, &name, path, written.dot, trimmed, &listed) {
                    let what = format!(
                        "r{} shows {}/{}{} without {}, which was acknowledged and which nothing explains",
                        region.region,
                        name.0,
                        name.1,
                        path.pointer(),
                        written.dot
                    );
                    return Err(Violation::new(NAME, what));
                }
            }
        }
    }
    Ok(())
}

/// What the client asked for is what the entry says, where that can be told without the state.
fn check_asked(written: &Acknowledged, entry: &Entry) -> Result<(), Violation> {
    let puts = written.request.intents.iter().filter_map(|intent| {
        let is_register = intent.collection.as_str() == DataType::Register.name().to_lowercase();
        match &intent.action {
            Action::Put(value) if is_register => Some((intent, value)),
            _ => None,
        }
    });
    for (intent, value) in puts {
        let later = written.request.intents.iter().rev();
        let mut same_key =
            later.filter(|i| i.collection == intent.collection && i.key == intent.key);
        if same_key.next() != Some(intent) {
            continue; // overwritten in its own entry
        }
        if !says(entry, value) {
            let what = format!("{} does not say {value:?}, which was asked for", entry.dot);
            return Err(Violation::new(NAME, what));
        }
    }
    Ok(())
}

fn says(entry: &Entry, value: &Value) -> bool {
    let mut writes = entry
        .operations
        .iter()
        .flat_map(|operation| &operation.writes);
    writes.any(|write| {
        matches!(write, SlotWrite::Assign { content: Content::Value(said), .. } if said == value)
    })
}

fn is_explained(
    region: &Snapshot,
    book: &Book,
    name: &KeyName,
    path: &Path,
    dot: Dot,
    trimmed: Timestamp,
    listed: &BTreeSet<(KeyName, Path, Dot)>,
) -> bool {
    let slots = region.slots.get(name).map_or(&[][..], Vec::as_slice);
    let slot = slots.iter().find(|(p, _)| p == path).map(|(_, slot)| slot);
    let Some(slot) = slot.filter(|slot| slot.siblings.iter().any(|v| v.dot == dot)) else {
        let key = book.key(name);
        let version = key.and_then(|key| key.version(path, dot));
        let mut takings = key.into_iter().flat_map(|key| key.takings(path));
        return version.is_none_or(|version| takings.any(|taking| taking.takes(version)));
    };
    let Some(spec) = region.catalog.collections.get(&name.0) else {
        return true;
    };
    let lens = Lens {
        spec,
        regions: &region.catalog.regions,
    };
    let shown = view::choose(&lens, slot).shown;
    let version = slot.siblings.iter().find(|v| v.dot == dot);
    let Some(version) = version else { return true };
    // Equal in kind to what is shown (two deletes, two object marks) is as good as shown.
    let disagrees = |other: &atoll_core::Version| {
        other.dot != dot
            && other
                .content
                .class()
                .disagrees_with(version.content.class())
    };
    let is_hidden = !shown.iter().any(|v| v.dot == dot);
    let loses = is_hidden && slot.siblings.iter().any(disagrees);
    let is_listed = || listed.contains(&(name.clone(), path.clone(), dot));
    !loses || version.time < trimmed || trimmed_partner(slot, dot, trimmed) || is_listed()
}

/// Whether the row of a version may be gone: it is as old as its later version.
fn trimmed_partner(slot: &atoll_core::Slot, dot: Dot, trimmed: Timestamp) -> bool {
    let version = slot.siblings.iter().find(|v| v.dot == dot);
    version.is_some_and(|v| {
        let partner = v.conflict.partner;
        partner.is_some_and(|p| p.time.max(v.time) < trimmed)
    })
}
