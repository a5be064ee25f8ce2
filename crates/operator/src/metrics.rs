//! How the operator itself is doing, as metrics.

use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

/// The operator's metrics.
#[derive(Clone)]
pub(crate) struct Metrics {
    registry: Registry,
    passes: IntCounterVec,
    seconds: Histogram,
    writes: IntCounterVec,
    actions: IntCounterVec,
    leads: IntGauge,
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
        })
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
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap_or_default()
    }
}
