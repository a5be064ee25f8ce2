//! Counters: every increment counts that no reset had seen.

use atoll_core::{DataType, VersionVector};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::support::history::{Asked, History, World, key, spec};
use crate::support::law;
use crate::support::model::{as_json, parse};
use crate::support::replica::Replica;
use atoll_core::intent::Action;
use atoll_core::{Policy, UpdateDelete};

/// What remains of one intent on a counter.
struct Counted<'a> {
    asked: &'a Asked,
    resets: bool,
    adds: Option<i64>,
}

impl<'a> Counted<'a> {
    fn of(asked: &'a Asked) -> Self {
        let Action::Ops(ops) = &asked.intent.action else {
            return Counted {
                asked,
                resets: true,
                adds: None,
            };
        };
        let ops = parse(ops);
        let by = ops["increment"].as_i64().unwrap_or(0) - ops["decrement"].as_i64().unwrap_or(0);
        Counted {
            asked,
            resets: ops["reset"] == true,
            adds: Some(by),
        }
    }

    /// Whether a reset had seen the increment of `earlier`: its region had it, or the same entry.
    fn has_seen(&self, earlier: &Counted<'_>) -> bool {
        let (Some(entry), Some(theirs)) = (&self.asked.entry, &earlier.asked.entry) else {
            return false;
        };
        entry.dot == theirs.dot || entry.dependencies.covers(theirs.dot)
    }
}

/// The answer is the sum of all increments but those that a reset or delete had seen; increments
/// concurrent with it survive.
///
/// Caught: a reset that forgets all contributions of an origin, seen or not.
fn the_sum_is_of_what_no_reset_had_seen(history: &History) -> TestCaseResult {
    let world = World::settled(history);
    for key in ["k", "k2"].map(key) {
        let asked: Vec<Counted<'_>> = world
            .asked
            .iter()
            .filter(|a| a.intent.key == key)
            .map(Counted::of)
            .collect();
        let survives = |(i, counted): &(usize, &Counted<'_>)| {
            // `asked` is in the order of writing: a reset of the same entry comes later in it.
            !asked[i + 1..]
                .iter()
                .any(|later| later.resets && later.has_seen(counted))
        };
        let surviving: Vec<i64> = asked
            .iter()
            .enumerate()
            .filter(survives)
            .filter_map(|(_, c)| c.adds)
            .collect();
        let expected = (!surviving.is_empty()).then(|| surviving.iter().sum::<i64>().into());
        for replica in &world.replicas {
            prop_assert_eq!(
                as_json(&replica.answer(world.lens(), &key)),
                expected.clone()
            );
        }
    }
    Ok(())
}

#[test]
fn the_sum_of_a_counter_is_of_what_no_reset_had_seen() {
    law::holds(
        DataType::Counter,
        None,
        the_sum_is_of_what_no_reset_had_seen,
    );
}

fn counter() -> World {
    World::new(
        spec(
            DataType::Counter,
            Policy::LastWriterWins,
            UpdateDelete::UpdateWins,
        ),
        &[0, 0],
    )
}

fn ops(text: &str) -> Action {
    Action::Ops(text.to_owned().into())
}

fn shown(replica: &Replica, world: &World) -> String {
    as_json(&replica.answer(world.lens(), &key("k"))).map_or("absent".into(), |sum| sum.to_string())
}

#[test]
fn a_sum_beyond_64_bits_is_refused_where_it_is_written_and_kept_where_it_meets() {
    let mut world = counter();
    let most = format!("{{\"increment\": {}}}", i64::MAX);
    for by in [0, 1] {
        world.write(by, &[(key("k"), ops(&most))], None).unwrap();
    }
    let refused = world.write(0, &[(key("k"), ops("{\"increment\": 1}"))], None);
    assert!(refused.unwrap_err().to_string().contains("64 bits"));
    world.sync();
    let sum = 2 * i128::from(i64::MAX);
    for replica in &world.replicas {
        let slots = replica.slots(&world.spec.name, &key("k"));
        assert_eq!(slots[0].1.counter.value(), sum);
    }
}

#[test]
fn a_reset_with_an_old_context_is_refused() {
    let mut world = counter();
    world
        .write(0, &[(key("k"), ops("{\"increment\": 1}"))], None)
        .unwrap();
    let nothing = Some(VersionVector::new());
    let refused = world.write(0, &[(key("k"), Action::Delete)], nothing);
    assert!(refused.unwrap_err().to_string().contains("read it again"));
    assert_eq!(shown(&world.replicas[0], &world), "1");
}
