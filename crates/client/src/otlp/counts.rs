//! What became of telemetry.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What became of telemetry. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Counts(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    spans: Counter,
    logs: Counter,
    collections: Counter,
}

#[derive(Debug, Default)]
pub(super) struct Counter {
    sent: AtomicU64,
    dropped: AtomicU64,
}

/// How many there were so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// That a collector took.
    pub sent: u64,
    /// That found no room, or that no collector took.
    pub dropped: u64,
}

impl Counts {
    /// Spans.
    #[must_use]
    pub fn spans(&self) -> Counted {
        self.0.spans.counted()
    }

    /// Lines of the log.
    #[must_use]
    pub fn logs(&self) -> Counted {
        self.0.logs.counted()
    }

    /// Collections of all metrics.
    #[must_use]
    pub fn collections(&self) -> Counted {
        self.0.collections.counted()
    }

    pub(super) fn of_spans(&self) -> &Counter {
        &self.0.spans
    }

    pub(super) fn of_logs(&self) -> &Counter {
        &self.0.logs
    }

    pub(super) fn of_collections(&self) -> &Counter {
        &self.0.collections
    }
}

impl Counter {
    fn counted(&self) -> Counted {
        Counted {
            sent: self.sent.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
        }
    }

    pub(super) fn count(&self, is_sent: bool, count: usize) {
        let counter = if is_sent { &self.sent } else { &self.dropped };
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}
