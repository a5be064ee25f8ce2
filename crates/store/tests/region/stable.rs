//! Pruning: history below the stable vector goes, and nobody can tell.

use atoll_core::{Policy, UpdateDelete};
use atoll_store::engine::Family;
use proptest::prelude::*;

use crate::commands::{all_types, intent, put};
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
    holds(5_000, Mix::Pruning, pruning_cannot_be_seen);
}

fn versions_kept(regions: &Regions) -> Vec<usize> {
    let seats = regions.seats.iter();
    seats
        .map(|seat| count(&**seat.engine(), Family::History))
        .collect()
}

/// Caught: pruning that never happens.
#[test]
fn history_of_a_key_that_is_overwritten_stays_small() {
    let mut regions = Regions::of(
        3,
        &all_types(&Policy::LastWriterWins, UpdateDelete::UpdateWins),
    );
    for n in 0..1_000 {
        regions.write(0, n, &[intent("r", "k", put(&n.to_string()))]);
        regions.settle();
        (0..3).for_each(|place| regions.tell_stable(place));
        assert!(versions_kept(&regions) <= vec![3; 3], "{n}");
    }
}
