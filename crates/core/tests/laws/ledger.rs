//! The ledger is what its definition says, whatever came first.

use std::rc::Rc;

use atoll_core::intent::Action;
use atoll_core::{DataType, Entry, Policy, UpdateDelete, Value};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::support::history::{History, World, key, spec};
use crate::support::law;
use crate::support::oracle::Oracle;

/// Each version names its smallest conflicting partner, and every row is named.
///
/// Caught: the greatest partner, or the first to come, or the smallest by replica before time; an early stop
/// at any version that has met somebody; history not searched; a narrowed context that conflicts with
/// everything before it, with nothing before it, or with what was cleared from above.
fn rows_are_the_definition(history: &History) -> TestCaseResult {
    let mut world = World::after(history);
    // What a region lists follows from what it holds, in the middle of things, too.
    for replica in &world.replicas {
        let oracle = Oracle::of(&replica.log);
        prop_assert_eq!(&replica.state.ledger, &oracle.ledger());
    }
    world.settle(&history.order);
    let oracle = Oracle::of(&world.entries());
    let rows = oracle.ledger();
    for replica in &world.replicas {
        prop_assert_eq!(&replica.state.ledger, &rows);
    }
    prop_assert!(
        rows.len() <= oracle.pairs().len(),
        "at most a row per version in conflict"
    );
    Ok(())
}

#[test]
fn rows_of_registers_are_the_definition() {
    law::holds(DataType::Register, None, rows_are_the_definition);
}

#[test]
fn rows_of_documents_are_the_definition() {
    law::holds(DataType::Document, None, rows_are_the_definition);
}

#[test]
fn rows_of_maps_are_the_definition() {
    law::holds(DataType::Map, None, rows_are_the_definition);
}

/// What three regions touch of the ledger when each has written `writes` versions of one key, unseen by the
/// others, and then meets the others' versions, `at_once` of each region at a time.
fn cost(data_type: DataType, writes: usize, at_once: usize) -> usize {
    let spec = spec(data_type, Policy::LastWriterWins, UpdateDelete::UpdateWins);
    let mut world = World::new(spec, &[0, 1, -1]);
    for n in 0..writes {
        for by in 0..3 {
            let action = match (data_type, n % 5) {
                (_, 4) => Action::Delete,
                (DataType::Register, _) => Action::Put(Value::json(n.to_string())),
                _ => Action::Patch(format!("{{\"a\": {n}, \"b\": {{\"c\": {n}}}}}").into()),
            };
            world.write(by, &[(key("k"), action)], None).unwrap();
        }
    }
    let from = |by: usize| world.replicas[by].log.clone();
    let logs = [from(0), from(1), from(2)];
    for (by, replica) in world.replicas.iter_mut().enumerate() {
        let before = replica.state.touched.get();
        let parts = (0..writes).step_by(at_once).flat_map(|at| {
            let of = move |log: &Vec<Rc<Entry>>| log[at..log.len().min(at + at_once)].to_vec();
            [of(&logs[(by + 1) % 3]), of(&logs[(by + 2) % 3])]
        });
        for entry in parts.flatten() {
            replica.receive(&entry);
        }
        replica
            .state
            .touched
            .set(replica.state.touched.get() - before);
        let versions = replica.state.history.len() + replica.state.slots.len() * 3;
        assert!(
            replica.state.ledger.len() <= versions,
            "at most a row per version"
        );
    }
    world.replicas.iter().map(|r| r.state.touched.get()).sum()
}

/// A hot key with hundreds of versions in flight costs in proportion to them, not to their pairs.
///
/// Caught: a search of the history that does not stop at what has met this origin before.
#[test]
fn a_hot_key_costs_as_much_as_it_has_versions() {
    for data_type in [DataType::Register, DataType::Document] {
        for at_once in [1, 7, 1000] {
            let (some, twice) = (cost(data_type, 100, at_once), cost(data_type, 200, at_once));
            assert!(
                twice < some * 5 / 2,
                "{data_type:?} by {at_once}: {some}, then {twice}"
            );
        }
    }
}
