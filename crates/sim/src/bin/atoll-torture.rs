//! `atoll-torture`: real nodes, real faults, recorded clients; says whether anything acknowledged was lost.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use atoll_sim::torture::check::Fault;
use atoll_sim::torture::{Failed, Options, REGIONS_MAX, Shape, again, run};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// Starts regions of real `atoll node` processes, lets clients write and read through kills, freezes, cuts
/// and restarts, heals everything, and checks the recorded history against what the regions hold.
#[derive(Debug, Parser)]
#[command(name = "atoll-torture", version)]
struct Arguments {
    /// The atoll program
    #[arg(long, value_name = "FILE", required_unless_present = "check")]
    program: Option<PathBuf>,
    /// How long faults and clients go on
    #[arg(long, value_name = "M", default_value_t = 3.0)]
    minutes: f64,
    /// Repeat the faults and the clients of this seed [default: a new one]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Regions
    #[arg(long, value_name = "N", default_value_t = 3)]
    regions: usize,
    /// Nodes of each region
    #[arg(long, value_name = "N", default_value_t = 3)]
    nodes: usize,
    /// Clients of each region
    #[arg(long, value_name = "N", default_value_t = 5)]
    clients: usize,
    /// How long a client rests after each answer, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 20)]
    pause_ms: u64,
    /// Keep what was recorded, also when all is well
    #[arg(long)]
    keep: bool,
    /// Only judge again what an earlier run has recorded
    #[arg(long, value_name = "DIRECTORY")]
    check: Option<PathBuf>,
}

/// Faults of one check that are shown.
const SHOWN: usize = 8;
const LONGEST_LINE: usize = 1500;

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(directory) = &arguments.check {
        return judge(directory);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(torture(&arguments));
    // Whatever still runs ends here, and its processes with it.
    runtime.shutdown_timeout(Duration::from_secs(5));
    result
}

fn judge(directory: &Path) -> anyhow::Result<ExitCode> {
    let faults = again(directory)?;
    if faults.is_empty() {
        say("nothing is lost, nothing is unexplained");
        return Ok(ExitCode::SUCCESS);
    }
    show(&faults);
    Ok(ExitCode::FAILURE)
}

async fn torture(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let options = options(arguments)?;
    let Shape { regions, nodes } = options.shape;
    let again = format!(
        "make torture MINUTES={} SEED={} REGIONS={regions} NODES={nodes}",
        arguments.minutes, options.seed
    );
    say(&format!(
        "{again}   recorded in {}",
        options.directory.display()
    ));
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let ended = tokio::select! {
        ended = run(&options, say) => ended,
        _ = interrupt.recv() => Err(Failed::Broken(anyhow::anyhow!("interrupted"))),
        _ = terminate.recv() => Err(Failed::Broken(anyhow::anyhow!("terminated"))),
    };
    let evidence = options.directory.display();
    match ended {
        Ok(report) => {
            say(&report.to_string());
            if !arguments.keep {
                std::fs::remove_dir_all(&options.directory)?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        Err(Failed::Faults(faults)) => show(&faults),
        Err(Failed::Broken(error)) => say(&format!("failed: {error:#}")),
    }
    say(&format!(
        "evidence (logs, histories, configurations, faults): {evidence}"
    ));
    say(&format!("the same faults again: {again}"));
    say(&format!(
        "the same judgement again: atoll-torture --check {evidence}"
    ));
    Ok(ExitCode::FAILURE)
}

fn options(arguments: &Arguments) -> anyhow::Result<Options> {
    let program = arguments.program.clone().context("give --program")?;
    let program = program
        .canonicalize()
        .with_context(|| format!("{} cannot be run: build it first", program.display()))?;
    if !(2..=REGIONS_MAX).contains(&arguments.regions) {
        bail!("--regions is from 2 to {REGIONS_MAX}");
    }
    if ![1, 3, 5].contains(&arguments.nodes) {
        bail!("--nodes is 1, 3 or 5");
    }
    if !(0.1..=10_000.0).contains(&arguments.minutes) {
        bail!("--minutes is from 0.1 to 10000");
    }
    let drawn = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(1, |now| now.as_secs() % 1_000_000)
    };
    let directory = tempfile::Builder::new()
        .prefix("atoll-torture-")
        .tempdir()?;
    Ok(Options {
        program,
        directory: directory.keep(),
        shape: Shape {
            regions: arguments.regions,
            nodes: arguments.nodes,
        },
        seed: arguments.seed.unwrap_or_else(drawn),
        length: Duration::from_secs_f64(60.0 * arguments.minutes),
        clients: arguments.clients,
        pause: Duration::from_millis(arguments.pause_ms),
        tell_every: Duration::from_secs(5),
    })
}

/// The first few of each check, and how many there are.
fn show(faults: &[Fault]) {
    let mut rest = faults;
    while let Some(first) = rest.first() {
        let count = rest.iter().take_while(|f| f.check == first.check).count();
        say(&format!("{}: {count} faults", first.check));
        for fault in &rest[..count.min(SHOWN)] {
            let line: String = fault.to_string().chars().take(LONGEST_LINE).collect();
            say(&format!("  {line}"));
        }
        rest = &rest[count..];
    }
}

/// Whoever closes the pipe has read enough.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
