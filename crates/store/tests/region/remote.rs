//! Entries of other regions: each is applied once, in causal order, whatever comes.

use atoll_core::intent::Rejection;
use atoll_core::wire::BadFrame;
use atoll_core::{Policy, Timestamp, UpdateDelete, wire};
use atoll_store::log::LogReader;
use atoll_store::region::Merged;
use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;

use crate::commands::{all_types, configure, intent, ops, put};
use crate::engines::{Kind, Seat, check, identity};
use crate::regions::Regions;
use crate::shown::shown;

const HOUR_MS: u64 = 3_600_000;

fn regions() -> Regions {
    Regions::of(
        3,
        &all_types(&Policy::LastWriterWins, UpdateDelete::UpdateWins),
    )
}

fn merged(applied: usize, duplicates: usize, early: usize) -> Merged {
    Merged {
        applied,
        duplicates,
        early,
        refused: 0,
    }
}

/// Three entries of `r1`, each of which depends on the one before.
fn three_frames() -> Vec<Bytes> {
    let mut others = regions();
    for n in 0..3 {
        others.write(1, n, &[intent("r", "k", put(&n.to_string()))]);
    }
    others.frames(1)
}

#[test]
fn an_entry_that_comes_again_changes_nothing() {
    let frames = three_frames();
    check(|mut seat| {
        assert_eq!(seat.receive(1, frames.clone()), merged(3, 0, 0));
        let before = seat.state();
        assert_eq!(seat.receive(2, frames.clone()), merged(0, 3, 0));
        assert_eq!(seat.state(), before);
        seat.restart();
        assert_eq!(seat.receive(1, frames[1..].to_vec()), merged(0, 2, 0));
        assert_eq!(seat.state(), before);
    });
}

#[test]
fn an_entry_before_its_dependencies_changes_nothing() {
    let frames = three_frames();
    check(|mut seat| {
        seat.apply(&[]);
        let before = seat.state();
        assert_eq!(seat.receive(1, frames[1..].to_vec()), merged(0, 0, 2));
        assert_eq!(seat.state(), before);
        // Only what has come before within the same command counts.
        let backwards = [2, 0, 1].map(|i: usize| frames[i].clone());
        assert_eq!(seat.receive(1, backwards.to_vec()), merged(2, 0, 1));
        assert_eq!(seat.receive(1, frames.clone()), merged(1, 2, 0));
    });
}

/// Such an entry stops its link before it comes here (`replication`'s tests of poison). Caught: a time that is not looked at; a region that writes on and on at the last time.
#[test]
fn an_entry_of_a_time_that_no_clock_shows_is_not_applied_and_the_last_one_ends_writing() {
    let frames = three_frames();
    let of_time = |frame: &Bytes, time| {
        let mut entry = wire::decode_entry(frame).unwrap();
        entry.time = Timestamp(time);
        wire::encode_entry(&entry)
    };
    let latest = Timestamp::LATEST.0;
    check(|mut seat| {
        seat.apply(&[]);
        let before = seat.state();
        for beyond in [latest + 1, u64::MAX - 1, u64::MAX] {
            let frame = of_time(&frames[0], beyond);
            let refused = wire::decode_entry(&frame).unwrap_err();
            assert_eq!(refused, BadFrame::BeyondClocks(Timestamp(beyond)));
            assert_eq!(seat.receive(1, vec![frame]), merged(0, 0, 1));
            assert_eq!(seat.state(), before);
        }
        seat.apply(&[configure(all_types(
            &Policy::LastWriterWins,
            UpdateDelete::UpdateWins,
        ))]);
        let frame = of_time(&frames[0], latest - 1);
        assert_eq!(seat.receive(1, vec![frame]), merged(1, 0, 0));
        let write = [intent("r", "k", put("1"))];
        let (_, time) = seat.write(0, &write).unwrap().entry.unwrap();
        assert_eq!(time, Timestamp::LATEST);
        let before = seat.state();
        assert_eq!(seat.write(0, &write), Err(Rejection::NoTimeLeft));
        assert_eq!(seat.state(), before);
    });
}

/// Caught: a frame that cannot be read ends the command with an error.
#[test]
fn a_frame_that_cannot_be_read_changes_nothing() {
    let frames = three_frames();
    let mut flipped = frames[0].to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    let mut newer = frames[0].to_vec();
    newer[2] += 1;
    let damaged = [
        Bytes::new(),
        Bytes::from_static(b"something else"),
        frames[0].slice(..frames[0].len() - 1),
        flipped.into(),
        newer.into(),
        [&frames[0][..], b"more"].concat().into(),
    ];
    check(|mut seat| {
        seat.apply(&[]);
        let before = seat.state();
        assert_eq!(
            seat.receive(1, damaged.to_vec()),
            merged(0, 0, damaged.len())
        );
        assert_eq!(seat.state(), before);
        let around = [&frames[..1], &damaged, &frames[1..]].concat();
        assert_eq!(seat.receive(1, around), merged(3, 0, damaged.len()));
    });
}

/// Every frame is counted as one of three, and in the end all is there, once.
#[test]
fn any_order_of_arrival_ends_in_the_same_state() {
    let mut others = regions();
    for n in 0..4 {
        for place in 0..3 {
            others.write(place, n, &[intent("r", "k", put(&format!("1{n}{place}")))]);
            others.write(place, n, &[intent("c", "k", ops(r#"{"increment": 1}"#))]);
        }
        others.deliver(0, 1, 3);
        others.deliver(1, 2, 2);
    }
    others.settle();
    let frames = others.frames(0);
    let expected = shown(&**others.seats[0].engine());
    let picks = prop::collection::vec(prop::collection::vec(any::<Index>(), 1..12), 1..12);
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(500)
    };
    TestRunner::new(config)
        .run(&picks, |picks| {
            let mut seat = Seat::new(Kind::Memory, &identity(4));
            let mut send = |frames: Vec<Bytes>| {
                let before = seat.region().applied().vector.total();
                let sent = frames.len();
                let Merged {
                    applied,
                    duplicates,
                    early,
                    refused: _,
                } = seat.receive(1, frames);
                let after = seat.region().applied().vector.total();
                prop_assert_eq!(applied + duplicates + early, sent);
                prop_assert_eq!(after - before, applied as u64);
                Ok(early)
            };
            for some in picks {
                send(some.iter().map(|i| i.get(&frames).clone()).collect())?;
            }
            prop_assert_eq!(send(frames.clone())?, 0);
            prop_assert_eq!(&shown(&**seat.engine()), &expected);
            Ok(())
        })
        .unwrap();
}

#[test]
fn an_entry_is_kept_as_it_came_with_who_sent_it() {
    let frames = three_frames();
    check(|mut seat| {
        seat.receive(2, frames.clone());
        let log = LogReader::new(seat.engine().clone());
        for (n, frame) in frames.iter().enumerate() {
            let dot = wire::decode_entry(frame).unwrap().dot;
            let arrival = log.entry(dot).unwrap().unwrap();
            assert_eq!(arrival.index, n as u64 + 1);
            assert_eq!(&arrival.frame, frame);
            assert_eq!(arrival.sender, Some(identity(2).replica));
        }
    });
}

#[test]
fn what_comes_before_its_collection_is_declared_is_there_afterwards() {
    let frames = three_frames();
    check(|mut seat| {
        seat.receive(1, frames.clone());
        let early = shown(&**seat.engine());
        seat.apply(&[configure(all_types(
            &Policy::LastWriterWins,
            UpdateDelete::UpdateWins,
        ))]);
        assert_eq!(shown(&**seat.engine()), early);
        assert_eq!(early.slots.len(), 1);
    });
}

/// Caught: an applied entry that does not raise the region's time.
#[test]
fn what_follows_an_entry_is_later_whatever_the_clock_says() {
    let mut others = regions();
    others.write(1, HOUR_MS, &[intent("r", "k", put("1"))]);
    let ahead = wire::decode_entry(&others.frames(1)[0]).unwrap().time;
    check(|mut seat| {
        seat.apply(&[configure(all_types(
            &Policy::LastWriterWins,
            UpdateDelete::UpdateWins,
        ))]);
        seat.receive(1, others.frames(1));
        let mut last = ahead;
        for _ in 0..3 {
            let written = seat.write(0, &[intent("r", "k", put("2"))]).unwrap();
            let (_, time) = written.entry.unwrap();
            assert!(time > last, "{time} after {last}");
            last = time;
            seat.restart();
        }
    });
}

#[test]
fn a_restart_gives_out_no_dot_twice() {
    check(|mut seat| {
        seat.apply(&[configure(all_types(
            &Policy::LastWriterWins,
            UpdateDelete::UpdateWins,
        ))]);
        for n in 1..=4 {
            let written = seat.write(n, &[intent("r", "k", put("1"))]).unwrap();
            assert_eq!(written.entry.unwrap().0.seq, n);
            assert_eq!(written.session.get(identity(0).replica), n);
            seat.restart();
        }
    });
}
