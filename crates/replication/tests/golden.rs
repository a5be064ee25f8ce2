//! Every link frame's bytes, pinned: a change here is a change of the conversation. And what is refused.
#![allow(clippy::unwrap_used, reason = "tests")]

use bytes::Bytes;
use proptest::prelude::*;

use atoll_core::{RegionName, ReplicaId, StoreId, VersionVector};
use atoll_replication::frame::{
    BadLinkFrame, Decoder, Encoder, FRAME_BYTES_MAX, LINK_HEADER_BYTES, LinkMessage,
};
use atoll_replication::hearing::Row;
use atoll_replication::message::{
    Ack, Batch, Carries, Downstream, Heartbeat, Hello, LINK_VERSION, Ping, Pong, Resume, Upstream,
    Want, Welcome,
};

fn vector() -> VersionVector {
    [(ReplicaId(1), 300), (ReplicaId(2), 5)]
        .into_iter()
        .collect()
}

fn region(name: &str) -> RegionName {
    name.parse().unwrap()
}

fn row() -> Row {
    Row {
        region: region("eu"),
        beat: 7,
        hears: vec![(region("us"), Carries::OwnEntries)],
        silent: vec![region("ap")],
    }
}

fn upstream() -> Vec<(Upstream, &'static str)> {
    let hello = Hello {
        version: u32::from(LINK_VERSION),
        store: StoreId(9),
        region: region("eu"),
        replica: ReplicaId(2),
        vector: vector(),
        carries: Carries::Everything,
        credit_bytes: 1 << 20,
        pruned: Vec::new(),
    };
    let quiet_hello = Hello {
        pruned: vec![ReplicaId(1)],
        ..hello.clone()
    };
    let ack = Ack {
        vector: vector(),
        consumed_bytes: 77,
        known: vec![(ReplicaId(3), vector())],
        hearing: Vec::new(),
    };
    let hearing_ack = Ack {
        hearing: vec![row()],
        ..ack.clone()
    };
    let resume = Resume {
        vector: vector(),
        carries: Carries::OwnEntries,
        pruned: vec![ReplicaId(1)],
    };
    vec![
        (
            Upstream::Hello(hello),
            "414c010137000000c3c1e27008011109000000000000001a0265752102000000000000002a170a10010000000000000002000000000000001203ac0205300238808040",
        ),
        (
            Upstream::Ack(ack),
            "414c01023f0000000706f7a30a170a10010000000000000002000000000000001203ac0205104d1a2209030000000000000012170a10010000000000000002000000000000001203ac0205",
        ),
        (
            Upstream::Hello(quiet_hello),
            "414c0101410000009439814a08011109000000000000001a0265752102000000000000002a170a10010000000000000002000000000000001203ac020530023880804042080100000000000000",
        ),
        (
            Upstream::Ack(hearing_ack),
            "414c0102530000007d34e0790a170a10010000000000000002000000000000001203ac0205104d1a2209030000000000000012170a10010000000000000002000000000000001203ac020522120a02657510071a060a027573100122026170",
        ),
        (
            Upstream::Want(Want {
                origin: ReplicaId(1),
                from: 2,
                to: 3,
            }),
            "414c01030d00000095de0f2909010000000000000010021803",
        ),
        (
            Upstream::Resume(resume),
            "414c010425000000dc5ca01e0a170a10010000000000000002000000000000001203ac020510011a080100000000000000",
        ),
        (
            Upstream::Prune(vec![ReplicaId(1)]),
            "414c01050a0000006e1508c70a080100000000000000",
        ),
        (
            Upstream::Ping(Ping {
                id: 1,
                sent_ms: 1000,
            }),
            "414c0106050000003ad2731f080110e807",
        ),
    ]
}

fn downstream() -> Vec<(Downstream, &'static str)> {
    let welcome = Welcome {
        store: StoreId(9),
        region: region("us"),
        replica: ReplicaId(1),
    };
    let batch = |entries: Bytes| Batch {
        min_reader: 1,
        count: 2,
        entries,
    };
    let heartbeat = Heartbeat {
        source_ms: 1_700_000_000_000,
        vector: vector(),
        known: vec![(ReplicaId(3), vector())],
        regions: vec![(ReplicaId(1), region("us"))],
        hearing: Vec::new(),
    };
    let hearing = Heartbeat {
        hearing: vec![row()],
        ..heartbeat.clone()
    };
    vec![
        (
            Downstream::Welcome(welcome),
            "414c011016000000085f3b3209090000000000000012027573190100000000000000",
        ),
        (
            Downstream::Batch(batch(Bytes::from_static(b"entries"))),
            "414c01110f000000cbd7e6370801180220072a07656e7472696573",
        ),
        (
            Downstream::Batch(batch(vec![b'e'; 4096].into())),
            "414c01111e000000846de07c0801100118022080202a1328b52ffd60000f4d00001065650100fbf70116",
        ),
        (
            Downstream::Heartbeat(heartbeat),
            "414c011253000000b98245b30880d095ffbc3112170a10010000000000000002000000000000001203ac02051a2209030000000000000012170a10010000000000000002000000000000001203ac0205220d09010000000000000012027573",
        ),
        (
            Downstream::Pong(Pong {
                id: 1,
                sent_ms: 1000,
                source_ms: 1010,
            }),
            "414c0113080000006c2ac607080110e80718f207",
        ),
        (
            Downstream::Heartbeat(hearing),
            "414c0112670000004bf5f2b10880d095ffbc3112170a10010000000000000002000000000000001203ac02051a2209030000000000000012170a10010000000000000002000000000000001203ac0205220d090100000000000000120275732a120a02657510071a060a027573100122026170",
        ),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn check<M: LinkMessage + PartialEq + std::fmt::Debug>(messages: Vec<(M, &'static str)>) {
    let mut encoder = Encoder::new();
    for (message, golden) in messages {
        let frame = encoder.encode(&message);
        assert_eq!(hex(&frame), golden, "{message:?}");
        let mut decoder = Decoder::new();
        decoder.push(&frame);
        assert_eq!(decoder.next().unwrap(), Some(message));
        assert_eq!(decoder.next(), Ok(None));
    }
}

#[test]
fn upstream_frames_have_the_bytes_of_version_1() {
    check(upstream());
}

#[test]
fn downstream_frames_have_the_bytes_of_version_1() {
    check(downstream());
}

fn ping() -> Vec<u8> {
    Encoder::new()
        .encode(&Upstream::Ping(Ping { id: 1, sent_ms: 1 }))
        .to_vec()
}

fn refused(bytes: &[u8]) -> BadLinkFrame {
    let mut decoder = Decoder::<Upstream>::new();
    decoder.push(bytes);
    decoder.next().unwrap_err()
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    let with = |at: usize, byte: u8| {
        let mut bytes = ping();
        bytes[at] = byte;
        refused(&bytes)
    };
    assert_eq!(with(0, b'X'), BadLinkFrame::NotAFrame);
    assert_eq!(with(2, 9), BadLinkFrame::UnknownVersion(9));
    assert_eq!(with(3, 99), BadLinkFrame::UnknownType(99));
    assert_eq!(
        with(3, 17),
        BadLinkFrame::UnknownType(17),
        "a downstream type upstream"
    );
    assert_eq!(with(8, 0), BadLinkFrame::Checksum);
    assert_eq!(with(LINK_HEADER_BYTES, 0xff), BadLinkFrame::Checksum);
    let mut large = ping();
    large[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(
        refused(&large),
        BadLinkFrame::TooLarge {
            bytes: u64::from(u32::MAX)
        }
    );
}

#[test]
fn a_batch_for_newer_readers_is_refused() {
    let batch = Batch {
        min_reader: 2,
        count: 1,
        entries: Bytes::from_static(b"?"),
    };
    let mut decoder = Decoder::<Downstream>::new();
    decoder.push(&Encoder::new().encode(&Downstream::Batch(batch)));
    assert_eq!(
        decoder.next(),
        Err(BadLinkFrame::NewerEntries { needed: 2 })
    );
}

#[test]
fn a_batch_that_unpacks_to_more_than_it_says_is_refused() {
    // Field 4, the unpacked length, says 4,095 in place of 4,096; and then more than any frame may be.
    let honest = Encoder::new().encode(&downstream().remove(2).0);
    let refuse = |length: &[u8]| {
        let at = honest
            .windows(3)
            .position(|w| w == [0x20, 0x80, 0x20])
            .unwrap();
        let mut payload = honest[LINK_HEADER_BYTES..at].to_vec();
        payload.push(0x20);
        payload.extend_from_slice(length);
        payload.extend_from_slice(&honest[at + 3..]);
        let mut bytes = honest[..4].to_vec();
        bytes.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&payload).to_le_bytes());
        bytes.extend_from_slice(&payload);
        let mut decoder = Decoder::<Downstream>::new();
        decoder.push(&bytes);
        decoder.next().unwrap_err()
    };
    assert!(matches!(refuse(&[0xff, 0x1f]), BadLinkFrame::Malformed(_)));
    assert!(matches!(refuse(&[0x81, 0x20]), BadLinkFrame::Malformed(_)));
    let bytes = (FRAME_BYTES_MAX + 1) as u64;
    assert_eq!(
        refuse(&[0x81, 0x80, 0x80, 0x20]),
        BadLinkFrame::TooLarge { bytes }
    );
}

proptest! {
    #[test]
    fn frames_survive_any_cut_into_chunks(cuts in prop::collection::vec(1_usize..50, 1..100)) {
        let mut encoder = Encoder::new();
        let sent: Vec<_> = downstream().into_iter().map(|(message, _)| message).collect();
        let stream: Vec<u8> = sent.iter().flat_map(|m| encoder.encode(m)).collect();
        let (mut rest, mut decoder, mut got) = (&stream[..], Decoder::<Downstream>::new(), Vec::new());
        for cut in cuts.iter().cycle() {
            let (chunk, left) = rest.split_at((*cut).min(rest.len()));
            decoder.push(chunk);
            while let Some(message) = decoder.next().unwrap() {
                got.push(message);
            }
            rest = left;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(got, sent);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0_u8..24) {
        let mut frame = vec![b'A', b'L', LINK_VERSION, kind];
        frame.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_le_bytes());
        frame.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        frame.extend_from_slice(&bytes);
        let (mut up, mut down) = (Decoder::<Upstream>::new(), Decoder::<Downstream>::new());
        up.push(&frame);
        down.push(&frame);
        let _ = (up.next(), down.next());
    }
}
