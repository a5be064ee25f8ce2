//! Writes at a fixed rate, however long each takes, and how long they took from when they were due.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use atoll_api::http::Receipt;
use atoll_client::{Client, WriteOptions};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use super::until;

const UNDER_WAY_MAX: usize = 4096;

/// Writers of new keys in `pages`, each a region in turn.
pub(crate) struct Pace {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    samples: Samples,
    task: JoinHandle<()>,
}

/// A write that was acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) dot: String,
    due: Instant,
    /// From when it was due.
    took: Duration,
}

#[derive(Clone, Default)]
struct Samples(Arc<Mutex<Vec<Sample>>>);

/// What the writes of a phase took.
#[derive(Clone, Debug)]
pub(crate) struct Phase {
    name: String,
    took: Vec<Duration>,
    lasted: Duration,
}

impl Pace {
    /// `rate` writes a second of `bytes` each.
    pub(crate) fn start(clients: &[Client], rate: u64, bytes: usize) -> Pace {
        let (stop, written) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let samples = Samples::default();
        let writer = (clients.to_vec(), Arc::clone(&stop), Arc::clone(&written));
        let task = tokio::spawn(write(writer, rate, bytes, samples.clone()));
        Pace {
            stop,
            written,
            samples,
            task,
        }
    }

    /// Waits until as many more were acknowledged.
    pub(crate) async fn more(&self, writes: u64) {
        let wanted = self.written.load(Ordering::Relaxed) + writes;
        until("writes go on", async || {
            (self.written.load(Ordering::Relaxed) >= wanted).then_some(())
        })
        .await;
    }

    /// The writes that were due since then.
    pub(crate) fn phase(&self, name: &str, since: Instant) -> Phase {
        let samples = self.since(since);
        Phase::new(name, since, samples.iter().map(|sample| sample.took))
    }

    /// The same, one by one.
    pub(crate) fn since(&self, since: Instant) -> Vec<Sample> {
        let samples = self.samples.0.lock();
        let samples = samples.unwrap_or_else(PoisonError::into_inner);
        let its = samples.iter().filter(|sample| sample.due >= since);
        its.cloned().collect()
    }

    /// Ends it; every write was acknowledged. Answers with how many there were.
    pub(crate) async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        self.written.load(Ordering::Relaxed)
    }
}

type Writer = (Vec<Client>, Arc<AtomicBool>, Arc<AtomicU64>);

async fn write((clients, stop, written): Writer, rate: u64, bytes: usize, samples: Samples) {
    let mut due = interval(Duration::from_secs(1) / u32::try_from(rate).unwrap());
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut under_way = JoinSet::new();
    for i in 0_usize.. {
        let at = due.tick().await.into_std();
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let client = clients[i % clients.len()].clone();
        let (written, samples) = (Arc::clone(&written), samples.clone());
        under_way.spawn(async move {
            let receipt = put(&client, &format!("paced-{i:08}"), bytes).await;
            let sample = Sample {
                dot: receipt.dot,
                due: at,
                took: at.elapsed(),
            };
            let mut all = samples.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(sample);
            written.fetch_add(1, Ordering::Relaxed);
        });
        while under_way.len() >= UNDER_WAY_MAX || under_way.try_join_next().is_some() {
            if under_way.len() >= UNDER_WAY_MAX {
                under_way.join_next().await.unwrap().unwrap();
            }
        }
    }
    while let Some(ended) = under_way.join_next().await {
        ended.unwrap();
    }
}

/// Puts a value of so many bytes.
pub(crate) async fn put(client: &Client, key: &str, bytes: usize) -> Receipt {
    let (options, value) = (
        WriteOptions::default(),
        format!("\"{}\"", "x".repeat(bytes)),
    );
    let put = client.put("pages", key, "application/json", value, &options);
    put.await.unwrap()
}

impl Sample {
    pub(crate) fn acknowledged(&self) -> Instant {
        self.due + self.took
    }
}

impl Phase {
    pub(crate) fn new(
        name: &str,
        since: Instant,
        took: impl IntoIterator<Item = Duration>,
    ) -> Phase {
        let mut took: Vec<Duration> = took.into_iter().collect();
        took.sort_unstable();
        Phase {
            name: name.to_owned(),
            took,
            lasted: since.elapsed(),
        }
    }

    /// What so many of a hundred writes took at most.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let last = self.took.len().saturating_sub(1);
        let at = (last * percent).div_ceil(100);
        self.took.get(at).copied().unwrap_or_default()
    }

    /// One line of a table.
    pub(crate) fn told(&self) -> String {
        format!(
            "{:<28} {:>7} in {:>6.1} s: p50 {:>8.1} ms, p99 {:>8.1} ms, max {:>8.1} ms",
            self.name,
            self.took.len(),
            self.lasted.as_secs_f64(),
            self.percentile(50).as_secs_f64() * 1e3,
            self.percentile(99).as_secs_f64() * 1e3,
            self.percentile(100).as_secs_f64() * 1e3,
        )
    }
}
