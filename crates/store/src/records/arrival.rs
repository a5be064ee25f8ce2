//! Entries in order of arrival: what links and the changes feed read. Family `arrival`, key: arrival
//! index (8), from 1. Value: format byte · replica id (8) · sequence (8) · sender's replica id (8; 0 =
//! written here) · the entry's frame, as it came.

use bytes::Bytes;

use atoll_core::{Dot, ReplicaId};

use super::{BadRecord, FORMAT, damaged, number};

const KIND: &str = "arrival";
const HEADER_BYTES: usize = 1 + 8 + 8 + 8;

/// One entry where it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Its place in the order of arrival.
    pub index: u64,
    /// Its dot.
    pub dot: Dot,
    /// The region that sent it here; `None` when it was written here.
    pub sender: Option<ReplicaId>,
    /// Its frame.
    pub frame: Bytes,
}

/// The key of an arrival.
#[must_use]
pub fn key(index: u64) -> [u8; 8] {
    index.to_be_bytes()
}

/// The bytes of an arrival.
#[must_use]
pub fn encode(arrival: &Arrival) -> Vec<u8> {
    let Arrival {
        index: _,
        dot,
        sender,
        frame,
    } = arrival;
    let mut out = Vec::with_capacity(HEADER_BYTES + frame.len());
    out.push(FORMAT);
    out.extend_from_slice(&dot.replica.0.to_be_bytes());
    out.extend_from_slice(&dot.seq.to_be_bytes());
    out.extend_from_slice(&sender.map_or(0, |s| s.0).to_be_bytes());
    out.extend_from_slice(frame);
    out
}

/// Reads an arrival.
///
/// # Errors
/// [`BadRecord`].
pub fn decode(key: &[u8], value: &Bytes) -> Result<Arrival, BadRecord> {
    match value.first() {
        Some(&FORMAT) if value.len() > HEADER_BYTES => {}
        Some(&FORMAT) | None => return Err(damaged(KIND, "it is too short")),
        Some(&found) => return Err(BadRecord::NewerFormat { kind: KIND, found }),
    }
    let sender = number(KIND, value, 17)?;
    Ok(Arrival {
        index: number(KIND, key, 0)?,
        dot: Dot::new(ReplicaId(number(KIND, value, 1)?), number(KIND, value, 9)?),
        sender: (sender != 0).then_some(ReplicaId(sender)),
        frame: value.slice(HEADER_BYTES..),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::checks::{self, dot, hex};

    fn arrival(sender: Option<u64>) -> Arrival {
        Arrival {
            index: 300,
            dot: dot(0xA1, 7),
            sender: sender.map(ReplicaId),
            frame: Bytes::from_static(b"frame"),
        }
    }

    fn check(arrival: &Arrival) -> String {
        let key = key(arrival.index);
        checks::check(KIND, arrival, encode, |bytes| decode(&key, &bytes))
    }

    #[test]
    fn the_bytes_are_pinned() {
        insta::assert_snapshot!(hex(&key(300)), @"000000000000012c");
        insta::assert_snapshot!(check(&arrival(None)), @"0100000000000000a1000000000000000700000000000000006672616d65");
        insta::assert_snapshot!(check(&arrival(Some(0xB2))), @"0100000000000000a1000000000000000700000000000000b26672616d65");
    }

    #[test]
    fn a_short_key_is_damage() {
        let refused = decode(&[0; 7], &encode(&arrival(None)).into()).unwrap_err();
        assert!(
            matches!(refused, BadRecord::Damaged { kind: KIND, .. }),
            "{refused}"
        );
    }
}
