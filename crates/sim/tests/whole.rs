//! Whole nodes under simulation: a fault put in by hand is caught, and a bug of the past stays away.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::Path;

use atoll_sim::whole::{Played, process::play_apart};

fn play(seed: u64, more: &[&str]) -> Played {
    let mut arguments = vec!["--whole".to_owned(), "--seed".to_owned(), seed.to_string()];
    arguments.extend(more.iter().map(|&argument| argument.to_owned()));
    let program = Path::new(env!("CARGO_BIN_EXE_atoll-sim"));
    play_apart(program, &arguments, seed, |_| {}).unwrap()
}

#[test]
fn disks_that_do_not_sync_are_found_out() {
    let played = play(2, &["--mischief", "lying-disks"]);
    let violation = played.violation.unwrap();
    assert_eq!(violation.invariant, "on-a-majority", "{violation}");
}

/// A leader that was killed and was back before its followers missed it led on in its old term, and showed to
/// `leader` reads what it had flushed: less than it had acknowledged.
///
/// Caught: `enable_leader_restore: Some(true)` in the node's Raft configuration, as two entries of one dot.
#[test]
fn a_leader_that_comes_back_shows_nothing_old() {
    for seed in 1..=4 {
        let played = play(seed, &["--scenario", "restarted-leader"]);
        assert_eq!(played.violation, None, "seed {seed}");
        assert!(played.report.kills > 3, "{:?}", played.report);
    }
}

/// Several at a time, so that they stand still at other moments each time. With the system's clock, seed 1 had
/// another trace when its process was stopped for a second again and again.
#[test]
fn a_seed_gives_the_same_trace_every_time() {
    let seeds = [2, 6, 11];
    std::thread::scope(|scope| {
        let played = seeds.map(|seed| [0, 1].map(|_| scope.spawn(move || play(seed, &[]))));
        for (seed, runs) in seeds.into_iter().zip(played) {
            let [one, other] = runs.map(|run| run.join().unwrap());
            assert_eq!(one, other, "seed {seed}");
            assert!(one.report.operations > 100, "{:?}", one.report);
        }
    });
}
