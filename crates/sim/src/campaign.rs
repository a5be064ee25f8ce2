//! Many seeds on all cores: each schedule is one thread's own business.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use crate::{Report, Violation, simulate};

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Which schedules to play.
#[derive(Debug, Clone, Copy)]
pub struct Campaign {
    /// The first seed; the others follow it.
    pub first_seed: u64,
    /// How many seeds; `None`: as many as there is time for.
    pub schedules: Option<u64>,
    /// How long; `None`: until all seeds are played.
    pub time: Option<Duration>,
    /// How many at a time.
    pub threads: usize,
}

/// How far a campaign is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Schedules played.
    pub schedules: u64,
    /// Since the beginning.
    pub elapsed: Duration,
    /// What happened in them.
    pub report: Report,
}

/// A schedule in which an invariant does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Its seed.
    pub seed: u64,
    /// What does not hold.
    pub violation: Violation,
}

/// Plays the schedules and tells `progress` once a second, and once in the end. Stops at the first violation.
///
/// # Errors
/// The violation with the smallest seed among those found by then.
pub fn run(campaign: Campaign, mut progress: impl FnMut(&Progress)) -> Result<Progress, Failed> {
    let begun = Instant::now();
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let is_over = |nth: u64| {
        stop.load(Ordering::Relaxed)
            || campaign.schedules.is_some_and(|schedules| nth >= schedules)
            || campaign.time.is_some_and(|time| begun.elapsed() >= time)
    };
    let (tell, told) = sync_channel(1024);
    std::thread::scope(|scope| {
        for _ in 0..campaign.threads.max(1) {
            let (tell, next, is_over) = (tell.clone(), &next, &is_over);
            scope.spawn(move || {
                loop {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    if is_over(nth) {
                        return;
                    }
                    let seed = campaign.first_seed.wrapping_add(nth);
                    if tell.send((seed, play(seed))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(tell);
        let mut so_far = Progress {
            schedules: 0,
            elapsed: Duration::ZERO,
            report: Report::default(),
        };
        let mut failed: Option<Failed> = None;
        let mut tell_at = begun + TELL_EVERY;
        loop {
            match told.recv_timeout(TELL_EVERY) {
                Ok((_, Ok(report))) => {
                    so_far.schedules += 1;
                    so_far.report.add(&report);
                }
                Ok((seed, Err(violation))) => {
                    stop.store(true, Ordering::Relaxed);
                    if failed.as_ref().is_none_or(|known| seed < known.seed) {
                        failed = Some(Failed { seed, violation });
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            so_far.elapsed = begun.elapsed();
            if Instant::now() >= tell_at {
                tell_at += TELL_EVERY;
                progress(&so_far);
            }
        }
        so_far.elapsed = begun.elapsed();
        progress(&so_far);
        failed.map_or(Ok(so_far), Err)
    })
}

/// Plays one schedule; a panic is a violation like any other.
fn play(seed: u64) -> Result<Report, Violation> {
    let played = catch_unwind(AssertUnwindSafe(|| simulate(seed, None)));
    played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Violation {
            invariant: "no-panics",
            what: text.unwrap_or("a panic").to_owned(),
        })
    })
}
