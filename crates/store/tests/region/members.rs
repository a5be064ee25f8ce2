//! Members and the topology as commands change them, and as other regions hear of it.

use atoll_core::intent::Rejection;
use atoll_core::layout::{LayoutRefused, LayoutRegion, Role, Topology};
use atoll_core::member::ChangeRefused;
use atoll_core::{Dot, Layout, MemberChange, MemberState, wire};
use atoll_store::region::NotChanged;
use atoll_store::{Command, Outcome};

use crate::commands::{at, intent, put, request, spec};
use crate::engines::{Seat, check, identity};
use crate::regions::Regions;

use MemberState::{Active, Draining, Joining, Retired};

/// The change that `place` knows to make to a member, and what becomes of it.
fn change(all: &mut Regions, place: usize, whose: usize, to: MemberState) -> Changed {
    let regions = &all.seats[place].region().catalog().regions;
    let change = regions.change(identity(whose).replica, to, 0)?;
    changed(all, place, Command::Member { now: at(9), change })
}

type Changed = Result<Dot, NotChanged>;

fn changed(all: &mut Regions, place: usize, command: Command) -> Changed {
    match all.apply(place, command).outcomes.remove(0) {
        Outcome::Changed(result) => result,
        other => panic!("{other:?}"),
    }
}

fn states(all: &Regions, place: usize) -> Vec<MemberState> {
    let members = &all.seats[place].region().catalog().regions;
    (0..all.seats.len())
        .filter_map(|whose| members.state(identity(whose).replica))
        .collect()
}

/// Three regions that know each other; the third one joined.
fn three() -> Regions {
    regions(3)
}

/// Regions that know each other; all but two joined.
fn regions(count: usize) -> Regions {
    let pages = spec(
        "pages",
        atoll_core::DataType::Register,
        atoll_core::Policy::KeepSiblings,
        atoll_core::UpdateDelete::KeepBoth,
    );
    let mut all = Regions::of(count, &[pages]);
    for place in 0..2 {
        all.apply(place, Command::Announce { now: at(1) });
    }
    for place in 2..count {
        all.apply(place, Command::Join { now: at(1) });
    }
    all.settle();
    all
}

fn layout(revision: u64, regions: &[usize]) -> Layout {
    let region = |place: &usize| LayoutRegion {
        name: identity(*place).region,
        role: Role::Leader,
        endpoints: vec![format!("http://r{place}:1")],
    };
    Layout {
        revision,
        topology: Topology::AllToAll,
        regions: regions.iter().map(region).collect(),
    }
}

/// Caught: writes taken while it joins; others had forgotten by then what they had not seen.
#[test]
fn a_region_that_joins_takes_no_writes_until_it_is_active() {
    let mut all = three();
    let write = |all: &mut Regions| {
        let requests = vec![request(&[intent("pages", "a", put("1"))])];
        let now = at(5);
        match all
            .apply(2, Command::Write { now, requests })
            .outcomes
            .remove(0)
        {
            Outcome::Written(mut written) => {
                written.remove(0).map(|written| written.entry.is_some())
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(write(&mut all), Err(Rejection::Joining));
    change(&mut all, 2, 2, Active).unwrap();
    assert_eq!(write(&mut all), Ok(true));
}

#[test]
fn a_region_that_joins_is_joining_everywhere_until_it_says_otherwise() {
    let mut all = three();
    all.apply(2, Command::Join { now: at(2) });
    assert_eq!(all.applied(2).get(identity(2).replica), 1, "announced once");
    for place in 0..3 {
        assert_eq!(states(&all, place), [Active, Active, Joining]);
    }
    change(&mut all, 2, 2, Active).unwrap();
    all.settle();
    for place in 0..3 {
        assert_eq!(states(&all, place), [Active; 3]);
    }
}

/// Caught: writes that do not ask how far the region is.
#[test]
fn a_region_that_leaves_takes_no_writes_from_that_very_entry_on() {
    check(|mut seat: Seat| {
        let write = |seat: &mut Seat| seat.write(5, &[intent("pages", "a", put("1"))]);
        let specs = crate::commands::configure(vec![spec(
            "pages",
            atoll_core::DataType::Register,
            atoll_core::Policy::KeepSiblings,
            atoll_core::UpdateDelete::KeepBoth,
        )]);
        seat.apply(&[specs, Command::Announce { now: at(1) }]);
        let other = MemberChange {
            replica: identity(1).replica,
            region: identity(1).region,
            state: Active,
            revision: 1,
            last: 0,
        };
        let mut entry = wire::decode_entry(&first_frame()).unwrap();
        entry.member = Some(other);
        seat.receive(1, vec![wire::encode_entry(&entry)]);

        let me = identity(0).replica;
        let drain = seat.region().catalog().regions.change(me, Draining, 0);
        let group = seat.apply(&[
            Command::Member {
                now: at(3),
                change: drain.unwrap(),
            },
            Command::Write {
                now: at(4),
                requests: vec![request(&[intent("pages", "a", put("1"))])],
            },
        ]);
        let Outcome::Written(written) = &group.outcomes[1] else {
            panic!("{:?}", group.outcomes);
        };
        assert_eq!(written[0], Err(Rejection::Leaving));
        assert_eq!(group.arrivals.len(), 1);

        seat.restart();
        assert_eq!(write(&mut seat), Err(Rejection::Leaving));
        let regions = &seat.region().catalog().regions;
        let back = regions.change(me, Active, 0).unwrap();
        seat.apply(&[Command::Member {
            now: at(5),
            change: back,
        }]);
        assert!(write(&mut seat).is_ok(), "the drain was cancelled");
    });
}

/// The first entry of region 1.
fn first_frame() -> bytes::Bytes {
    let mut all = Regions::new(2);
    all.apply(1, Command::Announce { now: at(1) });
    all.frames(1).remove(0)
}

/// Caught: a retired region that still declares layouts.
#[test]
fn a_retired_region_says_nothing_any_more() {
    let mut all = three();
    change(&mut all, 2, 2, Active).unwrap();
    all.settle();
    change(&mut all, 0, 2, Draining).unwrap();
    all.settle();
    assert_eq!(states(&all, 2), [Active, Active, Draining]);
    let retired = change(&mut all, 2, 2, Retired).unwrap();
    let me = identity(2).replica;
    let last = |all: &Regions, place: usize| {
        let regions = &all.seats[place].region().catalog().regions;
        regions.member(me).unwrap().last
    };
    assert_eq!((retired.replica, retired.seq), (me, last(&all, 2)));

    let refused = change(&mut all, 2, 0, Draining);
    assert_eq!(refused, Err(NotChanged::Retired));
    let now = at(20);
    let refused = changed(
        &mut all,
        2,
        Command::Layout {
            now,
            layout: layout(1, &[0, 1]),
        },
    );
    assert_eq!(refused, Err(NotChanged::Retired));
    let intents = [intent("pages", "a", put("1"))];
    let refused = all.seats[2].write(30, &intents);
    assert_eq!(refused, Err(Rejection::Retired));
    all.apply(2, Command::Announce { now });
    assert_eq!(all.applied(2).get(me), retired.seq, "its last entry");

    all.settle();
    for place in 0..3 {
        assert_eq!(states(&all, place), [Active, Active, Retired]);
        assert_eq!(last(&all, place), retired.seq);
    }
    let refused = change(&mut all, 0, 2, Active);
    let for_ever = ChangeRefused::Retired("r2".into());
    assert_eq!(refused, Err(NotChanged::Member(for_ever)));
}

#[test]
fn changes_made_apart_come_out_the_same_everywhere() {
    let mut all = three();
    change(&mut all, 2, 2, Active).unwrap();
    all.settle();
    change(&mut all, 0, 2, Draining).unwrap();
    change(&mut all, 1, 2, Retired).unwrap();
    let last = change(&mut all, 2, 2, Draining).unwrap();
    // What a removed region wrote comes no more to who knows of the removal: it is known before.
    for to in 0..2 {
        let frame = all.frames(2).pop().unwrap();
        assert_eq!(
            all.send(2, to, vec![frame]).refused,
            usize::from(to == 1),
            "{last}"
        );
    }
    all.deliver(0, 1, usize::MAX);
    all.deliver(1, 0, usize::MAX);
    all.deliver(0, 2, usize::MAX);
    for place in 0..3 {
        assert_eq!(states(&all, place), [Active, Active, Retired], "{place}");
    }
}

/// By which entry is the same everywhere and after a restart. Caught: not written down; noted for a region that
/// retires itself.
#[test]
fn who_was_removed_and_by_which_entry_is_known_everywhere() {
    let mut all = regions(4);
    let first = change(&mut all, 1, 2, Retired).unwrap();
    let second = change(&mut all, 0, 2, Retired).unwrap();
    all.settle();
    change(&mut all, 3, 3, Retired).unwrap();
    all.settle();
    for place in [0, 1, 3] {
        all.seats[place].restart();
        let regions = &all.seats[place].region().catalog().regions;
        let by = |i| regions.member(identity(i).replica).unwrap().removed_by;
        assert_eq!(by(2), Some(first.min(second)), "{place}");
        assert_eq!(by(3), None, "{place}");
    }
}

/// A region is removed by force, and a member still has entries that came from it: those that know of the removal
/// rely on it that nothing comes any more but what somebody had applied. Caught: they were applied; refused for ever
/// from whoever brings them.
#[test]
fn nothing_is_taken_from_a_region_that_was_removed_by_force() {
    let mut all = regions(4);
    change(&mut all, 2, 2, Active).unwrap();
    all.settle();
    all.write(2, 5, &[intent("pages", "k", put("1"))]);
    let sent: Vec<_> = all.frames(2).split_off(all.frames(0).len());
    assert_eq!(sent.len(), 1);
    assert_eq!(all.send(2, 3, sent.clone()).applied, 1);
    change(&mut all, 0, 2, Retired).unwrap();
    all.deliver(0, 1, usize::MAX);
    let late = all.send(2, 1, sent.clone());
    assert_eq!((late.applied, late.refused), (0, 1));
    assert_eq!(all.send(3, 1, sent).applied, 1, "one that stays had it");
}

#[test]
fn a_change_that_was_decided_on_something_older_is_refused() {
    let mut all = three();
    let regions = &all.seats[0].region().catalog().regions;
    let change = regions.change(identity(2).replica, Active, 0).unwrap();
    let command = Command::Member { now: at(3), change };
    changed(&mut all, 0, command.clone()).unwrap();
    let refused = changed(&mut all, 0, command);
    let moved = ChangeRefused::Moved {
        region: "r2".into(),
        state: Active,
    };
    assert_eq!(refused, Err(NotChanged::Member(moved)));
}

#[test]
fn layouts_declared_apart_come_out_the_same_everywhere() {
    let mut all = three();
    let declare = |all: &mut Regions, place: usize, layout: Layout| {
        let now = at(10 + place as u64);
        changed(all, place, Command::Layout { now, layout })
    };
    declare(&mut all, 0, layout(1, &[0, 1, 2])).unwrap();
    let winner = declare(&mut all, 1, layout(1, &[2, 1, 0])).unwrap();
    all.settle();
    for place in 0..3 {
        let agreed = all.seats[place].region().catalog().layout.clone().unwrap();
        assert_eq!((agreed.dot, agreed.layout), (winner, layout(1, &[2, 1, 0])));
        all.seats[place].restart();
        let kept = all.seats[place].region().catalog().layout.clone().unwrap();
        assert_eq!(kept.dot, winner, "after a restart");
    }
    let refused = declare(&mut all, 2, layout(1, &[0, 1, 2]));
    let moved = LayoutRefused::Moved { now: 1 };
    assert_eq!(refused, Err(NotChanged::Layout(moved)));
    let refused = declare(&mut all, 2, layout(2, &[0, 2]));
    let left_out = LayoutRefused::MemberLeftOut(identity(1).region);
    assert_eq!(refused, Err(NotChanged::Layout(left_out)));
    declare(&mut all, 2, layout(2, &[0, 1, 2])).unwrap();
}
