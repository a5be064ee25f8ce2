//! Idempotency keys: a client's name for one write, so that it can be sent again and is applied once.
//!
//! A region that remembers a key answers a repeated request with the entry of the first one. Two regions
//! that get the same request before they hear of each other both make an entry: **twins**. Registers then
//! hold two equal concurrent versions. Counters count one of them, the same one everywhere:
//!
//! > an entry is a *repeat* when an entry of the same key and request, concurrent with it and adding to
//! > counters as it does, is smaller by (time, replica id, sequence).
//!
//! That is a function of the set of entries and grows with it, so the order of arrival cannot show. Nor can
//! forgetting: an entry below the stable vector has no concurrent entry still to come, and only such ones are
//! forgotten if they count. An entry that has seen its twin was written after its region forgot the key: it
//! was meant, and counts.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

use crate::entry::{Entry, SlotWrite};
use crate::hlc::Timestamp;
use crate::ids::{Dot, InvalidName, ReplicaId};

/// Longest idempotency key in bytes.
pub const KEY_BYTES_MAX: usize = 128;

/// A client's name for one write: 1 to 128 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey(Bytes);

impl IdempotencyKey {
    /// A key from raw bytes.
    ///
    /// # Errors
    /// When empty, longer than [`KEY_BYTES_MAX`], or of other than visible ASCII characters.
    pub fn new(bytes: Bytes) -> Result<Self, InvalidName> {
        let fits = (1..=KEY_BYTES_MAX).contains(&bytes.len());
        if !fits || !bytes.iter().all(u8::is_ascii_graphic) {
            let lossy = String::from_utf8_lossy(&bytes);
            return Err(InvalidName {
                what: "idempotency key",
                given: lossy.chars().take(64).collect(),
                rule: "must be 1 to 128 visible ASCII characters",
            });
        }
        Ok(IdempotencyKey(bytes))
    }

    /// The key's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key's bytes, shared.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for IdempotencyKey {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        IdempotencyKey::new(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an entry says of the request that it was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The request's key.
    pub key: IdempotencyKey,
    /// A hash of what was asked for, see [`request_hash`].
    pub request: u128,
}

/// A hash of what a request asks for (FNV-1a, 128 bits): `intents` are its intents' bytes, in order.
#[must_use]
pub fn request_hash<B: AsRef<[u8]>>(intents: impl IntoIterator<Item = B>) -> u128 {
    let mut hash = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128;
    let mut feed = |bytes: &[u8]| {
        for &byte in bytes {
            hash =
                (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    };
    for intent in intents {
        let bytes = intent.as_ref();
        feed(&(bytes.len() as u64).to_be_bytes());
        feed(bytes);
    }
    hash
}

/// One entry that carries a key, as it is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Application {
    /// The entry.
    pub dot: Dot,
    /// Its time.
    pub time: Timestamp,
    /// The hash of its request.
    pub request: u128,
    /// Whether it adds to counters.
    pub counts: bool,
    /// Whether it is a repeat: what it adds is not counted.
    pub repeats: bool,
}

impl Application {
    /// The order in which twins are chosen from: the smallest one counts.
    #[must_use]
    pub fn rank(&self) -> (Timestamp, ReplicaId, u64) {
        (self.time, self.dot.replica, self.dot.seq)
    }
}

/// A request under a key that was used for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reused;

/// All entries of one key that are remembered.
///
/// Invariant: sorted by [`Application::rank`], no two of one dot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applications(pub Vec<Application>);

impl Applications {
    /// The entry to answer a request with; `None` when the key is not remembered.
    ///
    /// # Errors
    /// [`Reused`] when the key is remembered for other requests only.
    pub fn answer(&self, request: u128) -> Result<Option<(Dot, Timestamp)>, Reused> {
        match self.0.iter().find(|a| a.request == request) {
            Some(first) => Ok(Some((first.dot, first.time))),
            None if self.0.is_empty() => Ok(None),
            None => Err(Reused),
        }
    }

    /// Remembers an entry whose dependencies are all here, and answers with the entries that are repeats
    /// from now on: this one, or twins that had arrived before it.
    pub fn admit(&mut self, entry: &Entry, request: u128) -> Vec<Dot> {
        let mut new = Application {
            dot: entry.dot,
            time: entry.time,
            request,
            counts: adds(entry),
            repeats: false,
        };
        let mut repeats = Vec::new();
        let is_twin = |a: &&mut Application| {
            new.counts && a.counts && a.request == request && !entry.dependencies.covers(a.dot)
        };
        let (mut is_repeat, rank) = (false, new.rank());
        for twin in self.0.iter_mut().filter(is_twin) {
            if twin.rank() < rank {
                is_repeat = true;
            } else if !twin.repeats {
                twin.repeats = true;
                repeats.push(twin.dot);
            }
        }
        if is_repeat {
            new.repeats = true;
            repeats.push(new.dot);
        }
        let at = self.0.partition_point(|a| a.rank() < rank);
        self.0.insert(at, new);
        repeats
    }
}

fn adds(entry: &Entry) -> bool {
    let mut writes = entry.operations.iter().flat_map(|o| &o.writes);
    writes.any(|write| matches!(write, SlotWrite::Add { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Operation;
    use crate::path::Path;

    fn entry(replica: u64, time: u64, seen: &[u64]) -> Entry {
        Entry {
            dot: Dot::new(ReplicaId(replica), 1),
            time: Timestamp(time),
            dependencies: seen.iter().map(|r| (ReplicaId(*r), 1)).collect(),
            operations: vec![Operation {
                collection: "c".parse().unwrap(),
                key: "k".parse().unwrap(),
                context: None,
                writes: vec![SlotWrite::Add {
                    path: Path::root(),
                    delta: 1,
                }],
            }],
            trace: Bytes::new(),
            announces: None,
            member: None,
            layout: None,
            idempotency: None,
        }
    }

    /// Admits entries in this order and answers with the replicas whose entries repeat.
    fn repeating(entries: &[(&Entry, u128)]) -> Vec<u64> {
        let mut all = Applications::default();
        let mut told: Vec<u64> = Vec::new();
        for (entry, request) in entries {
            told.extend(all.admit(entry, *request).iter().map(|dot| dot.replica.0));
        }
        let repeats = all.0.iter().filter(|a| a.repeats);
        let mut marked: Vec<u64> = repeats.map(|a| a.dot.replica.0).collect();
        marked.sort_unstable();
        told.sort_unstable();
        assert_eq!(told, marked, "each is told once");
        marked
    }

    #[test]
    fn a_key_is_visible_ascii() {
        let long = "x".repeat(128);
        for good in ["a", "!~", "01HXZ-4/7", long.as_str()] {
            assert_eq!(good.parse::<IdempotencyKey>().unwrap().as_str(), good);
        }
        let too_long = "x".repeat(129);
        for bad in ["", "a b", "é", "a\n", "\u{7f}", too_long.as_str()] {
            let refused = bad.parse::<IdempotencyKey>().unwrap_err().to_string();
            assert!(refused.contains("1 to 128 visible ASCII"), "{refused}");
        }
    }

    #[test]
    fn of_twins_the_smallest_counts_whatever_came_first() {
        let (a, b, c) = (entry(1, 5, &[]), entry(2, 4, &[]), entry(3, 4, &[]));
        for order in [
            [&a, &b, &c],
            [&a, &c, &b],
            [&b, &a, &c],
            [&b, &c, &a],
            [&c, &a, &b],
            [&c, &b, &a],
        ] {
            let entries = order.map(|entry| (entry, 7));
            assert_eq!(repeating(&entries), [1, 3]);
        }
    }

    #[test]
    fn what_has_seen_its_twin_or_asks_for_something_else_counts() {
        let (first, later) = (entry(1, 5, &[]), entry(2, 6, &[1]));
        assert!(repeating(&[(&first, 7), (&later, 7)]).is_empty());
        let other = entry(2, 6, &[]);
        assert!(repeating(&[(&first, 7), (&other, 8)]).is_empty());
        let nothing = Entry {
            operations: vec![],
            ..entry(2, 4, &[])
        };
        assert!(repeating(&[(&first, 7), (&nothing, 7)]).is_empty());
    }

    #[test]
    fn a_request_is_answered_with_its_first_entry_and_another_one_refused() {
        let mut all = Applications::default();
        assert_eq!(all.answer(7), Ok(None));
        all.admit(&entry(1, 5, &[]), 7);
        all.admit(&entry(2, 4, &[]), 7);
        let first = (Dot::new(ReplicaId(2), 1), Timestamp(4));
        assert_eq!(all.answer(7), Ok(Some(first)));
        assert_eq!(all.answer(8), Err(Reused));
    }

    #[test]
    fn requests_differ_by_where_their_intents_end() {
        let hash = |intents: &[&str]| request_hash(intents.iter());
        assert_eq!(hash(&["ab", "c"]), hash(&["ab", "c"]));
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
        assert_ne!(hash(&["ab"]), hash(&["ab", ""]));
    }
}
