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

/// Waits for Ctrl-C or SIGTERM; SIGHUP changes nothing.
pub(crate) async fn wait_for_end() -> Result<(), Failure> {
    Signals::new()?.end().await;
    Ok(())
}
