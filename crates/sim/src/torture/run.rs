//! A run from its first process to its verdict.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::check::{self, Fault};
use super::clients::{Customer, Floor};
use super::cluster::Cluster;
use super::end::End;
use super::faults;
use super::history::{self, Event, Recorder};
use super::mischief::{self, FaultLog, Stage};
use super::progress::Progress;
use super::report::{self, Report};
use super::settle;
use super::shape::Shape;

const HISTORY: &str = "history.jsonl";
const FAULTS: &str = "faults.jsonl";
const ENDS: &str = "end";

/// What is tortured, how, and for how long.
#[derive(Clone, Debug)]
pub struct Options {
    /// The `atoll` program.
    pub program: PathBuf,
    /// An empty directory for configuration, data, logs and everything recorded.
    pub directory: PathBuf,
    /// Regions and nodes.
    pub shape: Shape,
    /// What it stands for is in [`super`].
    pub seed: u64,
    /// How long faults and clients go on.
    pub length: Duration,
    /// Clients of each region.
    pub clients: usize,
    /// How long a client rests after each answer.
    pub pause: Duration,
    /// How often progress is told.
    pub tell_every: Duration,
}

/// A run that did not end well.
#[derive(Debug)]
pub enum Failed {
    /// The checks found something.
    Faults(Vec<Fault>),
    /// It could not go on: a node that ended, regions that never became equal.
    Broken(anyhow::Error),
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        Failed::Broken(error)
    }
}

/// Starts the nodes, tortures them, heals them and judges what was recorded. The processes end with it,
/// however it ends.
///
/// # Errors
/// [`Failed`]; what was recorded is in the directory.
pub async fn run(options: &Options, mut tell: impl FnMut(&str)) -> Result<Report, Failed> {
    let Options {
        program,
        directory,
        shape,
        seed,
        length,
        ..
    } = options;
    let file = |name: &str| directory.join(name);
    let recorder = Recorder::new(&file(HISTORY)).context("the history cannot be written")?;
    let log = FaultLog::new(&file(FAULTS)).context("the fault log cannot be written")?;
    let cluster = Arc::new(Cluster::start(*shape, program, directory).await?);
    let started = Instant::now();
    let floor = Floor {
        cluster: Arc::clone(&cluster),
        recorder: Arc::new(recorder),
        progress: Arc::new(Progress::new(started, shape.regions)),
        stop: Arc::new(AtomicBool::new(false)),
        started,
        pause: options.pause,
    };
    let stage = Stage {
        cluster: Arc::clone(&cluster),
        progress: Arc::clone(&floor.progress),
        log: Arc::new(log),
        started,
    };
    let log = Arc::clone(&stage.log);
    torture(options, &floor, stage, &mut tell).await?;
    let events = floor
        .recorder
        .finish()
        .context("the history is not whole")?;
    tell("healing everything, waiting until all nodes are equal");
    cluster.heal().await?;
    let equal_after = settle::settle(&cluster).await?;
    let mut ends = Vec::new();
    for node in &cluster.nodes {
        ends.push(settle::read(node).await?);
    }
    keep(&file(ENDS), &ends)?;
    tell(&format!("checking {} requests", events.len()));
    let faults = check::check(&events, &ends);
    if !faults.is_empty() {
        return Err(Failed::Faults(faults));
    }
    Ok(Report {
        shape: *shape,
        seed: *seed,
        length: *length,
        faults: log.counts(),
        writes: report::writes(&events),
        reads: report::reads(&events),
        longest_pauses: report::longest_pauses(&events, *length),
        equal_after,
        keys: ends[0].keys.len(),
        conflicts: ends[0].ledger.len(),
    })
}

/// Clients and faults, until the time is over.
async fn torture(
    options: &Options,
    floor: &Floor,
    stage: Stage,
    tell: &mut impl FnMut(&str),
) -> anyhow::Result<()> {
    let mut clients = JoinSet::new();
    for number in 0..options.clients * options.shape.regions {
        clients.spawn(Customer::new(floor.clone(), options.seed, number).run());
    }
    let schedule = faults::plan(options.seed, options.shape, options.length);
    let mut mischief = JoinSet::new();
    mischief.spawn(mischief::play(stage, schedule));
    let end = floor.started + options.length;
    let mut next_line = floor.started + options.tell_every;
    while Instant::now() < end {
        tokio::select! {
            () = tokio::time::sleep_until(next_line.min(end)) => {
                tell(&floor.progress.line(options.length));
                floor.cluster.all_alive().await?;
                next_line += options.tell_every;
            }
            Some(ended) = mischief.join_next() => ended??,
        }
    }
    // Faults end by themselves soon: they heal what they did.
    while let Some(ended) = mischief.join_next().await {
        ended??;
    }
    floor.stop.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended?;
    }
    Ok(())
}

/// Judges again what a run has recorded.
///
/// # Errors
/// When the files cannot be read.
pub fn again(directory: &Path) -> anyhow::Result<Vec<Fault>> {
    let events: Vec<Event> = history::read(&directory.join(HISTORY))?;
    let mut ends: Vec<End> = Vec::new();
    let mut files: Vec<PathBuf> = fs::read_dir(directory.join(ENDS))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    for file in files {
        ends.push(serde_json::from_slice(&fs::read(file)?)?);
    }
    Ok(check::check(&events, &ends))
}

fn keep(directory: &Path, ends: &[End]) -> anyhow::Result<()> {
    fs::create_dir_all(directory)?;
    for end in ends {
        let file = File::create(directory.join(format!("{}.json", end.of)))?;
        serde_json::to_writer(BufWriter::new(file), end)?;
    }
    Ok(())
}
