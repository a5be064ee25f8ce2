//! `atoll bench`: a load generator with a latency histogram and CPU per operation.

use std::path::PathBuf;
use std::time::Duration;

use atoll_api::manifest::TimeSpan;
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::bench::load::{Load, Outcome};
use crate::bench::processes;
use crate::bench::suite::{Report, Suite};
use crate::bench::work::{Kind, Work};
use crate::dev::control;
use crate::dev::signals::unless_ended;
use crate::failure::Failure;
use crate::output;
use crate::target::TargetArguments;
use crate::wording;

#[derive(Args, Debug)]
pub(crate) struct BenchCommand {
    /// Register collection to put the load on
    #[arg(long, value_name = "NAME", default_value = "pages")]
    collection: String,
    /// Connections, spread over all servers
    #[arg(long, value_name = "NUMBER", default_value = "32", value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// How long
    #[arg(long, value_name = "TIME", default_value = "10s")]
    duration: TimeSpan,
    /// Share of puts among puts and gets
    #[arg(long, value_name = "PERCENT", default_value = "100", value_parser = clap::value_parser!(u8).range(0..=100))]
    puts: u8,
    /// Use so many keys over and over; default: a new key for each put
    #[arg(long, value_name = "NUMBER", required_if_eq_any([("puts", "0")]))]
    keys: Option<u64>,
    /// Bytes of each value
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    value_bytes: usize,
    /// Put so many keys with each request
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["keys", "puts"], value_parser = clap::value_parser!(u16).range(1..=10_000))]
    batch: Option<u16>,
    /// Server processes whose CPU is counted; default: the dev store that is running
    #[arg(long, value_name = "PID", value_delimiter = ',')]
    pid: Vec<u32>,
    /// Measure Atoll's own figures, each against its target, on nodes started for it
    #[arg(long, conflicts_with_all = ["collection", "connections", "puts", "keys", "value_bytes", "batch", "pid"])]
    suite: bool,
    /// How many nodes each of the suite's regions has
    #[arg(long, value_name = "NUMBER", requires = "suite", default_value = "1", value_parser = clap::value_parser!(u8).range(1..=5))]
    nodes: u8,
    /// Where the suite's nodes keep their data: the disk that is measured
    #[arg(long, value_name = "DIR", requires = "suite")]
    data: Option<PathBuf>,
}

/// What came of a load.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    items: u64,
    items_per_second: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_micros_per_item: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    items_per_core_second: Option<f64>,
    latency_seconds: Map<String, Value>,
    errors: std::collections::BTreeMap<String, u64>,
}

impl BenchCommand {
    pub(crate) async fn run(self, target: &TargetArguments) -> Result<(), Failure> {
        if self.suite {
            let suite = Suite {
                parent: self.data.unwrap_or_else(std::env::temp_dir),
                nodes: usize::from(self.nodes),
                duration: self.duration.as_duration(),
            };
            let report = Box::pin(unless_ended(suite.run())).await?;
            return output::show(target.format(), &report, Report::table);
        }
        let places = target.regions().await?;
        let pids = self.pids()?;
        let load = Load {
            dialer: target.dialer()?,
            servers: places
                .iter()
                .map(|place| place.client.server().to_owned())
                .collect(),
            connections: usize::from(self.connections),
            duration: self.duration.as_duration(),
            work: self.work(),
        };
        let before = processes::cpu_seconds(&pids)?;
        let outcome = load.run().await?;
        let cpu_seconds = processes::cpu_seconds(&pids)? - before;
        let measured = Measured::new(&outcome, (!pids.is_empty()).then_some(cpu_seconds));
        output::show(target.format(), &measured, |measured| {
            measured.table(outcome.elapsed)
        })
    }

    fn work(&self) -> Work {
        let kind = match (self.batch, self.keys) {
            (Some(items), _) => Kind::Batches {
                items: usize::from(items),
            },
            (None, None) if self.puts == 100 => Kind::UniquePuts,
            (None, keys) => Kind::Mix {
                keys: keys.unwrap_or(10_000),
                puts_percent: self.puts,
            },
        };
        Work {
            collection: self.collection.clone(),
            prefix: format!("bench-{:08x}", rand::random::<u32>()),
            kind,
            value_bytes: self.value_bytes,
        }
    }

    fn pids(&self) -> Result<Vec<u32>, Failure> {
        if !self.pid.is_empty() {
            return Ok(self.pid.clone());
        }
        Ok(control::running()?
            .map(|store| store.pid)
            .into_iter()
            .collect())
    }
}

impl Measured {
    fn new(outcome: &Outcome, cpu_seconds: Option<f64>) -> Self {
        let items = outcome.items as f64;
        let cpu_seconds = cpu_seconds.filter(|seconds| *seconds > 0.0 && items > 0.0);
        let shares = [
            ("p50", 0.5),
            ("p90", 0.9),
            ("p99", 0.99),
            ("p99.9", 0.999),
            ("max", 1.0),
        ];
        Measured {
            items: outcome.items,
            items_per_second: outcome.rate(),
            cpu_micros_per_item: cpu_seconds.map(|seconds| seconds * 1e6 / items),
            items_per_core_second: cpu_seconds.map(|seconds| items / seconds),
            latency_seconds: shares
                .into_iter()
                .map(|(name, share)| (name.to_owned(), outcome.quantile(share).into()))
                .collect(),
            errors: outcome.errors.clone(),
        }
    }

    fn table(&self, elapsed: Duration) -> String {
        let mut rows = vec![
            [
                "answered".to_owned(),
                format!(
                    "{} in {}",
                    wording::count(self.items),
                    wording::duration(elapsed)
                ),
            ],
            [
                "a second".to_owned(),
                format!("{:.0}", self.items_per_second),
            ],
        ];
        for (name, seconds) in &self.latency_seconds {
            rows.push([
                format!("latency {name}"),
                wording::seconds(seconds.as_f64().unwrap_or_default()),
            ]);
        }
        if let (Some(micros), Some(rate)) = (self.cpu_micros_per_item, self.items_per_core_second) {
            rows.push([
                "server CPU".to_owned(),
                format!("{micros:.1} µs each, {rate:.0} a core-second"),
            ]);
        }
        for (reason, count) in &self.errors {
            rows.push([format!("failed: {reason}"), wording::count(*count)]);
        }
        output::table(["MEASURED", ""], &rows)
    }
}
