//! What the links brought, on its way into the region's log: one proposal at a time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use openraft::errors::{ClientWriteError, Fatal};

use atoll_core::wire::EntryFrame;
use atoll_core::{ReplicaId, Timestamp};
use atoll_replication::delivery::Ready;
use atoll_store::{Command, Outcome};

use super::inbound::Inbound;
use crate::raft::{Application, Proposal, TypeConfig};
use crate::telemetry::{Arrived, EntryResult};

/// Bytes of entries proposed at once.
const PROPOSAL_BYTES: usize = 1 << 20;

/// A proposal under way: its end.
pub(super) type UnderWay = Pin<Box<dyn Future<Output = Result<(), NotApplied>> + Send>>;

/// Why what was proposed is proposed again.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotApplied {
    /// This node is not sure of its followers yet, or leads no more: either will show.
    #[error("this node does not lead its region")]
    NotLeading,
    #[error("{0}")]
    Failed(String),
    /// Some came from a region that was removed by force.
    #[error("some came from a region that was removed")]
    FromRemoved,
}

impl Inbound {
    /// Proposes what may be applied, one proposal at a time.
    pub(super) fn propose(&mut self) {
        if self.under_way.is_some() || self.retry_at.is_some_and(|at| self.now() < at) {
            return;
        }
        self.retry_at = None;
        let ready = self.inbox.take_ready(PROPOSAL_BYTES);
        if ready.is_empty() {
            return;
        }
        let followed = self.count(&ready);
        let (proposals, followed) = by_sender(ready, followed, self.node.clock.timestamp());
        let raft = self.node.group.raft.clone();
        let metrics = Arc::clone(&self.node.metrics);
        self.under_way = Some(Box::pin(async move {
            let stopped = |fatal: Fatal<_>| NotApplied::Failed(fatal.to_string());
            let answers = raft.client_write_many(proposals).await.map_err(stopped)?;
            let answers: Vec<_> = answers.try_collect().await.map_err(stopped)?;
            for answer in answers {
                match answer.map_err(|error| not_applied(&error))?.response {
                    Outcome::Merged(merged) if merged.refused > 0 => {
                        return Err(NotApplied::FromRemoved);
                    }
                    Outcome::Merged(merged) if merged.early > 0 => {
                        let why = format!("{} entries came too early", merged.early);
                        return Err(NotApplied::Failed(why));
                    }
                    Outcome::Merged(_)
                    | Outcome::Done
                    | Outcome::Written(_)
                    | Outcome::Changed(_)
                    | Outcome::Configured(_) => {}
                }
            }
            for (application, arrived) in followed {
                metrics.traces().replicated(&arrived, &application);
            }
            Ok(())
        }));
    }

    /// Counts them, and says which are followed, in the same order.
    fn count(&self, ready: &[Ready]) -> Vec<Option<Arrived>> {
        let mut followed = Vec::with_capacity(ready.len());
        let now_ms = self.node.clock.wall_ms();
        let catalog = self.node.published.catalog();
        let metrics = &self.node.metrics;
        for run in ready.chunk_by(|a, b| a.dot.replica == b.dot.replica && a.link == b.link) {
            let origin = self.node.origin_shown(&catalog.regions, run[0].dot.replica);
            let from = self.source_of(run[0].link);
            let link = from.map_or_else(String::new, |from| self.node.board.name(&from));
            let link: Arc<str> = link.into();
            for entry in run {
                metrics.causal_wait(&origin, entry.waited);
                let age_ms = now_ms.saturating_sub(entry.time.millis());
                metrics.visibility(&origin, Duration::from_millis(age_ms));
                followed.push(metrics.traces().arrived(&entry.trace, entry.waited, &link));
            }
            if !link.is_empty() {
                metrics.entries(&link, EntryResult::Applied, run.len() as u64);
            }
        }
        followed
    }
}

fn not_applied(error: &ClientWriteError<TypeConfig>) -> NotApplied {
    match error {
        ClientWriteError::ForwardToLeader(_) | ClientWriteError::LogEntryDiscarded(_) => {
            NotApplied::NotLeading
        }
        other => NotApplied::Failed(other.to_string()),
    }
}

/// The end of what is under way; never, when nothing is.
pub(super) async fn end_of(under_way: &mut Option<UnderWay>) -> Result<(), NotApplied> {
    match under_way {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// One command a run of entries from one sender, in order, and those of each that are followed.
fn by_sender(
    ready: Vec<Ready>,
    followed: Vec<Option<Arrived>>,
    now: Timestamp,
) -> (Vec<Proposal>, Vec<(Application, Vec<Arrived>)>) {
    let mut runs: Vec<(ReplicaId, Vec<EntryFrame>, Vec<Arrived>)> = Vec::new();
    for (entry, arrived) in ready.into_iter().zip(followed) {
        match runs.last_mut() {
            Some((sender, frames, followed)) if *sender == entry.sender => {
                frames.push(entry.frame);
                followed.extend(arrived);
            }
            _ => runs.push((
                entry.sender,
                vec![entry.frame],
                arrived.into_iter().collect(),
            )),
        }
    }
    let proposals = runs.into_iter().map(|(sender, frames, followed)| {
        let proposal = Proposal::new(Command::Remote {
            now,
            sender,
            frames,
        });
        let application = proposal.application();
        (proposal, (application, followed))
    });
    proposals.unzip()
}
