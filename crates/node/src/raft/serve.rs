//! The answering end of Raft's messages.

use std::io;

use axum::body::Body;
use bytes::Bytes;
use openraft::Snapshot;

use super::snapshot::{self, SnapshotData};
use super::{Raft, message};
use crate::node::Inner;

/// Why a message was not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    /// There is no such message.
    #[error("there is no such message; is one of the nodes of another version?")]
    Unknown,
    /// It cannot be read.
    #[error("the message cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It asks for what cannot be.
    #[error("{0}")]
    Refused(String),
    /// This node's Raft has stopped.
    #[error("this node's Raft has stopped: {0}")]
    Stopped(String),
}

fn stopped(error: impl std::fmt::Display) -> Unanswered {
    Unanswered::Stopped(error.to_string())
}

/// Answers the message `what`.
pub(crate) async fn answer(raft: &Raft, what: &str, body: Bytes) -> Result<Bytes, Unanswered> {
    Ok(match what {
        "append" => {
            let answer = raft.append_entries(message::read_append(body)?).await;
            message::appended(&answer.map_err(stopped)?)
        }
        "vote" => {
            let answer = raft.vote(message::read_ask_vote(body)?).await;
            message::voted(&answer.map_err(stopped)?)
        }
        "pre-vote" => {
            let answer = raft.pre_vote(message::read_ask_vote(body)?).await;
            message::voted(&answer.map_err(stopped)?)
        }
        "transfer" => {
            let request = message::read_transfer(body)?;
            let answer = raft
                .handle_transfer_leader(request)
                .await
                .map_err(stopped)?;
            answer.map_err(|error| Unanswered::Refused(error.to_string()))?;
            Bytes::new()
        }
        _ => return Err(Unanswered::Unknown),
    })
}

/// Takes a snapshot's stream: spools it below `data`, then puts it in the place of the state.
pub(crate) async fn take_snapshot(inner: &Inner, body: Body) -> Result<Bytes, Unanswered> {
    let (head, spooled) = snapshot::spool(inner, body.into_data_stream()).await?;
    let (vote, meta) = message::read_snapshot_head(head)?;
    let snapshot = Snapshot {
        meta,
        snapshot: SnapshotData::Received(spooled),
    };
    let answer = inner.group.raft.install_full_snapshot(vote, snapshot).await;
    Ok(message::vote(&answer.map_err(stopped)?.vote))
}
