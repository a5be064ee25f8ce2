//! Convergence: regions that are left alone come to hold the same entries, and regions that hold the same
//! entries show the same: every slot of every key, the answers under the declared policies and under others,
//! and every ledger row with all that it says.
//!
//! Not compared: what a region keeps for itself (history that is not stable yet, whom a version has met, when
//! this region noticed a conflict), and ledger rows older than what some region trimmed.
//!
//! Seen to fail: a relay that decodes and encodes entries and loses a write (`Mischief::LoseWrites`), a
//! region that forgets a sibling (`Mischief::LoseSibling`) or a ledger row (`Mischief::LoseRow`); and, by
//! hand, a ledger in core that names the largest partner instead of the smallest, and a store that forgets
//! history which is stable while what replaced it is not.

use atoll_core::member::Member;
use atoll_core::slot::Version;
use atoll_core::view::{self, Lens};
use atoll_core::{CollectionSpec, Path, Policy, Slot, UpdateDelete};
use atoll_store::query::{Conflict, Slots};

use super::Violation;
use crate::book::KeyName;
use crate::snapshot::Snapshot;

const NAME: &str = "convergence";

/// Regions did not come to rest.
pub(crate) fn unsettled(what: impl std::fmt::Display) -> Violation {
    Violation::new(NAME, what)
}

/// Compares two regions. `nth` chooses the lens that is tried besides the declared one.
pub(crate) fn check(one: &Snapshot, other: &Snapshot, nth: usize) -> Result<(), Violation> {
    let between = |what: String| {
        let regions = format!("r{} and r{}: ", one.region, other.region);
        Violation::new(NAME, regions + &what)
    };
    if one.vector != other.vector {
        let what = format!("vectors {} and {}", one.vector, other.vector);
        return Err(between(what));
    }
    if one.catalog.collections != other.catalog.collections {
        return Err(between("other collections are declared".into()));
    }
    if one.catalog.layout != other.catalog.layout {
        return Err(between("other topologies are declared".into()));
    }
    if admitted(one) != admitted(other) {
        return Err(between("other regions are known".into()));
    }
    for (key, slots) in &one.slots {
        let others = other.slots.get(key).map_or(&[][..], Vec::as_slice);
        if let Some(what) = difference(slots, others) {
            return Err(between(format!("{}/{}{what}", key.0, key.1)));
        }
        for lens in lenses(one, key, nth) {
            let regions = (&one.catalog.regions, &other.catalog.regions);
            let answers =
                [(slots.as_slice(), regions.0), (others, regions.1)].map(|(slots, regions)| {
                    view::answer(
                        &Lens {
                            spec: &lens,
                            regions,
                        },
                        slots,
                    )
                });
            if answers[0] != answers[1] {
                let what = format!("{}/{} is {answers:?} under {lens:?}", key.0, key.1);
                return Err(between(what));
            }
        }
    }
    check_ledger(one, other).map_err(between)
}

/// Which replica is which region, and how far each is; the order in which they were heard of is a note of arrival.
fn admitted(snapshot: &Snapshot) -> Vec<Member> {
    let mut admitted: Vec<Member> = snapshot.catalog.regions.members().cloned().collect();
    admitted.sort_by_key(|member| member.replica);
    admitted
}

/// What tells two states of a key apart.
fn difference(slots: &Slots, others: &[(Path, Slot)]) -> Option<String> {
    let paths = |slots: &[(Path, Slot)]| -> Vec<String> {
        slots.iter().map(|(path, _)| path.pointer()).collect()
    };
    if paths(slots) != paths(others) {
        return Some(format!(" has {:?} and {:?}", paths(slots), paths(others)));
    }
    let pairs = slots.iter().zip(others);
    let differ = |((_, slot), (_, other)): &(&(Path, Slot), &(Path, Slot))| {
        slot.counter != other.counter
            || slot.siblings.len() != other.siblings.len()
            || !slot
                .siblings
                .iter()
                .zip(&other.siblings)
                .all(|(a, b)| is_same(a, b))
    };
    let ((path, slot), (_, other)) = pairs.into_iter().find(differ)?;
    Some(format!(
        "{} is {:#?}{:#?}\nand {:#?}{:#?}",
        path.pointer(),
        slot.siblings,
        slot.counter,
        other.siblings,
        other.counter
    ))
}

/// Whom a version has met is a note of arrival.
fn is_same(a: &Version, b: &Version) -> bool {
    let Version {
        dot,
        time,
        content,
        creates,
        conflict,
    } = a;
    *dot == b.dot
        && *time == b.time
        && *content == b.content
        && *creates == b.creates
        && conflict.partner == b.conflict.partner
}

/// The declared lens and another one.
fn lenses(one: &Snapshot, key: &KeyName, nth: usize) -> Vec<CollectionSpec> {
    let Some(declared) = one.catalog.collections.get(&key.0) else {
        return vec![];
    };
    let mut order: Vec<_> = one
        .catalog
        .regions
        .iter()
        .map(|(_, name)| name.clone())
        .collect();
    order.sort();
    let policies = [
        Policy::LastWriterWins,
        Policy::KeepSiblings,
        Policy::OriginPriority(order),
    ];
    let other = CollectionSpec {
        policy: policies[nth % 3].clone(),
        update_delete: UpdateDelete::ALL[nth / 3 % 3],
        ..declared.clone()
    };
    vec![declared.clone(), other]
}

fn check_ledger(one: &Snapshot, other: &Snapshot) -> Result<(), String> {
    for (id, conflict) in &one.conflicts {
        let Some(same) = other.conflicts.get(id) else {
            return Err(format!(
                "only the first has the ledger row {id}: {conflict:#?}"
            ));
        };
        let noticed_there = Conflict {
            seen_here_ms: same.seen_here_ms,
            ..conflict.clone()
        };
        if noticed_there != *same {
            return Err(format!("ledger row {id} is {conflict:#?}\nand {same:#?}"));
        }
    }
    for (id, conflict) in &other.conflicts {
        if !one.conflicts.contains_key(id) {
            return Err(format!(
                "only the second has the ledger row {id}: {conflict:#?}"
            ));
        }
    }
    Ok(())
}
