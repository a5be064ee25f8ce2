//! What the state machine makes known after each commit, never before: how far the state is, and the entries
//! that just arrived.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;

use atoll_core::VersionVector;
use atoll_store::region::Resolution;
use atoll_store::{Arrival, Catalog, Group, Outcome, Region};

use crate::telemetry::Metrics;

/// Bytes of recent entries kept for links, so that a caught-up link reads no disk.
const TAIL_BYTES: usize = 8 << 20;

/// How far the state is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    /// The entries in it.
    pub(crate) vector: Arc<VersionVector>,
    /// The last arrival index.
    pub(crate) arrival: u64,
    /// Set when the state cannot be changed any more.
    pub(crate) failed: Option<Arc<str>>,
}

/// The shared, read-mostly side of a region's state.
pub(crate) struct Published {
    progress: watch::Sender<Progress>,
    arrivals: watch::Sender<u64>,
    catalog: RwLock<Arc<Catalog>>,
    tail: Mutex<Tail>,
    replacing: AtomicBool,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Tail {
    entries: VecDeque<Arrival>,
    bytes: usize,
}

impl Published {
    /// The state of `region` as it is; `metrics` counts conflicts from now on.
    pub(crate) fn new(region: &Region, metrics: Arc<Metrics>) -> Self {
        let applied = region.applied();
        let progress = Progress {
            vector: Arc::new(applied.vector.clone()),
            arrival: applied.arrival,
            failed: None,
        };
        Published {
            arrivals: watch::channel(progress.arrival).0,
            progress: watch::channel(progress).0,
            catalog: RwLock::new(Arc::clone(region.catalog())),
            tail: Mutex::default(),
            replacing: AtomicBool::new(false),
            metrics,
        }
    }

    /// Makes a committed group known. Answers with its outcomes.
    pub(crate) fn publish(&self, region: &Region, group: Group) -> Vec<Outcome> {
        let Group {
            outcomes,
            arrivals,
            conflicts,
            resolutions,
        } = group;
        if !Arc::ptr_eq(&self.catalog(), region.catalog()) {
            *self.catalog.write().unwrap_or_else(PoisonError::into_inner) =
                Arc::clone(region.catalog());
        }
        for conflict in &conflicts {
            self.metrics.conflict(conflict);
        }
        for Resolution {
            collection,
            kind,
            after_ms,
        } in &resolutions
        {
            self.metrics
                .resolved(collection.as_str(), kind, Duration::from_millis(*after_ms));
        }
        if !arrivals.is_empty() {
            self.tail
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(arrivals);
            let arrival = region.applied().arrival;
            let vector = Arc::new(region.applied().vector.clone());
            self.progress.send_modify(|p| {
                p.vector = vector;
                p.arrival = arrival;
            });
            self.arrivals.send_replace(arrival);
        }
        outcomes
    }

    /// Whether this node's state is being replaced: it is not whole, and nothing may be read from it.
    pub(crate) fn is_replacing(&self) -> bool {
        self.replacing.load(Ordering::Acquire)
    }

    pub(crate) fn set_replacing(&self, is_replacing: bool) {
        self.replacing.store(is_replacing, Ordering::Release);
    }

    /// Makes a state known that was taken over from another node.
    pub(crate) fn replace(&self, region: &Region) {
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) =
            Arc::clone(region.catalog());
        *self.tail.lock().unwrap_or_else(PoisonError::into_inner) = Tail::default();
        let applied = region.applied();
        self.progress.send_modify(|p| {
            p.vector = Arc::new(applied.vector.clone());
            p.arrival = applied.arrival;
        });
        self.arrivals.send_replace(applied.arrival);
    }

    /// Makes known that the state cannot be changed any more.
    pub(crate) fn fail(&self, why: String) {
        self.progress.send_modify(|p| p.failed = Some(why.into()));
    }

    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    pub(crate) fn arrivals(&self) -> watch::Receiver<u64> {
        self.arrivals.subscribe()
    }

    pub(crate) fn vector(&self) -> Arc<VersionVector> {
        Arc::clone(&self.progress.borrow().vector)
    }

    pub(crate) fn arrival(&self) -> u64 {
        self.progress.borrow().arrival
    }

    pub(crate) fn failed(&self) -> Option<Arc<str>> {
        self.progress.borrow().failed.clone()
    }

    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Recent entries from the arrival index `from` on, about `bytes_max` of them; `None` when `from` is no
    /// longer kept.
    pub(crate) fn tail(&self, from: u64, bytes_max: usize) -> Option<Vec<Arrival>> {
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let first = tail.entries.front()?.index;
        let at = usize::try_from(from.checked_sub(first)?).ok()?;
        let mut bytes = 0;
        let fits = |arrival: &&Arrival| {
            let fits = bytes <= bytes_max;
            bytes += arrival.frame.len();
            fits
        };
        Some(
            tail.entries
                .iter()
                .skip(at)
                .take_while(fits)
                .cloned()
                .collect(),
        )
    }
}

impl Tail {
    fn extend(&mut self, arrivals: Vec<Arrival>) {
        for arrival in arrivals {
            self.bytes += arrival.frame.len();
            self.entries.push_back(arrival);
        }
        while self.bytes > TAIL_BYTES && self.entries.len() > 1 {
            if let Some(oldest) = self.entries.pop_front() {
                self.bytes -= oldest.frame.len();
            }
        }
    }
}
