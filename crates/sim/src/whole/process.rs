//! Schedules in processes of their own, whose randomness comes from the seed.
//!
//! What libraries draw from the system cannot be handed to them, and what they count for the whole process
//! (tasks, runtimes) cannot be set back. So every schedule has a process that begins at nothing, in which the
//! system's random numbers are those of `chance.c`.

use std::io::{self, BufRead, BufReader};
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;

use serde::{Deserialize, Serialize};

use super::{Played, Report, Schedule, play};
use crate::Violation;
use crate::campaign::Failed;

/// The seed of the system's randomness, see `chance.c`.
const CHANCE: &str = "ATOLL_SIM_CHANCE";
/// What begins the last line of such a process.
const PLAYED: &str = "played ";

/// [`Played`], between two processes.
#[derive(Serialize, Deserialize)]
struct Line {
    report: Report,
    hash: u64,
    invariant: Option<String>,
    what: Option<String>,
}

/// Plays a schedule here when this process was started for it.
#[must_use]
pub fn play_if_asked(schedule: Schedule) -> Option<String> {
    std::env::var_os(CHANCE)?;
    let Played {
        report,
        hash,
        violation,
    } = play(schedule);
    let (invariant, what) = violation.map(|v| (v.invariant.to_owned(), v.what)).unzip();
    let line = Line {
        report,
        hash,
        invariant,
        what,
    };
    Some(PLAYED.to_owned() + &serde_json::to_string(&line).unwrap_or_default())
}

/// Plays a schedule in a process of its own, which is `program` with `arguments`; `tell` gets its other lines.
///
/// # Errors
/// When the process cannot be started, or ends without saying what it came to.
pub fn play_apart(
    program: &Path,
    arguments: &[String],
    seed: u64,
    mut tell: impl FnMut(&str),
) -> io::Result<Played> {
    let mut child = Command::new(program)
        .args(arguments)
        .env(CHANCE, seed.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut played = None;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            match line.strip_prefix(PLAYED) {
                Some(text) => played = Some(serde_json::from_str::<Line>(text)?),
                None => tell(&line),
            }
        }
    }
    let status = child.wait()?;
    let Some(line) = played else {
        let what = format!("the process of seed {seed} ended with {status} and said nothing");
        return Err(io::Error::other(what));
    };
    let violation = line.invariant.map(|invariant| Violation {
        invariant: known(&invariant),
        what: line.what.unwrap_or_default(),
    });
    Ok(Played {
        report: line.report,
        hash: line.hash,
        violation,
    })
}

/// Plays so many schedules, `threads` at a time; `tell` gets what happened so far after each.
///
/// # Errors
/// The violation with the smallest seed among those found by then; or why a process could not be had.
pub fn play_many(
    program: &Path,
    seeds: Range<u64>,
    threads: usize,
    mut tell: impl FnMut(&Report),
) -> io::Result<Result<Report, Failed>> {
    let next = AtomicU64::new(seeds.start);
    let (sender, played) = sync_channel(threads.max(1));
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            let (sender, next, end) = (sender.clone(), &next, seeds.end);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let arguments = ["--whole".to_owned(), "--seed".to_owned(), seed.to_string()];
                    let played = play_apart(program, &arguments, seed, |_| {});
                    if sender.send((seed, played)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let (mut all, mut failed) = (Report::default(), None::<Failed>);
        for (seed, played) in played {
            let played = played?;
            all.add(&played.report);
            tell(&all);
            if let Some(violation) = played.violation {
                next.store(seeds.end, Ordering::Relaxed);
                if failed.as_ref().is_none_or(|known| seed < known.seed) {
                    failed = Some(Failed { seed, violation });
                }
            }
        }
        Ok(failed.map_or(Ok(all), Err))
    })
}

/// Names of invariants are few and live for ever.
fn known(name: &str) -> &'static str {
    Box::leak(name.to_owned().into_boxed_str())
}
