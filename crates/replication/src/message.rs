//! What the two ends of a link say to each other, and how each message is laid out.
//!
//! Messages are Protocol Buffers inside [`crate::frame`]s. Field numbers and frame types are never reused.
//! Entries are carried as the bytes that their origin made, never decoded.

use bytes::Bytes;
use prost::Message;

use atoll_core::wire::pb::Vector;
use atoll_core::{RegionName, ReplicaId, StoreId, VersionVector};

use crate::hearing::Row;

/// Version of the conversation, named in Hello and in every frame.
pub const LINK_VERSION: u8 = 1;
/// The newest `min_reader` that this build can read.
pub const READER: u32 = 1;

/// Which entries a source is to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carries {
    /// Those that the source itself originated.
    OwnEntries,
    /// Those of every origin.
    Everything,
}

/// Who has what: replica → its durable vector.
pub type Matrix = Vec<(ReplicaId, VersionVector)>;

/// First frame of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The conversation's version, [`LINK_VERSION`].
    pub version: u32,
    /// The target's store.
    pub store: StoreId,
    /// The target region.
    pub region: RegionName,
    /// The target's replica id.
    pub replica: ReplicaId,
    /// All that the target has, or has scheduled to apply.
    pub vector: VersionVector,
    /// What it wants to be sent.
    pub carries: Carries,
    /// How many bytes of entries may be under way unconsumed.
    pub credit_bytes: u64,
    /// Origins not to send: another link brings them.
    pub pruned: Vec<ReplicaId>,
}

/// What a target has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ack {
    /// Durable at the target.
    pub vector: VersionVector,
    /// Bytes of entries consumed since the link was opened.
    pub consumed_bytes: u64,
    /// What the target knows of others; may be empty.
    pub known: Matrix,
    /// Who hears whom, as far as the target knows; may be empty.
    pub hearing: Vec<Row>,
}

/// Entries that the target lacks and something waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// Whose entries.
    pub origin: ReplicaId,
    /// First sequence.
    pub from: u64,
    /// Last sequence.
    pub to: u64,
}

/// Start over from a vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// All that the target has, or has scheduled to apply.
    pub vector: VersionVector,
    /// What it wants to be sent from now on.
    pub carries: Carries,
    /// Origins not to send: another link brings them.
    pub pruned: Vec<ReplicaId>,
}

/// A clock probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ping {
    /// Chosen by the target.
    pub id: u64,
    /// The target's wall clock.
    pub sent_ms: u64,
}

/// Target → source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// First.
    Hello(Hello),
    /// Progress.
    Ack(Ack),
    /// A question.
    Want(Want),
    /// Start over.
    Resume(Resume),
    /// Stop sending these origins; replaces the earlier list.
    Prune(Vec<ReplicaId>),
    /// Clock probe.
    Ping(Ping),
}

/// First frame of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The source's store.
    pub store: StoreId,
    /// The source region.
    pub region: RegionName,
    /// The source's replica id.
    pub replica: ReplicaId,
}

/// Entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The least [`READER`] that can read them.
    pub min_reader: u32,
    /// How many.
    pub count: u32,
    /// Their frames, one after the other, as their origins made them.
    pub entries: Bytes,
}

/// The source's state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heartbeat {
    /// The source's wall clock.
    pub source_ms: u64,
    /// All that the source has applied.
    pub vector: VersionVector,
    /// What it knows of others.
    pub known: Matrix,
    /// Which replica id is which region.
    pub regions: Vec<(ReplicaId, RegionName)>,
    /// Who hears whom, as far as the source knows.
    pub hearing: Vec<Row>,
}

/// The answer to a clock probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pong {
    /// The probe's.
    pub id: u64,
    /// The probe's.
    pub sent_ms: u64,
    /// The source's wall clock.
    pub source_ms: u64,
}

/// Source → target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Downstream {
    /// First.
    Welcome(Welcome),
    /// Entries.
    Batch(Batch),
    /// State.
    Heartbeat(Heartbeat),
    /// Clock answer.
    Pong(Pong),
}

/// Protocol Buffers messages.
pub(crate) mod pb {
    use super::{Bytes, Message, Vector};

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Known {
        #[prost(fixed64, tag = "1")]
        pub(crate) replica: u64,
        #[prost(message, optional, tag = "2")]
        pub(crate) vector: Option<Vector>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Region {
        #[prost(fixed64, tag = "1")]
        pub(crate) replica: u64,
        #[prost(string, tag = "2")]
        pub(crate) name: String,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Heard {
        #[prost(string, tag = "1")]
        pub(crate) region: String,
        #[prost(uint32, tag = "2")]
        pub(crate) carries: u32,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Row {
        #[prost(string, tag = "1")]
        pub(crate) region: String,
        #[prost(uint64, tag = "2")]
        pub(crate) beat: u64,
        #[prost(message, repeated, tag = "3")]
        pub(crate) hears: Vec<Heard>,
        #[prost(string, repeated, tag = "4")]
        pub(crate) silent: Vec<String>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Hello {
        #[prost(uint32, tag = "1")]
        pub(crate) version: u32,
        #[prost(fixed64, tag = "2")]
        pub(crate) store: u64,
        #[prost(string, tag = "3")]
        pub(crate) region: String,
        #[prost(fixed64, tag = "4")]
        pub(crate) replica: u64,
        #[prost(message, optional, tag = "5")]
        pub(crate) vector: Option<Vector>,
        #[prost(uint32, tag = "6")]
        pub(crate) carries: u32,
        #[prost(uint64, tag = "7")]
        pub(crate) credit_bytes: u64,
        #[prost(fixed64, repeated, tag = "8")]
        pub(crate) pruned: Vec<u64>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Ack {
        #[prost(message, optional, tag = "1")]
        pub(crate) vector: Option<Vector>,
        #[prost(uint64, tag = "2")]
        pub(crate) consumed_bytes: u64,
        #[prost(message, repeated, tag = "3")]
        pub(crate) known: Vec<Known>,
        #[prost(message, repeated, tag = "4")]
        pub(crate) hearing: Vec<Row>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Want {
        #[prost(fixed64, tag = "1")]
        pub(crate) origin: u64,
        #[prost(uint64, tag = "2")]
        pub(crate) from: u64,
        #[prost(uint64, tag = "3")]
        pub(crate) to: u64,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Resume {
        #[prost(message, optional, tag = "1")]
        pub(crate) vector: Option<Vector>,
        #[prost(uint32, tag = "2")]
        pub(crate) carries: u32,
        #[prost(fixed64, repeated, tag = "3")]
        pub(crate) pruned: Vec<u64>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Prune {
        #[prost(fixed64, repeated, tag = "1")]
        pub(crate) origins: Vec<u64>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Ping {
        #[prost(uint64, tag = "1")]
        pub(crate) id: u64,
        #[prost(uint64, tag = "2")]
        pub(crate) sent_ms: u64,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Welcome {
        #[prost(fixed64, tag = "1")]
        pub(crate) store: u64,
        #[prost(string, tag = "2")]
        pub(crate) region: String,
        #[prost(fixed64, tag = "3")]
        pub(crate) replica: u64,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Batch {
        #[prost(uint32, tag = "1")]
        pub(crate) min_reader: u32,
        #[prost(uint32, tag = "2")]
        pub(crate) codec: u32,
        #[prost(uint32, tag = "3")]
        pub(crate) count: u32,
        #[prost(uint32, tag = "4")]
        pub(crate) plain_bytes: u32,
        #[prost(bytes = "bytes", tag = "5")]
        pub(crate) entries: Bytes,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Heartbeat {
        #[prost(uint64, tag = "1")]
        pub(crate) source_ms: u64,
        #[prost(message, optional, tag = "2")]
        pub(crate) vector: Option<Vector>,
        #[prost(message, repeated, tag = "3")]
        pub(crate) known: Vec<Known>,
        #[prost(message, repeated, tag = "4")]
        pub(crate) regions: Vec<Region>,
        #[prost(message, repeated, tag = "5")]
        pub(crate) hearing: Vec<Row>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Pong {
        #[prost(uint64, tag = "1")]
        pub(crate) id: u64,
        #[prost(uint64, tag = "2")]
        pub(crate) sent_ms: u64,
        #[prost(uint64, tag = "3")]
        pub(crate) source_ms: u64,
    }
}
