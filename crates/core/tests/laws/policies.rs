//! Policies are views: changing one changes every answer at once, in every region the same, and nothing
//! that is stored.

use atoll_core::collection::Regions;
use atoll_core::slot::{ConflictMark, Version};
use atoll_core::view::{Answer, Lens, answer, choose, fingerprint, siblings};
use atoll_core::{
    CollectionSpec, Content, DataType, Dot, Path, Policy, ReplicaId, Slot, Timestamp, UpdateDelete,
    Value,
};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::support::history::{History, World, all_specs, key, spec};
use crate::support::law;

/// Under each of the nine pairs of policies every region gives the same answer, from the same slots.
fn a_change_of_policy_changes_views_only(history: &History) -> TestCaseResult {
    let world = World::settled(history);
    for key in ["k", "k2"].map(key) {
        let mut all = world
            .replicas
            .iter()
            .map(|r| r.slots(&world.spec.name, &key));
        let slots = all.next().expect("a region");
        let others: Vec<_> = all.collect();
        let (before, tag) = (slots.clone(), fingerprint(&slots));
        for spec in all_specs(world.spec.data_type) {
            let lens = Lens {
                spec: &spec,
                ..world.lens()
            };
            let expected = (answer(&lens, &slots), siblings(&lens, &slots));
            for other in &others {
                prop_assert_eq!(&(answer(&lens, other), siblings(&lens, other)), &expected);
            }
        }
        prop_assert_eq!(&slots, &before);
        prop_assert_eq!(fingerprint(&slots), tag);
    }
    Ok(())
}

/// What is listed as a sibling lies in an object that is shown: never below a delete or a value alone.
///
/// Caught: listing every field that has several versions.
fn siblings_lie_in_what_is_shown(history: &History) -> TestCaseResult {
    let world = World::settled(history);
    for key in ["k", "k2"].map(key) {
        let slots = world.replicas[0].slots(&world.spec.name, &key);
        for spec in all_specs(world.spec.data_type) {
            let lens = Lens {
                spec: &spec,
                ..world.lens()
            };
            for field in siblings(&lens, &slots).into_iter().filter_map(|s| s.field) {
                let shows_object = |(path, slot): &&(Path, Slot)| {
                    let above = format!("{}/", path.pointer());
                    let objects = choose(&lens, slot).shown.into_iter();
                    !field.starts_with(&above)
                        || objects.map(|v| &v.content).any(|c| *c == Content::Object)
                };
                prop_assert!(slots.iter().all(|slot| shows_object(&slot)), "{field}");
            }
        }
    }
    Ok(())
}

#[test]
fn siblings_of_fields_lie_in_objects_that_are_shown() {
    law::holds(DataType::Document, None, siblings_lie_in_what_is_shown);
}

#[test]
fn a_change_of_policy_changes_views_of_registers_only() {
    law::holds(
        DataType::Register,
        None,
        a_change_of_policy_changes_views_only,
    );
}

#[test]
fn a_change_of_policy_changes_views_of_documents_only() {
    law::holds(
        DataType::Document,
        None,
        a_change_of_policy_changes_views_only,
    );
}

#[test]
fn a_change_of_policy_changes_views_of_maps_only() {
    law::holds(DataType::Map, None, a_change_of_policy_changes_views_only);
}

/// `a` from eu at 10, `b` from us at 20, a delete from ap at 30. OriginPriority lists eu, then us.
fn three_siblings(which: &str) -> Vec<(Path, Slot)> {
    let mut slot = Slot::default();
    for (name, replica, time) in [("a", 1, 10), ("b", 2, 20), ("x", 3, 30)] {
        if which.contains(name) {
            slot.insert(Version {
                dot: Dot::new(ReplicaId(replica), 1),
                time: Timestamp(time),
                content: match name {
                    "x" => Content::Tombstone,
                    value => Content::Value(Value::json(format!("\"{value}\""))),
                },
                creates: true,
                conflict: ConflictMark::default(),
            });
        }
    }
    vec![(Path::root(), slot)]
}

fn shown(spec: &CollectionSpec, which: &str) -> String {
    let mut regions = Regions::default();
    for (replica, name) in [(1, "eu"), (2, "us"), (3, "ap")] {
        regions.admit(ReplicaId(replica), name.parse().unwrap());
    }
    let lens = Lens {
        spec,
        regions: &regions,
    };
    match answer(&lens, &three_siblings(which)) {
        Answer::Absent => "absent".into(),
        Answer::One(value) => String::from_utf8(value.data.to_vec())
            .unwrap()
            .replace('"', ""),
        Answer::Several(several) => {
            let name = |value: Option<Value>| match value {
                Some(value) => String::from_utf8(value.data.to_vec())
                    .unwrap()
                    .replace('"', ""),
                None => "deleted".into(),
            };
            several
                .into_iter()
                .map(|s| name(s.value))
                .collect::<Vec<_>>()
                .join(" + ")
        }
    }
}

#[test]
fn what_each_policy_shows_of_a_register() {
    let eu_first = Policy::OriginPriority(["eu", "us"].map(|r| r.parse().unwrap()).to_vec());
    let mut table = String::new();
    for policy in [Policy::LastWriterWins, eu_first, Policy::KeepSiblings] {
        for update_delete in UpdateDelete::ALL {
            let spec = spec(DataType::Register, policy.clone(), update_delete);
            let cells = ["x", "a", "ab", "ax", "abx"].map(|which| shown(&spec, which));
            let row = format!(
                "{} {} | {}",
                policy.name(),
                update_delete.name(),
                cells.join(" | ")
            );
            table.push_str(&row);
            table.push('\n');
        }
    }
    // a: eu at 10, b: us at 20, x: a delete by ap at 30
    insta::assert_snapshot!(table, @r"
    LastWriterWins UpdateWins | absent | a | b | a | b
    LastWriterWins DeleteWins | absent | a | b | absent | absent
    LastWriterWins KeepBoth | absent | a | b | a + deleted | b + deleted
    OriginPriority UpdateWins | absent | a | a | a | a
    OriginPriority DeleteWins | absent | a | a | absent | absent
    OriginPriority KeepBoth | absent | a | a | a + deleted | a + deleted
    KeepSiblings UpdateWins | absent | a | a + b | a | a + b
    KeepSiblings DeleteWins | absent | a | a + b | absent | absent
    KeepSiblings KeepBoth | absent | a | a + b | a + deleted | a + b + deleted
    ");
}
