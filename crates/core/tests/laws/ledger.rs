//! The ledger is what its definition says, whatever came first.

use atoll_core::DataType;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::support::history::{History, World};
use crate::support::law;
use crate::support::oracle::Oracle;

/// Each version names its smallest conflicting partner, and every row is named.
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
