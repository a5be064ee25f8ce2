//! The suite: Atoll's own figures, each against its target.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use tokio::time::sleep;

use super::figures::{self, Costed};
use super::limits;
use super::load::{Outcome, quantile};
use super::manifest::{Shape, manifest};
use super::work::Kind;
use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::output;
use crate::wording;

const CONNECTIONS: usize = 32;
const BATCH_ITEMS: usize = 1000;
const WAN: Duration = Duration::from_millis(80);
/// What a log record holds besides the value of a put, about.
const RECORD_HEAD_BYTES: usize = 120;
const IDLE_BYTES: u64 = 60_000_000;
const LOADED_BYTES: u64 = 250_000_000;

/// How the suite is run.
pub(crate) struct Suite {
    /// Nodes keep their data below it: the disk that is measured.
    pub(crate) parent: PathBuf,
    /// How many nodes a region has.
    pub(crate) nodes: usize,
    /// How long each of the main loads goes on.
    pub(crate) duration: Duration,
}

/// All figures.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    figures: Vec<Figure>,
}

/// One figure.
#[derive(Debug, Serialize)]
struct Figure {
    name: String,
    measured: String,
    /// Absent for limits of the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    met: Option<bool>,
    note: String,
}

impl Suite {
    /// Measures everything; minutes.
    pub(crate) async fn run(&self) -> Result<Report, Failure> {
        let mut report = Report::default();
        if cfg!(debug_assertions) {
            output::note(
                "This is a debug build: its figures say little. `make bench` measures a release build.",
            );
        }
        self.limits(&mut report)?;
        output::note(&format!(
            "Three regions of {} node(s), each a process of its own, on the loopback.",
            self.nodes
        ));
        let cluster = self.cluster(3, Shape::Mesh, None).await?;
        let local = self.three_regions(&cluster, &mut report).await?;
        drop(cluster);
        output::note(&format!("Three regions, {} apart.", wording::duration(WAN)));
        let cluster = self.cluster(3, Shape::Mesh, Some(WAN)).await?;
        let far = figures::one_connection(&cluster, "far", self.short()).await?;
        report.wan(&local, &far);
        drop(cluster);
        output::note("A ring of six regions.");
        let cluster = self.cluster(6, Shape::Ring, None).await?;
        figures::load(
            &cluster,
            "ring",
            Kind::UniquePuts,
            CONNECTIONS,
            self.short(),
        )
        .await?;
        report.copies(
            "copies of an entry for each region, ring of six",
            figures::copies(&cluster).await?,
        );
        Ok(report)
    }

    async fn cluster(
        &self,
        regions: usize,
        shape: Shape,
        wan: Option<Duration>,
    ) -> Result<Cluster, Failure> {
        let manifest = manifest(regions, self.nodes, shape)?;
        Cluster::start(&self.parent, &manifest, wan).await
    }

    fn short(&self) -> Duration {
        self.duration / 2
    }

    fn limits(&self, report: &mut Report) -> Result<(), Failure> {
        output::note("The disk.");
        for bytes in [512, 64 << 10] {
            let latency = limits::fdatasync(&self.parent, bytes, Duration::from_secs(2))?;
            let (p50, p99) = (quantile(&latency, 0.5), quantile(&latency, 0.99));
            report.limit(
                &format!(
                    "limit: append {} and fdatasync, p50 / p99",
                    wording::bytes(bytes as u64)
                ),
                two_times(p50, p99),
                format!(
                    "{} a second, one after the other",
                    wording::count(latency.len() / 2)
                ),
            );
        }
        for records in [1, 8, 64] {
            let bytes = figures::VALUE_BYTES + RECORD_HEAD_BYTES;
            let commit =
                limits::group_commit(&self.parent, records, bytes, Duration::from_secs(2))?;
            let (p50, p99) = (
                quantile(&commit.latency, 0.5),
                quantile(&commit.latency, 0.99),
            );
            report.limit(
                &format!("limit: RocksDB, {records} records with one sync, p50 / p99"),
                two_times(p50, p99),
                format!(
                    "{} records a second, {} per core-second",
                    rounded(commit.records_per_second),
                    rounded(commit.records_per_core_second)
                ),
            );
        }
        Ok(())
    }

    /// Answers with the latency of one connection: the WAN is compared with it.
    async fn three_regions(
        &self,
        cluster: &Cluster,
        report: &mut Report,
    ) -> Result<Outcome, Failure> {
        sleep(Duration::from_secs(2)).await;
        let idle = figures::memory(cluster)?.now_bytes;
        report.at_most(
            "memory of a region, idle",
            idle,
            IDLE_BYTES,
            megabytes,
            String::new(),
        );

        let nothing =
            figures::load(cluster, "http", Kind::Nothing, CONNECTIONS, self.short()).await?;
        let note = format!("{CONNECTIONS} connections, requests that do nothing");
        report.limit(
            "limit: HTTP requests per server core-second",
            per_core_second(&nothing),
            note,
        );

        let local = figures::one_connection(cluster, "one", self.short()).await?;
        report.times(
            "one connection, put p50 / p99",
            (local.quantile(0.5), local.quantile(0.99)),
            (0.000_30, 0.000_60),
            errors(&local),
        );

        let puts = usize::try_from(self.short().as_millis() / 5)
            .unwrap_or(1000)
            .max(100);
        let visible = figures::visibility(cluster, puts, Duration::from_millis(5)).await?;
        let note = format!("{} puts, 200 a second", wording::count(visible.len()));
        report.times(
            "visible in another region, p50 / p99",
            (quantile(&visible, 0.5), quantile(&visible, 0.99)),
            (0.000_8, 0.002_2),
            note,
        );

        let unique = figures::load(
            cluster,
            "unique",
            Kind::UniquePuts,
            CONNECTIONS,
            self.duration,
        )
        .await?;
        report.rate(
            "durable writes per server core-second",
            &unique,
            8_000.0,
            cost(&unique, "writes"),
        );

        let kind = Kind::Batches { items: BATCH_ITEMS };
        let batches = figures::load(cluster, "batch", kind, 6, self.duration).await?;
        report.rate(
            "batches of 1,000: items per server core-second",
            &batches,
            40_000.0,
            cost(&batches, "items"),
        );

        let hot =
            figures::load(cluster, "hot", Kind::HotCounter, CONNECTIONS, self.duration).await?;
        report.share(
            "hot counter from 3 regions, of unique keys",
            hot.per_core_second() / unique.per_core_second(),
            cost(&hot, "increments"),
        );

        report.copies(
            "copies of an entry for each region, mesh",
            figures::copies(cluster).await?,
        );
        let loaded = figures::memory(cluster)?.peak_bytes;
        report.at_most(
            "memory of a region, at most under load",
            loaded,
            LOADED_BYTES,
            megabytes,
            String::new(),
        );
        Ok(local)
    }
}

impl Report {
    fn add(&mut self, name: &str, measured: String, target: Option<(String, bool)>, note: String) {
        output::note(&format!("  {name}: {measured}"));
        let (target, met) = target.unzip();
        self.figures.push(Figure {
            name: name.to_owned(),
            measured,
            target,
            met,
            note,
        });
    }

    fn limit(&mut self, name: &str, measured: String, note: String) {
        self.add(name, measured, None, note);
    }

    fn at_most(
        &mut self,
        name: &str,
        measured: u64,
        most: u64,
        shown: fn(u64) -> String,
        note: String,
    ) {
        let target = (format!("≤ {}", shown(most)), measured <= most);
        self.add(name, shown(measured), Some(target), note);
    }

    fn rate(&mut self, name: &str, costed: &Costed, least: f64, note: String) {
        let target = (
            format!("≥ {}", rounded(least)),
            costed.per_core_second() >= least,
        );
        self.add(name, per_core_second(costed), Some(target), note);
    }

    fn times(&mut self, name: &str, (p50, p99): (f64, f64), most: (f64, f64), note: String) {
        let target = (
            format!("≤ {}", two_times(most.0, most.1)),
            p50 <= most.0 && p99 <= most.1,
        );
        self.add(name, two_times(p50, p99), Some(target), note);
    }

    fn share(&mut self, name: &str, share: f64, note: String) {
        let target = ("≥ 80 %".to_owned(), share >= 0.8);
        self.add(name, format!("{:.0} %", share * 100.0), Some(target), note);
    }

    fn copies(&mut self, name: &str, copies: f64) {
        let target = ("≤ 1.1".to_owned(), copies <= 1.1);
        self.add(name, format!("{copies:.3}"), Some(target), String::new());
    }

    fn wan(&mut self, local: &Outcome, far: &Outcome) {
        let ratio = far.quantile(0.5) / local.quantile(0.5).max(f64::EPSILON);
        let target = ("≤ 1.10".to_owned(), ratio <= 1.1);
        let note = format!(
            "p50 / p99 {}, without {}",
            two_times(far.quantile(0.5), far.quantile(0.99)),
            two_times(local.quantile(0.5), local.quantile(0.99))
        );
        self.add(
            "local put 80 ms from the others, p50 of that without",
            format!("{ratio:.2}"),
            Some(target),
            note,
        );
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let rows: Vec<_> = self
            .figures
            .iter()
            .map(|figure| {
                let met = match figure.met {
                    Some(true) => "✓",
                    Some(false) => "✗",
                    None => "",
                };
                [
                    figure.name.clone(),
                    figure.measured.clone(),
                    figure.target.clone().unwrap_or_default(),
                    met.to_owned(),
                    figure.note.clone(),
                ]
            })
            .collect();
        output::table(["FIGURE", "MEASURED", "TARGET", "", "NOTE"], &rows)
    }
}

fn per_core_second(costed: &Costed) -> String {
    rounded(costed.per_core_second())
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate, for people"
)]
fn rounded(number: f64) -> String {
    wording::count(number.round() as u64)
}

/// In the unit that the targets are given in.
fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}

fn two_times(p50: f64, p99: f64) -> String {
    format!("{:.2} / {:.2} ms", p50 * 1e3, p99 * 1e3)
}

fn cost(costed: &Costed, what: &str) -> String {
    let Costed {
        outcome,
        cpu_seconds,
    } = costed;
    format!(
        "{} {what} a second, p50 / p99 {}, {cpu_seconds:.1} core-seconds{}",
        rounded(outcome.rate()),
        two_times(outcome.quantile(0.5), outcome.quantile(0.99)),
        errors(outcome)
    )
}

fn errors(outcome: &Outcome) -> String {
    let errors: Vec<_> = outcome
        .errors
        .iter()
        .map(|(reason, count)| format!(", {count} {reason}"))
        .collect();
    errors.concat()
}
