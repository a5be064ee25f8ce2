//! Ledger rows. Family `ledger`: 0x01 · detected (8) · id (16) → row; 0x02 · id (16) → detected (8).
//!
//! Detected is the time of the later of the two versions, so rows list in the same order everywhere.

use bytes::Bytes;
use prost::Message;

use atoll_core::Timestamp;
use atoll_core::state::{ConflictId, LedgerRow};

use super::slot::{PartnerPb, class, partner_from_pb, partner_to_pb};
use super::{BadRecord, damaged, number, slot_key};

const KIND: &str = "ledger";
const BY_TIME: u8 = 1;
const BY_ID: u8 = 2;

/// When a conflict came to be: the time of its later version.
#[must_use]
pub fn detected(row: &LedgerRow) -> Timestamp {
    row.first.time.max(row.second.time)
}

/// The key of a row, in order of time.
#[must_use]
pub fn key(detected: Timestamp, id: ConflictId) -> Vec<u8> {
    let mut out = time_prefix(detected);
    out.extend_from_slice(&id.0.to_be_bytes());
    out
}

/// Where rows detected at or after `from` begin.
#[must_use]
pub fn time_prefix(from: Timestamp) -> Vec<u8> {
    let mut out = vec![BY_TIME];
    out.extend_from_slice(&from.0.to_be_bytes());
    out
}

/// The end of all rows in order of time.
#[must_use]
pub fn time_end() -> Vec<u8> {
    vec![BY_ID]
}

/// The key under which a row's time is found by its id.
#[must_use]
pub fn id_key(id: ConflictId) -> Vec<u8> {
    let mut out = vec![BY_ID];
    out.extend_from_slice(&id.0.to_be_bytes());
    out
}

/// Reads the value under [`id_key`].
///
/// # Errors
/// [`BadRecord`].
pub fn decode_time(value: &[u8]) -> Result<Timestamp, BadRecord> {
    number(KIND, value, 0).map(Timestamp)
}

/// The id in a row's key.
///
/// # Errors
/// [`BadRecord`].
pub fn decode_id(key: &[u8]) -> Result<ConflictId, BadRecord> {
    let (high, low) = (number(KIND, key, 9)?, number(KIND, key, 17)?);
    Ok(ConflictId(u128::from(high) << 64 | u128::from(low)))
}

/// A row and when this region noticed it: its own clock, in milliseconds since 1970.
#[must_use]
pub fn encode(row: &LedgerRow, seen_here_ms: u64) -> Vec<u8> {
    let LedgerRow {
        at,
        first,
        second,
        classes,
        creates,
        named_by_first,
        named_by_second,
    } = row;
    super::encode(&RowPb {
        slot: slot_key::encode(at),
        first: Some(partner_to_pb(first)),
        second: Some(partner_to_pb(second)),
        first_class: classes.0.ordinal().into(),
        second_class: classes.1.ordinal().into(),
        creates: *creates,
        named_by_first: *named_by_first,
        named_by_second: *named_by_second,
        seen_here_ms,
    })
}

/// Reads a row and when this region noticed it.
///
/// # Errors
/// [`BadRecord`].
pub fn decode(value: Bytes) -> Result<(LedgerRow, u64), BadRecord> {
    let row: RowPb = super::decode(KIND, value)?;
    let (Some(first), Some(second)) = (&row.first, &row.second) else {
        return Err(damaged(KIND, "a version is missing"));
    };
    let decoded = LedgerRow {
        at: slot_key::decode(&row.slot)?,
        first: partner_from_pb(first),
        second: partner_from_pb(second),
        classes: (
            class(KIND, row.first_class)?,
            class(KIND, row.second_class)?,
        ),
        creates: row.creates,
        named_by_first: row.named_by_first,
        named_by_second: row.named_by_second,
    };
    Ok((decoded, row.seen_here_ms))
}

#[derive(Clone, PartialEq, Message)]
struct RowPb {
    #[prost(bytes = "vec", tag = "1")]
    slot: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    first: Option<PartnerPb>,
    #[prost(message, optional, tag = "3")]
    second: Option<PartnerPb>,
    #[prost(uint32, tag = "4")]
    first_class: u32,
    #[prost(uint32, tag = "5")]
    second_class: u32,
    #[prost(bool, tag = "6")]
    creates: bool,
    #[prost(bool, tag = "7")]
    named_by_first: bool,
    #[prost(bool, tag = "8")]
    named_by_second: bool,
    #[prost(uint64, tag = "9")]
    seen_here_ms: u64,
}
