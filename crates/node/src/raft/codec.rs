//! The bytes of Raft's own records: entries, votes, log ids, memberships.
//!
//! An entry: kind (1 byte: 0 blank, 1 command, 2 membership) · term (8) · node (8), little-endian · payload:
//! nothing, the command's bytes, or the membership. Its index is the key. Votes, log ids and memberships are
//! small and seldom: JSON, in shapes of our own so that a new version of the Raft library changes no file.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use bytes::{BufMut, Bytes};
use openraft::entry::RaftEntry as _;
use openraft::type_config::alias::{LeaderIdOf, LogIdOf, StoredMembershipOf, VoteOf};
use openraft::{Entry, EntryPayload, LogId, Membership, StoredMembership, Vote};
use serde::{Deserialize, Serialize};

use super::member::RegionNode;
use super::{Proposal, TypeConfig};

type RaftEntry = openraft::type_config::alias::DefaultEntryOf<TypeConfig>;
type LeaderId = LeaderIdOf<TypeConfig>;

const HEADER_BYTES: usize = 17;

/// Where in the Raft log a state stands, as stored with it.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    pub(super) applied: Option<LogIdOf<TypeConfig>>,
    pub(super) membership: StoredMembershipOf<TypeConfig>,
}

#[derive(Serialize, Deserialize)]
struct LogIdRecord {
    term: u64,
    node: u64,
    index: u64,
}

#[derive(Serialize, Deserialize)]
struct VoteRecord {
    term: u64,
    node: u64,
    committed: bool,
}

#[derive(Serialize, Deserialize)]
struct MembershipRecord {
    configs: Vec<BTreeSet<u64>>,
    nodes: BTreeMap<u64, MemberRecord>,
}

/// A member; nodes had only an address, which was empty, before regions had several.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum MemberRecord {
    Address(String),
    Member(RegionNode),
}

#[derive(Serialize, Deserialize)]
struct PlaceRecord {
    applied: Option<LogIdRecord>,
    membership_at: Option<LogIdRecord>,
    membership: MembershipRecord,
}

pub(super) fn invalid(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_string())
}

pub(super) fn entry(entry: &RaftEntry) -> io::Result<Bytes> {
    let (kind, payload) = match &entry.payload {
        EntryPayload::Blank => (0, Bytes::new()),
        EntryPayload::Normal(proposal) => (1, proposal.bytes.clone()),
        EntryPayload::Membership(membership) => (2, to_json(&membership_record(membership))?),
    };
    let leader = &entry.log_id.leader_id;
    let mut out = Vec::with_capacity(HEADER_BYTES + payload.len());
    out.put_u8(kind);
    out.put_u64_le(leader.term);
    out.put_u64_le(leader.node_id);
    out.put_slice(&payload);
    Ok(out.into())
}

pub(super) fn read_entry(index: u64, bytes: &Bytes) -> io::Result<RaftEntry> {
    let log_id = read_log_id_of_entry(index, bytes)?;
    let payload = bytes.slice(HEADER_BYTES..);
    let payload = match bytes[0] {
        0 => EntryPayload::Blank,
        1 => EntryPayload::Normal(Proposal::from_bytes(payload).map_err(invalid)?),
        2 => EntryPayload::Membership(read_membership(from_json(&payload)?)?),
        other => {
            return Err(invalid(format!(
                "Raft entry {index} has kind {other}; upgrade this node"
            )));
        }
    };
    Ok(Entry::new(log_id, payload))
}

/// The log id in an entry's bytes.
pub(super) fn read_log_id_of_entry(index: u64, bytes: &Bytes) -> io::Result<LogIdOf<TypeConfig>> {
    let short = || invalid(format!("Raft entry {index} is too short"));
    let number = |at: usize| {
        let slice = bytes.get(at..at + 8).and_then(|b| b.try_into().ok());
        slice.map(u64::from_le_bytes).ok_or_else(short)
    };
    Ok(LogId::new(
        LeaderId {
            term: number(1)?,
            node_id: number(9)?,
        },
        index,
    ))
}

pub(super) fn log_id(id: &LogIdOf<TypeConfig>) -> io::Result<Bytes> {
    to_json(&log_id_record(id))
}

pub(super) fn read_log_id(bytes: &[u8]) -> io::Result<LogIdOf<TypeConfig>> {
    Ok(log_id_from(&from_json(bytes)?))
}

pub(super) fn vote(vote: &VoteOf<TypeConfig>) -> io::Result<Bytes> {
    let Vote {
        leader_id,
        committed,
    } = vote;
    to_json(&VoteRecord {
        term: leader_id.term,
        node: leader_id.node_id,
        committed: *committed,
    })
}

pub(super) fn read_vote(bytes: &[u8]) -> io::Result<VoteOf<TypeConfig>> {
    let VoteRecord {
        term,
        node,
        committed,
    } = from_json(bytes)?;
    Ok(Vote {
        leader_id: LeaderId {
            term,
            node_id: node,
        },
        committed,
    })
}

pub(super) fn place(place: &Place) -> io::Result<Bytes> {
    let Place {
        applied,
        membership,
    } = place;
    to_json(&PlaceRecord {
        applied: applied.as_ref().map(log_id_record),
        membership_at: membership.log_id().as_ref().map(log_id_record),
        membership: membership_record(membership.membership()),
    })
}

pub(super) fn read_place(bytes: &[u8]) -> io::Result<Place> {
    let PlaceRecord {
        applied,
        membership_at,
        membership,
    } = from_json(bytes)?;
    let at = membership_at.as_ref().map(log_id_from);
    Ok(Place {
        applied: applied.as_ref().map(log_id_from),
        membership: StoredMembership::new(at, read_membership(membership)?),
    })
}

fn log_id_record(id: &LogIdOf<TypeConfig>) -> LogIdRecord {
    LogIdRecord {
        term: id.leader_id.term,
        node: id.leader_id.node_id,
        index: id.index,
    }
}

fn log_id_from(record: &LogIdRecord) -> LogIdOf<TypeConfig> {
    LogId::new(
        LeaderId {
            term: record.term,
            node_id: record.node,
        },
        record.index,
    )
}

fn membership_record(membership: &Membership<u64, RegionNode>) -> MembershipRecord {
    let nodes = membership
        .nodes()
        .map(|(id, node)| (*id, MemberRecord::Member(node.clone())));
    MembershipRecord {
        configs: membership.get_joint_config().clone(),
        nodes: nodes.collect(),
    }
}

fn read_membership(record: MembershipRecord) -> io::Result<Membership<u64, RegionNode>> {
    let MembershipRecord { configs, nodes } = record;
    if configs.is_empty() {
        return Ok(Membership::default());
    }
    let member = |record| match record {
        MemberRecord::Member(member) => member,
        MemberRecord::Address(address) => RegionNode {
            name: String::new(),
            address,
        },
    };
    let nodes: BTreeMap<u64, RegionNode> = nodes
        .into_iter()
        .map(|(id, record)| (id, member(record)))
        .collect();
    Membership::new(configs, nodes).map_err(invalid)
}

/// A membership as it travels beside a snapshot.
pub(super) fn stored_membership(of: &StoredMembershipOf<TypeConfig>) -> io::Result<Bytes> {
    to_json(&(
        of.log_id().as_ref().map(log_id_record),
        membership_record(of.membership()),
    ))
}

pub(super) fn read_stored_membership(bytes: &[u8]) -> io::Result<StoredMembershipOf<TypeConfig>> {
    let (at, record): (Option<LogIdRecord>, MembershipRecord) = from_json(bytes)?;
    let membership = read_membership(record)?;
    Ok(StoredMembership::new(
        at.as_ref().map(log_id_from),
        membership,
    ))
}

fn to_json(value: &impl Serialize) -> io::Result<Bytes> {
    serde_json::to_vec(value).map(Bytes::from).map_err(invalid)
}

fn from_json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> io::Result<T> {
    serde_json::from_slice(bytes).map_err(invalid)
}
