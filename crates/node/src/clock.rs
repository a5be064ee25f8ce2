//! The node's two clocks: one that never runs backwards, and the wall clock.

use std::time::Duration;

use tokio::time::Instant;

use atoll_core::Timestamp;
use atoll_replication::Now;

/// Reads both clocks. The wall clock can be shifted by configuration, for tests of clock skew.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
    wall_ms: fn() -> u64,
    shift_ms: i64,
}

impl Clock {
    pub(crate) fn new(wall_ms: fn() -> u64, shift_ms: i64) -> Self {
        Clock {
            started: Instant::now(),
            wall_ms,
            shift_ms,
        }
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            elapsed: self.elapsed(),
            wall_ms: self.wall_ms(),
        }
    }

    /// Since the node started.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Milliseconds since 1970.
    pub(crate) fn wall_ms(&self) -> u64 {
        (self.wall_ms)().saturating_add_signed(self.shift_ms)
    }

    /// What the leader proposes as an entry's time.
    pub(crate) fn timestamp(&self) -> Timestamp {
        Timestamp::from_millis(self.wall_ms())
    }
}
