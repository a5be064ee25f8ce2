//! What is counted where it happens: counters and histograms, made once.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use opentelemetry::metrics::{Counter, Histogram, Meter};

/// Bounds for what takes from a tenth of a millisecond to a minute.
const SECONDS: [f64; 18] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 60.0,
];
/// Bounds for what people may have to do.
const MINUTES: [f64; 14] = [
    0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21600.0, 86400.0,
];

pub(super) struct Instruments {
    pub(super) conflicts: Counter<u64>,
    pub(super) resolution: Histogram<f64>,
    pub(super) entries: Counter<u64>,
    pub(super) visibility: Histogram<f64>,
    pub(super) causal_wait: Histogram<f64>,
    pub(super) rtt: Histogram<f64>,
    pub(super) commit: Histogram<f64>,
    pub(super) tls_refused: Counter<u64>,
    pub(super) request_duration: Histogram<f64>,
}

impl Instruments {
    pub(super) fn new(meter: &Meter) -> Instruments {
        Instruments {
            conflicts: counter(
                meter,
                "atoll.conflicts",
                "{conflict}",
                "Conflicts noticed here.",
            ),
            resolution: wait(
                meter,
                "atoll.conflict.resolution",
                "From detected to resolved.",
                &MINUTES,
            ),
            entries: counter(
                meter,
                "atoll.replication.entries",
                "{entry}",
                "Entries that came over a link.",
            ),
            visibility: wait(
                meter,
                "atoll.replication.visibility",
                "From commit at the origin to visible here.",
                &SECONDS,
            ),
            causal_wait: wait(
                meter,
                "atoll.replication.causal_wait",
                "Time that entries waited here for what they depend on.",
                &SECONDS,
            ),
            rtt: wait(
                meter,
                "atoll.replication.rtt",
                "Round trip of a link.",
                &SECONDS,
            ),
            commit: wait(
                meter,
                "atoll.raft.commit",
                "From a command's proposal until it is on a majority's disks and applied.",
                &SECONDS,
            ),
            tls_refused: counter(
                meter,
                "atoll.tls.refused",
                "{connection}",
                "Connections that did not come about, or requests refused, for a certificate.",
            ),
            request_duration: wait(
                meter,
                "atoll.http.server.request.duration",
                "From a request's head to its answer's head.",
                &SECONDS,
            ),
        }
    }
}

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

pub(super) fn observe_active(meter: &Meter, active: &Arc<AtomicI64>) {
    let active = Arc::clone(active);
    meter
        .i64_observable_up_down_counter("atoll.http.server.active_requests")
        .with_unit("{request}")
        .with_description("Requests under way.")
        .with_callback(move |observer| observer.observe(active.load(Ordering::Relaxed), &[]))
        .build();
}
