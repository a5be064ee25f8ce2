//! A write that is refused leaves no trace, and neither does one that has nothing to do.

use atoll_core::intent::{Precondition, Rejection};
use atoll_core::{Policy, UpdateDelete, VersionVector};
use atoll_store::{Command, Outcome, Request, Written};
use proptest::prelude::*;

use crate::commands::{all_types, at, configure, having_seen, intent, ops, provided, put, request};
use crate::engines::{Kind, Seat, check, identity};
use crate::history::{History, Mix, REGIONS, holds, play};
use crate::regions::Regions;

/// Caught: no roll-back of a refused request; one that leaves the ledger, or the history.
fn what_is_refused_leaves_no_trace(history: &History) -> Result<(), TestCaseError> {
    let regions = play(history);
    for place in 0..REGIONS {
        let mut seats = [0, 1].map(|_| Seat::new(Kind::Memory, &identity(place)));
        for command in &regions.commands[place] {
            let outcomes = seats[0].apply(std::slice::from_ref(command)).outcomes;
            let accepted = accepted(command, &outcomes[0]);
            let again = seats[1].apply(std::slice::from_ref(&accepted)).outcomes;
            if let (Outcome::Written(first), Outcome::Written(again)) = (&outcomes[0], &again[0]) {
                let written = |w: &&Result<_, _>| is_written(w);
                prop_assert!(first.iter().filter(written).eq(again));
            }
        }
        prop_assert_eq!(seats[0].everything(), seats[1].everything(), "r{}", place);
    }
    Ok(())
}

fn is_written(outcome: &Result<Written, Rejection>) -> bool {
    outcome.as_ref().is_ok_and(|w| w.entry.is_some())
}

/// A command without the requests that came to nothing.
fn accepted(command: &Command, outcome: &Outcome) -> Command {
    let (Command::Write { now, requests }, Outcome::Written(written)) = (command, outcome) else {
        return command.clone();
    };
    let requests = requests.iter().zip(written).filter(|(_, w)| is_written(w));
    Command::Write {
        now: *now,
        requests: requests.map(|(request, _)| request.clone()).collect(),
    }
}

#[test]
fn commands_have_the_same_effect_without_their_refused_requests() {
    holds(1_000, Mix::Everything, what_is_refused_leaves_no_trace);
}

/// A request that changes slots of all types, takes siblings and makes conflicts before it is refused,
/// between two that are accepted.
#[test]
fn a_refused_request_of_a_batch_changes_nothing() {
    let mut others = Regions::of(2, &all_types(&Policy::KeepSiblings, UpdateDelete::KeepBoth));
    others.write(
        1,
        0,
        &[
            intent("r", "k", put("1")),
            intent("d", "k", put(r#"{"a": 1}"#)),
        ],
    );
    let frames = others.frames(1);
    let good = |key: &str| {
        request(&[
            intent("r", key, put("2")),
            intent("d", key, put(r#"{"a": 2}"#)),
        ])
    };
    let saw_nothing = || having_seen(VersionVector::new(), intent("r", "k", put("3")));
    let refused = request(&[
        saw_nothing(),
        intent("d", "k", put(r#"{"a": 3}"#)),
        intent("c", "k", ops(r#"{"increment": 1}"#)),
        intent("s", "k", ops(r#"{"add": ["p"]}"#)),
        intent("m", "k", ops(r#"{"put": {"f": 1}}"#)),
        provided(Precondition::Present, intent("r", "nothing", put("3"))),
    ]);
    check(|mut seat| {
        let mut twin = Seat::new(Kind::Memory, &identity(0));
        let batch = |requests: &[&Request]| Command::Write {
            now: at(9),
            requests: requests.iter().map(|r| (*r).clone()).collect(),
        };
        let (one, two) = (good("k"), good("l"));
        let commands = |second: Command| {
            let sender = identity(1).replica;
            let frames = frames.clone();
            [
                configure(all_types(&Policy::KeepSiblings, UpdateDelete::KeepBoth)),
                batch(&[&one]),
                Command::Remote {
                    now: at(5),
                    sender,
                    frames: frames.into_iter().map(Into::into).collect(),
                },
                second,
            ]
        };
        let mut outcomes = seat
            .apply(&commands(batch(&[&two, &refused, &two])))
            .outcomes;
        twin.apply(&commands(batch(&[&two, &two])));
        let Some(Outcome::Written(written)) = outcomes.pop() else {
            panic!("{outcomes:?}");
        };
        let rejected = written[1].clone().unwrap_err();
        assert!(
            matches!(rejected, Rejection::PreconditionFailed(_)),
            "{rejected}"
        );
        assert_eq!(seat.region().applied().ledger_rows, 2);
        assert_eq!(seat.everything(), twin.everything());
    });
}
