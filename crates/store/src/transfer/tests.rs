//! What is sent is what is installed, whatever comes between.
//!
//! Where a doc comment says "caught", the code was broken by hand in that way once, and the test failed.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::{ops::Bound, ops::ControlFlow, sync::Arc};

use atoll_core::{ReplicaId, StoreId};
use bytes::Bytes;

use super::*;
use crate::{
    Region,
    engine::{Batch, Direction, Engine, MemoryEngine, Read},
    raft_log::RaftLog,
    records::identity,
};

fn identity(region: &str) -> Identity {
    Identity {
        store: StoreId(1),
        region: region.parse().unwrap(),
        replica: ReplicaId(0xA1),
    }
}

/// An engine of region `eu` with `count` pairs in each family but Meta, which begin with `tag`.
fn engine(tag: &str, count: usize) -> Arc<MemoryEngine> {
    let engine = Arc::new(MemoryEngine::new());
    Region::form(&*engine, &identity("eu")).unwrap();
    let mut batch = Batch::new();
    for family in FAMILIES.into_iter().skip(1) {
        for number in 0..count {
            let key = format!("{tag}{number:04}");
            batch.put(family, key.as_bytes(), &[7; 20]);
        }
    }
    batch.put(Family::Meta, b"a", tag.as_bytes());
    batch.put(Family::Meta, b"z", tag.as_bytes());
    engine.commit(&batch).unwrap();
    engine.flush().unwrap();
    engine
}

fn sender(engine: &dyn Engine) -> Sender {
    Sender::with_chunk_bytes(engine.checkpoint().unwrap(), 200).unwrap()
}

fn chunks(engine: &dyn Engine) -> Vec<Bytes> {
    let mut sender = sender(engine);
    let chunks = (0..10_000).map_while(|number| sender.chunk(number).unwrap());
    chunks.collect()
}

fn state(read: &dyn Read) -> Vec<(Family, Bytes, Bytes)> {
    let mut pairs = Vec::new();
    for family in FAMILIES {
        let mut visit = |key: &[u8], value: &[u8]| {
            let copy = Bytes::copy_from_slice;
            pairs.push((family, copy(key), copy(value)));
            ControlFlow::Continue(())
        };
        let all = Bound::Unbounded;
        read.scan(family, all, all, Direction::Forward, &mut visit)
            .unwrap();
    }
    pairs
}

fn install(engine: &Arc<MemoryEngine>, chunks: &[Bytes]) -> Result<Installed, TransferError> {
    let mut installer = Installer::begin(engine.clone())?;
    for chunk in chunks {
        installer.push(chunk)?;
    }
    installer.finish()
}

fn is_being_replaced(engine: &Arc<MemoryEngine>) -> bool {
    match Region::open(engine.clone()) {
        Ok(Some(_)) => false,
        Err(StoreError::BeingReplaced) => true,
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn what_is_sent_is_what_is_installed() {
    let (from, to) = (engine("new", 30), engine("old", 50));
    let chunks = chunks(&*from);
    let installed = install(&to, &chunks).unwrap();
    assert_eq!(state(&*to), state(&*from));
    let pairs = state(&*from).len() as u64;
    assert_eq!(
        installed,
        Installed {
            chunks: chunks.len() as u64,
            pairs
        }
    );
    assert!(!is_being_replaced(&to));
    let to = Arc::new(to.crash(0));
    assert_eq!(state(&*to), state(&*from), "a finished state is durable");
    assert!(!is_being_replaced(&to));
}

/// Caught: a cursor that begins at the last key of the chunk before.
#[test]
fn chunks_are_the_same_each_time_and_from_anywhere() {
    let from = engine("new", 30);
    let expected = chunks(&*from);
    assert!(expected.len() > 20);
    for start in 0..expected.len() + 2 {
        let mut sender = sender(&*from);
        for number in [start, 3, start + 1, start] {
            let chunk = sender.chunk(number as u64).unwrap();
            assert_eq!(
                chunk.as_ref(),
                expected.get(number),
                "chunk {number} after {start}"
            );
        }
    }
    // Another node of the region that stands at the same place.
    assert_eq!(chunks(&*engine("new", 30)), expected);
}

#[test]
fn chunks_keep_to_their_size_unless_one_pair_is_larger() {
    let from = engine("new", 30);
    let mut batch = Batch::new();
    batch.put(Family::State, b"new0001x", &[1; 1000]);
    from.commit(&batch).unwrap();
    let chunks = chunks(&*from);
    let large: Vec<_> = chunks.iter().filter(|chunk| chunk.len() > 200).collect();
    assert_eq!(large.len(), 1);
    assert!(large[0].len() > 1000 && large[0].len() < 1100);
    let to = engine("old", 1);
    install(&to, &chunks).unwrap();
    assert_eq!(state(&*to), state(&*from));
}

#[test]
fn an_empty_region_is_a_state_too() {
    let from = Arc::new(MemoryEngine::new());
    Region::form(&*from, &identity("eu")).unwrap();
    let chunks = chunks(&*from);
    let to = engine("old", 3);
    assert_eq!(
        install(&to, &chunks),
        Ok(Installed {
            chunks: 3,
            pairs: 1
        })
    );
    assert_eq!(state(&*to), state(&*from));
}

/// Caught: a head that is not compared; a wipe before the comparison.
#[test]
fn the_state_of_another_region_is_refused_before_anything_changes() {
    let chunks = chunks(&*engine("new", 3));
    let ours = [
        identity("us"),
        Identity {
            store: StoreId(2),
            ..identity("eu")
        },
        Identity {
            replica: ReplicaId(0xA2),
            ..identity("eu")
        },
    ];
    for ours in ours {
        let to = engine("old", 3);
        Region::form(&*to, &ours).unwrap();
        let before = state(&*to);
        let refused = install(&to, &chunks).unwrap_err();
        let (theirs, ours) = (Box::new(identity("eu")), Box::new(ours));
        assert_eq!(refused, TransferError::Foreign { theirs, ours });
        assert_eq!(state(&*to), before);
        assert!(!is_being_replaced(&to));
    }
}

#[test]
fn nothing_is_installed_into_nothing() {
    let to = Arc::new(MemoryEngine::new());
    assert_eq!(install(&to, &[]), Err(TransferError::NotFormed));
    let checkpoint = to.checkpoint().unwrap();
    assert_eq!(
        Sender::new(checkpoint).err(),
        Some(TransferError::NotFormed)
    );
}

#[test]
fn a_chunk_left_out_or_twice_or_too_early_is_refused_and_the_right_one_may_follow() {
    let (from, to) = (engine("new", 30), engine("old", 5));
    let chunks = chunks(&*from);
    let mut installer = Installer::begin(to.clone()).unwrap();
    for number in 0..chunks.len() {
        assert_eq!(installer.next(), number as u64);
        for wrong in (0..chunks.len()).filter(|wrong| *wrong != number) {
            let refused = installer.push(&chunks[wrong]).unwrap_err();
            let (expected, found) = (number as u64, wrong as u64);
            assert_eq!(refused, TransferError::OutOfOrder { expected, found });
        }
        assert_eq!(is_being_replaced(&to), number > 0);
        installer.push(&chunks[number]).unwrap();
    }
    let refused = installer.push(&chunks[3]).unwrap_err();
    assert!(matches!(
        refused,
        TransferError::OutOfOrder { found: 3, .. }
    ));
    installer.finish().unwrap();
    assert_eq!(state(&*to), state(&*from));
}

/// Caught: a finish that does not ask for the end.
#[test]
fn a_state_that_is_not_whole_is_not_finished() {
    let chunks = chunks(&*engine("new", 10));
    for end in 0..chunks.len() {
        let to = engine("old", 5);
        let expected = end as u64;
        let refused = install(&to, &chunks[..end]).unwrap_err();
        assert_eq!(refused, TransferError::Incomplete { expected });
        assert_eq!(is_being_replaced(&to), end > 0);
    }
}

#[test]
fn chunks_of_two_checkpoints_do_not_mix() {
    let (from, other, to) = (engine("new", 30), engine("new", 30), engine("old", 5));
    let mut region = Region::open(other.clone()).unwrap().unwrap();
    region
        .apply::<crate::Command>(&[], Bytes::from_static(b"later"))
        .unwrap();
    let (chunks, others) = (chunks(&*from), chunks(&*other));
    let mut installer = Installer::begin(to.clone()).unwrap();
    installer.push(&chunks[0]).unwrap();
    installer.push(&chunks[1]).unwrap();
    let refused = installer.push(&others[2]).unwrap_err();
    assert_eq!(refused, TransferError::OtherCheckpoint { number: 2 });
    assert!(is_being_replaced(&to));
}

/// Chunks whose sums are right and which yet are not what a sender makes.
///
/// Caught: a count, a digest, an order that is not compared.
#[test]
fn chunks_that_do_not_add_up_are_refused_and_leave_the_mark() {
    let from = engine("new", 2);
    let original = chunks(&*from);
    let (last, before) = original.split_last().unwrap();
    let chunk::Chunk {
        checkpoint: name,
        number,
        ..
    } = chunk::read(last).unwrap();
    let totals = |pairs, body: &[u8]| {
        let mut totals = chunk::Totals::default();
        totals.add(pairs, body);
        totals
    };
    let pair = |key: &[u8]| {
        let mut body = Vec::new();
        chunk::put_pair(&mut body, key, b"");
        body
    };
    let out_of_order = [pair(b"zb"), pair(b"za")].concat();
    let same_twice = [pair(b"zb"), pair(b"zb")].concat();
    let pairs = state(&*from).len() as u64;
    let of = |family, body: &[u8]| chunk::pairs(name, number, family, body);
    let wrong = [
        (chunk::end(name, number, totals(pairs + 1, b"")), "count"),
        (chunk::end(name, number, totals(pairs, b"")), "digest"),
        (of(Family::Ledger, &out_of_order), "order"),
        (of(Family::Ledger, &same_twice), "order"),
        (of(Family::State, &pair(b"zz")), "order"),
        (of(Family::Ledger, &out_of_order[..13]), "cut off"),
    ];
    for (chunk, named) in wrong {
        let to = engine("old", 5);
        let mut installer = Installer::begin(to.clone()).unwrap();
        before
            .iter()
            .for_each(|chunk| installer.push(chunk).unwrap());
        let refused = installer.push(&chunk).unwrap_err().to_string();
        assert!(refused.contains(named), "{named}: {refused}");
        assert!(is_being_replaced(&to));
        installer.push(last).unwrap();
        installer.finish().unwrap();
        assert_eq!(
            state(&*to),
            state(&*from),
            "what was refused changed nothing"
        );
    }
}

/// Caught: a mark that is not synced; a mark that goes before the flush; an identity that goes with the rest.
#[test]
fn a_crash_at_any_chunk_leaves_the_mark_and_the_next_installation_begins_again() {
    let from = engine("new", 10);
    let chunks = chunks(&*from);
    for end in 1..=chunks.len() {
        for flushed in [false, true] {
            for torn in [0, 9] {
                let to = engine("old", 20);
                let mut installer = Installer::begin(to.clone()).unwrap();
                chunks[..end]
                    .iter()
                    .for_each(|chunk| installer.push(chunk).unwrap());
                if flushed {
                    to.flush().unwrap();
                }
                let to = Arc::new(to.crash(torn));
                assert!(is_being_replaced(&to), "after {end}");
                assert_eq!(Region::identity_in(&*to), Ok(Some(identity("eu"))));
                install(&to, &chunks).unwrap();
                let to = Arc::new(to.crash(torn));
                assert!(!is_being_replaced(&to));
                assert_eq!(state(&*to), state(&*from));
            }
        }
    }
}

#[test]
fn a_full_disk_is_named_and_takes_nothing() {
    let (from, to) = (engine("new", 10), engine("old", 5));
    let (chunks, before) = (chunks(&*from), state(&*to));
    let full = |result| {
        let full = matches!(
            result,
            Err(TransferError::Store(StoreError::Engine(
                EngineError::DiskFull { .. }
            )))
        );
        assert!(full, "{result:?}");
    };
    let mut installer = Installer::begin(to.clone()).unwrap();
    to.set_free_bytes(0);
    full(installer.push(&chunks[0]));
    assert_eq!(state(&*to), before);
    assert!(!is_being_replaced(&to));
    to.set_free_bytes(1);
    installer.push(&chunks[0]).unwrap();
    to.set_free_bytes(0);
    full(installer.push(&chunks[1]));
    to.set_free_bytes(1);
    chunks[1..]
        .iter()
        .for_each(|chunk| installer.push(chunk).unwrap());
    installer.finish().unwrap();
    assert_eq!(state(&*to), state(&*from));
}

/// Caught: a mark among the entries.
#[test]
fn the_raft_log_does_not_see_the_mark_and_its_purges_leave_it() {
    let to = engine("old", 5);
    let log = RaftLog::open(to.clone()).unwrap();
    let entries: Vec<_> = (1..=5).map(|index| (index, Bytes::from("entry"))).collect();
    log.append(&entries).unwrap();
    let chunks = chunks(&*engine("new", 10));
    let mut installer = Installer::begin(to.clone()).unwrap();
    installer.push(&chunks[0]).unwrap();
    assert_eq!(log.read(0, 100), Ok(entries));
    log.purge_upto(9, b"mark").unwrap();
    log.truncate_after(None).unwrap();
    log.save_vote(b"vote").unwrap();
    assert!(is_being_replaced(&to));
    let to = Arc::new(to.crash(0));
    assert!(is_being_replaced(&to));
    let log = RaftLog::open(to).unwrap();
    assert_eq!(log.vote(), Ok(Some(Bytes::from("vote"))));
    assert_eq!(log.purged(), Ok(Some((9, Bytes::from("mark")))));
}

/// A machine that dies after an installation may have lost the purge: asking for it again is enough, whether the
/// log was empty or stood behind or ahead of the state.
#[test]
fn the_log_is_brought_to_where_an_installed_state_stands() {
    let chunks = chunks(&*engine("new", 10));
    for entries in [0, 5, 20] {
        let to = engine("old", 5);
        let log = RaftLog::open(to.clone()).unwrap();
        let all: Vec<_> = (1..=entries).map(|n| (n, Bytes::from("entry"))).collect();
        log.append(&all).unwrap();
        install(&to, &chunks).unwrap();
        log.purge_upto(9, b"mark").unwrap();
        for torn in [1, 0] {
            let to = Arc::new(to.crash(torn));
            let log = RaftLog::open(to.clone()).unwrap();
            assert_eq!(log.purged().unwrap().is_some(), torn == 0);
            log.purge_upto(9, b"mark").unwrap();
            assert_eq!(log.purged(), Ok(Some((9, Bytes::from("mark")))));
            let next = entries.max(9) + 1;
            log.append(&[(next, Bytes::from("next"))]).unwrap();
            let log = RaftLog::open(Arc::new(to.crash(0))).unwrap();
            let kept = log.read(0, 100).unwrap();
            assert!(kept.iter().map(|(index, _)| *index).eq(10..=next));
        }
    }
}

#[test]
fn a_region_reads_again_what_was_installed() {
    let from = engine("new", 3);
    let mut sent = Region::open(from.clone()).unwrap().unwrap();
    sent.apply::<crate::Command>(&[], Bytes::from_static(b"place 9"))
        .unwrap();
    let to = engine("old", 5);
    let mut region = Region::open(to.clone()).unwrap().unwrap();
    let chunks = chunks(&*from);
    let mut installer = Installer::begin(to.clone()).unwrap();
    installer.push(&chunks[0]).unwrap();
    assert_eq!(region.reload(), Err(StoreError::BeingReplaced));
    chunks[1..]
        .iter()
        .for_each(|chunk| installer.push(chunk).unwrap());
    installer.finish().unwrap();
    region.reload().unwrap();
    assert_eq!(region.applied(), sent.applied());
    assert_eq!(&region.applied().raft[..], b"place 9");
    assert_eq!(sender(&*from).applied(), sent.applied());
}

#[test]
fn the_identity_stays_while_all_else_goes() {
    let to = engine("old", 5);
    let chunks = chunks(&*engine("new", 3));
    Installer::begin(to.clone())
        .unwrap()
        .push(&chunks[0])
        .unwrap();
    let expected = identity::encode(&identity("eu"));
    let left = [(
        Family::Meta,
        Bytes::from_static(identity::KEY),
        expected.into(),
    )];
    assert_eq!(state(&*to), left);
}

/// Caught: a vote that is kept; a mark that goes with the rest.
#[test]
fn half_a_state_is_thrown_away_with_all_that_the_node_had_said() {
    let to = engine("old", 30);
    let log = RaftLog::open(to.clone()).unwrap();
    log.append(&[(1, Bytes::from_static(b"entry"))]).unwrap();
    log.save_vote(b"vote").unwrap();
    log.save_node(b"node").unwrap();
    let chunks = chunks(&*engine("new", 30));
    let mut installer = Installer::begin(to.clone()).unwrap();
    for chunk in &chunks[..3] {
        installer.push(chunk).unwrap();
    }
    abandon(&*to).unwrap();
    assert!(is_being_replaced(&to), "until the node is a new one");
    let log = RaftLog::open(to.clone()).unwrap();
    assert_eq!(
        (log.last(), log.vote(), log.node()),
        (Ok(None), Ok(None), Ok(None))
    );
    begin_anew(&*to).unwrap();
    let region = Region::open(to.clone()).unwrap().unwrap();
    assert_eq!(region.identity(), &identity("eu"));
    assert_eq!(state(&*to).len(), 1, "the identity");
}
