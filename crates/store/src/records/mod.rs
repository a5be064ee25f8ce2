//! One file per stored record kind: its key, its bytes, its golden snapshot.
//!
//! Values are Protocol Buffers messages after one format byte, now [`FORMAT`]; field numbers are never
//! reused. Two values are bare numbers of eight bytes: an arrival index by dot, a ledger row's time by id.
//! Numbers in keys are big-endian, so byte order is number order. Each kind's tests pin its bytes: a
//! snapshot that has to change is a break of the format.

pub mod applied;
pub mod arrival;
#[cfg(test)]
pub(crate) mod checks;
pub mod collections;
pub mod idempotency;
pub mod identity;
pub mod layout;
pub mod ledger_row;
pub mod log_index;
pub mod slot;
pub mod slot_key;
pub mod superseded;

use bytes::{Buf, Bytes};
use prost::Message;

/// The format byte of every record.
pub const FORMAT: u8 = 1;

/// A record that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// Written by a newer version.
    #[error("a {kind} record of format {found}, newer than {FORMAT}: upgrade this node")]
    NewerFormat {
        /// Which kind.
        kind: &'static str,
        /// Its format byte.
        found: u8,
    },
    /// Damaged.
    #[error("a {kind} record that cannot be read: {detail}; restore this node from its peers")]
    Damaged {
        /// Which kind.
        kind: &'static str,
        /// What does not fit.
        detail: String,
    },
}

pub(crate) fn damaged(kind: &'static str, detail: impl std::fmt::Display) -> BadRecord {
    BadRecord::Damaged {
        kind,
        detail: detail.to_string(),
    }
}

pub(crate) fn encode(message: &impl Message) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + message.encoded_len());
    out.push(FORMAT);
    message.encode(&mut out).expect("a Vec grows");
    out
}

pub(crate) fn decode<M: Message + Default>(
    kind: &'static str,
    bytes: Bytes,
) -> Result<M, BadRecord> {
    let mut message = bytes;
    match message.first().copied() {
        Some(FORMAT) => {
            message.advance(1);
            M::decode(message).map_err(|e| damaged(kind, e))
        }
        Some(found) => Err(BadRecord::NewerFormat { kind, found }),
        None => Err(damaged(kind, "it is empty")),
    }
}

/// The number at `at` within a key or value.
pub(crate) fn number(kind: &'static str, bytes: &[u8], at: usize) -> Result<u64, BadRecord> {
    let slice = bytes.get(at..at + 8).and_then(|b| b.try_into().ok());
    slice
        .map(u64::from_be_bytes)
        .ok_or_else(|| damaged(kind, "it is too short"))
}

/// A value that is a number and nothing else.
pub(crate) fn bare_number(kind: &'static str, value: &[u8]) -> Result<u64, BadRecord> {
    if value.len() > 8 {
        return Err(damaged(kind, "it is too long"));
    }
    number(kind, value, 0)
}
