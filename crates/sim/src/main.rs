//! `atoll-sim`: plays seeded schedules of faults, and says which seed breaks what.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use atoll_sim::campaign::{Campaign, Failed, Progress, run};
use atoll_sim::{Report, simulate};
use clap::Parser;

/// Plays seeded schedules of faults against Atoll's core, replication and store, and checks that regions
/// converge, that nothing acknowledged is lost and that nothing deleted comes back.
#[derive(Debug, Parser)]
#[command(name = "atoll-sim", version)]
struct Arguments {
    /// Play this schedule and no other
    #[arg(long, conflicts_with_all = ["schedules", "minutes", "first_seed", "threads"])]
    seed: Option<u64>,
    /// Print everything that happens in it
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Play so many schedules
    #[arg(long, value_name = "N")]
    schedules: Option<u64>,
    /// Play schedules for so long
    #[arg(long, value_name = "M")]
    minutes: Option<u64>,
    /// The seed of the first one; the others follow it
    #[arg(long, value_name = "S", default_value_t = 1)]
    first_seed: u64,
    /// Play so many at a time [default: one on each core]
    #[arg(long, value_name = "T")]
    threads: Option<usize>,
}

/// What is played when nothing else is said.
const SCHEDULES: u64 = 2000;

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => Ok(replay(seed, arguments.trace)),
        None => play_many(&arguments),
    }
}

fn replay(seed: u64, trace: bool) -> ExitCode {
    let tell: Option<Box<atoll_sim::Trace>> = if trace { Some(Box::new(say)) } else { None };
    match simulate(seed, tell) {
        Ok(report) => {
            say(&format!("seed {seed}: all invariants hold"));
            say(&summary(&report));
            ExitCode::SUCCESS
        }
        Err(violation) => {
            say(&format!("seed {seed} breaks {violation}"));
            ExitCode::FAILURE
        }
    }
}

fn play_many(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let campaign = Campaign {
        first_seed: arguments.first_seed,
        schedules: match (arguments.schedules, arguments.minutes) {
            (None, None) => Some(SCHEDULES),
            (schedules, _) => schedules,
        },
        time: arguments
            .minutes
            .map(|minutes| Duration::from_secs(60 * minutes)),
        threads: match arguments.threads {
            Some(threads) => threads,
            None => std::thread::available_parallelism()?.get(),
        },
    };
    let shows_progress = std::io::stderr().is_terminal();
    let played = run(campaign, |progress| {
        if shows_progress {
            let _ = write!(std::io::stderr(), "\r{}\x1b[K", line(progress));
        }
    });
    if shows_progress {
        let _ = writeln!(std::io::stderr());
    }
    Ok(match played {
        Ok(progress) => {
            say(&line(&progress));
            say(&summary(&progress.report));
            ExitCode::SUCCESS
        }
        Err(Failed { seed, violation }) => {
            say(&format!("seed {seed} breaks {violation}"));
            say(&format!("replay it: atoll-sim --seed {seed} --trace"));
            say(&format!("       or: make sim SEED={seed} SIM_ARGS=--trace"));
            ExitCode::FAILURE
        }
    })
}

/// Whoever closes the pipe has read enough.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn line(progress: &Progress) -> String {
    let seconds = progress.elapsed.as_secs_f64();
    #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = progress.schedules as f64 / seconds.max(0.001);
    format!(
        "{} schedules in {seconds:.1} s ({rate:.0} a second), 0 violations",
        progress.schedules
    )
}

fn summary(report: &Report) -> String {
    let Report {
        events,
        operations,
        acknowledged,
        repeated,
        refused,
        given_up,
        entries,
        copies,
        duplicates,
        conflicts,
        faults,
        crashes,
        connections,
        stand_ins,
        stable,
    } = report;
    format!(
        "{events} events: {operations} operations ({acknowledged} acknowledged, {repeated} repeated, \
         {refused} refused, {given_up} given up), {entries} entries, {conflicts} conflicts,\n{copies} copies sent \
         ({duplicates} applied twice), {faults} faults ({crashes} crashes), {connections} connections, \
         {stand_ins} stand-ins, {stable} steps of stability"
    )
}
