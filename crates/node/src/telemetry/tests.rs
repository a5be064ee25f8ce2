//! Names and labels are a promise, and docs/metrics.md lists them.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
use std::collections::{BTreeMap, BTreeSet};

use atoll_store::engine::Figures;

use super::*;

/// Of one node, at ten regions and twenty collections.
const SERIES_MAX: usize = 5000;

fn whose() -> Whose {
    Whose {
        store: "shop".into(),
        region: "eu".into(),
        node: "eu-0".into(),
    }
}

fn machine() -> MachineGauge {
    MachineGauge {
        raft: RaftGauge {
            leads: true,
            has_leader: true,
            nodes: 3,
            term: 2,
            unapplied: 1,
        },
        disk: Some(DiskGauge {
            used: 10,
            free: 60,
            size: 100,
        }),
        storage: Figures {
            buffered_bytes: 1,
            cache_bytes: 2,
            index_bytes: 3,
            compaction_bytes: 4,
            compactions: 5,
            writes_stopped: true,
            family_bytes: [1, 2, 3, 4, 5, 6, 7],
        },
    }
}

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
            is_up: true,
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
        objectives: ObjectivesGauge {
            lag_seconds: 2.0,
            clock_skew_seconds: 0.5,
            log_bytes: 1 << 30,
        },
        open_conflicts: 4,
        machine: machine(),
    }
}

fn used() -> Metrics {
    let metrics = Metrics::new(&whose());
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
    metrics.committed(Duration::from_millis(2));
    metrics.tls_refused("accepting", "unknown-ca");
    metrics.http("/v1/status", "GET", 200, Duration::from_micros(300));
    let _active = metrics.active();
    let text = metrics.render().unwrap();
    let active = text
        .lines()
        .find(|line| line.starts_with("atoll_http_server_active_requests{"));
    assert!(active.unwrap().ends_with(" 1"), "{active:?}");
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
    let text = used().render().unwrap();
    let kept = |line: &&str| {
        !line.starts_with("# HELP")
            && !line.starts_with("target_info")
            && !line.starts_with("process_")
            && !line.starts_with("process_")
            && (!line.contains("le=\"") || line.contains("le=\"+Inf\""))
    };
    let lines: Vec<&str> = text.lines().filter(kept).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_node_that_did_nothing_has_metrics_all_the_same() {
    let text = Metrics::new(&whose()).render().unwrap();
    assert!(text.contains("target_info"), "{text}");
    assert!(!text.contains("otel_scope"), "{text}");
}

#[test]
fn what_is_switched_off_counts_and_shows_nothing_and_still_knows_how_many_requests_there_are() {
    let metrics = Metrics::off();
    metrics.set_observer(Arc::new(|| panic!("nobody is asked")));
    metrics.http("/v1/status", "GET", 200, Duration::ZERO);
    metrics.entries("us:eu", EntryResult::Applied, 5);
    assert_eq!(metrics.render(), None);
    let (first, second) = (metrics.active(), metrics.active());
    assert_eq!((first.count(), second.count()), (1, 2));
    metrics.shutdown();
}

/// docs/metrics.md has every metric with its labels, and no other. Caught: a gauge without its line; a label that was
/// renamed.
#[test]
fn docs_list_what_is_served() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, page) = page.split_once("## Nodes").unwrap();
    let (page, _) = page.split_once("## Operator").unwrap();
    let cells = |line: &str| -> Vec<String> {
        let cells = line.split('|');
        cells.map(|c| c.trim().replace('`', "")).collect()
    };
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(cells);
    let documented: BTreeMap<String, BTreeSet<String>> =
        rows.map(|row| (row[1].clone(), listed(&row[4]))).collect();
    let text = used().render().unwrap();
    let mut served = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let ends = ["_bucket", "_sum", "_count"];
        let is_of = |known: &&String| {
            name == *known
                || ends
                    .iter()
                    .any(|end| name.strip_suffix(end) == Some(known.as_str()))
        };
        let known = documented.keys().find(is_of);
        let known = known.unwrap_or_else(|| panic!("docs/metrics.md has no line for {name}"));
        let mut labels: BTreeSet<String> = labels
            .split("\",")
            .filter_map(|label| label.split_once('=').map(|(name, _)| name.to_owned()))
            .collect();
        labels.remove("le");
        assert!(
            labels.remove("atoll_store") && labels.remove("atoll_region"),
            "{line}"
        );
        if name == "target_info" {
            // The machine adds to it.
            labels.retain(|label| documented[known].contains(label));
        }
        served.insert(known.clone(), labels);
    }
    assert_eq!(served, documented);
}

fn listed(labels: &str) -> BTreeSet<String> {
    let names = labels.split(',').map(|name| name.trim().to_owned());
    names.filter(|name| !name.is_empty()).collect()
}

/// What a store of ten regions and twenty collections costs Prometheus, with everything happening at once: a leader
/// that every other region's entries come to over every link, all kinds of conflicts and outcomes in all collections,
/// every route. docs/watching.md states the bound.
#[test]
fn series_are_bounded() {
    let metrics = Metrics::new(&whose());
    let others: Vec<String> = (1..10).map(|n| format!("region-{n}")).collect();
    let lag = |origin: &String| OriginLag {
        origin: origin.clone(),
        seconds: 0.0,
        entries: 0,
    };
    let link = |from: &String| LinkGauge {
        from: from.clone(),
        to: "eu".into(),
        origins: others.iter().map(lag).collect(),
        ..LinkGauge::default()
    };
    let by_peer: Vec<(String, f64)> = others.iter().map(|other| (other.clone(), 0.0)).collect();
    let full = Gauges {
        links: others.iter().map(link).collect(),
        clock_offsets: by_peer.clone(),
        converged_ages: by_peer,
        ..gauges()
    };
    metrics.set_observer(Arc::new(move || full.clone()));
    for other in &others {
        let results = [
            EntryResult::Applied,
            EntryResult::Duplicate,
            EntryResult::Quarantined,
        ];
        let (link, back) = (format!("{other}:eu"), format!("eu:{other}"));
        results
            .iter()
            .for_each(|result| metrics.entries(&link, *result, 1));
        metrics.entries(&back, EntryResult::Relayed, 1);
        metrics.rtt(&link, Duration::ZERO);
        metrics.visibility(other, Duration::ZERO);
        metrics.causal_wait(other, Duration::ZERO);
    }
    for collection in 0..20 {
        let name = format!("collection-{collection}");
        for kind in ["write-write", "create-create", "update-delete"] {
            for outcome in ["latest-kept", "siblings-kept"] {
                metrics.conflict(&NewConflict {
                    collection: name.parse().unwrap(),
                    kind,
                    outcome,
                });
            }
            metrics.resolved(&name, kind, Duration::ZERO);
        }
    }
    for route in atoll_api::openapi::ROUTES {
        for status in [200, 404, 503] {
            metrics.http(route.path, "PUT", status, Duration::ZERO);
        }
    }
    metrics.committed(Duration::ZERO);
    let text = metrics.render().unwrap();
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    assert!(series <= SERIES_MAX, "{series} series");
}
