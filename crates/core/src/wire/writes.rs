//! The bytes of slot writes and what is in them, in entries and records. Field numbers are never reused.

use super::{BadFrame, malformed};
use crate::content::{Content, Value};
use crate::counter::{Floor, Position};
use crate::entry::SlotWrite;
use crate::ids::ReplicaId;
use crate::path::Path;

/// The messages.
pub(super) mod pb {
    use prost::Message;
    use prost::bytes::Bytes;

    /// A slot write.
    #[derive(Clone, PartialEq, Message)]
    pub struct SlotWrite {
        /// Encoded path.
        #[prost(bytes = "bytes", tag = "1")]
        pub path: Bytes,
        /// What to do.
        #[prost(oneof = "slot_write::Kind", tags = "2, 3, 4, 5, 6, 7, 8")]
        pub kind: Option<slot_write::Kind>,
        /// Assign: take what was seen below.
        #[prost(bool, tag = "9")]
        pub clear: bool,
        /// Assign: the writer saw nothing there.
        #[prost(bool, tag = "10")]
        pub creates: bool,
    }

    /// Kinds of slot writes.
    pub mod slot_write {
        /// What to do.
        #[derive(Clone, PartialEq, prost::Oneof)]
        pub enum Kind {
            /// Assign a value.
            #[prost(message, tag = "2")]
            Value(super::Value),
            /// Assign an object mark.
            #[prost(bool, tag = "3")]
            Object(bool),
            /// Assign a tombstone.
            #[prost(bool, tag = "4")]
            Tombstone(bool),
            /// Mark an element.
            #[prost(bool, tag = "5")]
            Mark(bool),
            /// Drop an element.
            #[prost(bool, tag = "6")]
            Drop(bool),
            /// Add to a counter.
            #[prost(sint64, tag = "7")]
            Add(i64),
            /// Reset a counter.
            #[prost(message, tag = "8")]
            Reset(super::Reset),
        }
    }

    /// A value.
    #[derive(Clone, PartialEq, Message)]
    pub struct Value {
        /// Media type; empty for JSON.
        #[prost(string, tag = "1")]
        pub media: String,
        /// Bytes.
        #[prost(bytes = "bytes", tag = "2")]
        pub data: Bytes,
    }

    /// A counter's reset.
    #[derive(Clone, PartialEq, Message)]
    pub struct Reset {
        /// What was seen, by origin.
        #[prost(message, repeated, tag = "1")]
        pub floors: Vec<Floor>,
    }

    /// What a reset has seen of one origin.
    #[derive(Clone, PartialEq, Message)]
    pub struct Floor {
        /// Origin.
        #[prost(fixed64, tag = "1")]
        pub replica: u64,
        /// Position: sequence.
        #[prost(uint64, tag = "2")]
        pub seq: u64,
        /// Position: index within the entry.
        #[prost(uint32, tag = "3")]
        pub index: u32,
        /// Sum, i128 in 16 bytes little-endian.
        #[prost(bytes = "vec", tag = "4")]
        pub total: Vec<u8>,
    }
}

impl From<&Value> for pb::Value {
    fn from(value: &Value) -> Self {
        let media = value.media.as_deref().unwrap_or_default().to_owned();
        pb::Value {
            media,
            data: value.data.clone(),
        }
    }
}

impl From<pb::Value> for Value {
    fn from(value: pb::Value) -> Self {
        let media = (!value.media.is_empty()).then(|| value.media.into());
        Value {
            media,
            data: value.data,
        }
    }
}

impl From<&SlotWrite> for pb::SlotWrite {
    fn from(write: &SlotWrite) -> Self {
        use pb::slot_write::Kind;
        let path = write.path().bytes();
        let plain = |kind| pb::SlotWrite {
            path: path.clone(),
            kind: Some(kind),
            clear: false,
            creates: false,
        };
        match write {
            SlotWrite::Assign {
                path: _,
                content,
                clear,
                creates,
            } => {
                let kind = match content {
                    Content::Value(value) => Kind::Value(value.into()),
                    Content::Object => Kind::Object(true),
                    Content::Tombstone => Kind::Tombstone(true),
                };
                pb::SlotWrite {
                    clear: *clear,
                    creates: *creates,
                    ..plain(kind)
                }
            }
            SlotWrite::Mark { .. } => plain(Kind::Mark(true)),
            SlotWrite::Drop { .. } => plain(Kind::Drop(true)),
            SlotWrite::Add { path: _, delta } => plain(Kind::Add(*delta)),
            SlotWrite::Reset { path: _, floors } => plain(Kind::Reset(pb::Reset {
                floors: floors.iter().map(Into::into).collect(),
            })),
        }
    }
}

impl TryFrom<pb::SlotWrite> for SlotWrite {
    type Error = BadFrame;
    fn try_from(write: pb::SlotWrite) -> Result<Self, BadFrame> {
        use pb::slot_write::Kind;
        let pb::SlotWrite {
            path,
            kind,
            clear,
            creates,
        } = write;
        let path = Path::from_encoded(path).ok_or_else(|| malformed("a path that is none"))?;
        let assign = |path, content| SlotWrite::Assign {
            path,
            content,
            clear,
            creates,
        };
        Ok(
            match kind.ok_or_else(|| malformed("a slot write of an unknown kind"))? {
                Kind::Value(value) => assign(path, Content::Value(value.into())),
                Kind::Object(_) => assign(path, Content::Object),
                Kind::Tombstone(_) => assign(path, Content::Tombstone),
                Kind::Mark(_) => SlotWrite::Mark { path },
                Kind::Drop(_) => SlotWrite::Drop { path },
                Kind::Add(delta) => SlotWrite::Add { path, delta },
                Kind::Reset(reset) => {
                    let floors = reset
                        .floors
                        .into_iter()
                        .map(TryInto::try_into)
                        .collect::<Result<_, _>>()?;
                    SlotWrite::Reset { path, floors }
                }
            },
        )
    }
}

impl From<&Floor> for pb::Floor {
    fn from(floor: &Floor) -> Self {
        let Floor {
            replica,
            position,
            total,
        } = floor;
        let total = total.to_le_bytes().to_vec();
        pb::Floor {
            replica: replica.0,
            seq: position.seq,
            index: position.index,
            total,
        }
    }
}

impl TryFrom<pb::Floor> for Floor {
    type Error = BadFrame;
    fn try_from(floor: pb::Floor) -> Result<Self, BadFrame> {
        let total = floor
            .total
            .try_into()
            .map_err(|_| malformed("a sum that is not 16 bytes"))?;
        Ok(Floor {
            replica: ReplicaId(floor.replica),
            position: Position {
                seq: floor.seq,
                index: floor.index,
            },
            total: i128::from_le_bytes(total),
        })
    }
}
