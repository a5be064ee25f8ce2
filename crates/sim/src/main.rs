//! `atoll-sim`: plays seeded schedules of faults, and says which seed breaks what.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use atoll_sim::campaign::{Campaign, Failed, Progress, run};
use atoll_sim::whole::{self, Mischief, Scenario, Schedule, process};
use atoll_sim::{Report, simulate};
use clap::Parser;

/// Plays seeded schedules of faults against Atoll's core, replication and store, and some against whole nodes,
/// and checks that regions converge, that nothing acknowledged is lost and that nothing deleted comes back.
#[derive(Debug, Parser)]
#[command(name = "atoll-sim", version)]
struct Arguments {
    /// Play this schedule and no other
    #[arg(long, conflicts_with_all = ["schedules", "minutes", "first_seed", "threads"])]
    seed: Option<u64>,
    /// Play schedules of whole nodes, Raft and HTTP included, and no others
    #[arg(long, conflicts_with = "minutes")]
    whole: bool,
    /// A fault put in by hand, to see it caught
    #[arg(long, hide = true, requires = "whole")]
    mischief: Option<String>,
    /// Something else than what the seed chooses
    #[arg(long, hide = true, requires = "whole")]
    scenario: Option<String>,
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
/// After so many schedules, one of whole nodes: it takes some hundred times as long.
const WHOLE_ONE_IN: u64 = 400;

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) if arguments.whole => replay_whole(seed, &arguments),
        Some(seed) => Ok(replay(seed, arguments.trace)),
        None if arguments.whole => play_whole(
            &arguments,
            arguments.schedules.unwrap_or(SCHEDULES / WHOLE_ONE_IN),
        ),
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

/// Plays a schedule of whole nodes in a process of its own; this may be that process.
fn replay_whole(seed: u64, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let scenario = arguments.scenario.as_deref().unwrap_or("seeded");
    let mischief = arguments.mischief.as_deref();
    let schedule = Schedule {
        seed,
        scenario: Scenario::named(scenario).context("no such scenario")?,
        mischief: mischief
            .map(|word| Mischief::named(word).context("no such mischief"))
            .transpose()?,
        is_shown: arguments.trace,
    };
    if let Some(line) = process::play_if_asked(schedule) {
        say(&line);
        return Ok(ExitCode::SUCCESS);
    }
    let program = std::env::current_exe()?;
    let again: Vec<String> = std::env::args().skip(1).collect();
    let played = process::play_apart(&program, &again, seed, say)?;
    match played.violation {
        None => say(&format!("seed {seed} of whole nodes: all invariants hold")),
        Some(violation) => {
            say(&format!("seed {seed} of whole nodes breaks {violation}"));
            return Ok(ExitCode::FAILURE);
        }
    }
    say(&whole_summary(&played.report));
    say(&format!("trace {:016x}", played.hash));
    Ok(ExitCode::SUCCESS)
}

/// Plays schedules of whole nodes.
fn play_whole(arguments: &Arguments, schedules: u64) -> anyhow::Result<ExitCode> {
    let (program, begun) = (std::env::current_exe()?, Instant::now());
    let seeds = arguments.first_seed..arguments.first_seed.saturating_add(schedules);
    let shows_progress = std::io::stderr().is_terminal();
    let played = process::play_many(&program, seeds, threads(arguments)?, |report| {
        if shows_progress {
            let _ = write!(
                std::io::stderr(),
                "\r{} of whole nodes\x1b[K",
                report.schedules
            );
        }
    })?;
    if shows_progress {
        let _ = writeln!(std::io::stderr());
    }
    Ok(match played {
        Ok(report) => {
            let (schedules, seconds) = (report.schedules, begun.elapsed().as_secs_f64());
            say(&format!(
                "{schedules} schedules of whole nodes in {seconds:.1} s, 0 violations"
            ));
            say(&whole_summary(&report));
            ExitCode::SUCCESS
        }
        Err(Failed { seed, violation }) => {
            say(&format!("seed {seed} of whole nodes breaks {violation}"));
            say(&format!(
                "replay it: atoll-sim --whole --seed {seed} --trace"
            ));
            say(&format!(
                "       or: make sim SEED={seed} SIM_ARGS='--whole --trace'"
            ));
            ExitCode::FAILURE
        }
    })
}

fn whole_summary(report: &whole::Report) -> String {
    let whole::Report {
        schedules: _,
        simulated_ms,
        operations,
        acknowledged,
        unknown,
        retries,
        kills,
        kills_at_writes,
        faults,
        changes,
        drained,
        removed,
        rolled,
        leaders,
    } = report;
    format!(
        "{} simulated seconds: {operations} requests ({acknowledged} writes acknowledged, {retries} asked \
         again, {unknown} never answered), {kills} kills\n({kills_at_writes} in the middle of a write), \
         {faults} other faults, \
         {changes} changes of topology and nodes, {drained} regions left, {removed} died for good, \
         {rolled} rolling restarts, {leaders} times a leader",
        simulated_ms / 1000
    )
}

fn threads(arguments: &Arguments) -> anyhow::Result<usize> {
    Ok(match arguments.threads {
        Some(threads) => threads,
        None => std::thread::available_parallelism()?.get(),
    })
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
        threads: threads(arguments)?,
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
            play_whole(arguments, (progress.schedules / WHOLE_ONE_IN).max(1))?
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
        joined,
        retired,
        died,
        lost,
        crashes,
        connections,
        stand_ins,
        turned_away,
        stable,
    } = report;
    format!(
        "{events} events: {operations} operations ({acknowledged} acknowledged, {repeated} repeated, \
         {refused} refused, {given_up} given up), {entries} entries, {conflicts} conflicts,\n{copies} copies sent \
         ({duplicates} applied twice), {faults} faults ({crashes} crashes, {joined} joined, \
         {retired} retired, {died} died and took {lost} entries with them, {turned_away} came too late), {connections} connections, \
         {stand_ins} stand-ins, {stable} steps of stability"
    )
}
