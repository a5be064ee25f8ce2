//! The Raft log over the twin in memory; what a real crash leaves is in `tests/crash.rs`.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use proptest::prelude::*;

use super::*;
use crate::engine::{MemoryEngine, Read};

fn log() -> (Arc<MemoryEngine>, RaftLog) {
    let engine = Arc::new(MemoryEngine::new());
    let log = RaftLog::open(engine.clone()).unwrap();
    (engine, log)
}

fn entries(indexes: impl IntoIterator<Item = u64>) -> Vec<(u64, Bytes)> {
    indexes
        .into_iter()
        .map(|index| (index, Bytes::from(format!("payload {index}"))))
        .collect()
}

fn reopened(engine: MemoryEngine) -> RaftLog {
    RaftLog::open(Arc::new(engine)).unwrap()
}

/// Everything in the Raft family as it lies there, a line a record.
fn bytes(engine: &dyn Engine) -> String {
    let mut lines = String::new();
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    engine
        .scan_prefix(Family::Raft, b"", Direction::Forward, &mut |key, value| {
            lines += &format!("{} = {}\n", hex(key), hex(value));
            ControlFlow::Continue(())
        })
        .unwrap();
    lines
}

/// Overwrites a stored value.
fn spoil(engine: &MemoryEngine, record: Record, spoil: impl FnOnce(&mut Vec<u8>)) {
    let mut value = engine
        .get(Family::Raft, &record.key())
        .unwrap()
        .unwrap()
        .to_vec();
    spoil(&mut value);
    let mut batch = Batch::new();
    batch.put(Family::Raft, &record.key(), &value);
    engine.append(&batch, true).unwrap();
}

#[test]
fn the_bytes_are_pinned() {
    let (engine, log) = log();
    log.append(&entries(6..9)).unwrap();
    log.purge_upto(6, b"mark").unwrap();
    log.save_vote(b"vote").unwrap();
    log.save_committed(b"committed").unwrap();
    insta::assert_snapshot!(bytes(&*engine), @r"
    63 = 0176748066636f6d6d6974746564
    650000000000000007 = 01bfb6dd157061796c6f61642037
    650000000000000008 = 0103b3910d7061796c6f61642038
    70 = 0164707ba200000000000000066d61726b
    76 = 01ad0278d3766f7465
    ");
}

#[test]
fn an_empty_log_has_nothing() {
    let (_, log) = log();
    assert_eq!(log.last(), Ok(None));
    assert_eq!(log.purged(), Ok(None));
    assert_eq!(log.vote(), Ok(None));
    assert_eq!(log.committed(), Ok(None));
    assert_eq!(log.read(0, u64::MAX), Ok(vec![]));
}

#[test]
fn what_is_synced_survives_any_crash() {
    let (engine, log) = log();
    log.append(&entries(0..3)).unwrap();
    log.save_vote(b"vote").unwrap();
    log.save_committed(b"old").unwrap();
    log.append(&entries(3..4)).unwrap();
    log.save_committed(b"new").unwrap();
    let log = reopened(engine.crash(usize::MAX));
    assert_eq!(log.read(0, 9), Ok(entries(0..4)));
    assert_eq!(log.vote(), Ok(Some(Bytes::from("vote"))));
    assert_eq!(log.committed(), Ok(Some(Bytes::from("old"))));
}

#[test]
fn unsynced_entries_can_be_read_at_once_and_are_safe_after_a_sync() {
    let (engine, log) = log();
    log.append_unsynced(&entries(0..2)).unwrap();
    log.append_unsynced(&entries(2..4)).unwrap();
    assert_eq!(log.read(1, 3), Ok(entries(1..3)));
    assert_eq!(reopened(engine.crash(1)).read(0, 9), Ok(entries(0..2)));
    log.sync().unwrap();
    assert_eq!(reopened(engine.crash(9)).read(0, 9), Ok(entries(0..4)));
}

#[test]
fn entries_must_follow_each_other() {
    let (_, log) = log();
    log.append(&entries(1..4)).unwrap();
    assert_eq!(
        log.append(&entries([5])),
        Err(RaftLogError::Gap {
            expected: 4,
            found: 5
        })
    );
    assert_eq!(
        log.append(&entries([3])),
        Err(RaftLogError::Gap {
            expected: 4,
            found: 3
        })
    );
    assert_eq!(
        log.append(&entries([4, 6])),
        Err(RaftLogError::Gap {
            expected: 5,
            found: 6
        })
    );
    assert_eq!(
        log.read(0, 9),
        Ok(entries(1..4)),
        "nothing of a refused append is written"
    );
}

#[test]
fn a_truncated_log_goes_on_where_it_was_cut() {
    let (engine, log) = log();
    log.append(&entries(0..6)).unwrap();
    log.truncate_after(Some(2)).unwrap();
    log.truncate_after(Some(7)).unwrap();
    assert_eq!(log.last().unwrap().unwrap().0, 2);
    assert_eq!(
        reopened(engine.crash(9)).read(0, 9),
        Ok(entries(0..3)),
        "the cut is synced"
    );
    log.append(&[(3, Bytes::from("other"))]).unwrap();
    assert_eq!(log.read(3, 9), Ok(vec![(3, Bytes::from("other"))]));
    log.truncate_after(None).unwrap();
    assert_eq!(log.last(), Ok(None));
}

#[test]
fn a_purge_is_remembered_with_its_mark() {
    let (engine, log) = log();
    log.append(&entries(0..6)).unwrap();
    log.purge_upto(3, b"mark").unwrap();
    log.purge_upto(2, b"older").unwrap();
    for log in [log, reopened(engine.restart())] {
        assert_eq!(log.purged(), Ok(Some((3, Bytes::from("mark")))));
        assert_eq!(log.read(0, 9), Ok(entries(4..6)));
    }
}

#[test]
fn a_purge_may_run_ahead_of_the_log() {
    let (engine, log) = log();
    log.append(&entries(0..2)).unwrap();
    log.purge_upto(9, b"").unwrap();
    for log in [log, reopened(engine.restart())] {
        assert_eq!(log.last(), Ok(None));
        assert_eq!(
            log.append(&entries([2])),
            Err(RaftLogError::Gap {
                expected: 10,
                found: 2
            })
        );
        log.append(&entries(10..12)).unwrap();
        assert_eq!(log.read(0, 99), Ok(entries(10..12)));
        log.truncate_after(None).unwrap();
    }
}

#[test]
fn a_limited_read_brings_at_least_one_entry() {
    let (_, log) = log();
    log.append(&entries(0..5)).unwrap();
    assert_eq!(log.read_limited(1, 5, 0), Ok(entries(1..2)));
    assert_eq!(
        log.read_limited(1, 5, "payload 1payload 2".len()),
        Ok(entries(1..3))
    );
    assert_eq!(log.read_limited(3, 3, 9), Ok(vec![]));
}

#[test]
fn every_damaged_byte_of_an_entry_is_noticed_and_named() {
    let (engine, log) = log();
    log.append(&entries(0..3)).unwrap();
    let length = FRAME_HEAD + "payload 1".len();
    for place in 0..length {
        spoil(&engine, Record::Entry(1), |value| value[place] ^= 0x20);
        let error = log.read(0, 3).unwrap_err();
        assert!(error.to_string().contains("entry 1"), "{error}");
        assert_eq!(log.read(2, 3), Ok(entries(2..3)));
        spoil(&engine, Record::Entry(1), |value| value[place] ^= 0x20);
    }
    spoil(&engine, Record::Entry(1), |value| value.truncate(3));
    assert!(matches!(
        log.read(0, 3),
        Err(RaftLogError::Corrupt {
            record: Record::Entry(1),
            ..
        })
    ));
}

#[test]
fn an_entry_under_anothers_key_is_noticed() {
    let (engine, log) = log();
    log.append(&entries(0..3)).unwrap();
    let other = engine
        .get(Family::Raft, &Record::Entry(2).key())
        .unwrap()
        .unwrap();
    spoil(&engine, Record::Entry(1), |value| *value = other.to_vec());
    assert!(matches!(
        log.read(0, 3),
        Err(RaftLogError::Corrupt {
            record: Record::Entry(1),
            ..
        })
    ));
}

#[test]
fn a_newer_frame_is_refused_by_its_version() {
    let (engine, log) = log();
    log.save_vote(b"vote").unwrap();
    spoil(&engine, Record::Vote, |value| value[0] = 2);
    assert_eq!(
        log.vote(),
        Err(RaftLogError::UnknownVersion {
            record: Record::Vote,
            found: 2
        })
    );
}

#[test]
fn a_hole_is_an_error_when_it_is_read() {
    let (engine, log) = log();
    log.append(&entries(0..5)).unwrap();
    let mut batch = Batch::new();
    batch.delete(Family::Raft, &Record::Entry(2).key());
    engine.append(&batch, true).unwrap();
    assert_eq!(
        log.read(0, 5),
        Err(RaftLogError::Gap {
            expected: 2,
            found: 3
        })
    );
}

#[test]
fn a_log_with_a_damaged_end_or_a_hole_behind_its_purge_does_not_open() {
    let (engine, log) = log();
    log.append(&entries(0..5)).unwrap();
    log.purge_upto(1, b"").unwrap();
    spoil(&engine, Record::Entry(4), |value| value[7] ^= 1);
    let error = RaftLog::open(Arc::new(engine.restart())).unwrap_err();
    assert!(
        matches!(
            error,
            RaftLogError::Corrupt {
                record: Record::Entry(4),
                ..
            }
        ),
        "{error}"
    );

    spoil(&engine, Record::Entry(4), |value| value[7] ^= 1);
    let mut batch = Batch::new();
    batch.delete(Family::Raft, &Record::Entry(2).key());
    engine.append(&batch, true).unwrap();
    let error = RaftLog::open(Arc::new(engine.restart())).unwrap_err();
    assert_eq!(
        error,
        RaftLogError::Gap {
            expected: 2,
            found: 3
        }
    );
}

#[derive(Clone, Debug)]
enum Step {
    Append(u64),
    Truncate(u64),
    Purge(u64),
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..5_u64).prop_map(Step::Append),
        1 => (0..30_u64).prop_map(Step::Truncate),
        1 => (0..30_u64).prop_map(Step::Purge),
        1 => Just(Step::Crash),
    ];
    proptest::collection::vec(step, 0..40)
}

proptest! {
    #[test]
    fn the_log_is_a_list_that_is_cut_at_both_ends(steps in steps()) {
        let (mut engine, mut log) = log();
        let (mut first, mut next) = (0, 0);
        for step in steps {
            match step {
                Step::Append(count) => {
                    log.append(&entries(next..next + count)).unwrap();
                    next += count;
                }
                Step::Truncate(index) => {
                    log.truncate_after(Some(index)).unwrap();
                    next = next.min(first.max(index + 1));
                }
                Step::Purge(index) => {
                    log.purge_upto(index, b"").unwrap();
                    first = first.max(index + 1);
                    next = next.max(first);
                    log.sync().unwrap();
                }
                Step::Crash => {
                    engine = Arc::new(engine.crash(usize::MAX));
                    log = RaftLog::open(engine.clone()).unwrap();
                }
            }
            prop_assert_eq!(log.read(0, 1000), Ok(entries(first..next)));
        }
    }
}
