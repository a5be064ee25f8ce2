//! What the tests of every record kind share: one check of its bytes, and random parts.

use std::fmt::Debug;

use atoll_core::content::{Class, Content, Value};
use atoll_core::counter::{Contribution, Counter, Discount, Floor, Position};
use atoll_core::layout::{LayoutRegion, Role, Topology};
use atoll_core::slot::{ConflictMark, HistoryEnd, Partner, Slot, Superseded, Version};
use atoll_core::state::SlotName;
use atoll_core::{
    CollectionName, CollectionSpec, DataType, Dot, Key, Layout, MemberChange, MemberState, Path,
    Policy, RegionName, ReplicaId, Timestamp, UpdateDelete, VersionVector,
};
use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;

use super::{BadRecord, FORMAT};

/// Cases of cheap properties.
pub(crate) const CASES: u32 = 10_000;

/// Checks a record kind on one value and answers with its bytes, to be pinned.
///
/// The value comes back; every other format byte is refused by the kind's name; bytes that are cut, flipped
/// or made up end in a value or an error and never in a panic.
pub(crate) fn check<T: PartialEq + Debug>(
    kind: &str,
    value: &T,
    encode: impl Fn(&T) -> Vec<u8>,
    decode: impl Fn(Bytes) -> Result<T, BadRecord>,
) -> String {
    let bytes = encode(value);
    assert_eq!(decode(bytes.clone().into()).as_ref(), Ok(value));
    for format in (0..=u8::MAX).filter(|&format| format != FORMAT) {
        let mut other = bytes.clone();
        other[0] = format;
        let refused = decode(other.into()).unwrap_err();
        assert!(
            matches!(refused, BadRecord::NewerFormat { kind: named, found } if named == kind && found == format),
            "{refused}"
        );
    }
    survives_damage(&bytes, |damaged| drop(decode(damaged)));
    hex(&bytes)
}

/// Calls `read` with `bytes` cut everywhere, with random bits flipped, and with made up bytes.
pub(crate) fn survives_damage(bytes: &[u8], read: impl Fn(Bytes)) {
    for end in 0..bytes.len() {
        read(Bytes::copy_from_slice(&bytes[..end]));
    }
    let flips = prop::collection::vec((any::<Index>(), 1..=u8::MAX), 1..4);
    holds(
        &(
            flips,
            any::<Index>(),
            prop::collection::vec(any::<u8>(), 0..64),
        ),
        |(flips, cut, mut made_up)| {
            let mut damaged = bytes.to_vec();
            for (at, bits) in flips {
                let at = at.index(damaged.len());
                damaged[at] ^= bits;
            }
            let cut = cut.index(damaged.len()) + 1;
            read(damaged[..cut].to_vec().into());
            read(damaged.into());
            read(made_up.clone().into());
            made_up.insert(0, FORMAT);
            read(made_up.into());
            Ok(())
        },
    );
}

/// Checks a fact on [`CASES`] values; nothing is written into the tree.
pub(crate) fn holds<S: Strategy>(
    strategy: &S,
    fact: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(CASES)
    };
    if let Err(failure) = TestRunner::new(config).run(strategy, fact) {
        panic!("{failure}");
    }
}

/// Bytes as people compare them, 32 a line.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let line = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
    bytes.chunks(32).map(line).collect::<Vec<_>>().join("\n")
}

pub(crate) fn dot(replica: u64, seq: u64) -> Dot {
    Dot::new(ReplicaId(replica), seq)
}

pub(crate) fn at(collection: &str, key: &str, path: &[&str]) -> SlotName {
    SlotName {
        collection: collection.parse().unwrap(),
        key: key.parse().unwrap(),
        path: path
            .iter()
            .fold(Path::root(), |p, segment| p.child(segment.as_bytes())),
    }
}

/// Few numbers, and the greatest: often equal, often far apart.
fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![0..4_u64, any::<u64>(), Just(u64::MAX)]
}

pub(crate) fn dots() -> impl Strategy<Value = Dot> {
    (numbers(), numbers()).prop_map(|(replica, seq)| dot(replica, seq))
}

pub(crate) fn times() -> impl Strategy<Value = Timestamp> {
    numbers().prop_map(Timestamp)
}

pub(crate) fn vectors() -> impl Strategy<Value = VersionVector> {
    let component = (numbers().prop_map(ReplicaId), numbers());
    prop::collection::vec(component, 0..4).prop_map(|all| all.into_iter().collect())
}

pub(crate) fn partners() -> impl Strategy<Value = Partner> {
    (times(), dots()).prop_map(|(time, dot)| Partner { time, dot })
}

pub(crate) fn marks() -> impl Strategy<Value = ConflictMark> {
    let met = prop::collection::vec(numbers().prop_map(ReplicaId), 0..3);
    (prop::option::of(partners()), met).prop_map(|(partner, met)| ConflictMark { partner, met })
}

pub(crate) fn classes() -> impl Strategy<Value = Class> {
    prop::sample::select(Class::ALL.to_vec())
}

pub(crate) fn bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from)
}

pub(crate) fn values() -> impl Strategy<Value = Value> {
    let media = prop::option::of(prop::sample::select(vec!["text/plain", "image/png"]));
    (media, bytes()).prop_map(|(media, data)| Value {
        media: media.map(Into::into),
        data,
    })
}

fn contents() -> impl Strategy<Value = Content> {
    prop_oneof![
        values().prop_map(Content::Value),
        Just(Content::Object),
        Just(Content::Tombstone)
    ]
}

fn versions() -> impl Strategy<Value = Version> {
    (dots(), times(), contents(), any::<bool>(), marks()).prop_map(
        |(dot, time, content, creates, conflict)| Version {
            dot,
            time,
            content,
            creates,
            conflict,
        },
    )
}

pub(crate) fn superseded() -> impl Strategy<Value = Superseded> {
    (versions(), dots()).prop_map(|(version, by)| version.superseded(by))
}

fn positions() -> impl Strategy<Value = Position> {
    (numbers(), any::<u32>()).prop_map(|(seq, index)| Position { seq, index })
}

pub(crate) fn floors() -> impl Strategy<Value = Floor> {
    (numbers(), positions(), any::<i128>()).prop_map(|(replica, position, total)| Floor {
        replica: ReplicaId(replica),
        position,
        total,
    })
}

fn contributions() -> impl Strategy<Value = Contribution> {
    (floors(), positions(), any::<i128>()).prop_map(|(top, floor, floor_total)| Contribution {
        replica: top.replica,
        position: top.position,
        total: top.total,
        floor,
        floor_total,
    })
}

fn discounts() -> impl Strategy<Value = Discount> {
    (numbers(), positions(), any::<i64>()).prop_map(|(replica, position, delta)| Discount {
        replica: ReplicaId(replica),
        position,
        delta,
    })
}

pub(crate) fn slots() -> impl Strategy<Value = Slot> {
    let end = (classes(), any::<u64>(), dots()).prop_map(|(class, first, last)| HistoryEnd {
        class,
        first,
        last,
    });
    (
        prop::collection::vec(versions(), 0..4),
        prop::collection::vec(end, 0..4),
        prop::collection::vec(contributions(), 0..3),
        prop::collection::vec(discounts(), 0..3),
    )
        .prop_map(|(siblings, history, contributions, discounts)| Slot {
            siblings,
            history,
            counter: Counter {
                contributions,
                discounts,
            },
        })
}

pub(crate) fn collection_names() -> impl Strategy<Value = CollectionName> {
    prop::sample::select(vec!["a", "a-", "a.b", "a0", "aa", "b", "z_"])
        .prop_map(|name| name.parse().unwrap())
}

/// Short, of the characters that escapes and bounds can stumble over.
pub(crate) fn keys() -> impl Strategy<Value = Key> {
    let character =
        prop::sample::select(vec!['\0', '\u{1}', 'a', '\u{7f}', '\u{ff}', '\u{10ffff}']);
    prop::collection::vec(character, 1..4)
        .prop_map(|all| all.into_iter().collect::<String>().parse().unwrap())
}

pub(crate) fn paths() -> impl Strategy<Value = Path> {
    let byte = prop::sample::select(vec![0, 1, b'a', 0xFE, 0xFF]);
    let segments = prop::collection::vec(prop::collection::vec(byte, 0..3), 0..3);
    segments.prop_map(|all| all.iter().fold(Path::root(), |p, segment| p.child(segment)))
}

pub(crate) fn slot_names() -> impl Strategy<Value = SlotName> {
    (collection_names(), keys(), paths()).prop_map(|(collection, key, path)| SlotName {
        collection,
        key,
        path,
    })
}

pub(crate) fn region_names() -> impl Strategy<Value = RegionName> {
    prop::sample::select(vec!["eu", "us-east-1", "ap"]).prop_map(|name| name.parse().unwrap())
}

pub(crate) fn member_changes() -> impl Strategy<Value = MemberChange> {
    let state = prop::sample::select(MemberState::ALL.to_vec());
    (numbers(), region_names(), state, numbers(), numbers()).prop_map(
        |(replica, region, state, revision, last)| MemberChange {
            replica: ReplicaId(replica),
            region,
            state,
            revision,
            last,
        },
    )
}

pub(crate) fn layouts() -> impl Strategy<Value = Layout> {
    let names = || prop::collection::vec(region_names(), 0..3);
    let topology = prop_oneof![
        Just(Topology::AllToAll),
        names().prop_map(|order| Topology::Ring { order }),
        region_names().prop_map(|hub| Topology::Star { hub }),
        prop::collection::vec((region_names(), region_names()), 0..3)
            .prop_map(|links| Topology::Custom { links }),
    ];
    let role = prop_oneof![Just(Role::Leader), Just(Role::ReadOnly)];
    let endpoints = prop::collection::vec("[a-z:/.]{0,9}", 0..3);
    let region =
        (region_names(), role, endpoints).prop_map(|(name, role, endpoints)| LayoutRegion {
            name,
            role,
            endpoints,
        });
    (numbers(), topology, prop::collection::vec(region, 0..3)).prop_map(
        |(revision, topology, regions)| Layout {
            revision,
            topology,
            regions,
        },
    )
}

pub(crate) fn specs() -> impl Strategy<Value = CollectionSpec> {
    let policy = prop_oneof![
        Just(Policy::LastWriterWins),
        Just(Policy::KeepSiblings),
        prop::collection::vec(region_names(), 0..3).prop_map(Policy::OriginPriority),
    ];
    (
        collection_names(),
        prop::sample::select(DataType::ALL.to_vec()),
        policy,
        prop::sample::select(UpdateDelete::ALL.to_vec()),
    )
        .prop_map(|(name, data_type, policy, update_delete)| CollectionSpec {
            name,
            data_type,
            policy,
            update_delete,
        })
}
