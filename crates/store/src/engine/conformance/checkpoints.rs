//! What a checkpoint of every engine must be.
//!
//! Where a doc comment says "caught", the code was broken by hand in that way once, and the test failed.

use std::ops::{Bound::Unbounded, ControlFlow};

use super::{
    MemoryRig, Rig, RocksRig,
    facts::{all, get, letters, put},
};
use crate::engine::{Batch, Direction, EngineError, Family, Read};

facts! {
    a_checkpoint_shows_what_was_written_before_it_and_nothing_that_came_later,
    a_checkpoint_is_one_instant_of_all_families,
    a_checkpoint_shows_no_raft_log,
    two_checkpoints_live_side_by_side,
    a_dropped_checkpoint_leaves_nothing,
    a_checkpoint_outlives_its_engine,
    what_a_crash_leaves_of_checkpoints_goes_with_the_next_start,
    what_a_checkpoint_shows_is_durable,
    a_checkpoint_of_a_full_disk_is_refused_by_name,
    a_checkpoint_reads_like_an_engine,
}

fn value(read: &dyn Read, key: &str) -> Option<String> {
    get(read, Family::State, key)
}

/// Caught: a checkpoint without a flush.
fn a_checkpoint_shows_what_was_written_before_it_and_nothing_that_came_later<R: Rig>() {
    let rig = letters::<R>();
    let checkpoint = rig.engine().checkpoint().unwrap();
    put(
        rig.engine(),
        &[(Family::State, "a", "later"), (Family::State, "e", "e")],
    );
    let mut batch = Batch::new();
    batch.delete_range(Family::State, b"b", b"d");
    rig.engine().commit(&batch).unwrap();
    rig.engine().flush().unwrap();
    assert_eq!(all(&*checkpoint), "a b bb c d");
    assert_eq!(value(&*checkpoint, "a").as_deref(), Some("a"));
    assert_eq!(value(&*checkpoint, "e"), None);
    assert_eq!(value(rig.engine(), "a").as_deref(), Some("later"));
    assert_eq!(value(rig.engine(), "bb"), None);
}

fn a_checkpoint_is_one_instant_of_all_families<R: Rig>() {
    let rig = R::new();
    let engine = rig.engine();
    std::thread::scope(|threads| {
        let writer = threads.spawn(|| {
            for number in 1..=3000_u32 {
                let text = number.to_string();
                put(
                    engine,
                    &[(Family::State, "k", &text), (Family::Ledger, "k", &text)],
                );
                put(engine, &[(Family::Raft, &text, "entry")]);
            }
        });
        let mut last = 0;
        while !writer.is_finished() {
            let checkpoint = engine.checkpoint().unwrap();
            let number = |family| {
                let text = get(&*checkpoint, family, "k");
                text.map_or(0, |text| text.parse::<u32>().unwrap())
            };
            assert_eq!(number(Family::State), number(Family::Ledger));
            assert!(number(Family::State) >= last);
            last = number(Family::State);
        }
    });
}

/// Caught: a twin that shows all families.
fn a_checkpoint_shows_no_raft_log<R: Rig>() {
    let rig = letters::<R>();
    put(rig.engine(), &[(Family::Raft, "entry", "1")]);
    let checkpoint = rig.engine().checkpoint().unwrap();
    assert_eq!(get(&*checkpoint, Family::Raft, "entry"), None);
    let mut visit = |key: &[u8], _: &[u8]| panic!("{key:?}");
    let scanned = checkpoint.scan(
        Family::Raft,
        Unbounded,
        Unbounded,
        Direction::Forward,
        &mut visit,
    );
    assert_eq!(scanned, Ok(()));
}

fn two_checkpoints_live_side_by_side<R: Rig>() {
    let rig = letters::<R>();
    let first = rig.engine().checkpoint().unwrap();
    put(rig.engine(), &[(Family::State, "e", "e")]);
    let second = rig.engine().checkpoint().unwrap();
    put(rig.engine(), &[(Family::State, "f", "f")]);
    assert_eq!(all(&*first), "a b bb c d");
    assert_eq!(all(&*second), "a b bb c d e");
    drop(first);
    assert_eq!(all(&*second), "a b bb c d e");
    assert_eq!(all(rig.engine()), "a b bb c d e f");
}

/// Caught: a drop that leaves the directory.
fn a_dropped_checkpoint_leaves_nothing<R: Rig>() {
    let rig = letters::<R>();
    let used = |rig: &R| rig.engine().disk().unwrap().used_bytes;
    for _ in 0..3 {
        let checkpoints = [(); 2].map(|()| rig.engine().checkpoint().unwrap());
        assert!(checkpoints.iter().all(|read| all(&**read) == "a b bb c d"));
        let with = used(&rig);
        drop(checkpoints);
        assert!(used(&rig) <= with);
        assert_eq!(rig.checkpoints(), 0);
    }
}

fn a_checkpoint_outlives_its_engine<R: Rig>() {
    let rig = letters::<R>();
    let checkpoint = rig.engine().checkpoint().unwrap();
    assert_eq!(all(&*checkpoint), "a b bb c d");
    let rig = rig.restart();
    let again = rig.engine().checkpoint().unwrap();
    drop(checkpoint);
    assert_eq!(all(&*again), "a b bb c d", "the old one's end is its own");
}

/// Caught: a start that leaves them.
fn what_a_crash_leaves_of_checkpoints_goes_with_the_next_start<R: Rig>() {
    let rig = letters::<R>();
    let checkpoints = [(); 2].map(|()| rig.engine().checkpoint().unwrap());
    put(rig.engine(), &[(Family::State, "e", "e")]);
    let rig = rig.crash();
    assert_eq!(rig.checkpoints(), 0);
    assert_eq!(all(rig.engine()), "a b bb c d");
    drop(checkpoints);
}

fn what_a_checkpoint_shows_is_durable<R: Rig>() {
    let rig = letters::<R>();
    drop(rig.engine().checkpoint().unwrap());
    put(rig.engine(), &[(Family::State, "e", "e")]);
    assert_eq!(all(rig.crash().engine()), "a b bb c d");
}

/// Caught: a checkpoint that does not ask for room.
fn a_checkpoint_of_a_full_disk_is_refused_by_name<R: Rig>() {
    let rig = R::full();
    put(rig.engine(), &[(Family::State, "a", "a")]);
    match rig.engine().checkpoint() {
        Err(EngineError::DiskFull { .. }) => {}
        other => panic!("{:?}", other.err()),
    }
    assert_eq!(rig.checkpoints(), 0);
    assert_eq!(all(rig.engine()), "a");
}

fn a_checkpoint_reads_like_an_engine<R: Rig>() {
    let rig = letters::<R>();
    for family in Family::ALL {
        put(rig.engine(), &[(family, "k", family.name())]);
    }
    let checkpoint = rig.engine().checkpoint().unwrap();
    for family in Family::ALL {
        let expected = (family != Family::Raft).then(|| family.name().to_owned());
        assert_eq!(get(&*checkpoint, family, "k"), expected);
    }
    let mut last_two = Vec::new();
    let mut visit = |key: &[u8], _: &[u8]| {
        last_two.push(key.to_vec());
        if last_two.len() == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    checkpoint
        .scan_prefix(Family::State, b"b", Direction::Backward, &mut visit)
        .unwrap();
    assert_eq!(last_two, [b"bb".to_vec(), b"b".to_vec()]);
}
