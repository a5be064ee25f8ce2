//! One file per stored record kind: its key, its bytes, its golden snapshot.
//!
//! Values are Protocol Buffers messages after one format byte, now [`FORMAT`]; field numbers are never
//! reused. Numbers in keys are big-endian, so byte order is number order.

pub mod applied;
pub mod arrival;
pub mod collections;
pub mod identity;
pub mod ledger_row;
pub mod log_index;
pub mod slot;
pub mod slot_key;
pub mod superseded;

use bytes::Bytes;
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
    match bytes.first() {
        Some(&FORMAT) => M::decode(bytes.slice(1..)).map_err(|e| damaged(kind, e)),
        Some(&found) => Err(BadRecord::NewerFormat { kind, found }),
        None => Err(damaged(kind, "it is empty")),
    }
}

/// The `N` bytes at `at`, as part of a key.
pub(crate) fn number(kind: &'static str, bytes: &[u8], at: usize) -> Result<u64, BadRecord> {
    let slice = bytes.get(at..at + 8).and_then(|b| b.try_into().ok());
    slice
        .map(u64::from_be_bytes)
        .ok_or_else(|| damaged(kind, "its key is too short"))
}
