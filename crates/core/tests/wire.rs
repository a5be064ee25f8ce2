//! The bytes of entries and intents: what is written is read, what is damaged is named, and what was
//! written by an earlier build stays readable.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use atoll_core::counter::{Floor, Position};
use atoll_core::idempotency::Idempotency;
use atoll_core::intent::{Action, Intent, Precondition};
use atoll_core::layout::{LayoutRegion, Role, Topology};
use atoll_core::wire::{
    BadFrame, EntryFrame, FRAME_HEADER_BYTES, Origin, decode_entry, decode_header, decode_origin,
    encode_entry, next_frame, pb, split_frame,
};
use atoll_core::{
    Content, Dot, Entry, Key, Layout, MemberChange, MemberState, Operation, Path, RegionName,
    ReplicaId, SlotWrite, Timestamp, Value, VersionVector,
};
use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;

fn cases() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(10_000)
    }
}

fn any_bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..6).prop_map(Bytes::from)
}

fn any_vector() -> impl Strategy<Value = VersionVector> {
    let component = (any::<u64>().prop_map(ReplicaId), any::<u64>());
    prop::collection::vec(component, 0..4).prop_map(|components| components.into_iter().collect())
}

fn any_value() -> impl Strategy<Value = Value> {
    let media = prop_oneof![Just(None), Just(Some("image/png".into()))];
    (media, any_bytes()).prop_map(|(media, data)| Value { media, data })
}

fn any_path() -> impl Strategy<Value = Path> {
    let segments = prop::collection::vec(any_bytes(), 0..3);
    segments.prop_map(|segments| segments.iter().fold(Path::root(), |path, s| path.child(s)))
}

fn any_content() -> impl Strategy<Value = Content> {
    prop_oneof![
        any_value().prop_map(Content::Value),
        Just(Content::Object),
        Just(Content::Tombstone)
    ]
}

fn any_floor() -> impl Strategy<Value = Floor> {
    (any::<u64>(), any::<u64>(), any::<u32>(), any::<i128>()).prop_map(
        |(replica, seq, index, total)| Floor {
            replica: ReplicaId(replica),
            position: Position { seq, index },
            total,
        },
    )
}

fn any_write() -> impl Strategy<Value = SlotWrite> {
    prop_oneof![
        (any_path(), any_content(), any::<bool>(), any::<bool>()).prop_map(
            |(path, content, clear, creates)| SlotWrite::Assign {
                path,
                content,
                clear,
                creates,
            }
        ),
        any_path().prop_map(|path| SlotWrite::Mark { path }),
        any_path().prop_map(|path| SlotWrite::Drop { path }),
        (any_path(), any::<i64>()).prop_map(|(path, delta)| SlotWrite::Add { path, delta }),
        (any_path(), prop::collection::vec(any_floor(), 0..3))
            .prop_map(|(path, floors)| SlotWrite::Reset { path, floors }),
    ]
}

fn any_key() -> impl Strategy<Value = Key> {
    "[a-zé\u{0}]{1,4}".prop_map(|key| key.parse().unwrap())
}

fn any_operation() -> impl Strategy<Value = Operation> {
    let writes = prop::collection::vec(any_write(), 0..4);
    (any_key(), prop::option::of(any_vector()), writes).prop_map(|(key, context, writes)| {
        Operation {
            collection: "shop.carts".parse().unwrap(),
            key,
            context,
            writes,
        }
    })
}

fn any_region() -> impl Strategy<Value = RegionName> {
    "[a-z][a-z0-9]{0,2}".prop_map(|name| name.parse().unwrap())
}

fn any_member() -> impl Strategy<Value = MemberChange> {
    let state = prop::sample::select(MemberState::ALL.to_vec());
    (
        any::<u64>(),
        any_region(),
        state,
        any::<u64>(),
        any::<u64>(),
    )
        .prop_map(|(replica, region, state, revision, last)| MemberChange {
            replica: ReplicaId(replica),
            region,
            state,
            revision,
            last,
        })
}

fn any_layout() -> impl Strategy<Value = Layout> {
    let names = || prop::collection::vec(any_region(), 0..3);
    let topology = prop_oneof![
        Just(Topology::AllToAll),
        names().prop_map(|order| Topology::Ring { order }),
        any_region().prop_map(|hub| Topology::Star { hub }),
        prop::collection::vec((any_region(), any_region()), 0..3)
            .prop_map(|links| Topology::Custom { links }),
    ];
    let role = prop_oneof![Just(Role::Leader), Just(Role::ReadOnly)];
    let endpoints = prop::collection::vec("[a-z:/]{0,5}", 0..3);
    let region = (any_region(), role, endpoints).prop_map(|(name, role, endpoints)| LayoutRegion {
        name,
        role,
        endpoints,
    });
    (any::<u64>(), topology, prop::collection::vec(region, 0..3)).prop_map(
        |(revision, topology, regions)| Layout {
            revision,
            topology,
            regions,
        },
    )
}

fn any_idempotency() -> impl Strategy<Value = Idempotency> {
    ("[!-~]{1,4}", any::<u128>()).prop_map(|(key, request)| Idempotency {
        key: key.parse().unwrap(),
        request,
    })
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let operations = prop::collection::vec(any_operation(), 0..3);
    let name = prop_oneof![Just(None), Just(Some("eu-west".parse().unwrap()))];
    let dot = (1..=u64::MAX, 1..=u64::MAX);
    (
        dot,
        0..=Timestamp::LATEST.0,
        any_vector(),
        operations,
        any_bytes(),
        (name, prop::option::of(any_idempotency())),
        prop::option::of(any_member()),
        prop::option::of(any_layout()),
    )
        .prop_map(
            |(
                (replica, seq),
                time,
                others,
                operations,
                trace,
                (announces, idempotency),
                member,
                layout,
            )| {
                let dot = Dot::new(ReplicaId(replica), seq);
                let own = std::iter::once((dot.replica, seq - 1));
                let dependencies = others
                    .iter()
                    .filter(|(r, _)| *r != dot.replica)
                    .chain(own)
                    .collect();
                Entry {
                    dot,
                    time: Timestamp(time),
                    dependencies,
                    operations,
                    trace,
                    announces,
                    member,
                    layout,
                    idempotency,
                }
            },
        )
}

fn any_intent() -> impl Strategy<Value = Intent> {
    let action = prop_oneof![
        any_value().prop_map(Action::Put),
        any_bytes().prop_map(Action::Patch),
        Just(Action::Delete),
        any_bytes().prop_map(Action::Ops),
    ];
    let precondition = prop_oneof![
        Just(None),
        any::<u128>().prop_map(|tag| Some(Precondition::Matches(tag))),
        Just(Some(Precondition::Absent)),
        Just(Some(Precondition::Present)),
    ];
    (
        any_key(),
        action,
        precondition,
        prop::option::of(any_vector()),
    )
        .prop_map(|(key, action, precondition, context)| Intent {
            collection: "pages".parse().unwrap(),
            key,
            action,
            precondition,
            context,
        })
}

fn read_intent(bytes: &[u8]) -> Result<Intent, BadFrame> {
    pb::Intent::decode(bytes).unwrap().try_into()
}

/// A frame around any message, with a checksum that fits.
fn frame(message: &[u8]) -> Bytes {
    let mut frame = b"At\x01\x00".to_vec();
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap().to_le_bytes());
    frame.extend_from_slice(&crc32c::crc32c(message).to_le_bytes());
    frame.extend_from_slice(message);
    frame.into()
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn an_entry_comes_back(entry in any_entry()) {
        let frame = encode_entry(&entry);
        prop_assert_eq!(decode_entry(&frame), Ok(entry.clone()));
        let origin = Origin { replica: entry.dot.replica, time: entry.time, trace: entry.trace };
        prop_assert_eq!(decode_origin(&frame), Ok(origin));
        let header = (entry.dot, entry.time, entry.dependencies);
        prop_assert_eq!(decode_header(&frame), Ok(header));
    }

    /// Whoever takes it, before others or after.
    #[test]
    fn a_frame_gives_its_entry_whether_it_was_read_or_taken_before(entry in any_entry()) {
        let bytes = encode_entry(&entry);
        let mut row = Bytes::from([&bytes[..], &bytes[..]].concat());
        let mut frame = EntryFrame::split(&mut row).unwrap();
        let unread = frame.clone();
        prop_assert_eq!(frame.read(Entry::clone), Ok(entry.clone()));
        let other = frame.clone();
        for frame in [&frame, &other, &frame, &unread] {
            prop_assert_eq!(frame.take(), Ok(entry.clone()));
        }
        frame.read(|_| ()).unwrap();
        frame.forget();
        prop_assert_eq!(frame.take(), Ok(entry));
        prop_assert_eq!((&frame, frame.bytes(), frame.size()), (&unread, &bytes, row.len()));
    }

    #[test]
    fn frames_in_a_row_are_told_apart(entries in prop::collection::vec(any_entry(), 0..4)) {
        let frames: Vec<Bytes> = entries.iter().map(encode_entry).collect();
        let mut row = Bytes::from(frames.concat());
        let told: Vec<Bytes> = std::iter::from_fn(|| next_frame(&mut row)).collect();
        prop_assert_eq!(told, frames);
        prop_assert!(row.is_empty());
    }

    #[test]
    fn an_intent_comes_back(intent in any_intent()) {
        let bytes = pb::Intent::from(&intent).encode_to_vec();
        prop_assert_eq!(read_intent(&bytes), Ok(intent));
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_named(entry in any_entry(), change in 1..=u8::MAX) {
        let frame = encode_entry(&entry);
        for length in 0..frame.len() {
            let cut = decode_entry(&frame.slice(..length));
            prop_assert!(matches!(cut, Err(BadFrame::Cut { given, .. }) if given == length), "{cut:?}");
        }
        for at in 0..frame.len() {
            let mut changed = frame.to_vec();
            changed[at] ^= change;
            let problem = decode_entry(&changed.into());
            let named = match at {
                0..2 => matches!(problem, Err(BadFrame::NotAnEntry)),
                2 => matches!(problem, Err(BadFrame::UnknownVersion(v)) if v == 1 ^ change),
                3 => matches!(problem, Err(BadFrame::UnknownCodec(c)) if c == change),
                4..8 => matches!(problem, Err(BadFrame::Cut { .. } | BadFrame::Checksum)),
                _ => matches!(problem, Err(BadFrame::Checksum)),
            };
            prop_assert!(named, "byte {at}: {problem:?}");
        }
    }

    /// What a peer of ours made wrongly, or a clever enemy made rightly, is an error or an entry.
    #[test]
    fn no_message_panics(
        entry in any_entry(),
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        noise in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut message = encode_entry(&entry)[FRAME_HEADER_BYTES..].to_vec();
        for (at, byte) in places {
            let at = at.index(message.len());
            message[at] = byte;
        }
        for message in [message, noise] {
            let frame = frame(&message);
            if let Ok(read) = decode_entry(&frame) {
                prop_assert_eq!(decode_entry(&encode_entry(&read)), Ok(read));
            }
            let _ = decode_header(&frame);
            let _ = decode_origin(&frame);
            let _ = next_frame(&mut frame.clone());
            let _ = pb::Intent::decode(message.as_slice()).map(Intent::try_from);
            let _ = split_frame(&mut Bytes::from(message));
        }
    }
}

#[test]
fn frames_that_follow_each_other_come_apart() {
    let frames = [1, 2].map(|seq| encode_entry(&small_entry(seq)));
    let mut stream = Bytes::from(frames.concat());
    for expected in &frames {
        assert_eq!(split_frame(&mut stream).as_ref(), Ok(expected));
    }
    assert_eq!(
        split_frame(&mut stream),
        Err(BadFrame::Cut {
            given: 0,
            needed: FRAME_HEADER_BYTES
        })
    );
    let two = Bytes::from(frames.concat());
    assert!(matches!(decode_entry(&two), Err(BadFrame::Malformed(_))));
}

fn small_entry(seq: u64) -> Entry {
    Entry {
        dot: Dot::new(ReplicaId(7), seq),
        time: Timestamp(seq),
        dependencies: [(ReplicaId(7), seq - 1)].into_iter().collect(),
        operations: vec![],
        trace: Bytes::new(),
        announces: None,
        member: None,
        layout: None,
        idempotency: None,
    }
}

/// Messages that are Protocol Buffers and say something impossible.
#[test]
fn impossible_entries_are_named() {
    let good = || pb::Entry {
        replica: 7,
        seq: 2,
        dependencies: Some(pb::Vector {
            replicas: vec![7],
            seqs: vec![1],
        }),
        ..pb::Entry::default()
    };
    let operation = |operation: pb::Operation| pb::Entry {
        operations: vec![operation],
        ..good()
    };
    let member = |state, region: &str| pb::Entry {
        member: Some(pb::MemberChange {
            region: region.into(),
            state,
            ..pb::MemberChange::default()
        }),
        ..good()
    };
    let layout = |layout: pb::Layout| pb::Entry {
        layout: Some(layout),
        ..good()
    };
    let write = |write: pb::SlotWrite| {
        operation(pb::Operation {
            collection: "c".into(),
            key: "k".into(),
            context: None,
            writes: vec![write],
        })
    };
    let reset = |total: Vec<u8>| pb::SlotWrite {
        kind: Some(pb::slot_write::Kind::Reset(pb::Reset {
            floors: vec![pb::Floor {
                total,
                ..pb::Floor::default()
            }],
        })),
        ..pb::SlotWrite::default()
    };
    let mark = |path: Vec<u8>| pb::SlotWrite {
        path: path.into(),
        kind: Some(pb::slot_write::Kind::Mark(true)),
        ..pb::SlotWrite::default()
    };
    let table = [
        (
            "sequence 0",
            pb::Entry {
                seq: 0,
                dependencies: None,
                ..good()
            },
        ),
        ("a gap in its own sequence", pb::Entry { seq: 9, ..good() }),
        (
            "no dependencies",
            pb::Entry {
                dependencies: None,
                ..good()
            },
        ),
        (
            "a vector of two lengths",
            pb::Entry {
                dependencies: Some(pb::Vector {
                    replicas: vec![7],
                    seqs: vec![],
                }),
                ..good()
            },
        ),
        (
            "a region that is no name",
            pb::Entry {
                announces: "Not A Name".into(),
                ..good()
            },
        ),
        (
            "an idempotency key that is none",
            pb::Entry {
                idempotency: Some(pb::Idempotency {
                    key: "a b".into(),
                    request: vec![0; 16].into(),
                }),
                ..good()
            },
        ),
        (
            "a hash of another length",
            pb::Entry {
                idempotency: Some(pb::Idempotency {
                    key: "a".into(),
                    request: vec![0; 15].into(),
                }),
                ..good()
            },
        ),
        (
            "no collection",
            operation(pb::Operation {
                key: "k".into(),
                ..pb::Operation::default()
            }),
        ),
        (
            "no key",
            operation(pb::Operation {
                collection: "c".into(),
                ..pb::Operation::default()
            }),
        ),
        (
            "a key that is not UTF-8",
            operation(pb::Operation {
                collection: "c".into(),
                key: vec![0xFF].into(),
                ..pb::Operation::default()
            }),
        ),
        ("a write of no kind", write(pb::SlotWrite::default())),
        ("a path that is none", write(mark(vec![b'a']))),
        (
            "a path too long",
            write(mark([vec![b'a'; 5000], vec![0, 1]].concat())),
        ),
        ("a sum that is not 16 bytes", write(reset(vec![0; 15]))),
        ("a member in no state", member(4, "eu")),
        ("a member of no region", member(0, "")),
        ("a topology of no kind", layout(pb::Layout::default())),
        (
            "a star without a hub",
            layout(pb::Layout {
                topology: 3,
                ..pb::Layout::default()
            }),
        ),
    ];
    assert!(decode_entry(&frame(&good().encode_to_vec())).is_ok());
    assert!(decode_entry(&frame(&write(reset(vec![0; 16])).encode_to_vec())).is_ok());
    for (what, entry) in table {
        let read = decode_entry(&frame(&entry.encode_to_vec()));
        assert!(
            matches!(read, Err(BadFrame::Malformed(_))),
            "{what}: {read:?}"
        );
    }
}

#[test]
fn impossible_intents_are_named() {
    let good = || pb::Intent {
        collection: "c".into(),
        key: "k".into(),
        action: Some(pb::intent::Action::Delete(true)),
        ..pb::Intent::default()
    };
    let table = [
        (
            "no action",
            pb::Intent {
                action: None,
                ..good()
            },
        ),
        (
            "no key",
            pb::Intent {
                key: Bytes::new(),
                ..good()
            },
        ),
        (
            "no collection",
            pb::Intent {
                collection: String::new(),
                ..good()
            },
        ),
        (
            "a fingerprint that is cut",
            pb::Intent {
                if_match: vec![1; 15],
                ..good()
            },
        ),
        (
            "two preconditions",
            pb::Intent {
                if_absent: true,
                if_present: true,
                ..good()
            },
        ),
    ];
    assert!(Intent::try_from(good()).is_ok());
    for (what, intent) in table {
        let read = Intent::try_from(intent);
        assert!(
            matches!(read, Err(BadFrame::Malformed(_))),
            "{what}: {read:?}"
        );
    }
}

#[test]
fn a_newer_version_and_an_unknown_codec_are_named() {
    let mut newer = encode_entry(&small_entry(1)).to_vec();
    newer[2] = 2;
    let problem = decode_entry(&newer.into()).unwrap_err().to_string();
    assert_eq!(
        problem,
        "an entry of format version 2; this node knows 1: upgrade it"
    );
    let mut packed = encode_entry(&small_entry(1)).to_vec();
    packed[3] = 9;
    let problem = decode_entry(&packed.into()).unwrap_err().to_string();
    assert_eq!(problem, "an entry of unknown codec 9: upgrade this node");
}

/// A field that a newer version added is skipped, and the frame that a relay sends on still has it.
#[test]
fn fields_of_newer_versions_are_skipped() {
    let entry = small_entry(1);
    let mut message = encode_entry(&entry)[FRAME_HEADER_BYTES..].to_vec();
    prost::encoding::string::encode(99, &"from the future".to_owned(), &mut message);
    assert_eq!(decode_entry(&frame(&message)), Ok(entry));
}

/// An entry with every kind of write.
fn golden_entry() -> Entry {
    let at = |name: &str| Path::root().child(name.as_bytes());
    let assign = |path, content, clear, creates| SlotWrite::Assign {
        path,
        content,
        clear,
        creates,
    };
    let picture = Value {
        media: Some("image/png".into()),
        data: Bytes::from_static(b"\x89PNG"),
    };
    Entry {
        dot: Dot::new(ReplicaId(0x0102_0304_0506_0708), 3),
        time: Timestamp(0x018f_3158_0000_0001),
        dependencies: [(ReplicaId(0x0102_0304_0506_0708), 2), (ReplicaId(9), 300)]
            .into_iter()
            .collect(),
        operations: vec![
            Operation {
                collection: "pages".parse().unwrap(),
                key: "home".parse().unwrap(),
                context: Some([(ReplicaId(9), 299)].into_iter().collect()),
                writes: vec![
                    assign(Path::root(), Content::Object, false, true),
                    assign(
                        at("title"),
                        Content::Value(Value::json("\"Home\"")),
                        false,
                        false,
                    ),
                    assign(
                        at("logo").child(b"0\x00"),
                        Content::Value(picture),
                        true,
                        false,
                    ),
                    assign(at("old"), Content::Tombstone, true, false),
                ],
            },
            Operation {
                collection: "carts".parse().unwrap(),
                key: "c/1".parse().unwrap(),
                context: None,
                writes: vec![
                    SlotWrite::Mark {
                        path: at("\"apple\""),
                    },
                    SlotWrite::Drop {
                        path: at("\"pear\""),
                    },
                    SlotWrite::Add {
                        path: Path::root(),
                        delta: -3,
                    },
                    SlotWrite::Reset {
                        path: Path::root(),
                        floors: vec![Floor {
                            replica: ReplicaId(9),
                            position: Position { seq: 300, index: 1 },
                            total: -1,
                        }],
                    },
                ],
            },
        ],
        trace: Bytes::from_static(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        announces: Some("eu".parse().unwrap()),
        member: None,
        layout: None,
        idempotency: None,
    }
}

/// Entries that change who is a member and how the regions are linked: one for every state and topology.
fn golden_membership() -> [Entry; 4] {
    let name = |name: &str| -> RegionName { name.parse().unwrap() };
    let topologies = [
        Topology::AllToAll,
        Topology::Ring {
            order: vec![name("us"), name("eu"), name("ap")],
        },
        Topology::Star { hub: name("eu") },
        Topology::Custom {
            links: vec![(name("eu"), name("us")), (name("us"), name("eu"))],
        },
    ];
    let mut seq = 0;
    let entry = |(state, topology)| {
        seq += 1;
        let region = |n: &str, role, endpoints: &[&str]| LayoutRegion {
            name: name(n),
            role,
            endpoints: endpoints.iter().map(ToString::to_string).collect(),
        };
        Entry {
            member: Some(MemberChange {
                replica: ReplicaId(9),
                region: name("us"),
                state,
                revision: 300 + seq,
                last: 70_000 * (seq - 1),
            }),
            layout: Some(Layout {
                revision: seq,
                topology,
                regions: vec![
                    region(
                        "eu",
                        Role::Leader,
                        &["http://eu-0:4400", "http://eu-1:4400"],
                    ),
                    region("us", Role::ReadOnly, &[]),
                    region("ap", Role::Leader, &["http://ap-0:4400"]),
                ],
            }),
            ..small_entry(seq)
        }
    };
    let states = MemberState::ALL.into_iter();
    let entries: Vec<Entry> = states.zip(topologies).map(entry).collect();
    entries.try_into().unwrap()
}

/// One intent for every action and precondition.
fn golden_intents() -> [Intent; 4] {
    let intent = |action, precondition, context| Intent {
        collection: "pages".parse().unwrap(),
        key: "home".parse().unwrap(),
        action,
        precondition,
        context,
    };
    [
        intent(
            Action::Put(Value::json("[1]")),
            Some(Precondition::Matches(0x0102 << 100)),
            None,
        ),
        intent(
            Action::Patch("{\"a\":null}".into()),
            Some(Precondition::Present),
            None,
        ),
        intent(
            Action::Ops("{\"increment\":3}".into()),
            Some(Precondition::Absent),
            None,
        ),
        intent(
            Action::Delete,
            None,
            Some([(ReplicaId(9), 299)].into_iter().collect()),
        ),
    ]
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn hex(bytes: &[u8]) -> String {
    let line = |line: &[u8]| {
        line.iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    bytes.chunks(32).map(|bytes| line(bytes) + "\n").collect()
}

/// Other regions, and this one's own log, hold these bytes: a difference here is a break of the format. It
/// takes a new format version that still reads these.
#[test]
fn the_bytes_of_an_entry_stay() {
    let golden = include_str!("golden/entry-v1.hex");
    let entry = golden_entry();
    assert_eq!(hex(&encode_entry(&entry)), golden);
    assert_eq!(decode_entry(&unhex(golden).into()), Ok(entry));
}

/// Regions hold these bytes as well; entries without such changes have the bytes above still.
#[test]
fn the_bytes_of_membership_stay() {
    let golden = include_str!("golden/membership-v1.hex");
    let entries = golden_membership();
    let written = entries.each_ref().map(|entry| hex(&encode_entry(entry)));
    assert_eq!(written.join("\n"), golden);
    let read = golden
        .split("\n\n")
        .map(|text| decode_entry(&unhex(text).into()));
    assert_eq!(read.collect::<Result<Vec<_>, _>>(), Ok(entries.to_vec()));
}

/// The same of an entry whose request had an idempotency key.
#[test]
fn the_bytes_of_an_entry_with_an_idempotency_key_stay() {
    let golden = include_str!("golden/entry-v1-idempotency.hex");
    let entry = Entry {
        idempotency: Some(Idempotency {
            key: "order-7".parse().unwrap(),
            request: 0x0102 << 100,
        }),
        ..small_entry(3)
    };
    assert_eq!(hex(&encode_entry(&entry)), golden);
    assert_eq!(decode_entry(&unhex(golden).into()), Ok(entry));
}

/// A region's log holds these bytes: a difference here is a break of the format.
#[test]
fn the_bytes_of_intents_stay() {
    let golden = include_str!("golden/intents-v1.hex");
    let texts: Vec<&str> = golden.split("\n\n").collect();
    let intents = golden_intents();
    assert_eq!(texts.len(), intents.len());
    for (intent, text) in intents.into_iter().zip(texts) {
        let bytes = pb::Intent::from(&intent).encode_to_vec();
        assert_eq!(hex(&bytes).trim_end(), text.trim_end());
        assert_eq!(read_intent(&unhex(text)), Ok(intent));
    }
}
