//! Order of arrival does not matter: regions that hold the same entries are the same.

use atoll_core::DataType;
use atoll_core::view::{answer, fingerprint};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::support::history::{History, World, all_specs, key, policies};
use crate::support::law;
use crate::support::replica::Replica;

/// As below, in a world where every region writes under the policy of the history.
fn order_of_arrival_does_not_matter(history: &History) -> TestCaseResult {
    regions_are_the_same(&World::settled(history), history)
}

/// The same while regions write under different revisions of the policy: what a patch does depends on what
/// its region shows, but entries say all that the others need.
fn revisions_do_not_matter(history: &History) -> TestCaseResult {
    let mut world = World::new(history.spec.clone(), &history.clocks);
    let all: Vec<_> = all_specs(history.spec.data_type).collect();
    for (revision, by) in world.revisions.iter_mut().zip(&history.order) {
        *revision = all[usize::from(*by) % all.len()].clone();
    }
    for step in &history.steps {
        world.step(step);
    }
    world.settle(&history.order);
    regions_are_the_same(&world, history)
}

/// Commutative and associative: replicas that wrote and met in their own ways, and two that only watched,
/// got the same entries in different causal orders; slots, history, ledger rows, answers and fingerprints
/// are equal. Idempotent: an entry that comes again dies at the vector.
///
/// Caught, among others: siblings in order of arrival; a row that keeps the first partner or the greatest
/// instead of the smallest; rows that stay when nobody names them; an early stop at a version that has met
/// any origin; a clear from above that `standing` forgets; two concurrent resets of which the last wins.
fn regions_are_the_same(world: &World, history: &History) -> TestCaseResult {
    let half = history.order.len() / 2;
    let watchers =
        [&history.order[half..], &history.order[..half]].map(|order| world.watcher(order));
    let first = &world.replicas[0];
    for other in world.replicas[1..].iter().chain(&watchers) {
        prop_assert_eq!(&first.applied, &other.applied);
        if let Some(difference) = first.state.difference(&other.state) {
            return Err(TestCaseError::fail(format!(
                "{} and {}: {difference}",
                first.id, other.id
            )));
        }
        for key in ["k", "k2"].map(key) {
            let slots = |replica: &Replica| replica.slots(&world.spec.name, &key);
            let (one, two) = (slots(first), slots(other));
            prop_assert_eq!(answer(&world.lens(), &one), answer(&world.lens(), &two));
            prop_assert_eq!(fingerprint(&one), fingerprint(&two));
        }
    }
    let mut again = first.clone();
    for entry in world.entries().iter().rev() {
        prop_assert!(!again.receive(entry));
    }
    prop_assert!(again.state.difference(&first.state).is_none());
    Ok(())
}

macro_rules! for_every_type_and_policy {
    ($($test:ident: $data_type:ident, $policy:literal;)*) => {$(
        #[test]
        fn $test() {
            let policy = policies()[$policy].clone();
            law::holds(DataType::$data_type, Some(policy), order_of_arrival_does_not_matter);
        }
    )*};
}

for_every_type_and_policy! {
    registers_converge_under_last_writer_wins: Register, 0;
    registers_converge_under_origin_priority: Register, 1;
    registers_converge_under_keep_siblings: Register, 2;
    documents_converge_under_last_writer_wins: Document, 0;
    documents_converge_under_origin_priority: Document, 1;
    documents_converge_under_keep_siblings: Document, 2;
    counters_converge_under_last_writer_wins: Counter, 0;
    counters_converge_under_origin_priority: Counter, 1;
    counters_converge_under_keep_siblings: Counter, 2;
    sets_converge_under_last_writer_wins: Set, 0;
    sets_converge_under_origin_priority: Set, 1;
    sets_converge_under_keep_siblings: Set, 2;
    maps_converge_under_last_writer_wins: Map, 0;
    maps_converge_under_origin_priority: Map, 1;
    maps_converge_under_keep_siblings: Map, 2;
}

#[test]
fn documents_converge_while_regions_disagree_about_the_policy() {
    law::holds(DataType::Document, None, revisions_do_not_matter);
}
