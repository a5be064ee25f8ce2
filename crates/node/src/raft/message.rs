//! What the nodes of a region say to each other, as bytes (Protocol Buffers).
//!
//! Entries travel as they are stored: made once, by the leader.

use std::io;

use bytes::Bytes;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest, VoteRequest, VoteResponse,
};
use openraft::type_config::alias::{LeaderIdOf, LogIdOf, SnapshotMetaOf, VoteOf};
use openraft::{LogId, Vote};
use prost::Message;

use super::TypeConfig;
use super::codec::{self, invalid};

type LeaderId = LeaderIdOf<TypeConfig>;

#[derive(Clone, PartialEq, Message)]
struct LogIdPb {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(fixed64, tag = "2")]
    node: u64,
    #[prost(uint64, tag = "3")]
    index: u64,
}

#[derive(Clone, PartialEq, Message)]
struct VotePb {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(fixed64, tag = "2")]
    node: u64,
    #[prost(bool, tag = "3")]
    committed: bool,
}

#[derive(Clone, PartialEq, Message)]
struct AppendPb {
    #[prost(message, required, tag = "1")]
    vote: VotePb,
    #[prost(message, optional, tag = "2")]
    previous: Option<LogIdPb>,
    #[prost(message, optional, tag = "3")]
    commit: Option<LogIdPb>,
    /// Index of the first entry; the others follow it.
    #[prost(uint64, tag = "4")]
    first: u64,
    #[prost(bytes = "bytes", repeated, tag = "5")]
    entries: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct AppendedPb {
    #[prost(oneof = "AppendedKind", tags = "1, 2, 3, 4")]
    kind: Option<AppendedKind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum AppendedKind {
    #[prost(bool, tag = "1")]
    All(bool),
    #[prost(message, tag = "2")]
    Upto(UptoPb),
    #[prost(bool, tag = "3")]
    Conflict(bool),
    #[prost(message, tag = "4")]
    HigherVote(VotePb),
}

#[derive(Clone, PartialEq, Message)]
struct UptoPb {
    #[prost(message, optional, tag = "1")]
    last: Option<LogIdPb>,
}

#[derive(Clone, PartialEq, Message)]
struct AskVotePb {
    #[prost(message, required, tag = "1")]
    vote: VotePb,
    #[prost(message, optional, tag = "2")]
    last: Option<LogIdPb>,
    #[prost(bool, tag = "3")]
    by_transfer: bool,
}

#[derive(Clone, PartialEq, Message)]
struct VotedPb {
    #[prost(message, required, tag = "1")]
    vote: VotePb,
    #[prost(bool, tag = "2")]
    granted: bool,
    #[prost(message, optional, tag = "3")]
    last: Option<LogIdPb>,
}

#[derive(Clone, PartialEq, Message)]
struct TransferPb {
    #[prost(message, required, tag = "1")]
    from: VotePb,
    #[prost(fixed64, tag = "2")]
    to: u64,
    #[prost(message, optional, tag = "3")]
    last: Option<LogIdPb>,
}

/// The head of a snapshot's stream; the state follows in chunks.
#[derive(Clone, PartialEq, Message)]
struct SnapshotPb {
    #[prost(message, required, tag = "1")]
    vote: VotePb,
    #[prost(message, optional, tag = "2")]
    last: Option<LogIdPb>,
    #[prost(bytes = "bytes", tag = "3")]
    membership: Bytes,
}

impl From<&LogIdOf<TypeConfig>> for LogIdPb {
    fn from(id: &LogIdOf<TypeConfig>) -> Self {
        LogIdPb {
            term: id.leader_id.term,
            node: id.leader_id.node_id,
            index: id.index,
        }
    }
}

impl From<&LogIdPb> for LogIdOf<TypeConfig> {
    fn from(id: &LogIdPb) -> Self {
        let leader = LeaderId {
            term: id.term,
            node_id: id.node,
        };
        LogId::new(leader, id.index)
    }
}

impl From<&VoteOf<TypeConfig>> for VotePb {
    fn from(vote: &VoteOf<TypeConfig>) -> Self {
        VotePb {
            term: vote.leader_id.term,
            node: vote.leader_id.node_id,
            committed: vote.committed,
        }
    }
}

impl From<&VotePb> for VoteOf<TypeConfig> {
    fn from(vote: &VotePb) -> Self {
        Vote {
            leader_id: LeaderId {
                term: vote.term,
                node_id: vote.node,
            },
            committed: vote.committed,
        }
    }
}

fn log_id(id: Option<&LogIdOf<TypeConfig>>) -> Option<LogIdPb> {
    id.map(Into::into)
}

fn read_log_id(id: Option<&LogIdPb>) -> Option<LogIdOf<TypeConfig>> {
    id.map(Into::into)
}

fn encoded(message: &impl Message) -> Bytes {
    message.encode_to_vec().into()
}

fn decoded<M: Message + Default>(bytes: Bytes) -> io::Result<M> {
    M::decode(bytes).map_err(invalid)
}

pub(super) fn append(request: &AppendEntriesRequest<TypeConfig>) -> io::Result<Bytes> {
    let entries = request.entries.iter().map(codec::entry);
    Ok(encoded(&AppendPb {
        vote: (&request.vote).into(),
        previous: log_id(request.prev_log_id.as_ref()),
        commit: log_id(request.leader_commit.as_ref()),
        first: request.entries.first().map_or(0, |e| e.log_id.index),
        entries: entries.collect::<io::Result<_>>()?,
    }))
}

pub(super) fn read_append(bytes: Bytes) -> io::Result<AppendEntriesRequest<TypeConfig>> {
    let AppendPb {
        vote,
        previous,
        commit,
        first,
        entries,
    } = decoded(bytes)?;
    let entries = (first..).zip(&entries);
    Ok(AppendEntriesRequest {
        vote: (&vote).into(),
        prev_log_id: read_log_id(previous.as_ref()),
        leader_commit: read_log_id(commit.as_ref()),
        entries: entries
            .map(|(index, bytes)| codec::read_entry(index, bytes))
            .collect::<io::Result<_>>()?,
    })
}

pub(super) fn appended(answer: &AppendEntriesResponse<TypeConfig>) -> Bytes {
    let kind = match answer {
        AppendEntriesResponse::Success => AppendedKind::All(true),
        AppendEntriesResponse::PartialSuccess(last) => AppendedKind::Upto(UptoPb {
            last: log_id(last.as_ref()),
        }),
        AppendEntriesResponse::Conflict => AppendedKind::Conflict(true),
        AppendEntriesResponse::HigherVote(vote) => AppendedKind::HigherVote(vote.into()),
    };
    encoded(&AppendedPb { kind: Some(kind) })
}

pub(super) fn read_appended(bytes: Bytes) -> io::Result<AppendEntriesResponse<TypeConfig>> {
    let AppendedPb { kind } = decoded(bytes)?;
    Ok(match kind {
        Some(AppendedKind::All(_)) => AppendEntriesResponse::Success,
        Some(AppendedKind::Upto(upto)) => {
            AppendEntriesResponse::PartialSuccess(read_log_id(upto.last.as_ref()))
        }
        Some(AppendedKind::Conflict(_)) => AppendEntriesResponse::Conflict,
        Some(AppendedKind::HigherVote(vote)) => AppendEntriesResponse::HigherVote((&vote).into()),
        None => return Err(invalid("an answer of unknown kind; upgrade this node")),
    })
}

pub(super) fn ask_vote(request: &VoteRequest<TypeConfig>) -> Bytes {
    encoded(&AskVotePb {
        vote: (&request.vote).into(),
        last: log_id(request.last_log_id.as_ref()),
        by_transfer: request.leadership_transfer,
    })
}

pub(super) fn read_ask_vote(bytes: Bytes) -> io::Result<VoteRequest<TypeConfig>> {
    let AskVotePb {
        vote,
        last,
        by_transfer,
    } = decoded(bytes)?;
    Ok(VoteRequest {
        vote: (&vote).into(),
        last_log_id: read_log_id(last.as_ref()),
        leadership_transfer: by_transfer,
    })
}

pub(super) fn voted(answer: &VoteResponse<TypeConfig>) -> Bytes {
    encoded(&VotedPb {
        vote: (&answer.vote).into(),
        granted: answer.vote_granted,
        last: log_id(answer.last_log_id.as_ref()),
    })
}

pub(super) fn read_voted(bytes: Bytes) -> io::Result<VoteResponse<TypeConfig>> {
    let VotedPb {
        vote,
        granted,
        last,
    } = decoded(bytes)?;
    Ok(VoteResponse {
        vote: (&vote).into(),
        vote_granted: granted,
        last_log_id: read_log_id(last.as_ref()),
    })
}

pub(super) fn transfer(request: &TransferLeaderRequest<TypeConfig>) -> Bytes {
    encoded(&TransferPb {
        from: request.from_leader().into(),
        to: *request.to_node_id(),
        last: log_id(request.last_log_id()),
    })
}

pub(super) fn read_transfer(bytes: Bytes) -> io::Result<TransferLeaderRequest<TypeConfig>> {
    let TransferPb { from, to, last } = decoded(bytes)?;
    let last = read_log_id(last.as_ref());
    Ok(TransferLeaderRequest::new((&from).into(), to, last))
}

/// A vote alone: how a snapshot is answered.
pub(super) fn vote(vote: &VoteOf<TypeConfig>) -> Bytes {
    encoded(&VotePb::from(vote))
}

pub(super) fn read_vote(bytes: Bytes) -> io::Result<VoteOf<TypeConfig>> {
    Ok((&decoded::<VotePb>(bytes)?).into())
}

pub(super) fn snapshot_head(
    vote: &VoteOf<TypeConfig>,
    meta: &SnapshotMetaOf<TypeConfig>,
) -> io::Result<Bytes> {
    Ok(encoded(&SnapshotPb {
        vote: vote.into(),
        last: log_id(meta.last_log_id.as_ref()),
        membership: codec::stored_membership(&meta.last_membership)?,
    }))
}

pub(super) fn read_snapshot_head(
    bytes: Bytes,
) -> io::Result<(VoteOf<TypeConfig>, SnapshotMetaOf<TypeConfig>)> {
    let SnapshotPb {
        vote,
        last,
        membership,
    } = decoded(bytes)?;
    let meta = SnapshotMetaOf::<TypeConfig> {
        last_log_id: read_log_id(last.as_ref()),
        last_membership: codec::read_stored_membership(&membership)?,
    };
    Ok(((&vote).into(), meta))
}
