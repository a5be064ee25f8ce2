//! Trimming: old rows go and leave nothing behind, and the ledger goes on.

use std::collections::BTreeSet;

use atoll_core::{CollectionSpec, Policy, UpdateDelete};
use atoll_store::Command;
use atoll_store::engine::Family;
use atoll_store::records::ledger_row;
use bytes::Bytes;

use crate::commands::{all_types, at, configure, intent, put};
use crate::engines::{Kind, Seat, check, everything, identity};
use crate::regions::Regions;

/// Checks that every row is found by time and by id, that nothing else is there, and that the count is
/// right; answers with it.
pub(crate) fn rows(seat: &Seat) -> usize {
    let (mut by_time, mut by_id) = (BTreeSet::new(), BTreeSet::new());
    for (_, key, value) in everything(&**seat.engine())
        .into_iter()
        .filter(|(family, _, _)| *family == Family::Ledger)
    {
        if key < ledger_row::time_end() {
            let (detected, id) = ledger_row::decode_key(&key).unwrap();
            let kept = ledger_row::decode(value).unwrap();
            assert_eq!(detected, ledger_row::detected(&kept.row));
            by_time.insert((ledger_row::id_key(id), detected));
        } else {
            let detected = ledger_row::decode_time(&value).unwrap();
            by_id.insert((key.to_vec(), detected));
        }
    }
    assert_eq!(by_time, by_id);
    assert_eq!(seat.region().applied().ledger_rows, by_time.len() as u64);
    by_time.len()
}

fn trim(seat: &mut Seat, before_ms: u64, rows_max: u64) {
    let before = at(before_ms);
    seat.apply(&[Command::Trim { before, rows_max }]);
}

/// Frames of two regions that wrote `k0`, `k1`, … at once, ten milliseconds apart.
fn conflicting(keys: u64) -> [Vec<Bytes>; 2] {
    let mut others = Regions::of(2, &keep());
    for n in 0..keys {
        for place in 0..2 {
            others.write(place, n * 10, &[intent("r", &format!("k{n}"), put("1"))]);
        }
    }
    [0, 1].map(|place| others.frames(place))
}

fn keep() -> Vec<CollectionSpec> {
    all_types(&Policy::KeepSiblings, UpdateDelete::KeepBoth)
}

#[test]
fn rows_that_are_too_old_or_too_many_go() {
    let frames = conflicting(20);
    check(|mut seat| {
        seat.apply(&[configure(keep())]);
        for (place, frames) in frames.iter().enumerate() {
            seat.receive(place, frames.clone());
        }
        assert_eq!(rows(&seat), 20);
        trim(&mut seat, 0, 20);
        assert_eq!(rows(&seat), 20);
        trim(&mut seat, 50, 1000);
        assert_eq!(rows(&seat), 15);
        trim(&mut seat, 0, 12);
        assert_eq!(rows(&seat), 12);
        // Both at once: whichever asks for more.
        trim(&mut seat, 90, 3);
        assert_eq!(rows(&seat), 3);
        seat.restart();
        trim(&mut seat, 190, 1000);
        assert_eq!(rows(&seat), 1);
        trim(&mut seat, 0, 0);
        assert_eq!(rows(&seat), 0);
        trim(&mut seat, u64::from(u32::MAX), 0);
        assert_eq!(rows(&seat), 0);
    });
}

/// Versions whose rows are gone meet new ones, which find smaller partners for them.
#[test]
fn a_slot_whose_rows_were_trimmed_has_new_conflicts() {
    let mut others = Regions::of(3, &keep());
    others.write(0, 20, &[intent("r", "k", put("1"))]);
    others.write(1, 30, &[intent("r", "k", put("2"))]);
    others.write(1, 40, &[intent("r", "k", put("3"))]);
    others.write(2, 10, &[intent("r", "k", put("4"))]);
    others.write(2, 50, &[intent("r", "k", put("5"))]);
    let frames = [0, 1, 2].map(|place| others.frames(place));
    check(|mut seat| {
        seat.apply(&[configure(keep())]);
        seat.receive(0, frames[0].clone());
        seat.receive(1, frames[1].clone());
        assert_eq!(rows(&seat), 2);
        trim(&mut seat, 0, 0);
        assert_eq!(rows(&seat), 0);
        seat.receive(2, frames[2].clone());
        // Each of the five has a partner; what the first two regions had with each other is gone.
        assert_eq!(rows(&seat), 4);
        seat.write(60, &[intent("r", "k", put("6"))]).unwrap();
        assert_eq!(rows(&seat), 4);
        trim(&mut seat, 0, 1);
        assert_eq!(rows(&seat), 1);
    });
}

#[test]
fn a_trim_of_very_many_rows_goes_on_with_the_next_one() {
    let mut seat = Seat::new(Kind::Memory, &identity(2));
    seat.apply(&[configure(keep())]);
    for (place, frames) in conflicting(5_000).into_iter().enumerate() {
        seat.receive(place, frames);
    }
    assert_eq!(rows(&seat), 5_000);
    trim(&mut seat, 0, 100);
    assert_eq!(rows(&seat), 5_000 - 4_096);
    trim(&mut seat, 0, 100);
    assert_eq!(rows(&seat), 100);
}
