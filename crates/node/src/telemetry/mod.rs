//! Metrics: OpenTelemetry's instruments under the names that people are promised, shown for Prometheus.
//!
//! One meter provider a node: Prometheus reads it always, a collector when there is one. Histograms and counters are
//! fed where things happen; gauges are asked for when somebody looks ([`Gauges`]). Attributes hold names that
//! operators declare (regions, links, collections), never keys, values or client ids. Series are created at first
//! use, so an idle region shows few. [`Traces`] follow single requests through all regions. docs/metrics.md lists
//! everything, and a test compares. `OTEL_SDK_DISABLED` switches all of it off ([`Metrics::off`]).

mod gauges;
mod instruments;
mod machine;
mod names;
mod process;
#[cfg(test)]
mod tests;
mod traces;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use opentelemetry::metrics::MeterProvider;
use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::TextEncoder;

use atoll_client::otlp::{BadOtlp, Counts, Otlp, Outlet};
use atoll_store::region::NewConflict;

pub use self::gauges::{
    Gauges, LinkGauge, LogGauge, ObjectivesGauge, Observer, OriginLag, TlsGauge, TopologyGauge,
};
use self::instruments::Instruments;
pub use self::machine::{DiskGauge, MachineGauge, RaftGauge};
use self::names::Names;
pub(crate) use self::traces::{Arrived, Followed, RequestSpan, Traces};

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
    traces: Traces,
    active_requests: Arc<AtomicI64>,
    /// None when telemetry is switched off: nothing is counted then.
    shown: Option<Shown>,
}

/// What is counted, and who reads it.
struct Shown {
    provider: SdkMeterProvider,
    registry: prometheus::Registry,
    names: Names,
    logs: Outlet,
    sampled: gauges::Sampled,
    instruments: Instruments,
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
        Metrics::start(whose, None, &Outlet::default()).expect("there is no collector")
    }

    /// Instruments that have counted nothing, and whose values go to a collector, if there is one; what is said to
    /// `logs` goes there, too, if it is asked for. Then this is called in a runtime.
    ///
    /// # Errors
    /// [`BadOtlp`].
    ///
    /// # Panics
    /// Never: the registry is new.
    pub fn start(whose: &Whose, otlp: Option<&Otlp>, logs: &Outlet) -> Result<Metrics, BadOtlp> {
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
            if let Some(spans) = otlp.spans(&resource, &counts) {
                traces = Traces::new(spans);
            }
            otlp.open(logs, &resource, &counts)?;
        }
        let provider = provider.build();
        let meter = provider.meter("atoll");
        let sampled = gauges::Sampled::default();
        gauges::register(&meter, &sampled);
        machine::register(&meter, &sampled);
        machine::register_counts(&meter, counts);
        process::register(&meter);
        let active_requests = Arc::new(AtomicI64::new(0));
        instruments::observe_active(&meter, &active_requests);
        let shown = Shown {
            registry,
            names: Names::default(),
            logs: logs.clone(),
            sampled,
            instruments: Instruments::new(&meter),
            provider,
        };
        Ok(Metrics(Arc::new(Inner {
            traces,
            active_requests,
            shown: Some(shown),
        })))
    }

    /// Counts nothing, follows nothing, shows nothing.
    #[must_use]
    pub fn off() -> Metrics {
        Metrics(Arc::new(Inner {
            traces: Traces::default(),
            active_requests: Arc::default(),
            shown: None,
        }))
    }

    /// Follows single requests.
    pub(crate) fn traces(&self) -> &Traces {
        &self.0.traces
    }

    /// A command was committed so long after it was proposed.
    pub(crate) fn committed(&self, after: Duration) {
        if let Some((instruments, _)) = self.shown() {
            instruments.commit.record(after.as_secs_f64(), &[]);
        }
    }

    /// A conflict was noticed.
    pub fn conflict(&self, new: &NewConflict) {
        let Some((instruments, names)) = self.shown() else {
            return;
        };
        let NewConflict {
            collection,
            kind,
            outcome,
        } = new;
        let attributes = [
            KeyValue::new("collection", names.shared(collection.as_str())),
            KeyValue::new("kind", *kind),
            KeyValue::new("outcome", *outcome),
        ];
        instruments.conflicts.add(1, &attributes);
    }

    /// A conflict was resolved so long after it was detected.
    pub fn resolved(&self, collection: &str, kind: &'static str, after: Duration) {
        let Some((instruments, names)) = self.shown() else {
            return;
        };
        let attributes = [
            KeyValue::new("collection", names.shared(collection)),
            KeyValue::new("kind", kind),
        ];
        instruments
            .resolution
            .record(after.as_secs_f64(), &attributes);
    }

    /// Entries came over `link` (`source:target`), with this result.
    pub fn entries(&self, link: &str, result: EntryResult, count: u64) {
        if let Some((instruments, names)) = self.shown() {
            let [from, to] = names.link(link);
            let attributes = [from, to, KeyValue::new("result", result.name())];
            instruments.entries.add(count, &attributes);
        }
    }

    /// An entry of `origin` became visible here so long after it was committed there.
    pub fn visibility(&self, origin: &str, after: Duration) {
        if let Some((instruments, names)) = self.shown() {
            let origin = [names.origin(origin)];
            instruments.visibility.record(after.as_secs_f64(), &origin);
        }
    }

    /// An entry of `origin` waited so long for what it depends on.
    pub fn causal_wait(&self, origin: &str, waited: Duration) {
        if let Some((instruments, names)) = self.shown() {
            let origin = [names.origin(origin)];
            instruments
                .causal_wait
                .record(waited.as_secs_f64(), &origin);
        }
    }

    /// A round trip over `link` (`source:target`) was measured.
    pub fn rtt(&self, link: &str, rtt: Duration) {
        if let Some((instruments, names)) = self.shown() {
            instruments.rtt.record(rtt.as_secs_f64(), &names.link(link));
        }
    }

    /// A connection did not come about, or a request was refused, for a certificate.
    pub(crate) fn tls_refused(&self, side: &'static str, reason: &'static str) {
        if let Some((instruments, _)) = self.shown() {
            let attributes = [KeyValue::new("side", side), KeyValue::new("reason", reason)];
            instruments.tls_refused.add(1, &attributes);
        }
    }

    /// A request was answered.
    pub(crate) fn http(
        &self,
        route: &'static str,
        method: &'static str,
        status: u16,
        took: Duration,
    ) {
        let Some((instruments, _)) = self.shown() else {
            return;
        };
        let attributes = [
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.route", route),
            KeyValue::new("http.response.status_code", i64::from(status)),
        ];
        instruments
            .request_duration
            .record(took.as_secs_f64(), &attributes);
    }

    fn shown(&self) -> Option<(&Instruments, &Names)> {
        let shown = self.0.shown.as_ref()?;
        Some((&shown.instruments, &shown.names))
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
        if let Some(shown) = &self.0.shown {
            shown.sampled.set_observer(observer);
        }
    }

    /// All metrics in Prometheus' text format; none when telemetry is switched off.
    #[must_use]
    pub fn render(&self) -> Option<String> {
        let shown = self.0.shown.as_ref()?;
        shown.sampled.refresh();
        let mut out = String::new();
        let families = shown.registry.gather();
        if let Err(error) = TextEncoder::new().encode_utf8(&families, &mut out) {
            tracing::warn!(%error, "metrics could not be written");
        }
        Some(out)
    }

    /// Stops the instruments. What a collector did not get yet is sent once more, by the runtime: this waits for it,
    /// so no thread of the runtime may be here.
    pub fn shutdown(&self) {
        self.0.traces.shutdown();
        let Some(shown) = &self.0.shown else {
            return;
        };
        if let Err(error) = shown.provider.shutdown() {
            tracing::debug!(%error, "metrics were stopped before");
        }
        shown.logs.close();
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
