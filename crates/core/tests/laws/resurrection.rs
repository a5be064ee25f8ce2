//! No resurrection: what a delete had seen, or what a policy hid from a write that had seen it, is never
//! shown again.

use std::collections::BTreeSet;

use atoll_core::state::SlotName;
use atoll_core::view::{Answer, Lens, answer, choose, shows_object, siblings};
use atoll_core::{Content, DataType, Dot, Path, Slot, SlotWrite};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::support::history::{History, Step, World, all_specs, key, policies};
use crate::support::law;
use crate::support::oracle::Oracle;

/// A value that some delete had seen is in no view, under no policy, in no region.
///
/// Caught: a tombstone that clears nothing below it.
fn what_a_delete_had_seen_is_gone(history: &History) -> TestCaseResult {
    let world = World::settled(history);
    let oracle = Oracle::of(&world.entries());
    let deleted = oracle
        .versions
        .iter()
        .filter(|v| oracle.takings_of(v).any(|t| t.deletes));
    let gone: Vec<String> = deleted.filter_map(|v| text(&v.content)).collect();
    // Regions show the same: `policies` and `convergence` see to that.
    for replica in world.replicas.iter().take(usize::from(!gone.is_empty())) {
        for key in ["k", "k2"].map(key) {
            let slots = replica.slots(&world.spec.name, &key);
            for spec in all_specs(world.spec.data_type) {
                let lens = Lens {
                    spec: &spec,
                    ..world.lens()
                };
                let shown = values(&lens, &slots);
                for value in &gone {
                    prop_assert!(!shown.contains(value), "{value} in {shown}");
                }
            }
        }
    }
    Ok(())
}

/// A field that is hidden when a write that has seen it overwrites what hides it does not come back.
///
/// Caught: a patch that does not clear what lies below when it turns a hidden object into a shown one, or a
/// hidden object into a value; a PUT that leaves the fields of a hidden document.
fn what_hid_from_a_write_stays_hidden(history: &History) -> TestCaseResult {
    let mut world = World::new(history.spec.clone(), &history.clocks);
    let mut overwritten: BTreeSet<String> = BTreeSet::new();
    for step in &history.steps {
        let Step::Write { by, .. } = step else {
            world.step(step);
            continue;
        };
        let hidden = hidden(&world, *by);
        let asked = world.asked.len();
        world.step(step);
        let entry = world.asked.get(asked).and_then(|asked| asked.entry.clone());
        let Some(entry) = entry else { continue };
        for Hidden {
            at,
            dot,
            hider,
            value,
        } in hidden
        {
            let hider = SlotName {
                path: hider,
                ..at.clone()
            };
            let writes = entry
                .operations
                .iter()
                .filter(|o| o.key == at.key)
                .flat_map(|o| &o.writes);
            let assigns =
                |w: &SlotWrite| matches!(w, SlotWrite::Assign { path, .. } if *path == hider.path);
            let has_seen = entry
                .context_at(&hider)
                .is_some_and(|context| context.covers(dot));
            if has_seen && writes.filter(|w| assigns(w)).count() > 0 {
                overwritten.insert(value);
            }
        }
    }
    world.settle(&history.order);
    for replica in &world.replicas {
        for key in ["k", "k2"].map(key) {
            let slots = replica.slots(&world.spec.name, &key);
            let shown = values(&world.lens(), &slots);
            for value in &overwritten {
                prop_assert!(!shown.contains(value), "{value} in {shown}");
            }
        }
    }
    Ok(())
}

/// All values that a reader gets of a key, whole and as siblings, as one text.
fn values(lens: &Lens<'_>, slots: &[(Path, Slot)]) -> String {
    let mut all = match answer(lens, slots) {
        Answer::Absent | Answer::Several(_) => vec![],
        Answer::One(value) => vec![value],
    };
    // Several are the siblings. A register lists those, too, that no policy shows: that is what it is for.
    all.extend(siblings(lens, slots).into_iter().filter_map(|s| s.value));
    all.iter()
        .map(|value| String::from_utf8_lossy(&value.data) + " ")
        .collect()
}

/// A value that stands and is not shown.
struct Hidden {
    at: SlotName,
    dot: Dot,
    /// The first slot on the way from the root that does not show what leads to it.
    hider: Path,
    value: String,
}

fn hidden(world: &World, by: usize) -> Vec<Hidden> {
    let mut hidden = Vec::new();
    let lens = world.lens();
    for (at, slot) in &world.replicas[by].state.slots {
        let above = at.path.above().into_iter().find(|path| {
            let above = SlotName {
                path: path.clone(),
                ..at.clone()
            };
            let slot = world.replicas[by].state.slots.get(&above);
            !slot.is_some_and(|slot| shows_object(&lens, slot))
        });
        let not_shown =
            |slot: &Slot, dot: Dot| choose(&lens, slot).shown.iter().all(|v| v.dot != dot);
        for version in &slot.siblings {
            let Some(value) = text(&version.content) else {
                continue;
            };
            let itself = not_shown(slot, version.dot).then(|| at.path.clone());
            hidden.extend(above.clone().or(itself).map(|hider| Hidden {
                at: at.clone(),
                dot: version.dot,
                hider,
                value,
            }));
        }
    }
    hidden
}

/// The text of a value. Generated values are unlike all others; null is not.
fn text(content: &Content) -> Option<String> {
    match content {
        Content::Value(value) => {
            let text = String::from_utf8(value.data.to_vec()).expect("JSON");
            (text != "null").then_some(text)
        }
        Content::Object | Content::Tombstone => None,
    }
}

#[test]
fn what_a_delete_of_a_register_had_seen_is_gone() {
    law::holds(DataType::Register, None, what_a_delete_had_seen_is_gone);
}

#[test]
fn what_a_delete_of_a_document_had_seen_is_gone() {
    law::holds(DataType::Document, None, what_a_delete_had_seen_is_gone);
}

#[test]
fn what_a_delete_of_a_map_had_seen_is_gone() {
    law::holds(DataType::Map, None, what_a_delete_had_seen_is_gone);
}

#[test]
fn what_a_document_hid_stays_hidden_under_last_writer_wins() {
    let [policy, ..] = policies();
    law::holds(
        DataType::Document,
        Some(policy),
        what_hid_from_a_write_stays_hidden,
    );
}

#[test]
fn what_a_document_hid_stays_hidden_under_origin_priority() {
    let [_, policy, _] = policies();
    law::holds(
        DataType::Document,
        Some(policy),
        what_hid_from_a_write_stays_hidden,
    );
}

#[test]
fn what_a_document_hid_stays_hidden_under_keep_siblings() {
    let [.., policy] = policies();
    law::holds(
        DataType::Document,
        Some(policy),
        what_hid_from_a_write_stays_hidden,
    );
}
