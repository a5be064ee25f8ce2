//! Metrics: OpenTelemetry's instruments under the names that people are promised, shown for Prometheus.
//!
//! One meter provider a node: Prometheus reads it always, a collector when there is one. Histograms and counters are
//! fed where things happen; gauges are asked for when somebody looks ([`Gauges`]). Attributes hold names that
//! operators declare (regions, links, collections), never keys, values or client ids. Series are created at first
//! use, so an idle region shows few. [`Traces`] follow single requests through all regions. docs/metrics.md lists
//! everything, and a test compares.

mod gauges;
mod machine;
mod names;
mod process;
#[cfg(test)]
mod tests;
mod traces;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider};
use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::TextEncoder;

use atoll_client::otlp::{BadOtlp, Counts, Otlp};
use atoll_store::region::NewConflict;

pub use self::gauges::{
    Gauges, LinkGauge, LogGauge, ObjectivesGauge, Observer, OriginLag, TlsGauge, TopologyGauge,
};
pub use self::machine::{DiskGauge, MachineGauge, RaftGauge};
use self::names::Names;
pub(crate) use self::traces::{Arriving, Traces};

/// Whose telemetry it is. Store and region stand on every series, all of it in `target_info`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Whose {
    /// The store's name.
    pub store: String,
    /// The region's.
    pub region: String,
    /// The node's.
    pub node: String,
}

const STORE: &str = "atoll.store";
const REGION: &str = "atoll.region";

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
    traces: Traces,
    names: Names,
    sampled: gauges::Sampled,
    active_requests: Arc<AtomicI64>,
    conflicts: Counter<u64>,
    resolution: Histogram<f64>,
    entries: Counter<u64>,
    visibility: Histogram<f64>,
    causal_wait: Histogram<f64>,
    rtt: Histogram<f64>,
    commit: Histogram<f64>,
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
        Metrics::new(&Whose::default())
    }
}

impl Metrics {
    /// Instruments that have counted nothing, and are read by nobody but [`Metrics::render`].
    ///
    /// # Panics
    /// Never: without a collector nothing can be wrong.
    #[must_use]
    pub fn new(whose: &Whose) -> Metrics {
        Metrics::start(whose, None).expect("there is no collector")
    }

    /// Instruments that have counted nothing, and whose values go to a collector, if there is one. Then this is
    /// called in a runtime.
    ///
    /// # Errors
    /// [`BadOtlp`].
    ///
    /// # Panics
    /// Never: the registry is new.
    pub fn start(whose: &Whose, otlp: Option<&Otlp>) -> Result<Metrics, BadOtlp> {
        let registry = prometheus::Registry::new();
        let on_all: std::collections::HashSet<Key> = [STORE.into(), REGION.into()].into();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .with_resource_selector(on_all)
            .scope_info_enabled(false)
            .build()
            .expect("a new registry takes a collector");
        let (resource, counts) = (whose.resource(), Counts::default());
        let mut provider = SdkMeterProvider::builder()
            .with_reader(exporter)
            .with_resource(resource.clone());
        let mut traces = Traces::default();
        if let Some(otlp) = otlp {
            if let Some(reader) = otlp.reader(&counts)? {
                provider = provider.with_reader(reader);
            }
            if let Some(tracers) = otlp.tracers(&resource, &counts)? {
                traces = Traces::new(tracers);
            }
        }
        let provider = provider.build();
        let meter = provider.meter("atoll");
        let sampled = gauges::Sampled::default();
        gauges::register(&meter, &sampled);
        machine::register(&meter, &sampled);
        machine::register_counts(&meter, counts);
        process::register(&meter);
        let active_requests = Arc::new(AtomicI64::new(0));
        observe_active(&meter, &active_requests);
        let inner = Inner {
            registry,
            traces,
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
            commit: wait(
                &meter,
                "atoll.raft.commit",
                "From a command's proposal until it is on a majority's disks and applied.",
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
        Ok(Metrics(Arc::new(inner)))
    }

    /// Follows single requests.
    pub(crate) fn traces(&self) -> &Traces {
        &self.0.traces
    }

    /// A command was committed so long after it was proposed.
    pub(crate) fn committed(&self, after: Duration) {
        self.0.commit.record(after.as_secs_f64(), &[]);
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

    /// Stops the instruments. What a collector did not get yet is sent once more, by the runtime: this waits for it,
    /// so no thread of the runtime may be here.
    pub fn shutdown(&self) {
        self.0.traces.shutdown();
        if let Err(error) = self.0.provider.shutdown() {
            tracing::debug!(%error, "metrics were stopped before");
        }
    }
}

impl Whose {
    /// With what `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` add.
    fn resource(&self) -> Resource {
        let Whose {
            store,
            region,
            node,
        } = self;
        let mut resource = Resource::builder();
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("atoll");
        }
        let attributes = [
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", node.clone()),
            KeyValue::new(STORE, store.clone()),
            KeyValue::new(REGION, region.clone()),
        ];
        resource.with_attributes(attributes).build()
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
