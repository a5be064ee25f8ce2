//! The bytes of entries and intents, as logged and shipped.
//!
//! An entry is a Protocol Buffers message in a frame: magic `At`, format version (1 byte), codec (1 byte,
//! 0 = plain), length (4, little-endian), CRC32C of the message (4), message. A relay forwards the frame as
//! it came; it never decodes and encodes again, so fields of newer versions survive.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;

use crate::entry::{Entry, Operation};
use crate::hlc::Timestamp;
use crate::idempotency::{Idempotency, IdempotencyKey};
use crate::ids::{CollectionName, Dot, Key, ReplicaId};
use crate::version_vector::VersionVector;

mod frame;
mod intents;
pub mod membership;
mod writes;

pub use frame::EntryFrame;

/// Format version of entry frames.
pub const ENTRY_VERSION: u8 = 1;
/// Bytes before the message.
pub const FRAME_HEADER_BYTES: usize = 12;
const MAGIC: [u8; 2] = *b"At";

/// Bytes that are not an entry of a known version. Named so that a link can stop at it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// Fewer bytes than the header says.
    #[error("an entry is cut: {given} of {needed} bytes")]
    Cut {
        /// Bytes there.
        given: usize,
        /// Bytes needed.
        needed: usize,
    },
    /// Another magic.
    #[error("bytes that are not an entry")]
    NotAnEntry,
    /// A newer format.
    #[error("an entry of format version {0}; this node knows {ENTRY_VERSION}: upgrade it")]
    UnknownVersion(u8),
    /// A codec that is not known.
    #[error("an entry of unknown codec {0}: upgrade this node")]
    UnknownCodec(u8),
    /// The checksum does not fit.
    #[error("an entry whose checksum does not fit: it was damaged on disk or on the way")]
    Checksum,
    /// A time that no clock shows.
    #[error(
        "an entry of the time {0}, which no clock shows: what wrote it is broken, or made it up. Find out who \
         serves it, and rebuild that region"
    )]
    BeyondClocks(Timestamp),
    /// The message says something impossible.
    #[error("an entry that cannot be read: {0}")]
    Malformed(String),
}

/// An entry's frame.
#[must_use]
pub fn encode_entry(entry: &Entry) -> Bytes {
    let message = pb::Entry::from(entry);
    let length = message.encoded_len();
    let mut out = BytesMut::with_capacity(FRAME_HEADER_BYTES + length);
    out.put_slice(&MAGIC);
    out.put_u8(ENTRY_VERSION);
    out.put_u8(0);
    out.put_u32_le(u32::try_from(length).expect("an entry is far below 4 GiB"));
    out.put_u32_le(0);
    message.encode(&mut out).expect("a BytesMut grows");
    let sum = crc32c::crc32c(&out[FRAME_HEADER_BYTES..]);
    out[8..FRAME_HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
    out.freeze()
}

/// Splits the first frame off `bytes` and checks it, without decoding the message.
///
/// # Errors
/// [`BadFrame`]; `bytes` is unchanged then.
pub fn split_frame(bytes: &mut Bytes) -> Result<Bytes, BadFrame> {
    let cut = |needed| BadFrame::Cut {
        given: bytes.len(),
        needed,
    };
    if bytes.len() < FRAME_HEADER_BYTES {
        return Err(cut(FRAME_HEADER_BYTES));
    }
    let mut header = &bytes[..FRAME_HEADER_BYTES];
    if header[..2] != MAGIC {
        return Err(BadFrame::NotAnEntry);
    }
    header.advance(2);
    let version = header.get_u8();
    if version != ENTRY_VERSION {
        return Err(BadFrame::UnknownVersion(version));
    }
    let codec = header.get_u8();
    if codec != 0 {
        return Err(BadFrame::UnknownCodec(codec));
    }
    let needed = FRAME_HEADER_BYTES + header.get_u32_le() as usize;
    let sum = header.get_u32_le();
    if bytes.len() < needed {
        return Err(cut(needed));
    }
    if crc32c::crc32c(&bytes[FRAME_HEADER_BYTES..needed]) != sum {
        return Err(BadFrame::Checksum);
    }
    Ok(bytes.split_to(needed))
}

/// Reads the entry in a whole frame.
///
/// # Errors
/// [`BadFrame`].
pub fn decode_entry(frame: &Bytes) -> Result<Entry, BadFrame> {
    let mut rest = frame.clone();
    let frame = split_frame(&mut rest)?;
    if !rest.is_empty() {
        return Err(BadFrame::Malformed("bytes after the entry".into()));
    }
    decode_checked(&frame)
}

/// As [`decode_entry`], of a frame that [`split_frame`] has split off.
fn decode_checked(frame: &Bytes) -> Result<Entry, BadFrame> {
    let message = frame.slice(FRAME_HEADER_BYTES..);
    let message = pb::Entry::decode(message).map_err(|e| BadFrame::Malformed(e.to_string()))?;
    message.try_into()
}

/// Reads only an entry's dot, time and dependencies: what a waiting room needs.
///
/// # Errors
/// [`BadFrame`].
pub fn decode_header(frame: &Bytes) -> Result<(Dot, Timestamp, VersionVector), BadFrame> {
    let message = frame.slice(FRAME_HEADER_BYTES.min(frame.len())..);
    let header =
        pb::EntryHeader::decode(message).map_err(|e| BadFrame::Malformed(e.to_string()))?;
    let dot = Dot {
        replica: ReplicaId(header.replica),
        seq: header.seq,
    };
    let dependencies = header
        .dependencies
        .map(VersionVector::try_from)
        .transpose()?;
    Ok((
        dot,
        Timestamp(header.time),
        dependencies.unwrap_or_default(),
    ))
}

/// The next of several frames, one after the other, which have been checked before or are ours.
#[must_use]
pub fn next_frame(frames: &mut Bytes) -> Option<Bytes> {
    let length = frames.get(4..8)?.try_into().map(u32::from_le_bytes).ok()?;
    let whole = FRAME_HEADER_BYTES.checked_add(usize::try_from(length).ok()?)?;
    (whole <= frames.len()).then(|| frames.split_to(whole))
}

/// What is told of an entry to those who watch: whose it is, when it was written, by which trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Who wrote it.
    pub replica: ReplicaId,
    /// When.
    pub time: Timestamp,
    /// As in [`Entry`].
    pub trace: Bytes,
}

/// Reads only that of an entry.
///
/// # Errors
/// [`BadFrame`].
pub fn decode_origin(frame: &Bytes) -> Result<Origin, BadFrame> {
    let message = frame.slice(FRAME_HEADER_BYTES.min(frame.len())..);
    let origin =
        pb::EntryOrigin::decode(message).map_err(|e| BadFrame::Malformed(e.to_string()))?;
    Ok(Origin {
        replica: ReplicaId(origin.replica),
        time: Timestamp(origin.time),
        trace: origin.trace,
    })
}

/// Protocol Buffers messages. Field numbers are never reused.
pub mod pb {
    use prost::Message;
    use prost::bytes::Bytes;

    pub use super::intents::pb::*;
    pub use super::membership::{Layout, LayoutLink, LayoutRegion, MemberChange};
    pub use super::writes::pb::*;

    /// A version vector: two lists of equal length.
    #[derive(Clone, PartialEq, Message)]
    pub struct Vector {
        /// Replica ids, ascending.
        #[prost(fixed64, repeated, tag = "1")]
        pub replicas: Vec<u64>,
        /// Sequences.
        #[prost(uint64, repeated, tag = "2")]
        pub seqs: Vec<u64>,
    }

    /// An entry without its operations.
    #[derive(Clone, PartialEq, Message)]
    pub struct EntryHeader {
        /// Origin.
        #[prost(fixed64, tag = "1")]
        pub replica: u64,
        /// Sequence.
        #[prost(uint64, tag = "2")]
        pub seq: u64,
        /// HLC.
        #[prost(fixed64, tag = "3")]
        pub time: u64,
        /// Dependencies.
        #[prost(message, optional, tag = "4")]
        pub dependencies: Option<Vector>,
    }

    /// An entry, as far as those who watch are told of it.
    #[derive(Clone, PartialEq, Message)]
    pub struct EntryOrigin {
        /// Origin.
        #[prost(fixed64, tag = "1")]
        pub replica: u64,
        /// HLC.
        #[prost(fixed64, tag = "3")]
        pub time: u64,
        /// Where the request stands in a trace.
        #[prost(bytes = "bytes", tag = "6")]
        pub trace: Bytes,
    }

    /// An entry.
    #[derive(Clone, PartialEq, Message)]
    pub struct Entry {
        /// Origin.
        #[prost(fixed64, tag = "1")]
        pub replica: u64,
        /// Sequence.
        #[prost(uint64, tag = "2")]
        pub seq: u64,
        /// HLC.
        #[prost(fixed64, tag = "3")]
        pub time: u64,
        /// Dependencies.
        #[prost(message, optional, tag = "4")]
        pub dependencies: Option<Vector>,
        /// Operations.
        #[prost(message, repeated, tag = "5")]
        pub operations: Vec<Operation>,
        /// Where the request stands in a trace.
        #[prost(bytes = "bytes", tag = "6")]
        pub trace: Bytes,
        /// Name of the region that this replica id is an incarnation of; empty but in first entries.
        #[prost(string, tag = "7")]
        pub announces: String,
        /// The request's idempotency key.
        #[prost(message, optional, tag = "8")]
        pub idempotency: Option<Idempotency>,
        /// A membership change.
        #[prost(message, optional, tag = "9")]
        pub member: Option<MemberChange>,
        /// A topology declared anew.
        #[prost(message, optional, tag = "10")]
        pub layout: Option<Layout>,
    }

    /// The request that an entry was made of.
    #[derive(Clone, PartialEq, Message)]
    pub struct Idempotency {
        /// Key.
        #[prost(bytes = "bytes", tag = "1")]
        pub key: Bytes,
        /// Hash of the request, 16 bytes little-endian.
        #[prost(bytes = "bytes", tag = "2")]
        pub request: Bytes,
    }

    /// An operation.
    #[derive(Clone, PartialEq, Message)]
    pub struct Operation {
        /// Collection name.
        #[prost(string, tag = "1")]
        pub collection: String,
        /// Key.
        #[prost(bytes = "bytes", tag = "2")]
        pub key: Bytes,
        /// Narrowed context.
        #[prost(message, optional, tag = "3")]
        pub context: Option<Vector>,
        /// Slot writes.
        #[prost(message, repeated, tag = "4")]
        pub writes: Vec<SlotWrite>,
    }
}

fn malformed(what: impl std::fmt::Display) -> BadFrame {
    BadFrame::Malformed(what.to_string())
}

impl From<&VersionVector> for pb::Vector {
    fn from(vector: &VersionVector) -> Self {
        let (replicas, seqs) = vector.iter().map(|(r, seq)| (r.0, seq)).unzip();
        pb::Vector { replicas, seqs }
    }
}

impl TryFrom<pb::Vector> for VersionVector {
    type Error = BadFrame;
    fn try_from(vector: pb::Vector) -> Result<Self, BadFrame> {
        if vector.replicas.len() != vector.seqs.len() {
            return Err(malformed("a version vector of two lengths"));
        }
        Ok(vector
            .replicas
            .into_iter()
            .map(ReplicaId)
            .zip(vector.seqs)
            .collect())
    }
}

impl From<&Entry> for pb::Entry {
    fn from(entry: &Entry) -> Self {
        let Entry {
            dot,
            time,
            dependencies,
            operations,
            trace,
            announces,
            member,
            layout,
            idempotency,
        } = entry;
        pb::Entry {
            replica: dot.replica.0,
            seq: dot.seq,
            time: time.0,
            dependencies: Some(dependencies.into()),
            operations: operations.iter().map(Into::into).collect(),
            trace: trace.clone(),
            announces: announces
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            member: member.as_ref().map(Into::into),
            layout: layout.as_ref().map(Into::into),
            idempotency: idempotency.as_ref().map(Into::into),
        }
    }
}

impl From<&Idempotency> for pb::Idempotency {
    fn from(idempotency: &Idempotency) -> Self {
        let Idempotency { key, request } = idempotency;
        pb::Idempotency {
            key: key.bytes(),
            request: Bytes::copy_from_slice(&request.to_le_bytes()),
        }
    }
}

impl TryFrom<pb::Idempotency> for Idempotency {
    type Error = BadFrame;
    fn try_from(idempotency: pb::Idempotency) -> Result<Self, BadFrame> {
        let request = idempotency.request[..].try_into();
        Ok(Idempotency {
            key: IdempotencyKey::new(idempotency.key).map_err(malformed)?,
            request: request
                .map(u128::from_le_bytes)
                .map_err(|_| malformed("a request's hash is not 16 bytes"))?,
        })
    }
}

impl TryFrom<pb::Entry> for Entry {
    type Error = BadFrame;
    fn try_from(entry: pb::Entry) -> Result<Self, BadFrame> {
        let pb::Entry {
            replica,
            seq,
            time,
            dependencies,
            operations,
            trace,
            announces,
            member,
            layout,
            idempotency,
        } = entry;
        let time = Timestamp(time);
        if time > Timestamp::LATEST {
            return Err(BadFrame::BeyondClocks(time));
        }
        let dot = Dot {
            replica: ReplicaId(replica),
            seq,
        };
        let dependencies = dependencies
            .map(VersionVector::try_from)
            .transpose()?
            .unwrap_or_default();
        if seq == 0 || dependencies.get(dot.replica) != seq - 1 {
            return Err(malformed(format!(
                "{dot} does not follow its own dependencies"
            )));
        }
        let announces = match announces.as_str() {
            "" => None,
            name => Some(name.parse().map_err(malformed)?),
        };
        let operations = operations
            .into_iter()
            .map(TryInto::try_into)
            .collect::<Result<_, _>>()?;
        Ok(Entry {
            dot,
            time,
            dependencies,
            operations,
            trace,
            announces,
            member: member.map(TryInto::try_into).transpose()?,
            layout: layout.map(TryInto::try_into).transpose()?,
            idempotency: idempotency.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<&Operation> for pb::Operation {
    fn from(operation: &Operation) -> Self {
        let Operation {
            collection,
            key,
            context,
            writes,
        } = operation;
        pb::Operation {
            collection: collection.as_str().to_owned(),
            key: key.bytes(),
            context: context.as_ref().map(Into::into),
            writes: writes.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<pb::Operation> for Operation {
    type Error = BadFrame;
    fn try_from(operation: pb::Operation) -> Result<Self, BadFrame> {
        let pb::Operation {
            collection,
            key,
            context,
            writes,
        } = operation;
        Ok(Operation {
            collection: collection.parse::<CollectionName>().map_err(malformed)?,
            key: Key::new(key).map_err(malformed)?,
            context: context.map(TryInto::try_into).transpose()?,
            writes: writes
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
        })
    }
}
