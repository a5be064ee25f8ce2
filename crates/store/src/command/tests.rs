//! The bytes of commands, pinned.

use super::*;
use crate::records::checks::{
    bytes, collection_names, hex, holds, keys, layouts, member_changes, specs, survives_damage,
    times, values, vectors,
};
use atoll_core::intent::{Action, Precondition};
use atoll_core::layout::{LayoutRegion, Role, Topology};
use atoll_core::{DataType, MemberState, Policy, UpdateDelete, Value};
use proptest::prelude::*;

/// The bytes of a command, checked as those of a record are. They are pinned: a snapshot that has to
/// change is a break of the format, and nodes of one region would read the same log differently.
fn check(command: &Command) -> String {
    let bytes = command.encode();
    assert_eq!(Command::decode(&bytes).as_ref(), Ok(command));
    for found in (0..=u8::MAX).filter(|&found| found != FORMAT) {
        let mut other = bytes.to_vec();
        other[0] = found;
        let refused = Command::decode(&other.into());
        let expected = BadRecord::NewerFormat { kind: KIND, found };
        assert_eq!(refused, Err(StoreError::Record(expected)));
    }
    survives_damage(&bytes, |damaged| drop(Command::decode(&damaged)));
    hex(&bytes)
}

fn now() -> Timestamp {
    Timestamp(0x0102_0304_0506_0708)
}

fn vector() -> VersionVector {
    [(ReplicaId(0xA1), 7), (ReplicaId(0xB2), 300)]
        .into_iter()
        .collect()
}

fn write(action: Action, precondition: Option<Precondition>) -> Command {
    let intent = Intent {
        collection: "c".parse().unwrap(),
        key: "k".parse().unwrap(),
        action,
        precondition,
        context: None,
    };
    Command::Write {
        now: now(),
        requests: vec![Request {
            intents: vec![intent],
            trace: Bytes::new(),
            idempotency: None,
        }],
    }
}

#[test]
fn announce_is_pinned() {
    insta::assert_snapshot!(check(&Command::Announce { now: now() }), @"01090807060504030201");
    // A clock at zero is there all the same.
    let now = Timestamp(0);
    insta::assert_snapshot!(check(&Command::Announce { now }), @"01090000000000000000");
}

#[test]
fn every_action_of_a_write_is_pinned() {
    let json = Action::Put(Value::json("1"));
    insta::assert_snapshot!(check(&write(json, None)), @"011218090807060504030201120d0a0b0a016312016b1a03120131");
    let picture = Action::Put(Value {
        media: Some("image/png".into()),
        data: Bytes::from_static(b"\x89PNG"),
    });
    insta::assert_snapshot!(check(&write(picture, None)), @r"
    011226090807060504030201121b0a190a016312016b1a110a09696d6167652f
    706e67120489504e47
    ");
    let patch = Action::Patch(Bytes::from_static(br#"{"a":null}"#));
    insta::assert_snapshot!(check(&write(patch, None)), @r"
    01121f09080706050403020112140a120a016312016b220a7b2261223a6e756c
    6c7d
    ");
    insta::assert_snapshot!(check(&write(Action::Delete, None)), @"011215090807060504030201120a0a080a016312016b2801");
    let ops = Action::Ops(Bytes::from_static(br#"{"increment":1}"#));
    insta::assert_snapshot!(check(&write(ops, None)), @r"
    01122409080706050403020112190a170a016312016b320f7b22696e6372656d
    656e74223a317d
    ");
}

#[test]
fn every_precondition_of_a_write_is_pinned() {
    let delete = |precondition| write(Action::Delete, Some(precondition));
    let matches = Precondition::Matches(0x0011_2233_4455_6677_8899_AABB_CCDD_EEFF);
    insta::assert_snapshot!(check(&delete(matches)), @r"
    011227090807060504030201121c0a1a0a016312016b28013a10ffeeddccbbaa
    99887766554433221100
    ");
    insta::assert_snapshot!(check(&delete(Precondition::Absent)), @"011217090807060504030201120c0a0a0a016312016b28014001");
    insta::assert_snapshot!(check(&delete(Precondition::Present)), @"011217090807060504030201120c0a0a0a016312016b28014801");
}

#[test]
fn a_write_of_several_requests_is_pinned() {
    let Command::Write { now, mut requests } = write(Action::Delete, None) else {
        unreachable!();
    };
    requests[0].intents[0].context = Some(vector());
    let saw_nothing = Intent {
        context: Some(VersionVector::new()),
        ..requests[0].intents[0].clone()
    };
    requests[0].intents.push(saw_nothing);
    requests.push(Request {
        trace: Bytes::from_static(b"00-0af7-b7ad-01"),
        ..requests[0].clone()
    });
    insta::assert_snapshot!(check(&Command::Write { now, requests }), @r"
    01127c090807060504030201122f0a210a016312016b280152170a10a1000000
    00000000b200000000000000120307ac020a0a0a016312016b2801520012400a
    210a016312016b280152170a10a100000000000000b200000000000000120307
    ac020a0a0a016312016b28015200120f30302d306166372d623761642d3031
    ");
}

#[test]
fn remote_is_pinned() {
    let remote = Command::Remote {
        now: now(),
        sender: ReplicaId(0xB2),
        frames: vec![Bytes::from_static(b"one").into(), Bytes::new().into()],
    };
    insta::assert_snapshot!(check(&remote), @"011a1909080706050403020111b2000000000000001a036f6e651a00");
}

#[test]
fn configure_is_pinned() {
    let spec = |name: &str, policy| CollectionSpec {
        name: name.parse().unwrap(),
        data_type: DataType::Document,
        policy,
        update_delete: UpdateDelete::KeepBoth,
    };
    let origins = vec!["eu".parse().unwrap(), "us".parse().unwrap()];
    let configure = Command::Configure {
        collections: vec![
            spec("a", Policy::KeepSiblings),
            spec("b", Policy::OriginPriority(origins)),
        ],
    };
    insta::assert_snapshot!(check(&configure), @r"
    0122580a250a01611208446f63756d656e741a0c4b6565705369626c696e6773
    2a084b656570426f74680a2f0a01621208446f63756d656e741a0e4f72696769
    6e5072696f7269747922026575220275732a084b656570426f7468
    ");
}

#[test]
fn stable_is_pinned() {
    insta::assert_snapshot!(check(&Command::Stable { vector: vector() }), @"012a170a10a100000000000000b200000000000000120307ac02");
}

#[test]
fn trim_is_pinned() {
    let trim = Command::Trim {
        before: now(),
        rows_max: 100_000,
    };
    insta::assert_snapshot!(check(&trim), @"01320d09080706050403020110a08d06");
}

#[test]
fn changes_of_members_and_layouts_are_pinned() {
    insta::assert_snapshot!(check(&Command::Join { now: now() }), @"01410807060504030201");
    let change = MemberChange {
        replica: ReplicaId(0xB2),
        region: "us".parse().unwrap(),
        state: MemberState::Retired,
        revision: 4,
        last: 300,
    };
    insta::assert_snapshot!(check(&Command::Member { now: now(), change }), @r"
    014a1f090807060504030201121409b200000000000000120275731803200428
    ac02
    ");
    let name = |name: &str| name.parse().unwrap();
    let region = |n: &str, role, endpoints: &[&str]| LayoutRegion {
        name: name(n),
        role,
        endpoints: endpoints.iter().map(ToString::to_string).collect(),
    };
    let topologies = [
        Topology::AllToAll,
        Topology::Ring {
            order: vec![name("us"), name("eu")],
        },
        Topology::Star { hub: name("eu") },
        Topology::Custom {
            links: vec![(name("eu"), name("us")), (name("us"), name("eu"))],
        },
    ];
    let layouts = topologies.map(|topology| {
        check(&Command::Layout {
            now: now(),
            layout: Layout {
                revision: 2,
                topology,
                regions: vec![
                    region("eu", Role::Leader, &["http://eu:1"]),
                    region("us", Role::ReadOnly, &[]),
                ],
            },
        })
    });
    insta::assert_snapshot!(layouts.join("\n\n"), @r"
    01522a090807060504030201121f0802100132110a0265751a0b687474703a2f
    2f65753a3132060a0275731001

    0152320908070605040302011227080210021a0275731a02657532110a026575
    1a0b687474703a2f2f65753a3132060a0275731001

    01522e0908070605040302011223080210032202657532110a0265751a0b6874
    74703a2f2f65753a3132060a0275731001

    01523e0908070605040302011233080210042a080a026575120275732a080a02
    75731202657532110a0265751a0b687474703a2f2f65753a3132060a02757310
    01
    ");
}

#[test]
fn forget_is_pinned() {
    let forget = Command::Forget {
        before: now(),
        keys_max: 1_000_000,
    };
    insta::assert_snapshot!(check(&forget), @"013a0d09080706050403020110c0843d");
}

#[test]
fn a_write_with_an_idempotency_key_is_pinned() {
    let Command::Write { now, mut requests } = write(Action::Delete, None) else {
        unreachable!();
    };
    requests[0].idempotency = Some("order-7".parse().unwrap());
    insta::assert_snapshot!(check(&Command::Write { now, requests }), @r"
    01121e09080706050403020112130a080a016312016b28011a076f726465722d
    37
    ");
}

#[test]
fn a_command_of_a_later_kind_asks_for_an_upgrade() {
    // Field 15, which nobody has given out.
    let refused = Command::decode(&Bytes::from_static(&[FORMAT, 0x78, 1])).unwrap_err();
    assert!(
        refused.to_string().contains("upgrade this node"),
        "{refused}"
    );
}

fn intents() -> impl Strategy<Value = Intent> {
    let action = prop_oneof![
        values().prop_map(Action::Put),
        bytes().prop_map(Action::Patch),
        Just(Action::Delete),
        bytes().prop_map(Action::Ops),
    ];
    let precondition = prop_oneof![
        any::<u128>().prop_map(Precondition::Matches),
        Just(Precondition::Absent),
        Just(Precondition::Present),
    ];
    (
        collection_names(),
        keys(),
        action,
        prop::option::of(precondition),
        prop::option::of(vectors()),
    )
        .prop_map(|(collection, key, action, precondition, context)| Intent {
            collection,
            key,
            action,
            precondition,
            context,
        })
}

fn commands() -> impl Strategy<Value = Command> {
    let key = "[!-~]{1,3}".prop_map(|key: String| key.parse().unwrap());
    let request = (
        prop::collection::vec(intents(), 0..3),
        bytes(),
        prop::option::of(key),
    )
        .prop_map(|(intents, trace, idempotency)| Request {
            intents,
            trace,
            idempotency,
        });
    let requests = prop::collection::vec(request, 0..3);
    let frames = prop::collection::vec(bytes().prop_map_into::<EntryFrame>(), 0..3);
    prop_oneof![
        times().prop_map(|now| Command::Announce { now }),
        times().prop_map(|now| Command::Join { now }),
        (times(), member_changes()).prop_map(|(now, change)| Command::Member { now, change }),
        (times(), layouts()).prop_map(|(now, layout)| Command::Layout { now, layout }),
        (times(), requests).prop_map(|(now, requests)| Command::Write { now, requests }),
        (times(), any::<u64>(), frames).prop_map(|(now, sender, frames)| Command::Remote {
            now,
            sender: ReplicaId(sender),
            frames,
        }),
        prop::collection::vec(specs(), 0..3)
            .prop_map(|collections| Command::Configure { collections }),
        vectors().prop_map(|vector| Command::Stable { vector }),
        (times(), any::<u64>()).prop_map(|(before, rows_max)| Command::Trim { before, rows_max }),
        (times(), any::<u64>()).prop_map(|(before, keys_max)| Command::Forget { before, keys_max }),
    ]
}

#[test]
fn every_command_comes_back() {
    holds(&commands(), |command| {
        prop_assert_eq!(Command::decode(&command.encode()), Ok(command));
        Ok(())
    });
}
