//! Pages: exactly the present keys between bounds, in order of their bytes, however small the pages.

use std::collections::BTreeMap;

use atoll_core::intent::Action;
use atoll_core::view::Lens;
use atoll_core::{DataType, Key, Policy, UpdateDelete};
use atoll_store::query::{self, PageBounds, Slots};
use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::commands::{configure, intent, key, name, ops, patch, put, spec};
use crate::engines::{Kind, Seat, identity};

/// Names that sort around `p`, and one whose bytes are the beginning of others'.
const COLLECTIONS: [&str; 6] = ["o_", "p", "p-", "p.p", "p0", "pp"];

fn keys() -> Vec<String> {
    let mut keys: Vec<String> = [
        "\0",
        "\0\0",
        "\0\u{1}",
        "\u{1}",
        "a",
        "a\0",
        "a\0\0",
        "a\0b",
        "a\u{1}",
        "aa",
        "ab",
        "b",
        "p",
        "~",
        "\u{7f}",
        "é",
        "é\0",
        "ÿ",
        "\u{ffff}",
        "\u{10ffff}",
        "\u{10ffff}\u{10ffff}",
    ]
    .map(str::to_owned)
    .to_vec();
    keys.push("k".repeat(1024));
    keys.push("\0".repeat(1024));
    keys
}

/// Collections of all types that hold the same keys; every fifth one is deleted again.
fn fill(kind: Kind) -> Seat {
    let mut seat = Seat::new(kind, &identity(0));
    let types = [0, 1, 2, 3, 4, 0].map(|t| DataType::ALL[t]);
    let specs: Vec<_> = COLLECTIONS
        .into_iter()
        .zip(types)
        .map(|(name, t)| spec(name, t, Policy::LastWriterWins, UpdateDelete::UpdateWins))
        .collect();
    seat.apply(&[configure(specs.clone())]);
    for spec in &specs {
        let change = match spec.data_type {
            DataType::Register => put("1"),
            DataType::Document => patch(r#"{"a": 1, "b": {"c": 2, "\u0000": 3}}"#),
            DataType::Counter => ops(r#"{"increment": 1}"#),
            DataType::Set => ops(r#"{"add": ["p", "q", ""]}"#),
            DataType::Map => ops(r#"{"put": {"f": 1}, "increment": {"g": 1}}"#),
        };
        for (n, key) in keys().iter().enumerate() {
            seat.write(0, &[intent(spec.name.as_str(), key, change.clone())])
                .unwrap();
            if n % 5 == 4 {
                seat.write(0, &[intent(spec.name.as_str(), key, Action::Delete)])
                    .unwrap();
            }
        }
    }
    seat
}

/// What there is in a collection, key by key.
fn present(seat: &Seat, collection: &str) -> BTreeMap<Vec<u8>, Slots> {
    let kept = keys().into_iter().enumerate().filter(|(n, _)| n % 5 != 4);
    kept.map(|(_, k)| {
        let slots = query::slots(&**seat.engine(), &name(collection), &key(&k)).unwrap();
        (k.into_bytes(), slots)
    })
    .collect()
}

/// Walks all pages between bounds by their cursors.
fn walk(seat: &Seat, collection: &str, bounds: &PageBounds) -> Vec<(Key, Slots)> {
    let catalog = seat.region().catalog();
    let spec = &catalog.collections[&name(collection)];
    let lens = Lens {
        spec,
        regions: &catalog.regions,
    };
    let mut bounds = bounds.clone();
    let mut all = Vec::new();
    for _ in 0..100 {
        let (page, next) = query::page(&**seat.engine(), &lens, &bounds).unwrap();
        assert!(page.len() <= bounds.limit);
        all.extend(page);
        match next {
            Some(next) => bounds.start = next.bytes(),
            None => return all,
        }
    }
    panic!("a cursor that does not move");
}

fn check(seat: &Seat, collection: &str, there: &BTreeMap<Vec<u8>, Slots>, bounds: &PageBounds) {
    let within = |key: &&Vec<u8>| {
        key.starts_with(&bounds.prefix)
            && key.as_slice() >= &bounds.start[..]
            && (bounds.end.is_empty() || key.as_slice() < &bounds.end[..])
    };
    let expected: Vec<&Vec<u8>> = there.keys().filter(within).collect();
    let found = walk(seat, collection, bounds);
    let keys: Vec<Vec<u8>> = found
        .iter()
        .map(|(key, _)| key.as_bytes().to_vec())
        .collect();
    assert_eq!(
        keys.iter().collect::<Vec<_>>(),
        expected,
        "{collection} {bounds:?}"
    );
    for (key, slots) in &found {
        assert_eq!(slots, &there[key.as_bytes()], "{collection}/{key}");
    }
}

/// Bounds at, just before and just after keys, and any other bytes.
fn bound() -> impl Strategy<Value = Bytes> {
    let near =
        (0..keys().len(), 0..4_usize, prop::option::of(any::<u8>())).prop_map(|(n, cut, more)| {
            let mut bytes = keys()[n].clone().into_bytes();
            bytes.truncate(bytes.len().saturating_sub(cut).clamp(1, 8));
            bytes.extend(more);
            Bytes::from(bytes)
        });
    let some = prop::collection::vec(prop::sample::select(vec![0, 1, b'a', 0xC3, 0xFF]), 0..3);
    prop_oneof![3 => Just(Bytes::new()), 3 => near, 1 => some.prop_map(Bytes::from)]
}

/// Caught: a page's end that takes in the next collection; a bound that is not escaped; a page of one key
/// too many.
fn pages_are_what_is_there(kind: Kind, cases: u32) {
    let seat = fill(kind);
    let there = COLLECTIONS.map(|collection| present(&seat, collection));
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    };
    let sizes = (
        1..8_usize,
        prop::sample::select(vec![0, 40, 200, usize::MAX]),
    );
    let all = (0..COLLECTIONS.len(), bound(), bound(), bound(), sizes);
    TestRunner::new(config)
        .run(&all, |(nth, prefix, start, end, (limit, bytes_max))| {
            let bounds = PageBounds {
                prefix,
                start,
                end,
                limit,
                bytes_max,
            };
            check(&seat, COLLECTIONS[nth], &there[nth], &bounds);
            Ok(())
        })
        .unwrap();
}

#[test]
fn pages_in_memory_are_what_is_there() {
    pages_are_what_is_there(Kind::Memory, 10_000);
}

#[test]
fn pages_on_disk_are_what_is_there() {
    pages_are_what_is_there(Kind::Rocks, 300);
}

#[test]
fn a_page_ends_once_it_has_its_bytes() {
    let mut seat = Seat::new(Kind::Memory, &identity(0));
    let register = spec(
        "r",
        DataType::Register,
        Policy::LastWriterWins,
        UpdateDelete::UpdateWins,
    );
    seat.apply(&[configure(vec![register])]);
    let value = format!("\"{}\"", "x".repeat(1000));
    for n in 0..10 {
        seat.write(0, &[intent("r", &format!("k{n}"), put(&value))])
            .unwrap();
    }
    let catalog = seat.region().catalog();
    let lens = catalog.lens(&name("r")).unwrap();
    let keys_in = |bytes_max| {
        let bounds = PageBounds {
            limit: 100,
            bytes_max,
            ..PageBounds::default()
        };
        let (page, next) = query::page(&**seat.engine(), &lens, &bounds).unwrap();
        (page.len(), next.map(|key| key.to_string()))
    };
    assert_eq!(keys_in(0), (1, Some("k1".into())));
    assert_eq!(keys_in(1000), (1, Some("k1".into())));
    assert_eq!(keys_in(2500), (3, Some("k3".into())));
    assert_eq!(keys_in(1 << 20), (10, None));
}
