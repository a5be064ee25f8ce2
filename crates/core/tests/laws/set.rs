//! Sets: an add that no remove had seen wins.

use std::collections::{BTreeMap, BTreeSet};

use atoll_core::DataType;
use atoll_core::intent::Action;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde_json::Value as Json;

use crate::support::history::{Asked, History, World, key};
use crate::support::law;
use crate::support::model::{as_json, parse};

/// What an intent on a set names under `operation`; `None` for everything.
fn named(asked: &Asked, operation: &str) -> Option<Vec<String>> {
    let Action::Ops(ops) = &asked.intent.action else {
        return (operation == "add").then(Vec::new);
    };
    let elements = parse(ops)[operation]
        .as_array()
        .cloned()
        .unwrap_or_default();
    Some(
        elements
            .iter()
            .map(|e| e.as_str().expect("a string").to_owned())
            .collect(),
    )
}

fn removes(asked: &Asked, element: &String) -> bool {
    named(asked, "remove").is_none_or(|removed| removed.contains(element))
}

/// An element is there when some add of it is unseen by every remove of it: by what the writer had read,
/// and by what came before in the same entry.
///
/// Caught: a remove that takes all marks of an element, seen or not; a context raised by the dot of its own
/// entry, which then covers all that its origin wrote before.
fn adds_win(history: &History) -> TestCaseResult {
    let world = World::settled(history);
    for key in ["k", "k2"].map(key) {
        let asked: Vec<&Asked> = world.asked.iter().filter(|a| a.intent.key == key).collect();
        let mut present: BTreeSet<String> = BTreeSet::new();
        for (i, adds) in asked.iter().enumerate() {
            let Some(dot) = adds.entry.as_ref().map(|e| e.dot) else {
                continue;
            };
            let has_seen = |later: &Asked| {
                later.context.covers(dot) || later.entry.as_ref().is_some_and(|e| e.dot == dot)
            };
            for element in named(adds, "add").unwrap_or_default() {
                let removed = asked[i + 1..]
                    .iter()
                    .any(|a| has_seen(a) && removes(a, &element));
                if !removed {
                    present.insert(element);
                }
            }
        }
        let expected = (!present.is_empty())
            .then(|| Json::Array(present.into_iter().map(Json::from).collect()));
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
fn an_add_that_no_remove_had_seen_wins() {
    law::holds(DataType::Set, None, adds_win);
}

#[test]
fn sets_and_counters_have_no_conflicts() {
    for data_type in [DataType::Set, DataType::Counter] {
        law::holds(data_type, None, |history| {
            let world = World::settled(history);
            let rows: BTreeMap<_, _> = world
                .replicas
                .iter()
                .flat_map(|r| &r.state.ledger)
                .collect();
            prop_assert!(rows.is_empty());
            Ok(())
        });
    }
}
