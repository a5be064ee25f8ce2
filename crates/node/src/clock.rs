//! The node's two clocks: one that never runs backwards, and the wall clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use atoll_core::Timestamp;
use atoll_replication::Now;

/// Reads both clocks. The wall clock can be shifted by configuration, for tests of clock skew.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
    shift_ms: i64,
}

impl Clock {
    pub(crate) fn new(shift_ms: i64) -> Self {
        Clock {
            started: Instant::now(),
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
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let real = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        real.saturating_add_signed(self.shift_ms)
    }

    /// What the leader proposes as an entry's time.
    pub(crate) fn timestamp(&self) -> Timestamp {
        Timestamp::from_millis(self.wall_ms())
    }
}
