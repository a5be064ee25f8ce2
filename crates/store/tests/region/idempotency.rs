//! Idempotency keys: a request is applied once where its key is known, and counted once everywhere.

use std::collections::BTreeMap;

use atoll_core::intent::{Intent, Rejection};
use atoll_core::{
    CollectionSpec, Dot, Entry, IdempotencyKey, Policy, SlotWrite, UpdateDelete, wire,
};
use atoll_store::engine::Family;
use atoll_store::records::{idempotency, slot, slot_key};
use atoll_store::{Command, Outcome, Request, Written};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::commands::{all_types, at, configure, intent, key as named, name, ops, put, request};
use crate::engines::{Seat, check, everything, identity};
use crate::regions::Regions;

fn specs() -> Vec<CollectionSpec> {
    all_types(&Policy::KeepSiblings, UpdateDelete::KeepBoth)
}

fn keyed(key: &str, intents: &[Intent]) -> Request {
    Request {
        idempotency: Some(key.parse().unwrap()),
        ..request(intents)
    }
}

fn write(ms: u64, request: Request) -> Command {
    Command::Write {
        now: at(ms),
        requests: vec![request],
    }
}

fn written(outcome: &Outcome) -> Result<Written, Rejection> {
    let Outcome::Written(results) = outcome else {
        panic!("{outcome:?}");
    };
    results[0].clone()
}

fn ask(seat: &mut Seat, ms: u64, key: &str, intents: &[Intent]) -> Result<Written, Rejection> {
    written(&seat.apply(&[write(ms, keyed(key, intents))]).outcomes[0])
}

fn add(by: i64) -> Vec<Intent> {
    vec![intent("c", "k", ops(&format!(r#"{{"increment": {by}}}"#)))]
}

fn sum(seat: &Seat, at: &str) -> i128 {
    let place = slot_key::key_prefix(&name("c"), &named(at));
    let bytes = seat.engine().get(Family::State, &place).unwrap();
    bytes.map_or(0, |bytes| slot::decode(bytes).unwrap().counter.value())
}

/// Checks that every remembered entry is found by key and by age, that nothing else is there, and that the
/// count is right; answers with it.
fn remembered(seat: &Seat) -> usize {
    let (mut by_key, mut by_time) = (Vec::new(), Vec::new());
    let pairs = everything(&**seat.engine()).into_iter();
    for (_, place, value) in pairs.filter(|(family, _, _)| *family == Family::Meta) {
        if let Some(key) = place.strip_prefix(b"once/k/") {
            let key = IdempotencyKey::new(key.to_vec().into()).unwrap();
            let applications = idempotency::decode(value).unwrap();
            assert!(!applications.0.is_empty());
            by_key.extend(applications.0.iter().map(|a| (a.time, a.dot, key.clone())));
        } else if place.starts_with(idempotency::time_prefix()) {
            let (time, dot) = idempotency::decode_time_key(&place).unwrap();
            by_time.push((time, dot, idempotency::decode_named(&value).unwrap()));
        }
    }
    by_key.sort_unstable();
    assert_eq!(by_key, by_time);
    assert_eq!(
        seat.region().applied().idempotency_keys,
        by_time.len() as u64
    );
    by_time.len()
}

#[test]
fn a_request_is_applied_once_and_answered_as_often_as_it_comes() {
    check(|mut seat| {
        seat.apply(&[configure(specs())]);
        let first = ask(&mut seat, 1, "once", &add(3)).unwrap();
        assert!(!first.repeats);
        seat.write(2, &[intent("r", "k", put("1"))]).unwrap();
        for restarts in [false, true] {
            if restarts {
                seat.restart();
            }
            let state = seat.state();
            let again = ask(&mut seat, 3, "once", &add(3)).unwrap();
            assert_eq!(again.entry, first.entry);
            assert!(again.repeats && again.session.covers(first.entry.unwrap().0));
            assert_eq!(seat.state(), state, "a repeated request changes nothing");
        }
        assert_eq!((sum(&seat, "k"), remembered(&seat)), (3, 1));
        ask(&mut seat, 4, "another", &add(3)).unwrap();
        assert_eq!((sum(&seat, "k"), remembered(&seat)), (6, 2));
    });
}

#[test]
fn a_request_is_applied_once_within_a_command_and_within_a_group() {
    check(|mut seat| {
        seat.apply(&[configure(specs())]);
        let twice = Command::Write {
            now: at(1),
            requests: vec![keyed("once", &add(3)), keyed("once", &add(3))],
        };
        seat.apply(&[twice.clone(), twice]);
        assert_eq!((sum(&seat, "k"), remembered(&seat)), (3, 1));
    });
}

#[test]
fn a_key_of_another_request_is_refused_by_name() {
    check(|mut seat| {
        seat.apply(&[configure(specs())]);
        ask(&mut seat, 1, "once", &add(3)).unwrap();
        let others = [add(4), [add(3), add(3)].concat(), vec![]];
        for other in others {
            let refused = ask(&mut seat, 2, "once", &other).unwrap_err();
            assert_eq!(refused, Rejection::IdempotencyKeyReused("once".into()));
        }
        assert_eq!((sum(&seat, "k"), remembered(&seat)), (3, 1));
    });
}

#[test]
fn a_request_that_was_refused_or_changed_nothing_is_not_remembered() {
    check(|mut seat| {
        seat.apply(&[configure(specs())]);
        let wrong = intent("r", "k", ops(r#"{"increment": 1}"#));
        ask(&mut seat, 1, "once", &[wrong]).unwrap_err();
        let nothing = intent("r", "k", atoll_core::intent::Action::Delete);
        assert_eq!(ask(&mut seat, 1, "once", &[nothing]).unwrap().entry, None);
        assert_eq!(remembered(&seat), 0);
        assert!(!ask(&mut seat, 2, "once", &add(3)).unwrap().repeats);
    });
}

/// A key is known wherever its entry has arrived.
#[test]
fn a_request_repeated_in_another_region_is_caught_where_its_key_has_arrived() {
    let mut regions = Regions::of(2, &specs());
    let first = regions.apply(0, write(1, keyed("once", &add(3))));
    let first = written(&first.outcomes[0]).unwrap();
    regions.settle();
    let again = regions.apply(1, write(9, keyed("once", &add(3))));
    let again = written(&again.outcomes[0]).unwrap();
    assert!(again.repeats);
    assert_eq!(again.entry, first.entry);
    assert_eq!(sum(&regions.seats[1], "k"), 3);
}

#[test]
fn the_oldest_keys_are_forgotten_by_age_and_by_number() {
    let forget = |seat: &mut Seat, before_ms: u64, keys_max: u64| {
        let before = at(before_ms);
        seat.apply(&[Command::Forget { before, keys_max }]);
        remembered(seat)
    };
    check(|mut seat| {
        seat.apply(&[configure(specs())]);
        for n in 0..20 {
            let value = [intent("r", "k", put("1"))];
            ask(&mut seat, 10 * n, &format!("k{n}"), &value).unwrap();
        }
        assert_eq!(forget(&mut seat, 0, 20), 20);
        assert_eq!(forget(&mut seat, 50, 1000), 15);
        assert_eq!(forget(&mut seat, 0, 12), 12);
        seat.restart();
        assert_eq!(forget(&mut seat, 190, 1000), 1);
        let value = [intent("r", "k", put("1"))];
        assert!(ask(&mut seat, 300, "k19", &value).unwrap().repeats);
        assert!(!ask(&mut seat, 300, "k18", &value).unwrap().repeats);
        // What counts stays while an equal request may still come from a region that has not seen it.
        let counted = ask(&mut seat, 300, "counts", &add(1))
            .unwrap()
            .entry
            .unwrap()
            .0;
        assert_eq!(forget(&mut seat, 1000, 0), 1);
        let vector = [(identity(0).replica, counted.seq)].into_iter().collect();
        seat.apply(&[Command::Stable { vector }]);
        assert_eq!(forget(&mut seat, 1000, 0), 0);
    });
}

/// Steps of three regions that count one request in many ways. Drawn as bytes, so that a failing history
/// shrinks by leaving steps out.
fn play(steps: &[[u8; 4]]) -> Regions {
    let mut regions = Regions::of(3, &specs());
    for (n, raw) in (1_u64..).zip(steps) {
        let [kind, who, what, more] = raw.map(usize::from);
        let (by, other) = (who % 3, (who + 1 + what % 2) % 3);
        // Clocks differ: a later twin may have the smaller time.
        let ms = n + [0, 100, 3][by];
        match kind % 16 {
            0..8 => {
                let (key, by_how_much) = (["a", "b"][what % 2], 1 + (what / 2 % 2) as i64);
                let counter = ["k", "k2"][more % 8 / 7];
                let mut intents = add(by_how_much);
                intents.push(intent("c", counter, ops(r#"{"increment": 10}"#)));
                regions.apply(by, write(ms, keyed(key, &intents)));
            }
            8 => drop(regions.write(by, ms, &[intent("c", "k", ops(r#"{"reset": true}"#))])),
            9 => drop(regions.write(by, ms, &add(100))),
            10 => {
                let (before, keys_max) = (at(n / 2), (more % 3) as u64);
                regions.apply(by, Command::Forget { before, keys_max });
            }
            11 => regions.tell_stable(by),
            12 => {
                regions.settle();
                regions.tell_stable(by);
            }
            _ => regions.deliver(other, by, 1 + more % 4),
        }
    }
    regions
}

/// What a set of entries counts, by definition: all additions but those of repeats and those that a reset
/// names.
fn expected(entries: &[Entry], at: &str) -> i128 {
    let adds = |entry: &Entry| -> Vec<((u64, u32), i64)> {
        let writes = entry.operations.iter().flat_map(|o| {
            let counter = o.key.as_str();
            o.writes.iter().map(move |write| (counter, write))
        });
        let adds = writes.filter_map(|(counter, write)| match write {
            SlotWrite::Add { delta, .. } => Some((counter, *delta)),
            _ => None,
        });
        let numbered = (1..).zip(adds).filter(|(_, (counter, _))| *counter == at);
        numbered
            .map(|(n, (_, delta))| ((entry.dot.seq, n), delta))
            .collect()
    };
    let rank = |e: &Entry| (e.time, e.dot.replica, e.dot.seq);
    let repeats = |e: &Entry| {
        entries.iter().any(|other| {
            e.idempotency.is_some()
                && e.idempotency == other.idempotency
                && !e.dependencies.covers(other.dot)
                && !other.dependencies.covers(e.dot)
                && rank(other) < rank(e)
        })
    };
    let mut floors: BTreeMap<u64, (u64, u32)> = BTreeMap::new();
    for operation in entries.iter().flat_map(|e| &e.operations) {
        for write in operation
            .writes
            .iter()
            .filter(|_| operation.key.as_str() == at)
        {
            if let SlotWrite::Reset { floors: named, .. } = write {
                for floor in named {
                    let kept = floors.entry(floor.replica.0).or_default();
                    *kept = (*kept).max((floor.position.seq, floor.position.index));
                }
            }
        }
    }
    let counted = entries.iter().filter(|e| !repeats(e)).flat_map(|entry| {
        let floor = floors
            .get(&entry.dot.replica.0)
            .copied()
            .unwrap_or_default();
        adds(entry)
            .into_iter()
            .filter(move |(position, _)| *position > floor)
    });
    counted.map(|(_, delta)| i128::from(delta)).sum()
}

/// At every moment each region shows what its entries count, and in the end all show the same, to the byte.
///
/// Caught: a twin that stays counted when the smaller one comes after it; a reset after which its repeat is
/// taken out once more, or first taken out after it; keys that count and are forgotten before they are stable;
/// twins by key alone; a request that was made again after its key was forgotten and has a twin in it.
#[test]
fn a_counter_counts_a_request_once_whatever_came_first() {
    let config = ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 50_000,
        ..ProptestConfig::with_cases(4_000)
    };
    let steps = prop::collection::vec(any::<[u8; 4]>(), 2..=24);
    let outcome = TestRunner::new(config).run(&steps, |steps| {
        let mut regions = play(&steps);
        let entries = |regions: &Regions, place: usize| -> Vec<Entry> {
            let frames = regions.frames(place).into_iter();
            frames
                .map(|frame| wire::decode_entry(&frame).unwrap())
                .collect()
        };
        for settled in [false, true] {
            if settled {
                regions.settle();
            }
            for place in 0..3 {
                let entries = entries(&regions, place);
                for counter in ["k", "k2"] {
                    let shown = sum(&regions.seats[place], counter);
                    prop_assert_eq!(
                        shown,
                        expected(&entries, counter),
                        "{} at r{}",
                        counter,
                        place
                    );
                }
                remembered(&regions.seats[place]);
            }
        }
        let states: Vec<_> = (0..3).map(|place| state(&regions.seats[place])).collect();
        prop_assert!(states.iter().all(|one| *one == states[0]));
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

fn state(seat: &Seat) -> Vec<(Family, bytes::Bytes, bytes::Bytes)> {
    let pairs = everything(&**seat.engine()).into_iter();
    pairs.filter(|(of, _, _)| *of == Family::State).collect()
}

/// Of one request in two regions at once, what a region answers to a third time is the smaller entry.
#[test]
fn twins_are_answered_with_the_one_that_counts() {
    let mut regions = Regions::of(2, &specs());
    for (place, ms) in [(0, 20), (1, 10)] {
        regions.apply(place, write(ms, keyed("once", &add(3))));
    }
    regions.settle();
    for place in 0..2 {
        let seat = &mut regions.seats[place];
        assert_eq!((sum(seat, "k"), remembered(seat)), (3, 2));
        let again = ask(seat, 30, "once", &add(3)).unwrap();
        assert_eq!(again.entry.unwrap().0, Dot::new(identity(1).replica, 1));
    }
}
