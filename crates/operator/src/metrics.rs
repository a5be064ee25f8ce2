//! How the operator itself is doing, as metrics.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{
    Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::caches::Counts;
use crate::traces::Traces;

/// Counts what there is, when somebody looks.
type Count = Box<dyn Fn() -> Counts + Send + Sync>;

/// The operator's metrics.
#[derive(Clone)]
pub(crate) struct Metrics {
    registry: Registry,
    passes: IntCounterVec,
    seconds: Histogram,
    writes: IntCounterVec,
    actions: IntCounterVec,
    leads: IntGauge,
    queue: IntGauge,
    stores: IntGauge,
    objects: IntGaugeVec,
    /// Stores that wait for a pass: namespace and name.
    waiting: Arc<Mutex<BTreeSet<(String, String)>>>,
    counts: Arc<Mutex<Vec<Count>>>,
    traces: Traces,
}

impl Metrics {
    /// # Errors
    /// Never with these names.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let passes = IntCounterVec::new(
            Opts::new(
                "atoll_operator_passes_total",
                "Passes over stores, by outcome",
            ),
            &["outcome"],
        )?;
        let seconds = Histogram::with_opts(
            HistogramOpts::new(
                "atoll_operator_pass_seconds",
                "How long passes take, answers of nodes and of the API server included",
            )
            .buckets(vec![
                0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
            ]),
        )?;
        let writes = IntCounterVec::new(
            Opts::new(
                "atoll_operator_writes_total",
                "Writes to the API server, by kind",
            ),
            &["kind"],
        )?;
        let actions = IntCounterVec::new(
            Opts::new(
                "atoll_operator_actions_total",
                "Changes of running stores, by reason",
            ),
            &["reason"],
        )?;
        let leads = IntGauge::new(
            "atoll_operator_leads",
            "1 while this operator is the one that acts",
        )?;
        let queue = IntGauge::new(
            "atoll_operator_queue_depth",
            "Stores that changed and are waiting for a pass",
        )?;
        let stores = IntGauge::new("atoll_operator_stores", "Stores that are looked after")?;
        let objects = IntGaugeVec::new(
            Opts::new(
                "atoll_operator_objects",
                "Objects that were made for stores and are there, by kind",
            ),
            &["kind"],
        )?;
        registry.register(Box::new(queue.clone()))?;
        registry.register(Box::new(stores.clone()))?;
        registry.register(Box::new(objects.clone()))?;
        registry.register(Box::new(passes.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(writes.clone()))?;
        registry.register(Box::new(actions.clone()))?;
        registry.register(Box::new(leads.clone()))?;
        Ok(Metrics {
            registry,
            passes,
            seconds,
            writes,
            actions,
            leads,
            queue,
            stores,
            objects,
            waiting: Arc::default(),
            counts: Arc::default(),
            traces: Traces::default(),
        })
    }

    /// From now on passes are traced so.
    pub(crate) fn with_traces(mut self, traces: Traces) -> Self {
        self.traces = traces;
        self
    }

    pub(crate) fn traces(&self) -> &Traces {
        &self.traces
    }

    /// A store waits for a pass.
    pub(crate) fn waits(&self, namespace: &str, name: &str) {
        self.queued(|waiting| waiting.insert((namespace.to_owned(), name.to_owned())));
    }

    /// It waits no more.
    pub(crate) fn waited(&self, namespace: &str, name: &str) {
        self.queued(|waiting| waiting.remove(&(namespace.to_owned(), name.to_owned())));
    }

    fn queued(&self, change: impl FnOnce(&mut BTreeSet<(String, String)>) -> bool) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut waiting);
        self.queue
            .set(i64::try_from(waiting.len()).unwrap_or(i64::MAX));
    }

    /// What is there is counted so from now on, together with what others count.
    pub(crate) fn count(&self, count: impl Fn() -> Counts + Send + Sync + 'static) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.push(Box::new(count));
    }

    fn look(&self) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let (mut stores, mut objects) = (0, std::collections::BTreeMap::<_, usize>::new());
        for count in &*self.counts.lock().unwrap_or_else(PoisonError::into_inner) {
            let there = count();
            stores += there.stores;
            for (kind, count) in there.objects {
                *objects.entry(kind).or_default() += count;
            }
        }
        self.stores.set(number(stores));
        for (kind, count) in objects {
            let gauge = self.objects.with_label_values(&[kind.name()]);
            gauge.set(number(count));
        }
    }

    pub(crate) fn passed(&self, outcome: &str, seconds: f64) {
        self.passes.with_label_values(&[outcome]).inc();
        self.seconds.observe(seconds);
    }

    pub(crate) fn wrote(&self, kind: &str) {
        self.writes.with_label_values(&[kind]).inc();
    }

    pub(crate) fn acted(&self, reason: &str) {
        self.actions.with_label_values(&[reason]).inc();
    }

    pub(crate) fn leads(&self, leads: bool) {
        self.leads.set(i64::from(leads));
    }

    pub(crate) fn leading(&self) -> bool {
        self.leads.get() == 1
    }

    /// In the text form of Prometheus.
    pub(crate) fn render(&self) -> String {
        self.look();
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap_or_default()
    }
}
