//! Spans on their way out: a queue with a bound, and one task that empties it.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter as _, SpanProcessor};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// As `OTEL_BSP_MAX_QUEUE_SIZE` and the like have them by default.
const SPANS_QUEUED: usize = 2048;
const SPANS_AT_ONCE: usize = 512;
const SEND_EVERY: Duration = Duration::from_secs(5);

/// What became of telemetry. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Counts(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    spans_sent: AtomicU64,
    spans_dropped: AtomicU64,
    collections_sent: AtomicU64,
    collections_dropped: AtomicU64,
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
        counted(&self.0.spans_sent, &self.0.spans_dropped)
    }

    /// Collections of all metrics.
    #[must_use]
    pub fn collections(&self) -> Counted {
        counted(&self.0.collections_sent, &self.0.collections_dropped)
    }
}

fn counted(sent: &AtomicU64, dropped: &AtomicU64) -> Counted {
    Counted {
        sent: sent.load(Ordering::Relaxed),
        dropped: dropped.load(Ordering::Relaxed),
    }
}

/// Takes spans as they end, and never waits.
pub(super) struct Queue {
    /// Gone after the end.
    spans: Mutex<Option<mpsc::Sender<SpanData>>>,
    counts: Counts,
}

impl Queue {
    /// A queue, and the task that empties it while the queue lives.
    pub(super) fn start(
        mut exporter: SpanExporter,
        resource: &Resource,
        counts: Counts,
        timeout: Duration,
    ) -> Queue {
        exporter.set_resource(resource);
        let room = from_variable("OTEL_BSP_MAX_QUEUE_SIZE", SPANS_QUEUED);
        let (spans, ended) = mpsc::channel(room.max(1));
        let every = from_variable("OTEL_BSP_SCHEDULE_DELAY", SEND_EVERY.as_millis());
        let every = Duration::from_millis(u64::try_from(every).unwrap_or(u64::MAX));
        let sending = send(exporter, ended, counts.clone(), every, timeout);
        tokio::spawn(sending);
        let spans = Mutex::new(Some(spans));
        Queue { spans, counts }
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = spans
            .as_ref()
            .is_some_and(|spans| spans.try_send(span).is_ok());
        if !taken {
            self.counts.0.spans_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        // What is queued is still sent, as long as the runtime lives.
        self.spans
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        Ok(())
    }
}

/// Sends what there is every so often, or as soon as there is enough, until the queue is gone.
async fn send(
    exporter: SpanExporter,
    mut ended: mpsc::Receiver<SpanData>,
    counts: Counts,
    every: Duration,
    timeout: Duration,
) {
    let mut batch = Vec::new();
    loop {
        let until = Instant::now() + every;
        let mut is_open = true;
        while is_open && batch.len() < SPANS_AT_ONCE {
            let room = SPANS_AT_ONCE - batch.len();
            let more = ended.recv_many(&mut batch, room);
            match tokio::time::timeout_at(until, more).await {
                Ok(0) => is_open = false,
                Ok(_) => {}
                Err(_) => break,
            }
        }
        let count = batch.len() as u64;
        if count > 0 {
            let taken = exporter.export(std::mem::take(&mut batch));
            let taken = tokio::time::timeout(timeout, taken).await;
            let counter = match taken {
                Ok(Ok(())) => &counts.0.spans_sent,
                Ok(Err(_)) | Err(_) => &counts.0.spans_dropped,
            };
            counter.fetch_add(count, Ordering::Relaxed);
        }
        if !is_open {
            return;
        }
    }
}

fn from_variable<T: std::str::FromStr>(name: &str, default: T) -> T {
    let said = std::env::var(name).ok();
    said.and_then(|text| text.parse().ok()).unwrap_or(default)
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
            let counter = match &sent {
                Ok(()) => &self.counts.0.collections_sent,
                Err(_) => &self.counts.0.collections_dropped,
            };
            counter.fetch_add(1, Ordering::Relaxed);
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
