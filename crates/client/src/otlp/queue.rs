//! Lines of the log on their way out: a queue with a bound, and one task that empties it. Metrics wait for nobody.

use std::fmt;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry_otlp::{LogExporter, MetricExporter};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter as _, LogProcessor, SdkLogRecord};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::counts::Counts;

/// Lines sent at once.
const AT_ONCE: usize = 512;

/// Takes what is said, and never waits.
pub(super) struct Queue {
    /// Gone after the end.
    lines: Mutex<Option<mpsc::Sender<SdkLogRecord>>>,
    counts: Counts,
}

impl Queue {
    /// A queue with room for so many, and the task that empties it while the queue lives.
    pub(super) fn start(
        exporter: LogExporter,
        room: usize,
        every: Duration,
        timeout: Duration,
        counts: Counts,
    ) -> Queue {
        let (lines, waiting) = mpsc::channel(room.max(1));
        tokio::spawn(send(exporter, waiting, counts.clone(), every, timeout));
        let lines = Mutex::new(Some(lines));
        Queue { lines, counts }
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, Option<mpsc::Sender<SdkLogRecord>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl LogProcessor for Queue {
    fn emit(&self, record: &mut SdkLogRecord, _: &InstrumentationScope) {
        let lines = self.lines();
        let taken = lines
            .as_ref()
            .is_some_and(|lines| lines.try_send(record.clone()).is_ok());
        if !taken {
            self.counts.of_logs().count(false, 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    /// What is queued is still sent, as long as the runtime lives.
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.lines().take();
        Ok(())
    }
}

/// Sends what there is every so often, or as soon as there is enough, until the queue is gone.
async fn send(
    exporter: LogExporter,
    mut waiting: mpsc::Receiver<SdkLogRecord>,
    counts: Counts,
    every: Duration,
    timeout: Duration,
) {
    let scope = InstrumentationScope::builder("atoll").build();
    let mut batch = Vec::new();
    let mut is_open = true;
    while is_open {
        let until = Instant::now() + every;
        while is_open && batch.len() < AT_ONCE {
            let room = AT_ONCE - batch.len();
            let more = waiting.recv_many(&mut batch, room);
            match tokio::time::timeout_at(until, more).await {
                Ok(count) => is_open = count > 0,
                Err(_) => break,
            }
        }
        if !batch.is_empty() {
            let lines: Vec<_> = batch.iter().map(|line| (line, &scope)).collect();
            let sending = exporter.export(LogBatch::new(&lines));
            let sent = tokio::time::timeout(timeout, sending).await;
            counts
                .of_logs()
                .count(matches!(sent, Ok(Ok(()))), batch.len());
            batch.clear();
        }
    }
}

/// Sends metrics, and counts how often that went well.
pub struct CountedMetrics {
    exporter: MetricExporter,
    counts: Counts,
}

impl CountedMetrics {
    pub(super) fn new(exporter: MetricExporter, counts: Counts) -> Self {
        CountedMetrics { exporter, counts }
    }
}

impl PushMetricExporter for CountedMetrics {
    fn export(&self, metrics: &ResourceMetrics) -> impl Future<Output = OTelSdkResult> + Send {
        let sending = self.exporter.export(metrics);
        async move {
            let sent = sending.await;
            self.counts.of_collections().count(sent.is_ok(), 1);
            sent
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
