//! Gauges: what somebody who looks is told about this very moment.

use std::sync::{Arc, PoisonError, RwLock};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

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
            self.0
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .values = values;
        }
    }

    fn values(&self) -> Arc<Gauges> {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&state.values)
    }
}

/// Whom a gauge tells its values to.
type Tell<'a, T> = dyn FnMut(T, &[KeyValue]) + 'a;

/// Makes all gauges.
pub(crate) fn register(meter: &Meter, sampled: &Sampled) {
    let seconds = |name, meaning, read: fn(&Gauges, &mut Tell<'_, f64>)| {
        let sampled = sampled.clone();
        meter
            .f64_observable_gauge(name)
            .with_unit("s")
            .with_description(meaning)
            .with_callback(move |observer| {
                read(&sampled.values(), &mut |value, attributes| {
                    observer.observe(value, attributes);
                });
            })
            .build();
    };
    let counts = |name, unit, meaning, read: fn(&Gauges, &mut Tell<'_, u64>)| {
        let sampled = sampled.clone();
        meter
            .u64_observable_gauge(name)
            .with_unit(unit)
            .with_description(meaning)
            .with_callback(move |observer| {
                read(&sampled.values(), &mut |value, attributes| {
                    observer.observe(value, attributes);
                });
            })
            .build();
    };
    seconds(
        "atoll.replication.lag",
        "Age of the oldest entry that a link has not brought here.",
        |gauges, tell| each_origin(gauges, |lag, attributes| tell(lag.seconds, attributes)),
    );
    counts(
        "atoll.replication.lag.entries",
        "{entry}",
        "Entries that a link has not brought here.",
        |gauges, tell| each_origin(gauges, |lag, attributes| tell(lag.entries, attributes)),
    );
    counts(
        "atoll.replication.queue",
        "{entry}",
        "Entries received and not applied yet.",
        |gauges, tell| each_link(gauges, |link, ends| tell(link.queue_entries, ends)),
    );
    counts(
        "atoll.replication.queue",
        "By",
        "Bytes received and not applied yet.",
        |gauges, tell| each_link(gauges, |link, ends| tell(link.queue_bytes, ends)),
    );
    seconds(
        "atoll.replication.link.silent",
        "For how long nothing is heard over a link; 0 while something is.",
        |gauges, tell| each_link(gauges, |link, ends| tell(link.silent_seconds, ends)),
    );
    counts(
        "atoll.replication.link.stands_in",
        "{state}",
        "1: the link is not declared, and stands in for one that is down.",
        |gauges, tell| each_link(gauges, |link, ends| tell(u64::from(link.stands_in), ends)),
    );
    counts(
        "atoll.topology.connected",
        "{state}",
        "1: every region hears of every other.",
        |gauges, tell| each_topology(gauges, |topology| tell(topology.connected.into(), &[])),
    );
    counts(
        "atoll.topology.redundant",
        "{state}",
        "1: every region would hear of every other with any one link lost.",
        |gauges, tell| each_topology(gauges, |topology| tell(topology.redundant.into(), &[])),
    );
    counts(
        "atoll.topology.sides",
        "{side}",
        "Groups of regions that hear of each other.",
        |gauges, tell| each_topology(gauges, |topology| tell(topology.sides, &[])),
    );
    seconds(
        "atoll.tls.certificate.expiry",
        "Time until this node's certificate is over; below zero when it is.",
        |gauges, tell| each_tls(gauges, |tls| tell(tls.certificate_seconds, &[])),
    );
    seconds(
        "atoll.tls.ca.expiry",
        "Time until the first of the trusted CAs is over; below zero when all are.",
        |gauges, tell| each_tls(gauges, |tls| tell(tls.ca_seconds, &[])),
    );
    seconds(
        "atoll.clock.offset",
        "How far this clock is ahead of a peer's.",
        |gauges, tell| {
            each_peer(&gauges.clock_offsets, tell);
        },
    );
    counts(
        "atoll.log.retained",
        "By",
        "Bytes of log kept.",
        |gauges, tell| {
            tell(gauges.log.bytes, &blocked_by(gauges));
        },
    );
    counts(
        "atoll.log.retained",
        "{entry}",
        "Entries of log kept.",
        |gauges, tell| {
            tell(gauges.log.entries, &blocked_by(gauges));
        },
    );
    counts(
        "atoll.log.own_missing",
        "{entry}",
        "Own entries that others hold and this region lacks: its data was put back to an older state.",
        |gauges, tell| {
            tell(gauges.own_missing, &[]);
        },
    );
    seconds(
        "atoll.converged.age",
        "Time since equality with a peer was last proved.",
        |gauges, tell| {
            each_peer(&gauges.converged_ages, tell);
        },
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
