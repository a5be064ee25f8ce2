//! Signals: what ends a process, and what makes it reread its files.

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use crate::failure::Failure;

/// What somebody wants of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C or SIGTERM.
    End,
    /// SIGHUP.
    Reload,
}

/// The signals of this process, from now on.
pub(crate) struct Signals {
    interrupt: Stream,
    terminate: Stream,
    hangup: Stream,
}

impl Signals {
    pub(crate) fn new() -> Result<Self, Failure> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::End,
            _ = self.terminate.recv() => Signal::End,
            _ = self.hangup.recv() => Signal::Reload,
        }
    }

    /// Waits for Ctrl-C or SIGTERM; SIGHUP changes nothing.
    pub(crate) async fn end(&mut self) {
        while self.next().await != Signal::End {}
    }
}

/// Does some work, which ends early with Ctrl-C or SIGTERM: what it started ends with it.
///
/// # Errors
/// The work's own, or that it was ended.
pub(crate) async fn unless_ended<T>(
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        done = work => done,
        ended = wait_for_end() => Err(ended.err().unwrap_or_else(|| Failure::new("ended by a signal"))),
    }
}

/// Waits for Ctrl-C or SIGTERM; SIGHUP changes nothing.
pub(crate) async fn wait_for_end() -> Result<(), Failure> {
    Signals::new()?.end().await;
    Ok(())
}
