//! Commands: what a region's Raft log carries. One door: every change, local or remote, is one of these.
//!
//! Bytes: format byte, now [`FORMAT`], then a Protocol Buffers message. Everything that apply may not find
//! out for itself (the time above all) is in the command.

use bytes::Bytes;
use prost::Message;

use atoll_core::intent::Intent;
use atoll_core::wire::{EntryFrame, pb};
use atoll_core::{
    CollectionSpec, IdempotencyKey, Layout, MemberChange, ReplicaId, Timestamp, VersionVector,
};

use crate::error::StoreError;
use crate::records::collections::{self, CollectionsPb};
use crate::records::{BadRecord, damaged};

const KIND: &str = "command";
/// The format byte.
pub const FORMAT: u8 = 1;

/// One change of a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// The region's first entry, which announces its replica id; ignored when there is one already.
    Announce {
        /// The leader's clock.
        now: Timestamp,
    },
    /// The same for a region that joins a store: it is Joining until it says otherwise.
    Join {
        /// The leader's clock.
        now: Timestamp,
    },
    /// Changes how far a member is, when nobody changed it before.
    Member {
        /// The leader's clock.
        now: Timestamp,
        /// The change. For this region's own retirement its `last` is put in here.
        change: MemberChange,
    },
    /// Declares the topology anew, when nobody did before.
    Layout {
        /// The leader's clock.
        now: Timestamp,
        /// The topology.
        layout: Layout,
    },
    /// Writes of clients, each its own entry.
    Write {
        /// The leader's clock.
        now: Timestamp,
        /// The writes, in order.
        requests: Vec<Request>,
    },
    /// Entries of other regions, in an order in which they can be applied.
    Remote {
        /// The leader's clock.
        now: Timestamp,
        /// Who sent them here.
        sender: ReplicaId,
        /// Their frames, as they came.
        frames: Vec<EntryFrame>,
    },
    /// The collections as declared.
    Configure {
        /// All of them.
        collections: Vec<CollectionSpec>,
    },
    /// Below this no concurrent version can arrive any more.
    Stable {
        /// The vector.
        vector: VersionVector,
    },
    /// Drops old ledger rows.
    Trim {
        /// Rows detected before this go.
        before: Timestamp,
        /// And the oldest beyond this many.
        rows_max: u64,
    },
    /// Forgets idempotency keys.
    Forget {
        /// Those of entries older than this go.
        before: Timestamp,
        /// And the oldest beyond this many.
        keys_max: u64,
    },
}

/// One atomic write of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What it changes: all or nothing.
    pub intents: Vec<Intent>,
    /// Where it stands in a trace, as in [`Entry`](atoll_core::Entry).
    pub trace: Bytes,
    /// The client's name for it: a request that was written before is answered and not repeated.
    pub idempotency: Option<IdempotencyKey>,
}

impl Command {
    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let message = CommandPb {
            kind: Some(self.to_pb()),
        };
        let mut out = Vec::with_capacity(1 + message.encoded_len());
        out.push(FORMAT);
        message.encode(&mut out).expect("a Vec grows");
        out.into()
    }

    /// Reads a command.
    ///
    /// # Errors
    /// [`StoreError`] when it is of a newer format or damaged.
    pub fn decode(bytes: &Bytes) -> Result<Command, StoreError> {
        match bytes.first() {
            Some(&FORMAT) => {}
            Some(&found) => return Err(BadRecord::NewerFormat { kind: KIND, found }.into()),
            None => return Err(damaged(KIND, "it is empty").into()),
        }
        let message = CommandPb::decode(bytes.slice(1..)).map_err(|e| damaged(KIND, e))?;
        let kind = message
            .kind
            .ok_or_else(|| damaged(KIND, "its kind is not known; upgrade this node"))?;
        from_pb(kind)
    }

    fn to_pb(&self) -> KindPb {
        match self {
            Command::Announce { now } => KindPb::Announce(now.0),
            Command::Join { now } => KindPb::Join(now.0),
            Command::Member { now, change } => KindPb::Member(MemberPb {
                now: now.0,
                change: Some(change.into()),
            }),
            Command::Layout { now, layout } => KindPb::Layout(LayoutPb {
                now: now.0,
                layout: Some(layout.into()),
            }),
            Command::Write { now, requests } => KindPb::Write(WritePb {
                now: now.0,
                requests: requests
                    .iter()
                    .map(|r| RequestPb {
                        intents: r.intents.iter().map(Into::into).collect(),
                        trace: r.trace.clone(),
                        idempotency: r
                            .idempotency
                            .as_ref()
                            .map(IdempotencyKey::bytes)
                            .unwrap_or_default(),
                    })
                    .collect(),
            }),
            Command::Remote {
                now,
                sender,
                frames,
            } => KindPb::Remote(RemotePb {
                now: now.0,
                sender: sender.0,
                frames: frames.iter().map(|f| f.bytes().clone()).collect(),
            }),
            Command::Configure { collections } => {
                KindPb::Configure(collections::to_pb(collections))
            }
            Command::Stable { vector } => KindPb::Stable(vector.into()),
            Command::Trim { before, rows_max } => KindPb::Trim(TrimPb {
                before: before.0,
                rows_max: *rows_max,
            }),
            Command::Forget { before, keys_max } => KindPb::Forget(ForgetPb {
                before: before.0,
                keys_max: *keys_max,
            }),
        }
    }
}

fn from_pb(kind: KindPb) -> Result<Command, StoreError> {
    Ok(match kind {
        KindPb::Announce(now) => Command::Announce {
            now: Timestamp(now),
        },
        KindPb::Join(now) => Command::Join {
            now: Timestamp(now),
        },
        KindPb::Member(MemberPb { now, change }) => Command::Member {
            now: Timestamp(now),
            change: change
                .ok_or_else(|| damaged(KIND, "a change of no member"))?
                .try_into()?,
        },
        KindPb::Layout(LayoutPb { now, layout }) => Command::Layout {
            now: Timestamp(now),
            layout: layout
                .ok_or_else(|| damaged(KIND, "a layout of no regions"))?
                .try_into()?,
        },
        KindPb::Write(write) => {
            let request = |r: RequestPb| {
                let intents = r
                    .intents
                    .into_iter()
                    .map(TryInto::try_into)
                    .collect::<Result<_, _>>()?;
                Ok::<_, StoreError>(Request {
                    intents,
                    trace: r.trace,
                    idempotency: idempotency_key(r.idempotency)?,
                })
            };
            let requests = write
                .requests
                .into_iter()
                .map(request)
                .collect::<Result<_, _>>()?;
            Command::Write {
                now: Timestamp(write.now),
                requests,
            }
        }
        KindPb::Remote(remote) => Command::Remote {
            now: Timestamp(remote.now),
            sender: ReplicaId(remote.sender),
            frames: remote.frames.into_iter().map(Into::into).collect(),
        },
        KindPb::Configure(message) => Command::Configure {
            collections: collections::from_pb(message)?,
        },
        KindPb::Stable(vector) => Command::Stable {
            vector: vector.try_into()?,
        },
        KindPb::Trim(trim) => Command::Trim {
            before: Timestamp(trim.before),
            rows_max: trim.rows_max,
        },
        KindPb::Forget(forget) => Command::Forget {
            before: Timestamp(forget.before),
            keys_max: forget.keys_max,
        },
    })
}

fn idempotency_key(bytes: Bytes) -> Result<Option<IdempotencyKey>, BadRecord> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let key = IdempotencyKey::new(bytes).map_err(|e| damaged(KIND, e))?;
    Ok(Some(key))
}

#[derive(Clone, PartialEq, Message)]
struct CommandPb {
    #[prost(oneof = "KindPb", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10")]
    kind: Option<KindPb>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum KindPb {
    #[prost(fixed64, tag = "1")]
    Announce(u64),
    #[prost(message, tag = "2")]
    Write(WritePb),
    #[prost(message, tag = "3")]
    Remote(RemotePb),
    #[prost(message, tag = "4")]
    Configure(CollectionsPb),
    #[prost(message, tag = "5")]
    Stable(pb::Vector),
    #[prost(message, tag = "6")]
    Trim(TrimPb),
    #[prost(message, tag = "7")]
    Forget(ForgetPb),
    #[prost(fixed64, tag = "8")]
    Join(u64),
    #[prost(message, tag = "9")]
    Member(MemberPb),
    #[prost(message, tag = "10")]
    Layout(LayoutPb),
}

#[derive(Clone, PartialEq, Message)]
struct MemberPb {
    #[prost(fixed64, tag = "1")]
    now: u64,
    #[prost(message, optional, tag = "2")]
    change: Option<pb::MemberChange>,
}

#[derive(Clone, PartialEq, Message)]
struct LayoutPb {
    #[prost(fixed64, tag = "1")]
    now: u64,
    #[prost(message, optional, tag = "2")]
    layout: Option<pb::Layout>,
}

#[derive(Clone, PartialEq, Message)]
struct WritePb {
    #[prost(fixed64, tag = "1")]
    now: u64,
    #[prost(message, repeated, tag = "2")]
    requests: Vec<RequestPb>,
}

#[derive(Clone, PartialEq, Message)]
struct RequestPb {
    #[prost(message, repeated, tag = "1")]
    intents: Vec<pb::Intent>,
    #[prost(bytes = "bytes", tag = "2")]
    trace: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    idempotency: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct RemotePb {
    #[prost(fixed64, tag = "1")]
    now: u64,
    #[prost(fixed64, tag = "2")]
    sender: u64,
    #[prost(bytes = "bytes", repeated, tag = "3")]
    frames: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct TrimPb {
    #[prost(fixed64, tag = "1")]
    before: u64,
    #[prost(uint64, tag = "2")]
    rows_max: u64,
}

#[derive(Clone, PartialEq, Message)]
struct ForgetPb {
    #[prost(fixed64, tag = "1")]
    before: u64,
    #[prost(uint64, tag = "2")]
    keys_max: u64,
}

#[cfg(test)]
mod tests;
