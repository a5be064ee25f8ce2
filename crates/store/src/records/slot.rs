//! Slots: the siblings of one register, field or element, or a counter's sums. Family `state`, key
//! [`super::slot_key`].

use bytes::Bytes;
use prost::Message;

use atoll_core::content::{Class, Content, Value};
use atoll_core::counter::{Contribution, Counter, Discount, Position};
use atoll_core::slot::{ConflictMark, HistoryEnd, Partner, Slot, Version};
use atoll_core::{Dot, ReplicaId, Timestamp};

use super::{BadRecord, damaged};

const KIND: &str = "slot";

/// The bytes of a slot.
#[must_use]
pub fn encode(slot: &Slot) -> Vec<u8> {
    let Slot {
        siblings,
        history,
        counter,
    } = slot;
    super::encode(&SlotPb {
        siblings: siblings.iter().map(version_to_pb).collect(),
        history: history
            .iter()
            .map(|end| HistoryEndPb {
                class: end.class.ordinal().into(),
                replica: end.last.replica.0,
                seq: end.last.seq,
                first: end.first,
            })
            .collect(),
        contributions: counter
            .contributions
            .iter()
            .map(contribution_to_pb)
            .collect(),
        discounts: counter.discounts.iter().map(discount_to_pb).collect(),
    })
}

/// Reads a slot.
///
/// # Errors
/// [`BadRecord`].
pub fn decode(bytes: Bytes) -> Result<Slot, BadRecord> {
    let slot: SlotPb = super::decode(KIND, bytes)?;
    let history = slot.history.into_iter().map(|end| {
        Ok(HistoryEnd {
            class: class(KIND, end.class)?,
            first: end.first,
            last: Dot::new(ReplicaId(end.replica), end.seq),
        })
    });
    Ok(Slot {
        siblings: slot
            .siblings
            .into_iter()
            .map(version_from_pb)
            .collect::<Result<_, _>>()?,
        history: history.collect::<Result<_, _>>()?,
        counter: Counter {
            contributions: slot
                .contributions
                .into_iter()
                .map(contribution_from_pb)
                .collect::<Result<_, _>>()?,
            discounts: slot.discounts.iter().map(discount_from_pb).collect(),
        },
    })
}

pub(crate) fn class(kind: &'static str, ordinal: u32) -> Result<Class, BadRecord> {
    u8::try_from(ordinal)
        .ok()
        .and_then(Class::from_ordinal)
        .ok_or_else(|| damaged(kind, format!("class {ordinal}")))
}

pub(crate) fn mark_to_pb(mark: &ConflictMark) -> Option<MarkPb> {
    let ConflictMark { partner, met } = mark;
    if partner.is_none() && met.is_empty() {
        return None;
    }
    Some(MarkPb {
        partner: partner.as_ref().map(partner_to_pb),
        met: met.iter().map(|r| r.0).collect(),
    })
}

pub(crate) fn mark_from_pb(mark: Option<MarkPb>) -> ConflictMark {
    let mark = mark.unwrap_or_default();
    ConflictMark {
        partner: mark.partner.as_ref().map(partner_from_pb),
        met: mark.met.into_iter().map(ReplicaId).collect(),
    }
}

pub(crate) fn partner_to_pb(partner: &Partner) -> PartnerPb {
    PartnerPb {
        time: partner.time.0,
        replica: partner.dot.replica.0,
        seq: partner.dot.seq,
    }
}

pub(crate) fn partner_from_pb(partner: &PartnerPb) -> Partner {
    Partner {
        time: Timestamp(partner.time),
        dot: Dot::new(ReplicaId(partner.replica), partner.seq),
    }
}

fn version_to_pb(version: &Version) -> VersionPb {
    let Version {
        dot,
        time,
        content,
        creates,
        conflict,
    } = version;
    let (media, data) = match content {
        Content::Value(value) => (
            value.media.as_deref().unwrap_or_default().to_owned(),
            value.data.clone(),
        ),
        Content::Object | Content::Tombstone => (String::new(), Bytes::new()),
    };
    VersionPb {
        replica: dot.replica.0,
        seq: dot.seq,
        time: time.0,
        class: content.class().ordinal().into(),
        media,
        data,
        creates: *creates,
        mark: mark_to_pb(conflict),
    }
}

fn version_from_pb(version: VersionPb) -> Result<Version, BadRecord> {
    let content = match class(KIND, version.class)? {
        Class::Value => Content::Value(Value {
            media: (!version.media.is_empty()).then(|| version.media.into()),
            data: version.data,
        }),
        Class::Object => Content::Object,
        Class::Tombstone => Content::Tombstone,
    };
    Ok(Version {
        dot: Dot::new(ReplicaId(version.replica), version.seq),
        time: Timestamp(version.time),
        content,
        creates: version.creates,
        conflict: mark_from_pb(version.mark),
    })
}

fn contribution_to_pb(c: &Contribution) -> ContributionPb {
    ContributionPb {
        replica: c.replica.0,
        seq: c.position.seq,
        index: c.position.index,
        total: c.total.to_le_bytes().to_vec(),
        floor_seq: c.floor.seq,
        floor_index: c.floor.index,
        floor_total: c.floor_total.to_le_bytes().to_vec(),
    }
}

fn contribution_from_pb(c: ContributionPb) -> Result<Contribution, BadRecord> {
    let sum = |bytes: Vec<u8>| {
        let bytes = bytes
            .try_into()
            .map_err(|_| damaged(KIND, "a sum that is not 16 bytes"))?;
        Ok(i128::from_le_bytes(bytes))
    };
    Ok(Contribution {
        replica: ReplicaId(c.replica),
        position: Position {
            seq: c.seq,
            index: c.index,
        },
        total: sum(c.total)?,
        floor: Position {
            seq: c.floor_seq,
            index: c.floor_index,
        },
        floor_total: sum(c.floor_total)?,
    })
}

fn discount_to_pb(discount: &Discount) -> DiscountPb {
    let Discount {
        replica,
        position,
        delta,
    } = discount;
    DiscountPb {
        replica: replica.0,
        seq: position.seq,
        index: position.index,
        delta: *delta,
    }
}

fn discount_from_pb(discount: &DiscountPb) -> Discount {
    Discount {
        replica: ReplicaId(discount.replica),
        position: Position {
            seq: discount.seq,
            index: discount.index,
        },
        delta: discount.delta,
    }
}

#[derive(Clone, PartialEq, Message)]
struct SlotPb {
    #[prost(message, repeated, tag = "1")]
    siblings: Vec<VersionPb>,
    #[prost(message, repeated, tag = "2")]
    history: Vec<HistoryEndPb>,
    #[prost(message, repeated, tag = "3")]
    contributions: Vec<ContributionPb>,
    #[prost(message, repeated, tag = "4")]
    discounts: Vec<DiscountPb>,
}

#[derive(Clone, PartialEq, Message)]
struct VersionPb {
    #[prost(fixed64, tag = "1")]
    replica: u64,
    #[prost(uint64, tag = "2")]
    seq: u64,
    #[prost(fixed64, tag = "3")]
    time: u64,
    #[prost(uint32, tag = "4")]
    class: u32,
    #[prost(string, tag = "5")]
    media: String,
    #[prost(bytes = "bytes", tag = "6")]
    data: Bytes,
    #[prost(bool, tag = "7")]
    creates: bool,
    #[prost(message, optional, tag = "8")]
    mark: Option<MarkPb>,
}

/// What a version carries of its conflicts.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct MarkPb {
    #[prost(message, optional, tag = "1")]
    partner: Option<PartnerPb>,
    #[prost(fixed64, repeated, tag = "2")]
    met: Vec<u64>,
}

/// A version as another one's partner.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct PartnerPb {
    #[prost(fixed64, tag = "1")]
    time: u64,
    #[prost(fixed64, tag = "2")]
    replica: u64,
    #[prost(uint64, tag = "3")]
    seq: u64,
}

#[derive(Clone, PartialEq, Message)]
struct HistoryEndPb {
    #[prost(uint32, tag = "1")]
    class: u32,
    #[prost(fixed64, tag = "2")]
    replica: u64,
    #[prost(uint64, tag = "3")]
    seq: u64,
    #[prost(uint64, tag = "4")]
    first: u64,
}

#[derive(Clone, PartialEq, Message)]
struct ContributionPb {
    #[prost(fixed64, tag = "1")]
    replica: u64,
    #[prost(uint64, tag = "2")]
    seq: u64,
    #[prost(uint32, tag = "3")]
    index: u32,
    #[prost(bytes = "vec", tag = "4")]
    total: Vec<u8>,
    #[prost(uint64, tag = "5")]
    floor_seq: u64,
    #[prost(uint32, tag = "6")]
    floor_index: u32,
    #[prost(bytes = "vec", tag = "7")]
    floor_total: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct DiscountPb {
    #[prost(fixed64, tag = "1")]
    replica: u64,
    #[prost(uint64, tag = "2")]
    seq: u64,
    #[prost(uint32, tag = "3")]
    index: u32,
    #[prost(sint64, tag = "4")]
    delta: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::checks::{self, dot, hex, holds};
    use proptest::prelude::*;

    fn check(slot: &Slot) -> String {
        checks::check(KIND, slot, encode, decode)
    }

    fn version(seq: u64, content: Content) -> Version {
        Version {
            dot: dot(0xA1, seq),
            time: Timestamp(0x0102_0304_0506_0708),
            content,
            creates: false,
            conflict: ConflictMark::default(),
        }
    }

    fn one(content: Content) -> Slot {
        Slot {
            siblings: vec![version(7, content)],
            ..Slot::default()
        }
    }

    #[test]
    fn a_value_is_pinned() {
        let mut slot = one(Content::Value(Value::json(r#"{"a":1}"#)));
        slot.siblings[0].creates = true;
        insta::assert_snapshot!(check(&slot), @r"
        010a2109a1000000000000001007190807060504030201200132077b2261223a
        317d3801
        ");
    }

    #[test]
    fn a_value_of_a_media_type_is_pinned() {
        let slot = one(Content::Value(Value {
            media: Some("image/png".into()),
            data: Bytes::from_static(b"\x89PNG"),
        }));
        insta::assert_snapshot!(check(&slot), @r"
        010a2709a100000000000000100719080706050403020120012a09696d616765
        2f706e67320489504e47
        ");
    }

    #[test]
    fn an_object_or_element_mark_is_pinned() {
        insta::assert_snapshot!(check(&one(Content::Object)), @"010a1609a10000000000000010071908070605040302012002");
    }

    #[test]
    fn a_tombstone_is_pinned() {
        insta::assert_snapshot!(check(&one(Content::Tombstone)), @"010a1609a10000000000000010071908070605040302012003");
    }

    #[test]
    fn siblings_in_conflict_and_ends_of_history_are_pinned() {
        let partner = |seq| {
            Some(Partner {
                time: Timestamp(9),
                dot: dot(0xB2, seq),
            })
        };
        let mut slot = one(Content::Value(Value::json("1")));
        slot.siblings.push(version(8, Content::Tombstone));
        slot.siblings[0].conflict = ConflictMark {
            partner: partner(3),
            met: vec![ReplicaId(0xB2), ReplicaId(0xC3)],
        };
        slot.siblings[1].conflict.partner = partner(4);
        slot.history = [
            (Class::Value, 0, 5),
            (Class::Object, 0, 4),
            (Class::Tombstone, 299, 300),
        ]
        .map(|(class, first, seq)| HistoryEnd {
            class,
            first,
            last: dot(0xB2, seq),
        })
        .to_vec();
        insta::assert_snapshot!(check(&slot), @r"
        010a4309a1000000000000001007190807060504030201200132013142280a14
        09090000000000000011b20000000000000018031210b200000000000000c300
        0000000000000a2e09a100000000000000100819080706050403020120034216
        0a1409090000000000000011b2000000000000001804120d080111b200000000
        0000001805120d080211b20000000000000018041211080311b2000000000000
        0018ac0220ab02
        ");
    }

    #[test]
    fn a_counter_is_pinned() {
        let position = |seq, index| Position { seq, index };
        let contribution = |replica, total, floor_total| Contribution {
            replica: ReplicaId(replica),
            position: position(300, 2),
            total,
            floor: position(299, 1),
            floor_total,
        };
        let slot = Slot {
            counter: Counter {
                contributions: vec![
                    contribution(1, 5, -7),
                    contribution(2, i128::MAX, i128::MIN),
                ],
                discounts: vec![],
            },
            ..Slot::default()
        };
        insta::assert_snapshot!(check(&slot), @r"
        011a3709010000000000000010ac021802221005000000000000000000000000
        00000028ab0230013a10f9ffffffffffffffffffffffffffffff1a3709020000
        000000000010ac0218022210ffffffffffffffffffffffffffffff7f28ab0230
        013a1000000000000000000000000000000080
        ");
    }

    #[test]
    fn a_discount_is_pinned() {
        let discount = |replica, delta| Discount {
            replica: ReplicaId(replica),
            position: Position { seq: 300, index: 2 },
            delta,
        };
        let slot = Slot {
            counter: Counter {
                contributions: vec![],
                discounts: vec![discount(1, 5), discount(2, i64::MIN)],
            },
            ..Slot::default()
        };
        insta::assert_snapshot!(check(&slot), @r"
        01221009010000000000000010ac021802200a221909020000000000000010ac
        02180220ffffffffffffffffff01
        ");
    }

    #[test]
    fn an_empty_slot_is_its_format() {
        assert_eq!(hex(&encode(&Slot::default())), "01");
    }

    #[test]
    fn every_slot_comes_back() {
        holds(&checks::slots(), |slot| {
            prop_assert_eq!(decode(encode(&slot).into()), Ok(slot));
            Ok(())
        });
    }

    #[test]
    fn an_unknown_class_is_damage() {
        let mut unknown = encode(&one(Content::Tombstone));
        *unknown.last_mut().unwrap() = 9;
        let refused = decode(unknown.into()).unwrap_err();
        assert!(
            matches!(refused, BadRecord::Damaged { kind: KIND, .. }),
            "{refused}"
        );
    }
}
