//! What every engine must do, a function each.

use std::ops::{
    Bound::{self, Excluded, Included, Unbounded},
    ControlFlow,
};

use super::{MemoryRig, Rig, RocksRig};
use crate::engine::{Batch, Direction, Engine, Family, Read};

facts! {
    a_value_is_what_was_put_last,
    families_are_apart,
    later_changes_of_a_batch_override_earlier_ones,
    a_range_is_deleted_from_its_first_key_to_before_its_last,
    a_scan_keeps_to_its_bounds_in_both_directions,
    a_scan_ends_when_its_visitor_says_so,
    a_prefix_scan_sees_all_keys_of_the_prefix,
    a_snapshot_does_not_move,
    a_snapshot_is_one_instant_of_all_families,
    a_visitor_may_write,
    an_orderly_end_loses_nothing,
    a_crash_takes_what_was_committed_after_the_last_flush,
    a_crash_takes_nothing_that_was_appended,
    appends_and_commits_come_back_together_after_a_crash,
    deletions_are_as_durable_as_writes,
    empty_batches_are_nothing,
    keys_and_values_are_any_bytes,
    the_disk_has_room,
    what_is_not_flushed_is_measured,
}

pub(super) fn put(engine: &dyn Engine, pairs: &[(Family, &str, &str)]) {
    let mut batch = Batch::new();
    for (family, key, value) in pairs {
        batch.put(*family, key.as_bytes(), value.as_bytes());
    }
    if batch.touches(Family::Raft) {
        engine.append(&batch, true).unwrap();
    } else {
        engine.commit(&batch).unwrap();
    }
}

pub(super) fn get(read: &dyn Read, family: Family, key: &str) -> Option<String> {
    read.get(family, key.as_bytes())
        .unwrap()
        .map(|value| String::from_utf8(value.to_vec()).unwrap())
}

fn keys(read: &dyn Read, from: Bound<&str>, to: Bound<&str>, direction: Direction) -> String {
    let mut keys = Vec::new();
    let (from, to) = (from.map(str::as_bytes), to.map(str::as_bytes));
    read.scan(Family::State, from, to, direction, &mut |key, value| {
        assert_eq!(key, value, "these tests store each key under itself");
        keys.push(String::from_utf8(key.to_vec()).unwrap());
        ControlFlow::Continue(())
    })
    .unwrap();
    keys.join(" ")
}

pub(super) fn all(read: &dyn Read) -> String {
    keys(read, Unbounded, Unbounded, Direction::Forward)
}

pub(super) fn letters<R: Rig>() -> R {
    let rig = R::new();
    put(
        rig.engine(),
        &["a", "b", "bb", "c", "d"].map(|key| (Family::State, key, key)),
    );
    rig
}

fn a_value_is_what_was_put_last<R: Rig>() {
    let rig = R::new();
    assert_eq!(get(rig.engine(), Family::State, "k"), None);
    put(rig.engine(), &[(Family::State, "k", "1")]);
    put(rig.engine(), &[(Family::State, "k", "2")]);
    assert_eq!(get(rig.engine(), Family::State, "k").as_deref(), Some("2"));
    let mut batch = Batch::new();
    batch.delete(Family::State, b"k");
    batch.delete(Family::State, b"never there");
    rig.engine().commit(&batch).unwrap();
    assert_eq!(get(rig.engine(), Family::State, "k"), None);
}

fn families_are_apart<R: Rig>() {
    let rig = R::new();
    for family in Family::ALL {
        put(rig.engine(), &[(family, "k", family.name())]);
    }
    for family in Family::ALL {
        assert_eq!(
            get(rig.engine(), family, "k").as_deref(),
            Some(family.name())
        );
    }
}

fn later_changes_of_a_batch_override_earlier_ones<R: Rig>() {
    let rig = letters::<R>();
    let mut batch = Batch::new();
    batch.put(Family::State, b"a", b"old");
    batch.put(Family::State, b"a", b"a");
    batch.put(Family::State, b"b", b"new");
    batch.delete(Family::State, b"b");
    batch.put(Family::State, b"c", b"new");
    batch.delete_range(Family::State, b"bb", b"d");
    batch.put(Family::State, b"bb", b"bb");
    rig.engine().commit(&batch).unwrap();
    assert_eq!(all(rig.engine()), "a bb d");
}

fn a_range_is_deleted_from_its_first_key_to_before_its_last<R: Rig>() {
    let rig = letters::<R>();
    let mut batch = Batch::new();
    batch.delete_range(Family::State, b"b", b"d");
    rig.engine().commit(&batch).unwrap();
    assert_eq!(all(rig.engine()), "a d");
    let rig = rig.restart();
    assert_eq!(all(rig.engine()), "a d");
}

fn a_scan_keeps_to_its_bounds_in_both_directions<R: Rig>() {
    let rig = letters::<R>();
    let check = |from, to, forward: &str| {
        let backward = forward.split(' ').rev().collect::<Vec<_>>().join(" ");
        let mut found = (String::new(), String::new());
        rig.engine().snapshot(|view| {
            found.0 = keys(view, from, to, Direction::Forward);
            found.1 = keys(view, from, to, Direction::Backward);
        });
        assert_eq!(
            found,
            (forward.to_owned(), backward.clone()),
            "snapshot, {from:?} to {to:?}"
        );
        assert_eq!(
            keys(rig.engine(), from, to, Direction::Forward),
            forward,
            "{from:?} to {to:?}"
        );
        assert_eq!(
            keys(rig.engine(), from, to, Direction::Backward),
            backward,
            "{from:?} to {to:?}"
        );
    };
    check(Unbounded, Unbounded, "a b bb c d");
    check(Included("b"), Unbounded, "b bb c d");
    check(Excluded("b"), Unbounded, "bb c d");
    check(Unbounded, Included("b"), "a b");
    check(Unbounded, Excluded("b"), "a");
    check(Included("b"), Excluded("c"), "b bb");
    check(Excluded("b"), Included("c"), "bb c");
    check(Included("b"), Included("b"), "b");
    check(Included("b"), Excluded("b"), "");
    check(Excluded("b"), Included("b"), "");
    check(Excluded("b"), Excluded("b"), "");
    check(Included("c"), Included("b"), "");
    check(Excluded("d"), Excluded("a"), "");
    check(Included("0"), Included("aa"), "a");
    check(Included("x"), Unbounded, "");
    check(Included(""), Excluded(""), "");
}

fn a_scan_ends_when_its_visitor_says_so<R: Rig>() {
    let rig = letters::<R>();
    let mut seen = 0;
    let mut visit = |_: &[u8], _: &[u8]| {
        seen += 1;
        if seen == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    rig.engine()
        .scan(
            Family::State,
            Unbounded,
            Unbounded,
            Direction::Backward,
            &mut visit,
        )
        .unwrap();
    assert_eq!(seen, 2);
}

fn a_prefix_scan_sees_all_keys_of_the_prefix<R: Rig>() {
    let rig = R::new();
    let mut batch = Batch::new();
    let stored: [&[u8]; 6] = [b"a", b"b", b"b\x00", b"b\xff\xff", b"c", b"\xff\xff\x01"];
    for key in stored {
        batch.put(Family::Log, key, b"");
    }
    rig.engine().commit(&batch).unwrap();
    let check = |prefix: &[u8], expected: &[&[u8]]| {
        let mut keys: Vec<Vec<u8>> = Vec::new();
        let mut visit = |key: &[u8], _: &[u8]| {
            keys.push(key.to_vec());
            ControlFlow::Continue(())
        };
        rig.engine()
            .scan_prefix(Family::Log, prefix, Direction::Forward, &mut visit)
            .unwrap();
        assert_eq!(keys, expected);
    };
    check(b"b", &stored[1..4]);
    check(b"\xff\xff", &stored[5..]);
    check(b"", &stored);
    check(b"x", &[]);
}

fn a_snapshot_does_not_move<R: Rig>() {
    let rig = letters::<R>();
    let engine = rig.engine();
    engine.snapshot(|view| {
        put(
            engine,
            &[(Family::State, "a", "other"), (Family::State, "z", "z")],
        );
        let mut batch = Batch::new();
        batch.delete_range(Family::State, b"b", b"d");
        engine.commit(&batch).unwrap();
        engine.flush().unwrap();
        assert_eq!(all(view), "a b bb c d");
        assert_eq!(get(view, Family::State, "c").as_deref(), Some("c"));
        assert_eq!(get(view, Family::State, "z"), None);
        assert_eq!(get(engine, Family::State, "c"), None);
    });
}

fn a_snapshot_is_one_instant_of_all_families<R: Rig>() {
    let rig = R::new();
    let engine = rig.engine();
    let number = |read: &dyn Read, family| {
        get(read, family, "k").map_or(0, |text| text.parse::<u32>().unwrap())
    };
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for number in 1..=2000_u32 {
                let text = number.to_string();
                put(
                    engine,
                    &[(Family::State, "k", &text), (Family::Ledger, "k", &text)],
                );
            }
        });
        loop {
            let (state, ledger) =
                engine.snapshot(|view| (number(view, Family::State), number(view, Family::Ledger)));
            assert_eq!(state, ledger);
            if state == 2000 {
                break;
            }
        }
    });
}

fn a_visitor_may_write<R: Rig>() {
    let rig = letters::<R>();
    let engine = rig.engine();
    let mut visit = |key: &[u8], _: &[u8]| {
        let mut batch = Batch::new();
        batch.delete(Family::State, key);
        batch.put(Family::State, &[key, b"~"].concat(), b"");
        engine.commit(&batch).unwrap();
        ControlFlow::Continue(())
    };
    engine
        .scan(
            Family::State,
            Unbounded,
            Unbounded,
            Direction::Forward,
            &mut visit,
        )
        .unwrap();
    let mut left = 0;
    let mut count = |key: &[u8], _: &[u8]| {
        assert!(key.ends_with(b"~"));
        left += 1;
        ControlFlow::Continue(())
    };
    engine
        .scan(
            Family::State,
            Unbounded,
            Unbounded,
            Direction::Forward,
            &mut count,
        )
        .unwrap();
    assert_eq!(left, 5, "a scan does not see what is written under way");
}

fn an_orderly_end_loses_nothing<R: Rig>() {
    let rig = letters::<R>();
    let mut batch = Batch::new();
    batch.put(Family::Raft, b"r", b"unsynced");
    rig.engine().append(&batch, false).unwrap();
    let rig = rig.restart();
    assert_eq!(all(rig.engine()), "a b bb c d");
    assert_eq!(
        get(rig.engine(), Family::Raft, "r").as_deref(),
        Some("unsynced")
    );
}

fn a_crash_takes_what_was_committed_after_the_last_flush<R: Rig>() {
    let rig = R::new();
    put(
        rig.engine(),
        &[(Family::State, "a", "a"), (Family::Meta, "applied", "1")],
    );
    rig.engine().flush().unwrap();
    put(
        rig.engine(),
        &[(Family::State, "b", "b"), (Family::Meta, "applied", "2")],
    );
    let rig = rig.crash();
    assert_eq!(all(rig.engine()), "a");
    assert_eq!(
        get(rig.engine(), Family::Meta, "applied").as_deref(),
        Some("1")
    );
}

fn a_crash_takes_nothing_that_was_appended<R: Rig>() {
    let mut rig = R::new();
    for round in 0..5 {
        for (number, sync) in [true, false, true, false].into_iter().enumerate() {
            let mut batch = Batch::new();
            batch.put(
                Family::Raft,
                format!("{round}.{number}").as_bytes(),
                b"entry",
            );
            rig.engine().append(&batch, sync).unwrap();
        }
        rig = rig.crash();
        for number in 0..4 {
            assert!(get(rig.engine(), Family::Raft, &format!("{round}.{number}")).is_some());
        }
    }
}

fn appends_and_commits_come_back_together_after_a_crash<R: Rig>() {
    let rig = R::new();
    for index in 1..=9 {
        let index = index.to_string();
        put(rig.engine(), &[(Family::Raft, &index, "entry")]);
        put(
            rig.engine(),
            &[
                (Family::State, &index, &index),
                (Family::Meta, "applied", &index),
            ],
        );
        if index == "4" {
            rig.engine().flush().unwrap();
        }
    }
    let rig = rig.crash();
    assert_eq!(all(rig.engine()), "1 2 3 4");
    assert_eq!(
        get(rig.engine(), Family::Meta, "applied").as_deref(),
        Some("4")
    );
    for index in 1..=9 {
        assert!(
            get(rig.engine(), Family::Raft, &index.to_string()).is_some(),
            "entry {index}"
        );
    }
}

fn deletions_are_as_durable_as_writes<R: Rig>() {
    let rig = letters::<R>();
    put(
        rig.engine(),
        &[
            (Family::Raft, "1", ""),
            (Family::Raft, "2", ""),
            (Family::Raft, "3", ""),
        ],
    );
    rig.engine().flush().unwrap();
    let mut batch = Batch::new();
    batch.delete(Family::State, b"a");
    rig.engine().commit(&batch).unwrap();
    let mut batch = Batch::new();
    batch.delete_range(Family::Raft, b"1", b"3");
    rig.engine().append(&batch, true).unwrap();
    let rig = rig.crash();
    assert_eq!(all(rig.engine()), "a b bb c d");
    assert_eq!(get(rig.engine(), Family::Raft, "2"), None);
    assert_eq!(get(rig.engine(), Family::Raft, "3").as_deref(), Some(""));
}

fn empty_batches_are_nothing<R: Rig>() {
    let rig = R::new();
    rig.engine().commit(&Batch::new()).unwrap();
    rig.engine().append(&Batch::new(), false).unwrap();
    rig.engine().append(&Batch::new(), true).unwrap();
    rig.engine().flush().unwrap();
    assert_eq!(all(rig.engine()), "");
}

fn keys_and_values_are_any_bytes<R: Rig>() {
    let rig = R::new();
    let long = vec![0xfe; 300_000];
    let pairs: [(&[u8], &[u8]); 4] = [
        (b"", b""),
        (b"\0", b"\0\0"),
        (b"\xff\xff", b"\xff"),
        (&long, &long),
    ];
    let mut batch = Batch::new();
    for (key, value) in pairs {
        batch.put(Family::History, key, value);
    }
    rig.engine().commit(&batch).unwrap();
    let rig = rig.restart();
    for (key, value) in pairs {
        assert_eq!(
            rig.engine().get(Family::History, key).unwrap().unwrap(),
            value
        );
    }
}

fn the_disk_has_room<R: Rig>() {
    let rig = letters::<R>();
    rig.engine().flush().unwrap();
    let disk = rig.engine().disk().unwrap();
    assert!(
        disk.used_bytes > 0 && disk.free_bytes > 0 && disk.total_bytes >= disk.free_bytes,
        "{disk:?}"
    );
    rig.engine().writable().unwrap();
}

/// Caught: the log's bytes left out; the measure of one family.
fn what_is_not_flushed_is_measured<R: Rig>() {
    let rig = R::new();
    let unflushed = |rig: &R| rig.engine().unflushed_bytes().unwrap();
    // A family's first change makes its filter, too.
    let (large, room) = (1_000_000, 400_000);
    let value = "x".repeat(usize::try_from(large).unwrap());
    rig.engine().flush().unwrap();
    for round in 0..2_u64 {
        let mut before = unflushed(&rig);
        assert!(before < room, "{before} bytes after flush {round}");
        for (number, family) in [Family::State, Family::Raft, Family::Ledger]
            .into_iter()
            .enumerate()
        {
            put(rig.engine(), &[(family, &number.to_string(), &value)]);
            let now = unflushed(&rig);
            let grown = now - before;
            assert!(
                grown >= large && grown < large + room,
                "{family:?}: {grown}"
            );
            before = now;
        }
        rig.engine().flush().unwrap();
    }
}
