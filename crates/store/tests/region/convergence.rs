//! Regions that have the same entries show the same, whatever came first and however they were told.

use proptest::prelude::*;

use crate::history::{History, Mix, REGIONS, Step, holds, play};
use crate::shown::shown;
use crate::trim::rows;

/// Caught: an entry that writes a key twice and is not settled; a write that counts as having replaced what
/// it did not write to.
fn order_of_arrival_does_not_matter(history: &History) -> Result<(), TestCaseError> {
    let is_trim = |step: &&Step| matches!(step, Step::Trim { .. });
    let steps = history.steps.iter().filter(|step| !is_trim(step));
    let untrimmed = History {
        steps: steps.cloned().collect(),
    };
    let mut regions = play(&untrimmed);
    regions.settle();
    let first = shown(&**regions.seats[0].engine());
    for place in 0..REGIONS {
        prop_assert_eq!(regions.applied(place), regions.applied(0));
        prop_assert_eq!(&shown(&**regions.seats[place].engine()), &first);
        prop_assert_eq!(rows(&regions.seats[place]), first.ledger.len());
    }
    Ok(())
}

#[test]
fn regions_that_have_the_same_entries_show_the_same() {
    holds(2_000, Mix::Everything, order_of_arrival_does_not_matter);
}
