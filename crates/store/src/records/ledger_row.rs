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
    super::bare_number(KIND, value).map(Timestamp)
}

/// Reads the key of a row.
///
/// # Errors
/// [`BadRecord`].
pub fn decode_key(key: &[u8]) -> Result<(Timestamp, ConflictId), BadRecord> {
    let (high, low) = (number(KIND, key, 9)?, number(KIND, key, 17)?);
    let id = ConflictId(u128::from(high) << 64 | u128::from(low));
    Ok((Timestamp(number(KIND, key, 1)?), id))
}

/// A row as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRow {
    /// The row.
    pub row: LedgerRow,
    /// When this region noticed it, by its own clock: milliseconds since 1970.
    pub seen_here_ms: u64,
    /// The time of the first write that had seen both versions; noted once that is final, before history
    /// forgets the write. `None` says nothing.
    pub resolved: Option<Timestamp>,
}

/// The bytes of a row.
#[must_use]
pub fn encode(kept: &KeptRow) -> Vec<u8> {
    let KeptRow {
        row,
        seen_here_ms,
        resolved,
    } = kept;
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
        seen_here_ms: *seen_here_ms,
        resolved: resolved.map_or(0, |time| time.0),
    })
}

/// Reads a row.
///
/// # Errors
/// [`BadRecord`].
pub fn decode(value: Bytes) -> Result<KeptRow, BadRecord> {
    let row: RowPb = super::decode(KIND, value)?;
    let (Some(first), Some(second)) = (&row.first, &row.second) else {
        return Err(damaged(KIND, "a version is missing"));
    };
    let names = LedgerRow {
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
    Ok(KeptRow {
        row: names,
        seen_here_ms: row.seen_here_ms,
        resolved: (row.resolved != 0).then_some(Timestamp(row.resolved)),
    })
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
    #[prost(fixed64, tag = "10")]
    resolved: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::checks::{self, at, classes, dot, hex, holds, partners, slot_names, times};
    use atoll_core::content::Class;
    use atoll_core::slot::Partner;
    use proptest::prelude::*;

    fn kept() -> KeptRow {
        let partner = |time, replica, seq| Partner {
            time: Timestamp(time),
            dot: dot(replica, seq),
        };
        KeptRow {
            row: LedgerRow {
                at: at("c", "k", &["f"]),
                first: partner(0x0102_0304_0506_0708, 0xA1, 7),
                second: partner(0x0102_0304_0506_0709, 0xB2, 300),
                classes: (Class::Value, Class::Tombstone),
                creates: true,
                named_by_first: true,
                named_by_second: true,
            },
            seen_here_ms: 1_714_521_600_000,
            resolved: Some(Timestamp(0x0102_0304_0506_070A)),
        }
    }

    #[test]
    fn the_bytes_are_pinned() {
        insta::assert_snapshot!(checks::check(KIND, &kept(), encode, decode), @r"
        010a0863006b0001660001121409080706050403020111a10000000000000018
        071a1509090706050403020111b20000000000000018ac022001280330013801
        40014880e0cd8bf331510a07060504030201
        ");
        let open = KeptRow {
            resolved: None,
            ..kept()
        };
        insta::assert_snapshot!(checks::check(KIND, &open, encode, decode), @r"
        010a0863006b0001660001121409080706050403020111a10000000000000018
        071a1509090706050403020111b20000000000000018ac022001280330013801
        40014880e0cd8bf331
        ");
    }

    #[test]
    fn the_keys_are_pinned() {
        let id = ConflictId(0x0011_2233_4455_6677_8899_AABB_CCDD_EEFF);
        let detected = detected(&kept().row);
        assert_eq!(decode_key(&key(detected, id)), Ok((detected, id)));
        insta::assert_snapshot!(hex(&key(detected, id)), @"01010203040506070900112233445566778899aabbccddeeff");
        insta::assert_snapshot!(hex(&id_key(id)), @"0200112233445566778899aabbccddeeff");
        checks::survives_damage(&key(detected, id), |key| drop(decode_key(&key)));
    }

    #[test]
    fn a_time_by_id_is_eight_bytes() {
        assert_eq!(decode_time(&7_u64.to_be_bytes()), Ok(Timestamp(7)));
        for bytes in [&[][..], &[0; 7], &[0; 9]] {
            let refused = decode_time(bytes).unwrap_err();
            assert!(
                matches!(refused, BadRecord::Damaged { kind: KIND, .. }),
                "{refused}"
            );
        }
    }

    #[test]
    fn every_row_comes_back() {
        let flags = any::<[bool; 3]>();
        let times = (any::<u64>(), prop::option::of(1..=u64::MAX));
        let all = (
            slot_names(),
            partners(),
            partners(),
            (classes(), classes()),
            flags,
            times,
        );
        holds(
            &all,
            |(at, first, second, classes, flags, (seen_here_ms, resolved))| {
                let kept = KeptRow {
                    row: LedgerRow {
                        at,
                        first,
                        second,
                        classes,
                        creates: flags[0],
                        named_by_first: flags[1],
                        named_by_second: flags[2],
                    },
                    seen_here_ms,
                    resolved: resolved.map(Timestamp),
                };
                prop_assert_eq!(decode(encode(&kept).into()), Ok(kept));
                Ok(())
            },
        );
    }

    #[test]
    fn rows_sort_by_time_before_all_that_is_found_by_id() {
        let names = || (times(), any::<u128>().prop_map(ConflictId));
        holds(&(names(), names()), |(a, b)| {
            let (key_a, key_b) = (key(a.0, a.1), key(b.0, b.1));
            prop_assert_eq!(key_a.cmp(&key_b), a.cmp(&b));
            prop_assert_eq!(key_a < time_prefix(b.0), a.0 < b.0);
            prop_assert!(key_a < time_end() && time_end() <= id_key(b.1));
            Ok(())
        });
    }
}
