//! How it goes, while it goes: counts for the line that people look at.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::history::Answer;
use super::shape::region_name;

/// Counts that clients and faults raise.
#[derive(Debug)]
pub(crate) struct Progress {
    started: Instant,
    acknowledged: AtomicU64,
    refused: AtomicU64,
    unknown: AtomicU64,
    faults: AtomicU64,
    /// For each region, when a write was acknowledged last, in milliseconds since the beginning.
    last_ms: Vec<AtomicU64>,
}

impl Progress {
    pub(crate) fn new(started: Instant, regions: usize) -> Progress {
        Progress {
            started,
            acknowledged: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            last_ms: (0..regions).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    pub(crate) fn wrote<T>(&self, region: usize, answer: &Answer<T>) {
        let count = match answer {
            Answer::Ok(_) => {
                self.last_ms[region].store(self.now_ms(), Ordering::Relaxed);
                &self.acknowledged
            }
            Answer::Refused(_) => &self.refused,
            Answer::Unknown(_) => &self.unknown,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn fault(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    /// One line: how long, how much, and how long ago each region took a write.
    pub(crate) fn line(&self, length: Duration) -> String {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let now = self.now_ms();
        let regions = self.last_ms.iter().enumerate().map(|(region, last)| {
            let ago = Duration::from_millis(now.saturating_sub(count(last)));
            format!("{} {:.1} s", region_name(region), ago.as_secs_f64())
        });
        format!(
            "{:>4} of {} s: {} faults; writes {} acknowledged, {} refused, {} unknown; last write ago: {}",
            now / 1000,
            length.as_secs(),
            count(&self.faults),
            count(&self.acknowledged),
            count(&self.refused),
            count(&self.unknown),
            regions.collect::<Vec<_>>().join(", ")
        )
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
