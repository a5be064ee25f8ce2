//! Documents: JSON in, the same JSON out; a patch is a JSON Merge Patch; different fields never conflict.

use atoll_core::intent::{Action, Rejection};
use atoll_core::{DataType, Policy, UpdateDelete, Value};
use proptest::prelude::*;
use proptest::strategy::Union;
use serde_json::{Map, Value as Json, json};

use crate::support::history::{World, any_policy, key, spec};
use crate::support::law;
use crate::support::model::{as_json, merge_patch};

fn world(policy: Policy, replicas: usize) -> World {
    World::new(
        spec(DataType::Document, policy, UpdateDelete::UpdateWins),
        &[0, 7, -3][..replicas],
    )
}

fn put(document: &Json) -> Action {
    Action::Put(Value::json(document.to_string()))
}

fn patch(patch: &Json) -> Action {
    Action::Patch(patch.to_string().into())
}

fn write(world: &mut World, by: usize, action: Action) -> Result<(), Rejection> {
    world.write(by, &[(key("k"), action)], None).map(|_| ())
}

fn shown(world: &World, by: usize) -> Option<Json> {
    as_json(&world.replicas[by].answer(world.lens(), &key("k")))
}

/// Any JSON, with few names so that documents and patches meet.
fn any_json() -> impl Strategy<Value = Json> {
    let names = Union::new(["a", "b", "c", "", "a/b~", "\u{0}é"].map(Just)).prop_map(str::to_owned);
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        "[ -~é]{0,4}".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 12, 3, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
            prop::collection::vec((names.clone(), inner), 0..4)
                .prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

fn any_object() -> impl Strategy<Value = Json> {
    prop::collection::vec(("[abc]", any_json()), 0..4)
        .prop_map(|fields| Json::Object(fields.into_iter().collect()))
}

#[test]
fn a_document_put_is_the_document_got() {
    law::check(
        &(any_policy(), any_object(), any_object()),
        |(policy, first, second)| {
            let mut world = world(policy, 1);
            write(&mut world, 0, put(&first)).unwrap();
            prop_assert_eq!(shown(&world, 0), Some(first));
            write(&mut world, 0, put(&second)).unwrap();
            prop_assert_eq!(shown(&world, 0), Some(second));
            Ok(())
        },
    );
}

#[test]
fn a_patch_is_a_json_merge_patch() {
    let patches = prop::collection::vec(any_object(), 1..4);
    law::check(
        &(any_policy(), any_object(), patches),
        |(policy, first, patches)| {
            let mut world = world(policy, 1);
            write(&mut world, 0, put(&first)).unwrap();
            let mut expected = first;
            for given in &patches {
                write(&mut world, 0, patch(given)).unwrap();
                expected = merge_patch(Some(expected), given);
                prop_assert_eq!(shown(&world, 0), Some(expected.clone()));
            }
            Ok(())
        },
    );
}

/// The table of RFC 7396, appendix A: those of its rows in which both sides are objects.
#[test]
fn the_examples_of_rfc_7396_come_out() {
    let table = [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (
            json!({"a": "b"}),
            json!({"b": "c"}),
            json!({"a": "b", "b": "c"}),
        ),
        (json!({"a": "b"}), json!({"a": null}), json!({})),
        (
            json!({"a": "b", "b": "c"}),
            json!({"a": null}),
            json!({"b": "c"}),
        ),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
        (
            json!({"a": {"b": "c"}}),
            json!({"a": {"b": "d", "c": null}}),
            json!({"a": {"b": "d"}}),
        ),
        (
            json!({"a": [{"b": "c"}]}),
            json!({"a": [1]}),
            json!({"a": [1]}),
        ),
        (
            json!({"e": null}),
            json!({"a": 1}),
            json!({"e": null, "a": 1}),
        ),
        (
            json!({}),
            json!({"a": {"bb": {"ccc": null}}}),
            json!({"a": {"bb": {}}}),
        ),
        // The example of section 3.
        (
            json!({
                "title": "Goodbye!",
                "author": {"givenName": "John", "familyName": "Doe"},
                "tags": ["example", "sample"],
                "content": "This will be unchanged"
            }),
            json!({
                "title": "Hello!",
                "phoneNumber": "+01-123-456-7890",
                "author": {"familyName": null},
                "tags": ["example"]
            }),
            json!({
                "title": "Hello!",
                "author": {"givenName": "John"},
                "tags": ["example"],
                "content": "This will be unchanged",
                "phoneNumber": "+01-123-456-7890"
            }),
        ),
    ];
    for (target, given, result) in table {
        let mut world = world(Policy::LastWriterWins, 1);
        write(&mut world, 0, put(&target)).unwrap();
        write(&mut world, 0, patch(&given)).unwrap();
        assert_eq!(
            shown(&world, 0),
            Some(result.clone()),
            "{target} patched with {given}"
        );
        assert_eq!(
            merge_patch(Some(target), &given),
            result,
            "the model itself"
        );
    }
}

/// A patch makes a document where there is none, as the RFC's `[1,2]` patched with an object does.
#[test]
fn a_patch_of_nothing_makes_a_document() {
    let mut world = world(Policy::LastWriterWins, 1);
    write(&mut world, 0, patch(&json!({"a": "b", "c": null}))).unwrap();
    assert_eq!(shown(&world, 0), Some(json!({"a": "b"})));
}

/// The rows of the RFC's table in which a side is no object: a Document is one and stays one.
#[test]
fn what_is_no_object_is_refused() {
    let mut world = world(Policy::LastWriterWins, 1);
    for other in [json!(["c"]), json!(null), json!("bar"), json!(1)] {
        for action in [put(&other), patch(&other)] {
            let refused = write(&mut world, 0, action).unwrap_err();
            assert!(
                matches!(refused, Rejection::TypeMismatch(_)),
                "{other}: {refused:?}"
            );
        }
    }
    assert_eq!(shown(&world, 0), None);
}

/// A client deletes an object that somebody else has changed since: the delete is there beside the change.
#[test]
fn a_delete_of_a_field_with_an_old_context_conflicts_with_what_it_had_not_seen() {
    let mut world = world(Policy::LastWriterWins, 1);
    write(&mut world, 0, put(&json!({"a": {"x": 1}}))).unwrap();
    let seen = world.replicas[0].applied.clone();
    write(&mut world, 0, patch(&json!({"a": {"y": 2}}))).unwrap();
    world
        .write(0, &[(key("k"), patch(&json!({"a": null})))], Some(seen))
        .unwrap();
    assert_eq!(shown(&world, 0), Some(json!({"a": {"y": 2}})));
    assert_eq!(world.replicas[0].state.ledger.len(), 1);
    world.spec.update_delete = UpdateDelete::DeleteWins;
    assert_eq!(shown(&world, 0), Some(json!({})));
}

/// Two regions patch different fields of one document at once: both patches are there, and nobody conflicts.
#[test]
fn different_fields_changed_on_both_sides_both_survive() {
    let below = |name: &'static str| {
        prop::collection::vec(("[xyz]", any_json()), 0..3).prop_map(move |fields| {
            let fields: Map<String, Json> = fields.into_iter().collect();
            json!({ name: fields })
        })
    };
    let sides = (any_policy(), any_object(), below("left"), below("right"));
    law::check(&sides, |(policy, base, left, right)| {
        let mut world = world(policy, 2);
        write(&mut world, 0, put(&base)).unwrap();
        world.sync();
        write(&mut world, 0, patch(&left)).unwrap();
        write(&mut world, 1, patch(&right)).unwrap();
        world.sync();
        let expected = merge_patch(Some(merge_patch(Some(base), &left)), &right);
        for by in [0, 1] {
            prop_assert_eq!(shown(&world, by), Some(expected.clone()));
            prop_assert!(world.replicas[by].state.ledger.is_empty());
        }
        Ok(())
    });
}
