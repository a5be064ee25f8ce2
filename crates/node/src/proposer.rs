//! Group propose: what clients ask for while one command is being committed becomes the next command.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use atoll_store::{Command, Outcome, Request, Written};

use crate::clock::Clock;
use crate::raft::{Group, Proposal};
use crate::refusal::Refusal;
use crate::telemetry::{Followed, Metrics};

/// Requests in one command.
const REQUESTS_MAX: usize = 1024;
/// Commands being committed at once: the next is appended while the last is synced.
const UNDER_WAY_MAX: usize = 2;

type Answer = Result<Written, Refusal>;

/// A write on its way into a command.
pub(crate) struct Pending {
    request: Request,
    answer: oneshot::Sender<Answer>,
    followed: Option<Followed>,
}

/// Takes writes and answers when they are committed.
#[derive(Clone)]
pub(crate) struct Proposer {
    queue: mpsc::Sender<Pending>,
    metrics: Arc<Metrics>,
    under_way: TaskTracker,
}

/// What is to be made commands of.
pub(crate) struct Waiting {
    queue: mpsc::Receiver<Pending>,
    under_way: TaskTracker,
}

impl Proposer {
    /// A proposer with room for `pending` writes, and what to run.
    pub(crate) fn new(pending: usize, metrics: Arc<Metrics>) -> (Proposer, Waiting) {
        let (queue, waiting) = mpsc::channel(pending);
        let under_way = TaskTracker::new();
        let waiting = Waiting {
            queue: waiting,
            under_way: under_way.clone(),
        };
        let proposer = Proposer {
            queue,
            metrics,
            under_way,
        };
        (proposer, waiting)
    }

    /// Waits until what became of the commands under way is known, before this node stops.
    pub(crate) async fn settled(&self) {
        self.under_way.close();
        self.under_way.wait().await;
    }

    pub(crate) async fn write(&self, request: Request) -> Answer {
        let (answer, answered) = oneshot::channel();
        let pending = Pending {
            followed: self.metrics.traces().follow(&request.trace),
            request,
            answer,
        };
        self.queue.try_send(pending).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refusal::Overloaded,
            mpsc::error::TrySendError::Closed(_) => Refusal::Stopped,
        })?;
        answered.await.unwrap_or(Err(Refusal::Stopped))
    }
}

/// Turns pending writes into commands until the queue is closed.
pub(crate) async fn run(group: Group, clock: Clock, metrics: Arc<Metrics>, waiting: Waiting) {
    let Waiting {
        mut queue,
        under_way,
    } = waiting;
    let room = Arc::new(tokio::sync::Semaphore::new(UNDER_WAY_MAX));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let mut taken = Vec::new();
        if queue.recv_many(&mut taken, REQUESTS_MAX).await == 0 {
            return;
        }
        let (group, metrics) = (group.clone(), Arc::clone(&metrics));
        let mut followed: Vec<_> = taken.iter().filter_map(|p| p.followed).collect();
        metrics.traces().proposed(&mut followed);
        let (requests, answers): (Vec<_>, Vec<_>) =
            taken.into_iter().map(|p| (p.request, p.answer)).unzip();
        let command = Command::Write {
            now: clock.timestamp(),
            requests,
        };
        under_way.spawn(async move {
            let began = Instant::now();
            let proposal = Proposal::new(command);
            commit(&group, &proposal, answers).await;
            metrics.committed(began.elapsed());
            drop(place);
            metrics.traces().applied(&followed, &proposal.application());
        });
    }
}

async fn commit(group: &Group, proposal: &Proposal, answers: Vec<oneshot::Sender<Answer>>) {
    let results = match group.propose_as_leader(proposal).await {
        Ok(outcome) => outcome,
        Err(refusal) => {
            for answer in answers {
                let _ = answer.send(Err(refusal.clone()));
            }
            return;
        }
    };
    let Outcome::Written(results) = results else {
        return; // dropping the senders answers Stopped; a Write has no other outcome
    };
    for (answer, result) in answers.into_iter().zip(results) {
        // A client that has gone away is not told; its write stands.
        let _ = answer.send(result.map_err(Refusal::Rejected));
    }
}
