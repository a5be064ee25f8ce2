//! The node's tasks: each has an owner, and ends when the node stops.

use std::future::Future;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The node's tasks: each ends when the token is cancelled.
#[derive(Clone)]
pub(crate) struct Tasks {
    pub(crate) tracker: TaskTracker,
    pub(crate) token: CancellationToken,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Tasks {
            tracker: TaskTracker::new(),
            token: CancellationToken::new(),
        }
    }

    pub(crate) fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    pub(crate) fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(task);
    }

    /// Spawns a task that is dropped when the node stops.
    pub(crate) fn spawn_until_stopped<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stopping = self.token();
        self.spawn(async move {
            tokio::select! { () = task => {}, () = stopping.cancelled() => {} }
        });
    }
}
