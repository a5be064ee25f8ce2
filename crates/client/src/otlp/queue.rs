//! Spans and logs on their way out: a queue with a bound for each, and one task that empties it.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter as _, LogProcessor, SdkLogRecord};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter as _, SpanProcessor};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// As `OTEL_BSP_MAX_QUEUE_SIZE`, `OTEL_BLRP_MAX_QUEUE_SIZE` and the like have them by default.
const QUEUED: usize = 2048;
const AT_ONCE: usize = 512;
const SEND_SPANS_EVERY: Duration = Duration::from_secs(5);
const SEND_LOGS_EVERY: Duration = Duration::from_secs(1);

/// What became of telemetry. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Counts(Arc<Counters>);

#[derive(Debug, Default)]
pub(super) struct Counters {
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
}

impl Counter {
    fn counted(&self) -> Counted {
        Counted {
            sent: self.sent.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
        }
    }

    fn count(&self, is_sent: bool, count: u64) {
        let counter = if is_sent { &self.sent } else { &self.dropped };
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

/// What waits in a queue.
pub(super) trait Item: Send + Sized + 'static {
    /// What sends it.
    type Exporter: Send + Sync + 'static;
    /// The variables that say how many may wait, and for how many milliseconds.
    const VARIABLES: [&'static str; 2];
    const SEND_EVERY: Duration;

    /// Whether a collector took them all.
    fn send(exporter: &Self::Exporter, items: Vec<Self>) -> impl Future<Output = bool> + Send;

    fn counter(counts: &Counters) -> &Counter;
}

impl Item for SpanData {
    type Exporter = SpanExporter;
    const VARIABLES: [&'static str; 2] = ["OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_SCHEDULE_DELAY"];
    const SEND_EVERY: Duration = SEND_SPANS_EVERY;

    async fn send(exporter: &SpanExporter, items: Vec<SpanData>) -> bool {
        exporter.export(items).await.is_ok()
    }

    fn counter(counts: &Counters) -> &Counter {
        &counts.spans
    }
}

impl Item for SdkLogRecord {
    type Exporter = LogExporter;
    const VARIABLES: [&'static str; 2] = ["OTEL_BLRP_MAX_QUEUE_SIZE", "OTEL_BLRP_SCHEDULE_DELAY"];
    const SEND_EVERY: Duration = SEND_LOGS_EVERY;

    async fn send(exporter: &LogExporter, items: Vec<SdkLogRecord>) -> bool {
        let scope = InstrumentationScope::builder("atoll").build();
        let items: Vec<_> = items.iter().map(|item| (item, &scope)).collect();
        exporter.export(LogBatch::new(&items)).await.is_ok()
    }

    fn counter(counts: &Counters) -> &Counter {
        &counts.logs
    }
}

/// Takes what ends or is said, and never waits.
pub(super) struct Queue<T> {
    /// Gone after the end.
    items: Mutex<Option<mpsc::Sender<T>>>,
    counts: Counts,
}

impl<T: Item> Queue<T> {
    /// A queue, and the task that empties it while the queue lives.
    pub(super) fn start(exporter: T::Exporter, counts: Counts, timeout: Duration) -> Queue<T> {
        let [room, every] = T::VARIABLES;
        let room = from_variable(room, QUEUED);
        let (items, waiting) = mpsc::channel(room.max(1));
        let every = from_variable(every, T::SEND_EVERY.as_millis());
        let every = Duration::from_millis(u64::try_from(every).unwrap_or(u64::MAX));
        tokio::spawn(send(exporter, waiting, counts.clone(), every, timeout));
        let items = Mutex::new(Some(items));
        Queue { items, counts }
    }

    fn put(&self, item: T) {
        let items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = items
            .as_ref()
            .is_some_and(|items| items.try_send(item).is_ok());
        if !taken {
            T::counter(&self.counts.0).count(false, 1);
        }
    }

    /// What is queued is still sent, as long as the runtime lives.
    fn end(&self) {
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        items.take();
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl SpanProcessor for Queue<SpanData> {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.put(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.end();
        Ok(())
    }
}

impl LogProcessor for Queue<SdkLogRecord> {
    fn emit(&self, record: &mut SdkLogRecord, _: &InstrumentationScope) {
        self.put(record.clone());
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.end();
        Ok(())
    }
}

/// Sends what there is every so often, or as soon as there is enough, until the queue is gone.
async fn send<T: Item>(
    exporter: T::Exporter,
    mut waiting: mpsc::Receiver<T>,
    counts: Counts,
    every: Duration,
    timeout: Duration,
) {
    let mut batch = Vec::new();
    loop {
        let until = Instant::now() + every;
        let mut is_open = true;
        while is_open && batch.len() < AT_ONCE {
            let room = AT_ONCE - batch.len();
            let more = waiting.recv_many(&mut batch, room);
            match tokio::time::timeout_at(until, more).await {
                Ok(0) => is_open = false,
                Ok(_) => {}
                Err(_) => break,
            }
        }
        let count = batch.len() as u64;
        if count > 0 {
            let taken = T::send(&exporter, std::mem::take(&mut batch));
            let taken = tokio::time::timeout(timeout, taken).await;
            T::counter(&counts.0).count(taken.unwrap_or(false), count);
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
            self.counts.0.collections.count(sent.is_ok(), 1);
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
