//! The log: from any vector on, all that it does not cover, in order of arrival.

use std::collections::BTreeMap;

use atoll_core::{Dot, Policy, ReplicaId, UpdateDelete, VersionVector, wire};
use atoll_store::Arrival;
use atoll_store::log::LogReader;
use bytes::Bytes;
use proptest::prelude::*;

use crate::commands::{all_types, configure, intent, put};
use crate::engines::{check, identity};
use crate::history::{History, Mix, REGIONS, holds, play};
use crate::regions::Regions;

/// A vector that covers so much of each region's entries.
fn vector(seqs: [u64; REGIONS]) -> VersionVector {
    let components = seqs.into_iter().enumerate();
    components
        .map(|(place, seq)| (identity(place).replica, seq))
        .collect()
}

/// Vectors around what a region has: less, the same, more, and of a region that it does not know.
fn vectors(applied: &VersionVector, salt: u64) -> Vec<VersionVector> {
    let part = |i: u64, place: usize| {
        let has = applied.get(identity(place).replica);
        (salt + 3 * i + 7 * place as u64 + i * i) % (has + 2)
    };
    let mut all: Vec<VersionVector> = (0..8)
        .map(|i| vector([0, 1, 2].map(|p| part(i, p))))
        .collect();
    all.push(VersionVector::new());
    all.push(applied.clone());
    let mut strange = applied.clone();
    strange.raise(Dot::new(ReplicaId(7), 3));
    all.push(strange);
    all
}

fn check_log(
    log: &LogReader,
    arrivals: &[Arrival],
    vector: &VersionVector,
) -> Result<(), TestCaseError> {
    let lacking: Vec<&Arrival> = arrivals.iter().filter(|a| !vector.covers(a.dot)).collect();
    let start = log.start_for(vector).unwrap();
    let first = lacking
        .first()
        .map_or(arrivals.len() as u64 + 1, |a| a.index);
    prop_assert_eq!(start, first, "{}", vector);
    let mut found = Vec::new();
    let mut visit = |arrival: Arrival| {
        if !vector.covers(arrival.dot) {
            found.push(arrival);
        }
        true
    };
    log.read(start, &mut visit).unwrap();
    prop_assert!(found.iter().eq(lacking), "{}", vector);
    Ok(())
}

/// Caught: a start that looks for one entry too far.
fn a_vector_gets_what_it_lacks(history: &History) -> Result<(), TestCaseError> {
    let regions = play(history);
    let mut origins: BTreeMap<Dot, Bytes> = BTreeMap::new();
    for place in 0..REGIONS {
        let (log, arrivals) = (
            LogReader::new(regions.seats[place].engine().clone()),
            regions.log(place),
        );
        prop_assert!((1..).zip(&arrivals).all(|(n, arrival)| arrival.index == n));
        for vector in vectors(regions.applied(place), history.steps.len() as u64) {
            check_log(&log, &arrivals, &vector)?;
        }
        let mut seen = VersionVector::new();
        for arrival in arrivals {
            let entry = wire::decode_entry(&arrival.frame).unwrap();
            prop_assert_eq!(entry.dot, arrival.dot);
            prop_assert!(seen.covers_all(&entry.dependencies), "causal order");
            seen.raise(entry.dot);
            prop_assert_eq!(
                arrival.sender.is_none(),
                arrival.dot.replica == identity(place).replica
            );
            let by_dot = log.entry(arrival.dot).unwrap();
            prop_assert_eq!(by_dot.as_ref(), Some(&arrival));
            // The bytes are the origin's, wherever they have come from.
            let frame = origins.entry(arrival.dot).or_insert(arrival.frame.clone());
            prop_assert_eq!(&*frame, &arrival.frame);
        }
        prop_assert_eq!(&seen, regions.applied(place));
    }
    Ok(())
}

#[test]
fn any_vector_gets_what_it_lacks_in_order_of_arrival() {
    holds(500, Mix::Everything, a_vector_gets_what_it_lacks);
}

#[test]
fn both_engines_read_the_log_alike() {
    let mut others = Regions::of(
        3,
        &all_types(&Policy::LastWriterWins, UpdateDelete::UpdateWins),
    );
    for n in 0..20 {
        let by = n as usize % 3;
        others.write(by, n, &[intent("r", "k", put("1"))]);
        others.deliver(by, (by + n as usize) % 3, 2);
    }
    others.settle();
    check(|mut seat| {
        seat.apply(&[configure(all_types(
            &Policy::LastWriterWins,
            UpdateDelete::UpdateWins,
        ))]);
        seat.receive(1, others.frames(1));
        let log = LogReader::new(seat.engine().clone());
        let mut arrivals = Vec::new();
        let mut visit = |arrival| {
            arrivals.push(arrival);
            true
        };
        log.read(1, &mut visit).unwrap();
        for vector in vectors(&seat.region().applied().vector, 5) {
            check_log(&log, &arrivals, &vector).unwrap();
        }
        assert_eq!(log.entry(Dot::new(ReplicaId(7), 1)).unwrap(), None);
        let mut first = None;
        let mut visit = |arrival: Arrival| {
            assert_eq!(first, None, "a visitor that has enough sees no more");
            first = Some(arrival.index);
            false
        };
        log.read(4, &mut visit).unwrap();
        assert_eq!(first, Some(4));
    });
}
