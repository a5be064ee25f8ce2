//! Metrics: OpenTelemetry's instruments under the names that people are promised, shown for Prometheus.
//!
//! One meter provider a node. Histograms and counters are fed where things happen; gauges are asked for when
//! somebody looks ([`Gauges`]). Attributes hold names that operators declare (regions, links, collections),
//! never keys, values or client ids. Series are created at first use, so an idle region shows few.

mod gauges;
mod names;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::TextEncoder;

use atoll_store::region::NewConflict;

pub use self::gauges::{Gauges, LinkGauge, LogGauge, Observer, OriginLag, TlsGauge, TopologyGauge};
use self::names::Names;

/// What became of entries that came over a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryResult {
    /// Applied here.
    Applied,
    /// Known already.
    Duplicate,
    /// Sent on to another region.
    Relayed,
    /// Not understood: the link stopped.
    Quarantined,
}

/// All instruments of one node; clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    provider: SdkMeterProvider,
    registry: prometheus::Registry,
    names: Names,
    sampled: gauges::Sampled,
    active_requests: Arc<AtomicI64>,
    conflicts: Counter<u64>,
    resolution: Histogram<f64>,
    entries: Counter<u64>,
    visibility: Histogram<f64>,
    causal_wait: Histogram<f64>,
    rtt: Histogram<f64>,
    tls_refused: Counter<u64>,
    request_duration: Histogram<f64>,
}

/// Counts a request as under way until dropped.
pub(crate) struct Active {
    all: Arc<AtomicI64>,
    count: usize,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

impl Metrics {
    /// Instruments that have counted nothing.
    ///
    /// # Panics
    /// Never: the registry is new.
    #[must_use]
    pub fn new() -> Metrics {
        let registry = prometheus::Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build()
            .expect("a new registry takes a collector");
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder()
            .with_service_name("atoll")
            .with_attribute(version)
            .build();
        let provider = SdkMeterProvider::builder()
            .with_reader(exporter)
            .with_resource(resource)
            .build();
        let meter = provider.meter("atoll");
        let sampled = gauges::Sampled::default();
        gauges::register(&meter, &sampled);
        let active_requests = Arc::new(AtomicI64::new(0));
        observe_active(&meter, &active_requests);
        let inner = Inner {
            registry,
            names: Names::default(),
            sampled,
            active_requests,
            conflicts: counter(
                &meter,
                "atoll.conflicts",
                "{conflict}",
                "Conflicts noticed here.",
            ),
            resolution: wait(
                &meter,
                "atoll.conflict.resolution",
                "From detected to resolved.",
                &MINUTES,
            ),
            entries: counter(
                &meter,
                "atoll.replication.entries",
                "{entry}",
                "Entries that came over a link.",
            ),
            visibility: wait(
                &meter,
                "atoll.replication.visibility",
                "From commit at the origin to visible here.",
                &SECONDS,
            ),
            causal_wait: wait(
                &meter,
                "atoll.replication.causal_wait",
                "Time that entries waited here for what they depend on.",
                &SECONDS,
            ),
            rtt: wait(
                &meter,
                "atoll.replication.rtt",
                "Round trip of a link.",
                &SECONDS,
            ),
            tls_refused: counter(
                &meter,
                "atoll.tls.refused",
                "{connection}",
                "Connections that did not come about, or requests refused, for a certificate.",
            ),
            request_duration: wait(
                &meter,
                "atoll.http.server.request.duration",
                "From a request's head to its answer's head.",
                &SECONDS,
            ),
            provider,
        };
        Metrics(Arc::new(inner))
    }

    /// A conflict was noticed.
    pub fn conflict(&self, new: &NewConflict) {
        let NewConflict {
            collection,
            kind,
            outcome,
        } = new;
        let collection = self.0.names.shared(collection.as_str());
        let attributes = [
            KeyValue::new("collection", collection),
            KeyValue::new("kind", *kind),
            KeyValue::new("outcome", *outcome),
        ];
        self.0.conflicts.add(1, &attributes);
    }

    /// A conflict was resolved so long after it was detected.
    pub fn resolved(&self, collection: &str, kind: &'static str, after: Duration) {
        let attributes = [
            KeyValue::new("collection", self.0.names.shared(collection)),
            KeyValue::new("kind", kind),
        ];
        self.0.resolution.record(after.as_secs_f64(), &attributes);
    }

    /// Entries came over `link` (`source:target`), with this result.
    pub fn entries(&self, link: &str, result: EntryResult, count: u64) {
        let [from, to] = self.0.names.link(link);
        let attributes = [from, to, KeyValue::new("result", result.name())];
        self.0.entries.add(count, &attributes);
    }

    /// An entry of `origin` became visible here so long after it was committed there.
    pub fn visibility(&self, origin: &str, after: Duration) {
        self.0
            .visibility
            .record(after.as_secs_f64(), &[self.0.names.origin(origin)]);
    }

    /// An entry of `origin` waited so long for what it depends on.
    pub fn causal_wait(&self, origin: &str, waited: Duration) {
        self.0
            .causal_wait
            .record(waited.as_secs_f64(), &[self.0.names.origin(origin)]);
    }

    /// A round trip over `link` (`source:target`) was measured.
    pub fn rtt(&self, link: &str, rtt: Duration) {
        self.0
            .rtt
            .record(rtt.as_secs_f64(), &self.0.names.link(link));
    }

    /// A connection did not come about, or a request was refused, for a certificate.
    pub(crate) fn tls_refused(&self, side: &'static str, reason: &'static str) {
        let attributes = [KeyValue::new("side", side), KeyValue::new("reason", reason)];
        self.0.tls_refused.add(1, &attributes);
    }

    /// A request was answered.
    pub(crate) fn http(
        &self,
        route: &'static str,
        method: &'static str,
        status: u16,
        took: Duration,
    ) {
        let attributes = [
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.route", route),
            KeyValue::new("http.response.status_code", i64::from(status)),
        ];
        self.0
            .request_duration
            .record(took.as_secs_f64(), &attributes);
    }

    /// A request is under way until the answer is dropped.
    pub(crate) fn active(&self) -> Active {
        let others = self.0.active_requests.fetch_add(1, Ordering::Relaxed);
        Active {
            all: Arc::clone(&self.0.active_requests),
            count: usize::try_from(others).unwrap_or_default() + 1,
        }
    }

    /// Who knows the gauges' values; asked once each time somebody looks.
    pub fn set_observer(&self, observer: Observer) {
        self.0.sampled.set_observer(observer);
    }

    /// All metrics in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.sampled.refresh();
        let mut out = String::new();
        let families = self.0.registry.gather();
        if let Err(error) = TextEncoder::new().encode_utf8(&families, &mut out) {
            tracing::warn!(%error, "metrics could not be written");
        }
        out
    }

    /// Stops the instruments; what they counted is lost.
    pub fn shutdown(&self) {
        if let Err(error) = self.0.provider.shutdown() {
            tracing::debug!(%error, "metrics were stopped before");
        }
    }
}

impl EntryResult {
    /// As in the attribute `result`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            EntryResult::Applied => "applied",
            EntryResult::Duplicate => "duplicate",
            EntryResult::Relayed => "relayed",
            EntryResult::Quarantined => "quarantined",
        }
    }
}

impl Active {
    /// How many were under way when this one began, itself included.
    pub(crate) fn count(&self) -> usize {
        self.count
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bounds for what takes from a tenth of a millisecond to a minute.
const SECONDS: [f64; 18] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 60.0,
];
/// Bounds for what people may have to do.
const MINUTES: [f64; 14] = [
    0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21600.0, 86400.0,
];

fn counter(
    meter: &Meter,
    name: &'static str,
    unit: &'static str,
    meaning: &'static str,
) -> Counter<u64> {
    meter
        .u64_counter(name)
        .with_unit(unit)
        .with_description(meaning)
        .build()
}

fn wait(
    meter: &Meter,
    name: &'static str,
    meaning: &'static str,
    bounds: &[f64],
) -> Histogram<f64> {
    meter
        .f64_histogram(name)
        .with_unit("s")
        .with_description(meaning)
        .with_boundaries(bounds.to_vec())
        .build()
}

fn observe_active(meter: &Meter, active: &Arc<AtomicI64>) {
    let active = Arc::clone(active);
    meter
        .i64_observable_up_down_counter("atoll.http.server.active_requests")
        .with_unit("{request}")
        .with_description("Requests under way.")
        .with_callback(move |observer| observer.observe(active.load(Ordering::Relaxed), &[]))
        .build();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    fn gauges() -> Gauges {
        let lag = OriginLag {
            origin: "us".into(),
            seconds: 1.5,
            entries: 3,
        };
        Gauges {
            links: vec![LinkGauge {
                from: "us".into(),
                to: "eu".into(),
                origins: vec![lag],
                queue_entries: 2,
                queue_bytes: 200,
                stands_in: true,
                silent_seconds: 2.5,
            }],
            clock_offsets: vec![("us".into(), -0.25)],
            log: LogGauge {
                entries: 7,
                bytes: 700,
                blocked_by: Some("us".into()),
            },
            own_missing: 3,
            converged_ages: vec![("us".into(), 12.0)],
            topology: Some(TopologyGauge {
                connected: true,
                redundant: false,
                sides: 1,
            }),
            tls: Some(TlsGauge {
                certificate_seconds: 86_400.0,
                ca_seconds: 864_000.0,
            }),
        }
    }

    fn used() -> Metrics {
        let metrics = Metrics::new();
        let asked = Arc::new(AtomicI64::new(0));
        let counted = Arc::clone(&asked);
        metrics.set_observer(Arc::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            gauges()
        }));
        metrics.conflict(&NewConflict {
            collection: "pages".parse().unwrap(),
            kind: "write-write",
            outcome: "latest-kept",
        });
        metrics.resolved("pages", "write-write", Duration::from_secs(2));
        metrics.entries("us:eu", EntryResult::Applied, 5);
        metrics.visibility("us", Duration::from_millis(3));
        metrics.causal_wait("us", Duration::from_millis(40));
        metrics.rtt("us:eu", Duration::from_millis(80));
        metrics.tls_refused("accepting", "unknown-ca");
        metrics.http("/v1/status", "GET", 200, Duration::from_micros(300));
        let _active = metrics.active();
        let text = metrics.render();
        assert!(text.contains("atoll_http_server_active_requests 1"));
        assert_eq!(
            asked.load(Ordering::Relaxed),
            1,
            "gauges are asked for once a look"
        );
        metrics
    }

    /// Names and labels are a promise: dashboards and alerts are built on them.
    #[test]
    fn prometheus_names_and_labels_are_fixed() {
        let text = used().render();
        let kept = |line: &&str| {
            !line.starts_with("# HELP")
                && !line.starts_with("target_info")
                && (!line.contains("le=\"") || line.contains("le=\"+Inf\""))
        };
        let lines: Vec<&str> = text.lines().filter(kept).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn a_node_that_did_nothing_has_metrics_all_the_same() {
        let text = Metrics::new().render();
        assert!(text.contains("target_info"), "{text}");
        assert!(!text.contains("otel_scope"), "{text}");
    }
}
