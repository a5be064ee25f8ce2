//! Preconditions and refusals: a write that is refused changes nothing.

use atoll_core::intent::{Action, Intent, Precondition, Rejection};
use atoll_core::view::fingerprint;
use atoll_core::{DataType, Policy, Timestamp, UpdateDelete, Value};

use crate::support::history::{World, key, spec};

fn intent(action: Action, precondition: Option<Precondition>) -> Intent {
    Intent {
        collection: "c".parse().unwrap(),
        key: key("k"),
        action,
        precondition,
        context: None,
    }
}

fn write(world: &mut World, intents: &[Intent]) -> Result<bool, Rejection> {
    let (spec, regions) = (world.spec.clone(), world.regions.clone());
    let lens = atoll_core::view::Lens {
        spec: &spec,
        regions: &regions,
    };
    let written = world.replicas[0].write(lens, intents, Timestamp::from_millis(1));
    written.map(|entry| entry.is_some())
}

fn world(data_type: DataType) -> World {
    let spec = spec(data_type, Policy::LastWriterWins, UpdateDelete::UpdateWins);
    World::new(spec, &[0])
}

fn tag(world: &World) -> Precondition {
    let slots = world.replicas[0].slots(&world.spec.name, &key("k"));
    Precondition::Matches(fingerprint(&slots))
}

#[test]
fn a_write_is_refused_when_its_precondition_does_not_hold() {
    let put = |precondition| [intent(Action::Put(Value::json("{}")), Some(precondition))];
    let failed = |result| matches!(result, Err(Rejection::PreconditionFailed(_)));
    for data_type in [DataType::Register, DataType::Document] {
        let world = &mut world(data_type);
        let before = tag(world);
        assert!(failed(write(world, &put(Precondition::Present))));
        assert!(write(world, &put(Precondition::Absent)).unwrap());
        assert!(failed(write(world, &put(Precondition::Absent))));
        assert!(
            failed(write(world, &put(before))),
            "the tag of nothing is old"
        );
        let current = tag(world);
        assert!(write(world, &put(current)).unwrap());
        assert!(failed(write(world, &put(current))), "a tag serves once");
        assert!(write(world, &put(Precondition::Present)).unwrap());
        let delete = intent(Action::Delete, Some(tag(world)));
        assert!(write(world, &[delete]).unwrap());
        assert!(
            failed(write(world, &put(Precondition::Present))),
            "deleted is absent"
        );
        assert!(write(world, &put(Precondition::Absent)).unwrap());
    }
}

#[test]
fn a_batch_is_refused_whole() {
    let mut world = world(DataType::Register);
    let put = |text: &'static str| Action::Put(Value::json(text));
    assert!(write(&mut world, &[intent(put("1"), None)]).unwrap());
    let (before, applied) = (tag(&world), world.replicas[0].applied.clone());
    let batch = [
        intent(put("2"), None),
        intent(put("3"), Some(Precondition::Absent)),
    ];
    assert!(write(&mut world, &batch).is_err());
    assert_eq!(
        (tag(&world), &world.replicas[0].applied),
        (before, &applied)
    );
    // What follows in a batch has seen what came before it.
    let batch = [
        intent(Action::Delete, None),
        intent(put("3"), Some(Precondition::Absent)),
    ];
    assert!(write(&mut world, &batch).unwrap());
}

#[test]
fn what_changes_nothing_makes_no_entry() {
    for data_type in DataType::ALL {
        let mut world = world(data_type);
        assert!(
            !write(&mut world, &[intent(Action::Delete, None)]).unwrap(),
            "{data_type:?}"
        );
        assert!(world.replicas[0].applied.is_empty());
    }
}

#[test]
fn a_field_of_a_map_keeps_its_kind_until_it_is_removed() {
    let mut world = world(DataType::Map);
    let ops = |text: &'static str| [intent(Action::Ops(text.into()), None)];
    let mismatch = |result| matches!(result, Err(Rejection::TypeMismatch(_)));
    assert!(write(&mut world, &ops(r#"{"put": {"f": 1}}"#)).unwrap());
    assert!(mismatch(write(
        &mut world,
        &ops(r#"{"increment": {"f": 1}}"#)
    )));
    assert!(mismatch(write(&mut world, &ops(r#"{"add": {"f": [1]}}"#))));
    assert!(
        write(
            &mut world,
            &ops(r#"{"remove": ["f"], "increment": {"f": 1}}"#)
        )
        .unwrap()
    );
    assert!(mismatch(write(&mut world, &ops(r#"{"put": {"f": 1}}"#))));
    assert!(write(&mut world, &ops(r#"{"remove": ["f"]}"#)).unwrap());
    assert!(write(&mut world, &ops(r#"{"add": {"f": [1]}}"#)).unwrap());
}
