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
