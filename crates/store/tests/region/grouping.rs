//! The same commands have the same effect on both engines and however they are grouped, to the byte.

use std::cell::RefCell;

use atoll_store::{Command, Outcome};
use proptest::prelude::*;

use crate::engines::{Kind, Seat, identity};
use crate::history::{History, Mix, REGIONS, holds, play};
use crate::trim::rows;

/// Sizes of groups, taken in turn; 0 is a restart.
const ALONE: &[usize] = &[1];
const TOGETHER: &[usize] = &[usize::MAX];
const UNEVEN: &[usize] = &[2, 1, 5, 3];
const RESTARTED: &[usize] = &[3, 0, 1, 0, 4];

/// Applies commands in groups of these sizes and answers with the outcome of each.
fn apply(seat: &mut Seat, commands: &[Command], sizes: &[usize]) -> Vec<Outcome> {
    let (mut rest, mut outcomes) = (commands, Vec::new());
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        if *size == 0 {
            seat.restart();
            continue;
        }
        let (group, left) = rest.split_at((*size).min(rest.len()));
        outcomes.extend(seat.apply(group).outcomes);
        rest = left;
    }
    outcomes
}

/// Caught: an overlay of changes that scans of history do not look at, a trim that looks at the engine
/// alone, pruning once a group.
fn grouping_does_not_matter(
    seat: &mut Seat,
    groupings: &[&[usize]],
    history: &History,
) -> Result<(), TestCaseError> {
    let regions = play(history);
    for place in 0..REGIONS {
        let commands = &regions.commands[place];
        let played = regions.seats[place].everything();
        let mut expected = None;
        for sizes in groupings {
            seat.wipe(&identity(place));
            let outcomes = apply(seat, commands, sizes);
            prop_assert_eq!(seat.everything(), &played[..], "r{} in {:?}", place, sizes);
            rows(seat);
            let expected = expected.get_or_insert(outcomes.clone());
            prop_assert_eq!(&outcomes, &*expected, "r{} in {:?}", place, sizes);
        }
    }
    Ok(())
}

fn check(kind: Kind, cases: u32, groupings: &[&[usize]]) {
    let seat = RefCell::new(Seat::new(kind, &identity(0)));
    holds(cases, Mix::Everything, |history| {
        grouping_does_not_matter(&mut seat.borrow_mut(), groupings, history)
    });
}

#[test]
fn groups_of_any_size_have_the_same_effect() {
    check(Kind::Memory, 2_000, &[ALONE, TOGETHER, UNEVEN, RESTARTED]);
}

#[test]
fn both_engines_have_the_same_effect() {
    check(Kind::Rocks, 50, &[UNEVEN]);
}

#[test]
fn a_region_on_disk_goes_on_after_a_restart() {
    check(Kind::Rocks, 1, &[RESTARTED]);
}
