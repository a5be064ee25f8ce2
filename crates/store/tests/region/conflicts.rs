//! The ledger as it is read: pages, losers' values, and when a conflict was resolved.

use atoll_core::intent::Action;
use atoll_core::state::ConflictId;
use atoll_core::{CollectionSpec, Content, DataType, Dot, Policy, Timestamp, UpdateDelete, wire};
use atoll_store::log::LogReader;
use atoll_store::query::{self, Conflict};

use crate::commands::{all_types, configure, having_seen, intent, name, patch, put, spec};
use crate::engines::{Kind, Seat, check, identity};
use crate::regions::Regions;
use crate::shown::conflicts;

fn keep() -> Vec<CollectionSpec> {
    all_types(&Policy::KeepSiblings, UpdateDelete::KeepBoth)
}

/// The ledger of every region under the declared policies; all list the same.
fn listed(regions: &Regions, specs: &[CollectionSpec]) -> Vec<Conflict> {
    let of = |seat: &Seat| conflicts(&**seat.engine(), specs.to_vec());
    let first = of(&regions.seats[0]);
    for seat in &regions.seats[1..] {
        assert_eq!(of(seat), first);
    }
    first
}

fn only(regions: &Regions, specs: &[CollectionSpec]) -> Conflict {
    let mut all = listed(regions, specs);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

fn time_of(regions: &Regions, dot: Dot) -> Timestamp {
    let log = LogReader::new(regions.seats[0].engine().clone());
    let frame = log.entry(dot).unwrap().unwrap().frame;
    wire::decode_entry(&frame).unwrap().time
}

fn value(content: Option<&Content>) -> Option<&str> {
    match content {
        Some(Content::Value(value)) => std::str::from_utf8(&value.data).ok(),
        _ => None,
    }
}

fn forget_all_that_is_stable(regions: &mut Regions, collection: &str, key: &str, text: &str) {
    for n in 0..6 {
        regions.settle();
        for place in 0..3 {
            regions.tell_stable(place);
        }
        let change = if collection == "d" {
            patch(text)
        } else {
            put(text)
        };
        regions.write(n % 3, 100, &[intent(collection, key, change)]);
    }
    regions.settle();
}

/// Two regions write a register at once; then one that has seen both writes it again, and again.
#[test]
fn a_conflict_that_is_kept_is_open_until_a_write_has_seen_both() {
    let mut regions = Regions::of(3, &keep());
    let one = regions.write(1, 1, &[intent("r", "k", put("1"))]).unwrap();
    let two = regions.write(0, 2, &[intent("r", "k", put("2"))]).unwrap();
    regions.settle();

    let conflict = only(&regions, &keep());
    let dots = [conflict.row.first.dot, conflict.row.second.dot];
    assert_eq!(dots, [one, two]);
    assert_eq!(
        (conflict.verdict.kind, conflict.verdict.winner),
        ("create-create", None)
    );
    assert_eq!(conflict.detected, time_of(&regions, two));
    assert_eq!(conflict.resolved, None);
    let values = conflict.contents.each_ref().map(|c| value(c.as_ref()));
    assert_eq!(values, [Some("1"), Some("2")]);

    let seen_both = regions.write(2, 50, &[intent("r", "k", put("3"))]).unwrap();
    regions.settle();
    let resolved = only(&regions, &keep());
    assert_eq!(resolved.resolved, Some(time_of(&regions, seen_both)));

    forget_all_that_is_stable(&mut regions, "r", "k", "4");
    assert_eq!(only(&regions, &keep()), resolved);
}

#[test]
fn the_first_of_two_writes_that_had_seen_both_resolves_it_everywhere() {
    let mut regions = Regions::of(3, &keep());
    regions.write(0, 1, &[intent("r", "k", put("1"))]);
    regions.write(1, 1, &[intent("r", "k", put("2"))]);
    regions.settle();
    let later = regions.write(0, 60, &[intent("r", "k", put("3"))]).unwrap();
    let first = regions.write(1, 50, &[intent("r", "k", put("4"))]).unwrap();
    regions.write(1, 70, &[intent("r", "k", put("5"))]);
    let open = |c: &&Conflict| c.row.first.dot.seq == 1;
    let resolved = |regions: &Regions, place: usize| {
        let all = conflicts(&**regions.seats[place].engine(), keep());
        all.iter().find(open).unwrap().resolved
    };
    // What a region has not got yet it cannot know.
    assert_eq!(resolved(&regions, 0), Some(time_of(&regions, later)));
    regions.settle();
    assert_eq!(resolved(&regions, 0), Some(time_of(&regions, first)));
    forget_all_that_is_stable(&mut regions, "r", "k", "6");
    assert_eq!(resolved(&regions, 0), Some(time_of(&regions, first)));
    listed(&regions, &keep());
}

#[test]
fn a_write_that_had_seen_one_side_resolves_nothing() {
    let mut regions = Regions::of(3, &keep());
    let one = regions.write(0, 1, &[intent("r", "k", put("1"))]).unwrap();
    let saw_one = regions.applied(0).clone();
    regions.write(1, 2, &[intent("r", "k", put("2"))]);
    regions.settle();
    regions.write(2, 3, &[having_seen(saw_one, intent("r", "k", put("3")))]);
    regions.settle();
    let first = |regions: &Regions| {
        let all = listed(regions, &keep());
        all.into_iter().find(|c| c.row.first.dot == one).unwrap()
    };
    assert_eq!(first(&regions).resolved, None);
    let saw_all = regions.write(2, 4, &[intent("r", "k", put("4"))]).unwrap();
    regions.settle();
    assert_eq!(first(&regions).resolved, Some(time_of(&regions, saw_all)));
}

/// Caught: a search that looks at the row's own slot alone.
#[test]
fn a_document_that_is_deleted_takes_its_fields_conflicts_along() {
    let mut regions = Regions::of(3, &keep());
    regions.write(0, 1, &[intent("d", "k", patch(r#"{"a": 0, "b": 0}"#))]);
    regions.settle();
    regions.write(0, 2, &[intent("d", "k", patch(r#"{"a": 1}"#))]);
    regions.write(1, 3, &[intent("d", "k", patch(r#"{"a": 2}"#))]);
    regions.settle();
    assert_eq!(only(&regions, &keep()).resolved, None);

    let deleted = regions
        .write(2, 4, &[intent("d", "k", Action::Delete)])
        .unwrap();
    regions.settle();
    let resolved = only(&regions, &keep());
    assert_eq!(resolved.resolved, Some(time_of(&regions, deleted)));

    forget_all_that_is_stable(&mut regions, "d", "k", r#"{"b": 1}"#);
    assert_eq!(only(&regions, &keep()), resolved);
}

#[test]
fn a_policy_that_decides_resolves_at_once_and_another_one_later_tells_its_own() {
    let decide = all_types(&Policy::LastWriterWins, UpdateDelete::UpdateWins);
    let mut regions = Regions::of(3, &decide);
    regions.write(0, 1, &[intent("r", "k", put("1"))]);
    let two = regions.write(1, 2, &[intent("r", "k", put("2"))]).unwrap();
    regions.settle();
    let conflict = only(&regions, &decide);
    assert_eq!(conflict.resolved, Some(conflict.detected));
    assert_eq!(
        (conflict.verdict.outcome, conflict.verdict.winner),
        ("latest-kept", Some(two))
    );
    assert_eq!(only(&regions, &keep()).resolved, None);

    let three = regions.write(2, 9, &[intent("r", "k", put("3"))]).unwrap();
    forget_all_that_is_stable(&mut regions, "r", "k", "4");
    assert_eq!(only(&regions, &decide), conflict);
    let kept = only(&regions, &keep());
    assert_eq!(kept.resolved, Some(time_of(&regions, three)));
    // The loser is readable long after its slot has forgotten it.
    assert_eq!(value(kept.contents[0].as_ref()), Some("1"));
}

/// Twelve keys of two collections, each with two versions at once, at times that repeat.
fn many() -> Regions {
    let mut regions = Regions::of(2, &keep());
    for n in 0..12 {
        let collection = ["r", "d"][n % 2];
        let key = format!("k{n}");
        for place in 0..2 {
            let change = if collection == "r" {
                put("1")
            } else {
                patch(r#"{"a": 1}"#)
            };
            regions.write(
                place,
                (n as u64 / 5) * 10,
                &[intent(collection, &key, change)],
            );
        }
    }
    regions
}

fn page(
    seat: &Seat,
    from: Timestamp,
    after: Option<ConflictId>,
    of: Option<&str>,
    limit: usize,
) -> Vec<Conflict> {
    let mut page = Vec::new();
    let of = of.map(name);
    let catalog = seat.region().catalog().clone();
    let mut visit = |conflict| {
        page.push(conflict);
        page.len() < limit
    };
    query::conflicts(
        &**seat.engine(),
        &catalog,
        from,
        after,
        of.as_ref(),
        &mut visit,
    )
    .unwrap();
    page
}

#[test]
fn pages_of_conflicts_walk_all_of_them_in_order_of_detection() {
    let others = many();
    check(|mut seat| {
        seat.apply(&[configure(keep())]);
        seat.receive(1, others.frames(0));
        seat.receive(1, others.frames(1));
        for (of, count) in [(None, 12), (Some("r"), 6), (Some("d"), 6), (Some("m"), 0)] {
            let all = page(&seat, Timestamp(0), None, of, usize::MAX);
            assert_eq!(all.len(), count, "{of:?}");
            assert!(all.is_sorted_by_key(|c| (c.detected, c.id)));
            for limit in 1..=5 {
                let (mut walked, mut cursor) = (Vec::new(), (Timestamp(0), None));
                loop {
                    let some = page(&seat, cursor.0, cursor.1, of, limit);
                    let Some(last) = some.last() else { break };
                    cursor = (last.detected, Some(last.id));
                    walked.extend(some);
                }
                assert_eq!(walked, all, "{of:?} by {limit}");
            }
            let middle = all.get(count / 2).map(|c| c.detected).unwrap_or_default();
            let from_middle = all.iter().filter(|c| c.detected >= middle).count();
            assert_eq!(page(&seat, middle, None, of, usize::MAX).len(), from_middle);
        }
        for conflict in page(&seat, Timestamp(0), None, None, usize::MAX) {
            let catalog = seat.region().catalog();
            let alone = query::conflict(&**seat.engine(), catalog, conflict.id).unwrap();
            assert_eq!(alone.as_ref(), Some(&conflict));
        }
        let nobodys = query::conflict(&**seat.engine(), seat.region().catalog(), ConflictId(7));
        assert_eq!(nobodys, Ok(None));
    });
}

#[test]
fn conflicts_of_a_collection_that_is_not_declared_any_more_are_left_out() {
    let others = many();
    let mut seat = Seat::new(Kind::Memory, &identity(0));
    seat.receive(1, others.frames(0));
    seat.receive(1, others.frames(1));
    assert_eq!(page(&seat, Timestamp(0), None, None, 99).len(), 0);
    let register = spec(
        "r",
        DataType::Register,
        Policy::KeepSiblings,
        UpdateDelete::KeepBoth,
    );
    seat.apply(&[configure(vec![register])]);
    assert_eq!(page(&seat, Timestamp(0), None, None, 99).len(), 6);
    assert_eq!(seat.region().applied().ledger_rows, 12);
}

/// More rows than one scan of the ledger shows, so that the walk has to go on from where it was.
#[test]
fn a_long_ledger_is_listed_whole() {
    let mut others = Regions::of(2, &keep());
    for n in 0..600 {
        for place in 0..2 {
            others.write(place, n / 7, &[intent("r", &format!("k{n}"), put("1"))]);
        }
    }
    others.settle();
    assert_eq!(listed(&others, &keep()).len(), 600);
}
