//! Gauges: what somebody who looks is told about this very moment.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::machine::MachineGauge;

/// Values older than this are asked for anew.
const FRESH: Duration = Duration::from_secs(1);

/// The values of all gauges at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gauges {
    /// The links that end here.
    pub links: Vec<LinkGauge>,
    /// Peer → how far this clock is ahead of its, in seconds.
    pub clock_offsets: Vec<(String, f64)>,
    /// The log kept.
    pub log: LogGauge,
    /// Own entries that others hold and this region does not: its data was put back to an older state.
    pub own_missing: u64,
    /// Peer → seconds since equality with it was last proved.
    pub converged_ages: Vec<(String, f64)>,
    /// Whether there is a way between all regions; `None` while that is not known.
    pub topology: Option<TopologyGauge>,
    /// The certificates; `None` without TLS.
    pub tls: Option<TlsGauge>,
    /// What is aimed at.
    pub objectives: ObjectivesGauge,
    /// Ledger rows that nobody has resolved.
    pub open_conflicts: u64,
    /// How the node itself is.
    pub machine: MachineGauge,
}

/// What is aimed at: alerts compare with it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ObjectivesGauge {
    /// Seconds that a link may be behind.
    pub lag_seconds: f64,
    /// Seconds that clocks may differ by.
    pub clock_skew_seconds: f64,
    /// Bytes of log that are kept for a silent region.
    pub log_bytes: u64,
}

/// The certificates.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TlsGauge {
    /// Seconds until this node's is over; below zero afterwards.
    pub certificate_seconds: f64,
    /// Seconds until the first of the trusted CAs is over.
    pub ca_seconds: f64,
}

/// Whether there is a way between all regions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TopologyGauge {
    /// There is.
    pub connected: bool,
    /// And would be with any one link lost.
    pub redundant: bool,
    /// Groups of regions that hear of each other.
    pub sides: u64,
}

/// One link.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LinkGauge {
    /// The region that serves.
    pub from: String,
    /// The region that pulls.
    pub to: String,
    /// How far behind, by origin.
    pub origins: Vec<OriginLag>,
    /// Entries received and not applied yet.
    pub queue_entries: u64,
    /// Their bytes.
    pub queue_bytes: u64,
    /// It is not declared, and stands in for one that is.
    pub stands_in: bool,
    /// For how long nothing is heard; 0 while something is.
    pub silent_seconds: f64,
    /// It carries entries: not when it is connecting, paused or stopped.
    pub is_up: bool,
}

/// How far a link is behind with the entries of one origin.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OriginLag {
    /// The region that wrote them.
    pub origin: String,
    /// Age of the oldest entry that is missing, in seconds.
    pub seconds: f64,
    /// How many are missing.
    pub entries: u64,
}

/// The log kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogGauge {
    /// Entries in it.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The region because of which nothing more can be dropped.
    pub blocked_by: Option<String>,
}

/// Knows the values of all gauges.
pub type Observer = Arc<dyn Fn() -> Gauges + Send + Sync>;

/// The values last asked for; shared by all instruments, so that one look shows one moment.
#[derive(Clone, Default)]
pub(crate) struct Sampled(Arc<RwLock<State>>);

#[derive(Default)]
struct State {
    observer: Option<Observer>,
    values: Arc<Gauges>,
    asked: Option<Instant>,
}

impl Sampled {
    pub(crate) fn set_observer(&self, observer: Observer) {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        state.observer = Some(observer);
    }

    /// Asks the observer.
    pub(crate) fn refresh(&self) {
        let observer = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .observer
            .clone();
        if let Some(observer) = observer {
            let values = Arc::new(observer());
            let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
            state.values = values;
            state.asked = Some(Instant::now());
        }
    }

    /// As they are, or were a moment ago: a collector's reader does not say when it begins to look.
    pub(super) fn values(&self) -> Arc<Gauges> {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = state.asked.is_some_and(|asked| asked.elapsed() < FRESH);
        if is_fresh || state.observer.is_none() {
            return Arc::clone(&state.values);
        }
        drop(state);
        self.refresh();
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&state.values)
    }
}

/// Whom a gauge tells its values to.
pub(super) type Tell<'a, T> = dyn FnMut(T, &[KeyValue]) + 'a;

/// Makes gauges that show what was sampled.
pub(super) struct Register<'a> {
    pub(super) meter: &'a Meter,
    pub(super) sampled: &'a Sampled,
}

impl Register<'_> {
    pub(super) fn seconds(
        &self,
        name: &'static str,
        meaning: &'static str,
        read: fn(&Gauges, &mut Tell<'_, f64>),
    ) {
        let sampled = self.sampled.clone();
        self.meter
            .f64_observable_gauge(name)
            .with_unit("s")
            .with_description(meaning)
            .with_callback(move |observer| {
                read(&sampled.values(), &mut |value, attributes| {
                    observer.observe(value, attributes);
                });
            })
            .build();
    }

    pub(super) fn counts(
        &self,
        name: &'static str,
        unit: &'static str,
        meaning: &'static str,
        read: fn(&Gauges, &mut Tell<'_, u64>),
    ) {
        let sampled = self.sampled.clone();
        self.meter
            .u64_observable_gauge(name)
            .with_unit(unit)
            .with_description(meaning)
            .with_callback(move |observer| {
                read(&sampled.values(), &mut |value, attributes| {
                    observer.observe(value, attributes);
                });
            })
            .build();
    }
}

/// Makes the gauges of regions and what is between them.
pub(crate) fn register(meter: &Meter, sampled: &Sampled) {
    let gauges = Register { meter, sampled };
    gauges.seconds(
        "atoll.replication.lag",
        "Age of the oldest entry that a link has not brought here.",
        |gauges, tell| each_origin(gauges, |lag, attributes| tell(lag.seconds, attributes)),
    );
    gauges.counts(
        "atoll.replication.lag.entries",
        "{entry}",
        "Entries that a link has not brought here.",
        |gauges, tell| each_origin(gauges, |lag, attributes| tell(lag.entries, attributes)),
    );
    gauges.counts(
        "atoll.replication.queue",
        "{entry}",
        "Entries received and not applied yet.",
        |gauges, tell| each_link(gauges, |link, ends| tell(link.queue_entries, ends)),
    );
    gauges.counts(
        "atoll.replication.queue",
        "By",
        "Bytes received and not applied yet.",
        |gauges, tell| each_link(gauges, |link, ends| tell(link.queue_bytes, ends)),
    );
    gauges.seconds(
        "atoll.replication.link.silent",
        "For how long nothing is heard over a link; 0 while something is.",
        |gauges, tell| each_link(gauges, |link, ends| tell(link.silent_seconds, ends)),
    );
    gauges.counts(
        "atoll.replication.link.up",
        "{state}",
        "1: the link carries entries; 0: it is connecting, paused or stopped.",
        |gauges, tell| each_link(gauges, |link, ends| tell(u64::from(link.is_up), ends)),
    );
    gauges.counts(
        "atoll.replication.link.stands_in",
        "{state}",
        "1: the link is not declared, and stands in for one that is down.",
        |gauges, tell| each_link(gauges, |link, ends| tell(u64::from(link.stands_in), ends)),
    );
    gauges.counts(
        "atoll.topology.connected",
        "{state}",
        "1: every region hears of every other.",
        |gauges, tell| each_topology(gauges, |topology| tell(topology.connected.into(), &[])),
    );
    gauges.counts(
        "atoll.topology.redundant",
        "{state}",
        "1: every region would hear of every other with any one link lost.",
        |gauges, tell| each_topology(gauges, |topology| tell(topology.redundant.into(), &[])),
    );
    gauges.counts(
        "atoll.topology.sides",
        "{side}",
        "Groups of regions that hear of each other.",
        |gauges, tell| each_topology(gauges, |topology| tell(topology.sides, &[])),
    );
    gauges.seconds(
        "atoll.tls.certificate.expiry",
        "Time until this node's certificate is over; below zero when it is.",
        |gauges, tell| each_tls(gauges, |tls| tell(tls.certificate_seconds, &[])),
    );
    gauges.seconds(
        "atoll.tls.ca.expiry",
        "Time until the first of the trusted CAs is over; below zero when all are.",
        |gauges, tell| each_tls(gauges, |tls| tell(tls.ca_seconds, &[])),
    );
    gauges.seconds(
        "atoll.clock.offset",
        "How far this clock is ahead of a peer's.",
        |gauges, tell| {
            each_peer(&gauges.clock_offsets, tell);
        },
    );
    gauges.counts(
        "atoll.log.retained",
        "By",
        "Bytes of log kept.",
        |gauges, tell| {
            tell(gauges.log.bytes, &blocked_by(gauges));
        },
    );
    gauges.counts(
        "atoll.log.retained",
        "{entry}",
        "Entries of log kept.",
        |gauges, tell| {
            tell(gauges.log.entries, &blocked_by(gauges));
        },
    );
    gauges.counts(
        "atoll.log.own_missing",
        "{entry}",
        "Own entries that others hold and this region lacks: its data was put back to an older state.",
        |gauges, tell| {
            tell(gauges.own_missing, &[]);
        },
    );
    gauges.seconds(
        "atoll.converged.age",
        "Time since equality with a peer was last proved.",
        |gauges, tell| {
            each_peer(&gauges.converged_ages, tell);
        },
    );
    gauges.counts(
        "atoll.conflicts.open",
        "{conflict}",
        "Conflicts whose versions are all shown, and that nobody has resolved.",
        |gauges, tell| tell(gauges.open_conflicts, &[]),
    );
    gauges.seconds(
        "atoll.objective.lag",
        "How far a link may be behind: objectives.maxLag.",
        |gauges, tell| tell(gauges.objectives.lag_seconds, &[]),
    );
    gauges.seconds(
        "atoll.objective.clock_skew",
        "How far clocks may differ: objectives.maxClockSkew.",
        |gauges, tell| tell(gauges.objectives.clock_skew_seconds, &[]),
    );
    gauges.counts(
        "atoll.objective.log",
        "By",
        "How much log is kept for a silent region: retention.log.maxSize.",
        |gauges, tell| tell(gauges.objectives.log_bytes, &[]),
    );
}

fn ends(link: &LinkGauge) -> [KeyValue; 2] {
    [
        KeyValue::new("link.from", link.from.clone()),
        KeyValue::new("link.to", link.to.clone()),
    ]
}

fn each_link(gauges: &Gauges, mut tell: impl FnMut(&LinkGauge, &[KeyValue])) {
    for link in &gauges.links {
        tell(link, &ends(link));
    }
}

fn each_origin(gauges: &Gauges, mut tell: impl FnMut(&OriginLag, &[KeyValue])) {
    each_link(gauges, |link, ends| {
        for lag in &link.origins {
            let origin = KeyValue::new("origin", lag.origin.clone());
            tell(lag, &[ends[0].clone(), ends[1].clone(), origin]);
        }
    });
}

fn each_topology(gauges: &Gauges, tell: impl FnMut(&TopologyGauge)) {
    gauges.topology.iter().for_each(tell);
}

fn each_tls(gauges: &Gauges, tell: impl FnMut(&TlsGauge)) {
    gauges.tls.iter().for_each(tell);
}

fn each_peer(by_peer: &[(String, f64)], tell: &mut Tell<'_, f64>) {
    for (peer, value) in by_peer {
        tell(*value, &[KeyValue::new("peer", peer.clone())]);
    }
}

/// An empty name says that nothing holds the log back.
fn blocked_by(gauges: &Gauges) -> [KeyValue; 1] {
    let region = gauges.log.blocked_by.clone().unwrap_or_default();
    [KeyValue::new("blocked_by", region)]
}
