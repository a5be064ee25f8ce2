//! Nothing is lost: what was written stands, or was replaced by a write that had seen it, and what stands
//! without being shown has a ledger row.

use std::collections::BTreeMap;

use atoll_core::DataType;
use atoll_core::state::{LedgerRow, SlotName};
use atoll_core::view::{choose, shows_object};
use atoll_core::{Content, Dot, Slot};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::support::history::{History, World, key};
use crate::support::law;
use crate::support::oracle::Oracle;
use crate::support::replica::Replica;

/// The siblings of every slot are exactly the versions that no other write had seen.
///
/// Caught: a tombstone that takes every sibling of its slot, seen or not.
fn what_no_write_had_seen_stands(history: &History) -> TestCaseResult {
    let world = World::settled(history);
    let oracle = Oracle::of(&world.entries());
    let expected = oracle.standing();
    for replica in &world.replicas {
        let mut stored = BTreeMap::new();
        for (at, slot) in &replica.state.slots {
            stored.extend(slot.siblings.iter().map(|v| ((at.clone(), v.dot), v)));
        }
        prop_assert_eq!(
            stored.keys().collect::<Vec<_>>(),
            expected.keys().collect::<Vec<_>>()
        );
        for (name, version) in stored {
            let written = expected[&name];
            prop_assert_eq!(&version.content, &written.content);
            prop_assert_eq!(
                (version.time, version.creates),
                (written.time, written.creates)
            );
        }
    }
    Ok(())
}

/// A value that the policies do not show is in the ledger, or below something that is.
fn what_is_hidden_has_a_row(history: &History) -> TestCaseResult {
    let world = World::settled(history);
    let replica = &world.replicas[0];
    for key in ["k", "k2"].map(key) {
        for (path, slot) in replica.slots(&world.spec.name, &key) {
            let at = SlotName {
                collection: world.spec.name.clone(),
                key: key.clone(),
                path,
            };
            has_rows_where_hidden(&world, replica, &at, &slot)?;
        }
    }
    Ok(())
}

fn has_rows_where_hidden(
    world: &World,
    replica: &Replica,
    at: &SlotName,
    slot: &Slot,
) -> TestCaseResult {
    let values = slot
        .siblings
        .iter()
        .filter(|v| matches!(v.content, Content::Value(_)));
    for value in values {
        let shown = choose(&world.lens(), slot).shown;
        let shown = shown.iter().any(|v| v.dot == value.dot);
        prop_assert!(
            shown || in_ledger(replica, at, value.dot),
            "{} at {:?}",
            value.dot,
            at
        );
        if world.spec.data_type != DataType::Document {
            continue;
        }
        for path in at.path.above() {
            let above = SlotName { path, ..at.clone() };
            let slot = replica.state.slots.get(&above).cloned().unwrap_or_default();
            let mark = slot.siblings.iter().find(|v| v.content == Content::Object);
            prop_assert!(mark.is_some(), "a field stands below an object");
            let mark = mark.unwrap().dot;
            let shown = shows_object(&world.lens(), &slot);
            prop_assert!(
                shown || in_ledger(replica, &above, mark),
                "{} below {:?}",
                value.dot,
                above
            );
        }
    }
    Ok(())
}

fn in_ledger(replica: &Replica, at: &SlotName, dot: Dot) -> bool {
    let names = |row: &LedgerRow| row.at == *at && [row.first.dot, row.second.dot].contains(&dot);
    replica.state.ledger.values().any(names)
}

#[test]
fn what_no_write_of_a_register_had_seen_stands() {
    law::holds(DataType::Register, None, what_no_write_had_seen_stands);
}

#[test]
fn what_no_write_of_a_document_had_seen_stands() {
    law::holds(DataType::Document, None, what_no_write_had_seen_stands);
}

#[test]
fn what_no_write_of_a_set_had_seen_stands() {
    law::holds(DataType::Set, None, what_no_write_had_seen_stands);
}

#[test]
fn what_no_write_of_a_map_had_seen_stands() {
    law::holds(DataType::Map, None, what_no_write_had_seen_stands);
}

#[test]
fn what_a_register_hides_has_a_row() {
    law::holds(DataType::Register, None, what_is_hidden_has_a_row);
}

#[test]
fn what_a_document_hides_has_a_row() {
    law::holds(DataType::Document, None, what_is_hidden_has_a_row);
}

#[test]
fn what_a_map_hides_has_a_row() {
    law::holds(DataType::Map, None, what_is_hidden_has_a_row);
}
