//! The bytes of Raft's own records: entries, votes, log ids.
//!
//! An entry: kind (1 byte: 0 blank, 1 command, 2 membership) · term (8) · node (8), little-endian · payload:
//! nothing, the command's bytes, or the membership as JSON. Its index is the key. Votes and log ids are JSON:
//! they are small and seldom.

use std::io;

use bytes::{BufMut, Bytes};
use openraft::entry::RaftEntry;
use openraft::{Entry, EntryPayload, LogId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use openraft::type_config::alias::{DefaultEntryOf, LeaderIdOf, LogIdOf};

use super::{Proposal, TypeConfig};

type LeaderId = LeaderIdOf<TypeConfig>;

const HEADER_BYTES: usize = 17;

pub(super) fn invalid(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_string())
}

pub(super) fn entry(entry: &DefaultEntryOf<TypeConfig>) -> io::Result<Bytes> {
    let (kind, payload) = match &entry.payload {
        EntryPayload::Blank => (0, Bytes::new()),
        EntryPayload::Normal(proposal) => (1, proposal.bytes.clone()),
        EntryPayload::Membership(membership) => (2, to_json(membership)?),
    };
    let leader = &entry.log_id.leader_id;
    let mut out = Vec::with_capacity(HEADER_BYTES + payload.len());
    out.put_u8(kind);
    out.put_u64_le(leader.term);
    out.put_u64_le(leader.node_id);
    out.put_slice(&payload);
    Ok(out.into())
}

pub(super) fn read_entry(index: u64, bytes: &Bytes) -> io::Result<DefaultEntryOf<TypeConfig>> {
    let log_id = read_log_id(index, bytes)?;
    let payload = bytes.slice(HEADER_BYTES..);
    let payload = match bytes[0] {
        0 => EntryPayload::Blank,
        1 => EntryPayload::Normal(Proposal::from_bytes(payload).map_err(invalid)?),
        2 => EntryPayload::Membership(from_json(&payload)?),
        other => return Err(invalid(format!("Raft entry {index} has kind {other}; upgrade this node"))),
    };
    Ok(Entry::new(log_id, payload))
}

/// The log id in an entry's bytes.
pub(super) fn read_log_id(index: u64, bytes: &Bytes) -> io::Result<LogIdOf<TypeConfig>> {
    let short = || invalid(format!("Raft entry {index} is too short"));
    let number = |at: usize| {
        let slice = bytes.get(at..at + 8).and_then(|b| b.try_into().ok());
        slice.map(u64::from_le_bytes).ok_or_else(short)
    };
    Ok(LogId::new(LeaderId { term: number(1)?, node_id: number(9)? }, index))
}

pub(super) fn to_json(value: &impl Serialize) -> io::Result<Bytes> {
    serde_json::to_vec(value).map(Bytes::from).map_err(invalid)
}

pub(super) fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    serde_json::from_slice(bytes).map_err(invalid)
}
