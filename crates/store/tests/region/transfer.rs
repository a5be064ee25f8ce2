//! A state that was sent to another node is the state, and goes on like it, on either engine.

use std::cell::RefCell;

use proptest::prelude::*;

use crate::engines::{Kind, Seat, identity};
use crate::history::{History, Mix, REGIONS, holds, play};
use crate::trim::rows;

/// Half of a history on one node; the state to a node that stands elsewhere; the other half on both.
///
/// Caught: a family that does not travel, a wipe that leaves a family, the catalog not read again.
fn a_state_goes_on_where_it_was_sent(
    (from, to): (&mut Seat, &mut Seat),
    history: &History,
    (cut, chunk_bytes): (usize, usize),
) -> Result<(), TestCaseError> {
    let regions = play(history);
    for place in 0..REGIONS {
        let commands = &regions.commands[place];
        let (before, after) = commands.split_at(cut % (commands.len() + 1));
        from.wipe(&identity(place));
        from.apply(before);
        to.wipe(&identity(place));
        to.apply(&regions.commands[(place + 1) % REGIONS]);
        to.install(from, chunk_bytes);
        prop_assert_eq!(to.everything(), from.everything(), "r{}", place);
        prop_assert_eq!(to.region().catalog(), from.region().catalog());
        prop_assert_eq!(to.region().applied(), from.region().applied());

        for command in after {
            let command = std::slice::from_ref(command);
            prop_assert_eq!(to.apply(command).outcomes, from.apply(command).outcomes);
        }
        prop_assert_eq!(to.everything(), from.everything(), "r{}, later", place);
        rows(to);
    }
    Ok(())
}

fn check(cases: u32, from: Kind, to: Kind) {
    let seat = |kind| RefCell::new(Seat::new(kind, &identity(0)));
    let (from, to, turn) = (seat(from), seat(to), RefCell::new(0));
    holds(cases, Mix::Everything, |history| {
        let nth = turn.replace_with(|turn| *turn + 1);
        let (mut from, mut to) = (from.borrow_mut(), to.borrow_mut());
        let shape = (5 * nth + 3, [60, 200, 1000, 1 << 20][nth % 4]);
        a_state_goes_on_where_it_was_sent((&mut from, &mut to), history, shape)
    });
}

#[test]
fn from_memory_to_memory() {
    check(500, Kind::Memory, Kind::Memory);
}

#[test]
fn from_disk_to_memory() {
    check(15, Kind::Rocks, Kind::Memory);
}

#[test]
fn from_memory_to_disk() {
    check(25, Kind::Memory, Kind::Rocks);
}

#[test]
fn from_disk_to_disk_and_over_a_restart() {
    let mut seats = [(); 3].map(|()| Seat::new(Kind::Rocks, &identity(0)));
    let [first, second, third] = &mut seats;
    holds_once(|history| {
        let regions = play(history);
        first.wipe(&identity(0));
        first.apply(&regions.commands[0]);
        second.install(first, 300);
        second.restart();
        third.install(second, 1 << 20);
        assert_eq!(third.everything(), first.everything());
        third.restart();
        assert_eq!(third.everything(), first.everything());
    });
}

/// Calls `fact` with one long history.
fn holds_once(fact: impl FnMut(&History)) {
    let fact = RefCell::new(fact);
    holds(1, Mix::Everything, |history| {
        (fact.borrow_mut())(history);
        Ok(())
    });
}
