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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::checks::{self, at, classes, dot, dots, hex, holds, slot_names};
    use crate::records::slot_key;
    use atoll_core::slot::{ConflictMark, Partner};
    use proptest::prelude::*;

    fn version() -> Superseded {
        Superseded {
            dot: dot(0xA1, 7),
            time: Timestamp(0x0102_0304_0506_0708),
            class: Class::Tombstone,
            creates: true,
            conflict: ConflictMark {
                partner: Some(Partner {
                    time: Timestamp(9),
                    dot: dot(0xB2, 300),
                }),
                met: vec![ReplicaId(0xB2), ReplicaId(0xC3)],
            },
            by: dot(0xA1, 8),
        }
    }

    fn key_of(version: &Superseded) -> Vec<u8> {
        let slot = slot_key::encode(&at("c", "k", &["f"]));
        key(&slot, version.class, version.dot)
    }

    #[test]
    fn the_bytes_are_pinned() {
        let version = version();
        let key = key_of(&version);
        insta::assert_snapshot!(hex(&key), @"63006b000166000100000300000000000000a10000000000000007");
        let bytes = checks::check(KIND, &version, encode, |bytes| decode(&key, bytes));
        insta::assert_snapshot!(bytes, @r"
        0109080706050403020110011a290a1509090000000000000011b20000000000
        000018ac021210b200000000000000c30000000000000021a100000000000000
        2808
        ");
    }

    #[test]
    fn a_damaged_key_is_an_error_at_most() {
        let value: Bytes = encode(&version()).into();
        checks::survives_damage(&key_of(&version()), |key| drop(decode(&key, value.clone())));
    }

    #[test]
    fn every_version_comes_back() {
        holds(&(slot_names(), checks::superseded()), |(at, version)| {
            let key = key(&slot_key::encode(&at), version.class, version.dot);
            prop_assert_eq!(decode(&key, encode(&version).into()), Ok(version));
            Ok(())
        });
    }

    /// Versions of one slot, class and origin are neighbours in order of sequence, whatever else there is.
    #[test]
    fn keys_sort_by_slot_class_and_dot() {
        let name = || {
            (slot_names(), classes(), dots())
                .prop_map(|(at, class, dot)| (slot_key::encode(&at), class, dot))
        };
        holds(&(name(), name(), any::<bool>()), |(a, mut b, same_slot)| {
            if same_slot {
                b.0.clone_from(&a.0);
            }
            let (key_a, key_b) = (key(&a.0, a.1, a.2), key(&b.0, b.1, b.2));
            let is_neighbour = a.0 == b.0 && a.1 == b.1 && a.2.replica == b.2.replica;
            let prefix = origin_prefix(&a.0, a.1, a.2.replica);
            prop_assert_eq!(key_b.starts_with(&prefix), is_neighbour);
            if a.0 == b.0 {
                prop_assert_eq!(key_a.cmp(&key_b), (a.1, a.2).cmp(&(b.1, b.2)));
            }
            let (first, last) = (dot(a.2.replica.0, 0), dot(a.2.replica.0, u64::MAX));
            let between = (key(&a.0, a.1, first)..=key(&a.0, a.1, last)).contains(&key_b);
            prop_assert_eq!(between, is_neighbour);
            Ok(())
        });
    }
}
