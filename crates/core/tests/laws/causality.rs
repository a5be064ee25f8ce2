//! The clock only orders concurrent versions: what is causally later wins against any clock.

use atoll_core::DataType;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::support::history::{History, Step, World, key, policies};
use crate::support::law;
use crate::support::model::{Model, as_json};
use crate::support::replica::Clock;

/// Entries in causal order have times in that order, whatever the clocks of their regions say.
///
/// Caught: a time that follows the proposed one alone.
fn times_extend_causal_order(history: &History) -> TestCaseResult {
    let world = World::settled(history);
    let entries = world.entries();
    for later in &entries {
        for earlier in entries.iter().filter(|e| later.dependencies.covers(e.dot)) {
            prop_assert!(
                later.time > earlier.time,
                "{} then {}",
                earlier.dot,
                later.dot
            );
        }
    }
    Ok(())
}

/// Writes one after the other through regions whose clocks are an hour apart end as on one machine, with no
/// conflict, under every policy. Times are the bare wall clocks here: causality never asks the time, not
/// even a wrong one.
///
/// Caught: taking over only versions that have been seen and are older.
fn the_causally_last_write_is_shown(history: &History) -> TestCaseResult {
    let mut world = World::new(history.spec.clone(), &history.clocks);
    for replica in &mut world.replicas {
        replica.clock = Clock::Wall;
    }
    let keys = ["k", "k2"].map(key);
    let mut models = [(); 2].map(|()| Model::new(history.spec.data_type));
    for step in &history.steps {
        let Step::Write {
            by,
            changes,
            after_ms,
            ..
        } = step
        else {
            continue;
        };
        world.pass(*after_ms);
        if world.write(*by, changes, None).is_ok() {
            for (key, action) in changes {
                models[usize::from(*key == keys[1])].apply(action);
            }
        }
        world.sync();
        for replica in &world.replicas {
            for (key, model) in keys.iter().zip(&models) {
                prop_assert_eq!(as_json(&replica.answer(world.lens(), key)), model.shown());
            }
            prop_assert!(replica.state.ledger.is_empty());
        }
    }
    Ok(())
}

#[test]
fn times_extend_causality() {
    law::holds(DataType::Register, None, times_extend_causal_order);
}

macro_rules! for_every_type_and_policy {
    ($($test:ident: $data_type:ident, $policy:literal;)*) => {$(
        #[test]
        fn $test() {
            let policy = policies()[$policy].clone();
            law::holds(DataType::$data_type, Some(policy), the_causally_last_write_is_shown);
        }
    )*};
}

for_every_type_and_policy! {
    a_later_write_of_a_register_wins_under_last_writer_wins: Register, 0;
    a_later_write_of_a_register_wins_under_origin_priority: Register, 1;
    a_later_write_of_a_register_wins_under_keep_siblings: Register, 2;
    a_later_write_of_a_document_wins_under_last_writer_wins: Document, 0;
    a_later_write_of_a_document_wins_under_origin_priority: Document, 1;
    a_later_write_of_a_document_wins_under_keep_siblings: Document, 2;
    a_later_write_of_a_map_wins_under_last_writer_wins: Map, 0;
    a_later_write_of_a_map_wins_under_origin_priority: Map, 1;
    a_later_write_of_a_map_wins_under_keep_siblings: Map, 2;
    a_later_write_of_a_counter_counts: Counter, 0;
    a_later_write_of_a_set_stays: Set, 0;
}
