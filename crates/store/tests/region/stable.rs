//! Pruning: history below the stable vector goes, and nobody can tell.

use atoll_core::{Policy, UpdateDelete};
use atoll_store::Command;
use atoll_store::engine::Family;
use proptest::prelude::*;

use crate::commands::{all_types, at, intent, put, request};
use crate::engines::count;
use crate::history::{History, Mix, REGIONS, Step, holds, play};
use crate::regions::Regions;
use crate::shown::shown;

/// Regions that were told what is stable show what they show without: slots, ledger, and when conflicts
/// were resolved.
///
/// Caught: a resolution that is not noted, or before it is final; a version that goes while what replaced
/// it is not stable; versions that go list by list and not in order of time, or past the end of what was
/// looked at; a clearing write that goes without telling the versions below.
fn pruning_cannot_be_seen(history: &History) -> Result<(), TestCaseError> {
    let without = History {
        steps: history
            .steps
            .iter()
            .filter(|step| !matches!(step, Step::Stable { .. }))
            .cloned()
            .collect(),
    };
    let (mut pruned, mut whole) = (play(history), play(&without));
    for settled in [false, true] {
        for place in 0..REGIONS {
            prop_assert_eq!(pruned.applied(place), whole.applied(place));
            let (one, other) = (&pruned.seats[place], &whole.seats[place]);
            let (one, other) = (shown(&**one.engine()), shown(&**other.engine()));
            prop_assert_eq!(one, other, "r{}, settled: {}", place, settled);
        }
        pruned.settle();
        whole.settle();
    }
    let first = shown(&**pruned.seats[0].engine());
    for seat in &pruned.seats[1..] {
        prop_assert_eq!(&first, &shown(&**seat.engine()));
    }
    Ok(())
}

#[test]
fn what_is_forgotten_is_never_missed() {
    holds(10_000, Mix::Pruning, pruning_cannot_be_seen);
}

fn versions_kept(regions: &Regions) -> Vec<usize> {
    let seats = regions.seats.iter();
    seats
        .map(|seat| count(&**seat.engine(), Family::History))
        .collect()
}

/// Everybody gets everything, and then knows that it is stable.
fn settle(regions: &mut Regions) {
    regions.settle();
    (0..3).for_each(|place| regions.tell_stable(place));
}

fn registers() -> Regions {
    Regions::of(
        3,
        &all_types(&Policy::LastWriterWins, UpdateDelete::UpdateWins),
    )
}

/// Caught: pruning that never happens.
#[test]
fn history_of_a_key_that_is_overwritten_stays_small() {
    let mut regions = registers();
    for n in 0..1_000 {
        regions.write(0, n, &[intent("r", "k", put(&n.to_string()))]);
        settle(&mut regions);
        assert!(versions_kept(&regions) <= vec![3; 3], "{n}");
    }
}

#[test]
fn history_stays_small_after_conflicts_and_under_large_batches() {
    let mut regions = registers();
    for round in 0..20 {
        for place in 0..3 {
            let write = |n: u64| request(&[intent("r", "k", put(&n.to_string()))]);
            let requests = (1..=32).map(write).collect();
            let now = at(round);
            regions.apply(place, Command::Write { now, requests });
        }
        settle(&mut regions);
        let kept = versions_kept(&regions);
        assert!(kept.iter().all(|kept| *kept <= 3 * 96), "{kept:?}");
    }
    for n in 0..60 {
        regions.write(n % 3, 100, &[intent("r", "k", put("1"))]);
        settle(&mut regions);
    }
    let kept = versions_kept(&regions);
    assert!(kept.iter().all(|kept| *kept <= 3), "{kept:?}");
}
