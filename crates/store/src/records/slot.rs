//! Slots: the siblings of one register, field or element, or a counter's sums. Family `state`, key
//! [`super::slot_key`].

use bytes::Bytes;
use prost::Message;

use atoll_core::content::{Class, Content, Value};
use atoll_core::counter::{Contribution, Counter, Position};
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
            })
            .collect(),
        contributions: counter.0.iter().map(contribution_to_pb).collect(),
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
        counter: Counter(
            slot.contributions
                .into_iter()
                .map(contribution_from_pb)
                .collect::<Result<_, _>>()?,
        ),
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

#[derive(Clone, PartialEq, Message)]
struct SlotPb {
    #[prost(message, repeated, tag = "1")]
    siblings: Vec<VersionPb>,
    #[prost(message, repeated, tag = "2")]
    history: Vec<HistoryEndPb>,
    #[prost(message, repeated, tag = "3")]
    contributions: Vec<ContributionPb>,
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
