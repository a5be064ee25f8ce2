//! What acknowledged puts had seen, told by the sessions of their receipts, and what follows from it.
//!
//! A receipt's session is the vector of its region right after the put: what the put had seen, and its own
//! dot. From that follows which puts of a key are concurrent, without asking any region.

use std::collections::{BTreeMap, HashMap, HashSet};

use atoll_api::http::Receipt;
use atoll_core::token::{self, TokenKind};
use atoll_core::{Dot, ReplicaId, VersionVector};

use super::store::STORE;

/// An acknowledged put.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Put {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) dot: Dot,
    /// All that its region had right after it.
    pub(crate) seen: VersionVector,
}

impl Put {
    pub(crate) fn new(key: &str, value: &str, receipt: &Receipt) -> Put {
        let dot = receipt.dot.parse().unwrap();
        let seen = token::read(TokenKind::Session, STORE, &receipt.session).unwrap();
        assert!(seen.covers(dot), "the session of {dot} covers it");
        Put {
            key: key.to_owned(),
            value: value.to_owned(),
            dot,
            seen,
        }
    }

    /// Whether neither had seen the other.
    pub(crate) fn is_concurrent_with(&self, other: &Put) -> bool {
        !self.seen.covers(other.dot) && !other.seen.covers(self.dot)
    }
}

/// All that some put of a key had seen before it.
pub(crate) fn seen_before<'a>(puts: impl IntoIterator<Item = &'a Put>) -> VersionVector {
    let mut seen = VersionVector::new();
    for put in puts {
        let own = |(replica, seq): (ReplicaId, u64)| match replica == put.dot.replica {
            true => (replica, put.dot.seq - 1),
            false => (replica, seq),
        };
        seen.merge(&put.seen.iter().map(own).collect());
    }
    seen
}

/// Dots of `puts`, all of one key, that are neither current, nor in the ledger, nor seen by a later put.
pub(crate) fn unexplained(
    puts: &[&Put],
    current: &HashSet<Dot>,
    ledger: &HashSet<Dot>,
) -> Vec<Dot> {
    let seen = seen_before(puts.iter().copied());
    let dots = puts.iter().map(|put| put.dot);
    let is_lost = |dot: &Dot| !current.contains(dot) && !ledger.contains(dot) && !seen.covers(*dot);
    dots.filter(is_lost).collect()
}

/// For each put of one key, the puts that its ledger row may name: the smallest concurrent one by (time,
/// replica). `times` are known to the millisecond only, so there can be two. None: it has no row.
pub(crate) fn partners(puts: &[Put], times: &HashMap<Dot, String>) -> BTreeMap<Dot, Vec<Dot>> {
    let mut by_origin: BTreeMap<ReplicaId, Vec<&Put>> = BTreeMap::new();
    for put in puts {
        by_origin.entry(put.dot.replica).or_default().push(put);
    }
    for own in by_origin.values_mut() {
        own.sort_by_key(|put| put.dot.seq);
    }
    let partners = |put: &Put| {
        let others = by_origin
            .iter()
            .filter(|(origin, _)| **origin != put.dot.replica);
        // Of one origin, later puts have later times and have seen more: the first unseen one decides.
        let firsts: Vec<Dot> = others
            .filter_map(|(origin, theirs)| {
                let unseen = put.seen.get(*origin);
                let first = theirs[theirs.partition_point(|t| t.dot.seq <= unseen)..].first()?;
                first.is_concurrent_with(put).then_some(first.dot)
            })
            .collect();
        let earliest = firsts.iter().map(|dot| &times[dot]).min();
        let smallest = firsts
            .into_iter()
            .filter(|dot| Some(&times[dot]) == earliest);
        (put.dot, smallest.collect())
    };
    puts.iter().map(partners).collect()
}
