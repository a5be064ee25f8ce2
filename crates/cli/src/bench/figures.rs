//! How each figure of the suite is measured.

use std::collections::HashMap;
use std::time::Duration;

use atoll_api::http::ChangesQuery;
use atoll_client::{Changes, Connection, Dialer};
use bytes::Bytes;
use hdrhistogram::Histogram;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, timeout};

use super::load::{Load, Outcome, histogram, record};
use super::processes;
use super::work::{Kind, Work};
use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::metrics::Samples;

/// The value that every figure is measured with.
pub(crate) const VALUE_BYTES: usize = 100;
const VISIBLE_WITHIN: Duration = Duration::from_secs(10);

/// A load and what it cost all servers together, until every region had everything.
pub(crate) struct Costed {
    pub(crate) outcome: Outcome,
    pub(crate) cpu_seconds: f64,
}

impl Costed {
    /// Writes or reads for each second that a core of a server was busy.
    pub(crate) fn per_core_second(&self) -> f64 {
        self.outcome.items as f64 / self.cpu_seconds.max(f64::EPSILON)
    }
}

/// Puts a load on all regions, and waits until they are equal again.
pub(crate) async fn load(
    cluster: &Cluster,
    prefix: &str,
    kind: Kind,
    connections: usize,
    duration: Duration,
) -> Result<Costed, Failure> {
    let load = Load {
        dialer: Dialer::default(),
        servers: cluster.servers(),
        connections,
        duration,
        work: work(prefix, kind),
    };
    let pids = cluster.pids();
    let before = processes::cpu_seconds(&pids)?;
    let outcome = load.run().await?;
    cluster.settle().await?;
    let cpu_seconds = processes::cpu_seconds(&pids)? - before;
    Ok(Costed {
        outcome,
        cpu_seconds,
    })
}

/// One connection to the first region, one put after the other.
pub(crate) async fn one_connection(
    cluster: &Cluster,
    prefix: &str,
    duration: Duration,
) -> Result<Outcome, Failure> {
    let servers = cluster.servers().into_iter().take(1).collect();
    let load = Load {
        dialer: Dialer::default(),
        servers,
        connections: 1,
        duration,
        work: work(prefix, Kind::UniquePuts),
    };
    load.run().await
}

fn work(prefix: &str, kind: Kind) -> Work {
    let collection = match kind {
        Kind::HotCounter => "counts",
        _ => "values",
    };
    Work {
        collection: collection.to_owned(),
        prefix: prefix.to_owned(),
        kind,
        value_bytes: VALUE_BYTES,
    }
}

/// From sending a put in the first region to its line in the second region's changes, with nothing else
/// going on.
pub(crate) async fn visibility(
    cluster: &Cluster,
    puts: usize,
    pause: Duration,
) -> Result<Histogram<u64>, Failure> {
    let (source, target) = match cluster.places.as_slice() {
        [source, target, ..] => (&source.client, &target.client),
        _ => return Err(Failure::new("visibility needs two regions")),
    };
    let follow = ChangesQuery {
        follow: true,
        ..ChangesQuery::default()
    };
    let (lines, mut seen) = mpsc::channel(1024);
    let watching = tokio::spawn(watch(target.changes(&follow).await?, lines));
    let mut connection = Connection::open(source.server(), VISIBLE_WITHIN).await?;
    let mut latency = histogram()?;
    let mut ticks = interval(pause);
    for number in 0..puts {
        ticks.tick().await;
        let key = format!("visible-{number}");
        let path = format!("/v1/collections/values/keys/{key}");
        let body = Bytes::from(vec![7; VALUE_BYTES]);
        let sent = Instant::now();
        let media_type = Some(atoll_api::http::media_type::BYTES);
        let answer = connection
            .send(&http::Method::PUT, &path, media_type, body)
            .await?;
        if answer.status != 200 {
            return Err(Failure::new(format!(
                "a put was answered with status {}",
                answer.status
            )));
        }
        let visible = timeout(VISIBLE_WITHIN, wait_for(&key, &mut seen)).await;
        let visible = visible.ok().flatten();
        let visible = visible.ok_or_else(|| Failure::new("a put did not become visible"))?;
        // The first ones find cold caches and the backlog of changes.
        if number >= puts / 10 {
            record(&mut latency, visible - sent);
        }
    }
    watching.abort();
    Ok(latency)
}

async fn watch(mut changes: Changes, lines: mpsc::Sender<(String, Instant)>) {
    while let Some(Ok(line)) = changes.next().await {
        let came = (line.key, Instant::now());
        if lines.send(came).await.is_err() {
            return;
        }
    }
}

async fn wait_for(key: &str, seen: &mut mpsc::Receiver<(String, Instant)>) -> Option<Instant> {
    loop {
        let (seen, at) = seen.recv().await?;
        if seen == key {
            return Some(at);
        }
    }
}

/// How often an entry came to a region that did not write it, on average.
pub(crate) async fn copies(cluster: &Cluster) -> Result<f64, Failure> {
    let mut came = HashMap::<&str, f64>::new();
    for place in &cluster.places {
        let samples = Samples::parse(&place.client.metrics().await?);
        for result in ["applied", "duplicate"] {
            *came.entry(result).or_default() +=
                samples.sum("atoll_replication_entries_total", ("result", result));
        }
    }
    let of = |result| came.get(result).copied().unwrap_or_default();
    Ok((of("applied") + of("duplicate")) / of("applied").max(1.0))
}

/// The largest memory of any region: now, and at most so far.
pub(crate) fn memory(cluster: &Cluster) -> Result<processes::Memory, Failure> {
    let mut most = processes::Memory {
        now_bytes: 0,
        peak_bytes: 0,
    };
    for pid in cluster.pids() {
        let memory = processes::memory(pid)?;
        most.now_bytes = most.now_bytes.max(memory.now_bytes);
        most.peak_bytes = most.peak_bytes.max(memory.peak_bytes);
    }
    Ok(most)
}
