//! Superseded versions: what the ledger needs of them. Family `history`, key: slot key · 0x00 0x00 ·
//! class (1 byte) · replica id (8) · sequence (8).

use bytes::Bytes;
use prost::Message;

use atoll_core::content::Class;
use atoll_core::slot::Superseded;
use atoll_core::{Dot, ReplicaId, Timestamp};

use super::slot::{MarkPb, class, mark_from_pb, mark_to_pb};
use super::{BadRecord, damaged, number};

const KIND: &str = "history";
/// Bytes after the slot's key: two zeros, class, replica id, sequence.
const SUFFIX_BYTES: usize = 2 + 1 + 8 + 8;

/// The key of a superseded version of the slot whose key is `slot_key`.
#[must_use]
pub fn key(slot_key: &[u8], class: Class, dot: Dot) -> Vec<u8> {
    let mut out = origin_prefix(slot_key, class, dot.replica);
    out.extend_from_slice(&dot.seq.to_be_bytes());
    out
}

/// The prefix of one slot's superseded versions of one class and origin.
#[must_use]
pub fn origin_prefix(slot_key: &[u8], class: Class, origin: ReplicaId) -> Vec<u8> {
    let mut out = Vec::with_capacity(slot_key.len() + SUFFIX_BYTES);
    out.extend_from_slice(slot_key);
    out.extend_from_slice(&[0, 0, class.ordinal()]);
    out.extend_from_slice(&origin.0.to_be_bytes());
    out
}

/// The bytes of a superseded version.
#[must_use]
pub fn encode(version: &Superseded) -> Vec<u8> {
    let Superseded {
        dot: _,
        time,
        class: _,
        creates,
        conflict,
        by,
    } = version;
    super::encode(&SupersededPb {
        time: time.0,
        creates: *creates,
        mark: mark_to_pb(conflict),
        by_replica: by.replica.0,
        by_seq: by.seq,
    })
}

/// Reads a superseded version.
///
/// # Errors
/// [`BadRecord`].
pub fn decode(key: &[u8], value: Bytes) -> Result<Superseded, BadRecord> {
    let at = key
        .len()
        .checked_sub(SUFFIX_BYTES)
        .ok_or_else(|| damaged(KIND, "its key is too short"))?;
    let record: SupersededPb = super::decode(KIND, value)?;
    Ok(Superseded {
        dot: Dot::new(
            ReplicaId(number(KIND, key, at + 3)?),
            number(KIND, key, at + 11)?,
        ),
        time: Timestamp(record.time),
        class: class(KIND, key[at + 2].into())?,
        creates: record.creates,
        conflict: mark_from_pb(record.mark),
        by: Dot::new(ReplicaId(record.by_replica), record.by_seq),
    })
}

#[derive(Clone, PartialEq, Message)]
struct SupersededPb {
    #[prost(fixed64, tag = "1")]
    time: u64,
    #[prost(bool, tag = "2")]
    creates: bool,
    #[prost(message, optional, tag = "3")]
    mark: Option<MarkPb>,
    #[prost(fixed64, tag = "4")]
    by_replica: u64,
    #[prost(uint64, tag = "5")]
    by_seq: u64,
}
