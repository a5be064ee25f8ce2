//! Entries by dot. Family `log`, key: replica id (8) · sequence (8) → arrival index (8).

use atoll_core::{Dot, ReplicaId};

use super::{BadRecord, number};

/// The key of a dot.
#[must_use]
pub fn key(dot: Dot) -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    out.extend_from_slice(&dot.replica.0.to_be_bytes());
    out.extend_from_slice(&dot.seq.to_be_bytes());
    out
}

/// The bytes of an arrival index.
#[must_use]
pub fn encode(arrival: u64) -> [u8; 8] {
    arrival.to_be_bytes()
}

/// Reads an arrival index.
///
/// # Errors
/// [`BadRecord`].
pub fn decode(value: &[u8]) -> Result<u64, BadRecord> {
    number("log", value, 0)
}

/// Reads the dot in a key.
///
/// # Errors
/// [`BadRecord`].
pub fn decode_key(key: &[u8]) -> Result<Dot, BadRecord> {
    Ok(Dot::new(
        ReplicaId(number("log", key, 0)?),
        number("log", key, 8)?,
    ))
}
