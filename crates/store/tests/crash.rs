//! A process dies between two writes, for real: what the next one finds in the directory.
//!
//! The child is this test binary again, told by an environment variable to play a node: for every index it
//! appends to the Raft log, says so on its standard output, and commits the index to three families. The
//! parent ends it and looks.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed step is a failed test; children talk to parents"
)]

use std::{
    env,
    io::{BufRead, BufReader},
    ops::ControlFlow,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
};

use atoll_store::{
    engine::{Batch, Direction, Engine, Family, Memory, Read, RocksEngine, Settings},
    raft_log::RaftLog,
};
use bytes::Bytes;

const DIRECTORY: &str = "ATOLL_TEST_CRASH_DIRECTORY";
const FLUSH_AT: &str = "ATOLL_TEST_CRASH_FLUSH_AT";
const ABORT_AT: &str = "ATOLL_TEST_CRASH_ABORT_AT";
const NEVER: u64 = u64::MAX;
const FAMILIES: [Family; 3] = [Family::State, Family::History, Family::Ledger];
const APPLIED: &[u8] = b"applied";

/// So small that the engine flushes by itself every few hundred indexes, or so large that it does not.
fn settings() -> Settings {
    let buffer_bytes = if env::var_os(FLUSH_AT).is_some() {
        64 << 20
    } else {
        2 << 20
    };
    Settings {
        memory: Memory::new(1 << 20, buffer_bytes),
        ..Settings::default()
    }
}

fn open(directory: &Path) -> (Arc<RocksEngine>, RaftLog) {
    let engine = Arc::new(RocksEngine::open(directory, &settings()).unwrap());
    let log = RaftLog::open(engine.clone()).unwrap();
    (engine, log)
}

fn number(name: &str) -> u64 {
    env::var(name).map_or(0, |text| text.parse().unwrap())
}

fn applied(read: &dyn Read) -> u64 {
    let value = read.get(Family::Meta, APPLIED).unwrap();
    value.map_or(0, |value| u64::from_be_bytes(value[..].try_into().unwrap()))
}

fn apply(engine: &dyn Engine, index: u64) {
    let mut batch = Batch::new();
    batch.put(Family::Meta, APPLIED, &index.to_be_bytes());
    for family in FAMILIES {
        batch.put(family, &index.to_be_bytes(), &[7; 500]);
    }
    engine.commit(&batch).unwrap();
}

/// The node: recovers, then writes until it is told to abort or somebody kills it. Nothing when run as a test.
#[test]
fn child() {
    let Some(directory) = env::var_os(DIRECTORY) else {
        return;
    };
    let (engine, log) = open(Path::new(&directory));
    let last = log.last().unwrap().map_or(0, |(index, _)| index);
    for index in applied(&*engine) + 1..=last {
        apply(&*engine, index);
    }
    for index in last + 1.. {
        log.append(&[(index, Bytes::from(vec![1; 100]))]).unwrap();
        println!("appended {index}");
        if index == number(ABORT_AT) {
            std::process::abort();
        }
        apply(&*engine, index);
        if index == number(FLUSH_AT) {
            engine.flush().unwrap();
        }
    }
}

fn start(directory: &Path, told: &[(&str, u64)]) -> (Child, BufReader<ChildStdout>) {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "child", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped());
    for (name, value) in told {
        command.env(name, value.to_string());
    }
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    (child, said)
}

/// The last index that a child says it appended, once it has said so `lines` times or is dead.
fn last_said(said: &mut impl BufRead, lines: usize) -> u64 {
    let said = said.lines().map(Result::unwrap);
    let indexes = said.filter_map(|line| line.strip_prefix("appended ")?.parse().ok());
    indexes.take(lines).last().unwrap()
}

/// Checks that all families are where one flush left them, and tells where that is.
fn flushed(engine: &RocksEngine) -> u64 {
    let applied = applied(engine);
    for family in FAMILIES {
        let mut next = 1_u64;
        let mut visit = |key: &[u8], _: &[u8]| {
            assert_eq!(key, next.to_be_bytes(), "{family:?}");
            next += 1;
            ControlFlow::Continue(())
        };
        engine
            .scan_prefix(family, b"", Direction::Forward, &mut visit)
            .unwrap();
        assert_eq!(next - 1, applied, "{family:?} stands where Meta does");
    }
    applied
}

#[test]
fn the_raft_log_comes_back_whole_and_the_state_as_of_the_last_flush() {
    let directory = tempfile::tempdir().unwrap();
    let (mut child, mut said) = start(directory.path(), &[(FLUSH_AT, 40), (ABORT_AT, 100)]);
    assert_eq!(last_said(&mut said, usize::MAX), 100);
    assert!(!child.wait().unwrap().success());
    let (engine, log) = open(directory.path());
    assert_eq!(log.read(0, 1000).unwrap().len(), 100);
    assert_eq!(flushed(&engine), 40);
}

#[test]
fn without_a_flush_the_state_is_gone_and_the_raft_log_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let (mut child, mut said) = start(directory.path(), &[(FLUSH_AT, NEVER), (ABORT_AT, 50)]);
    assert_eq!(last_said(&mut said, usize::MAX), 50);
    child.wait().unwrap();
    let (engine, log) = open(directory.path());
    assert_eq!(log.last().unwrap().unwrap().0, 50);
    assert_eq!(flushed(&engine), 0);
}

#[test]
fn the_engines_own_flushes_take_all_families_at_one_instant() {
    let directory = tempfile::tempdir().unwrap();
    let mut stood_at = Vec::new();
    for abort_at in [2000, 2500, 3700, 5000] {
        let (mut child, mut said) = start(directory.path(), &[(ABORT_AT, abort_at)]);
        assert_eq!(last_said(&mut said, usize::MAX), abort_at);
        child.wait().unwrap();
        let (engine, log) = open(directory.path());
        assert_eq!(log.last().unwrap().unwrap().0, abort_at);
        stood_at.push(flushed(&engine));
    }
    assert!(
        stood_at[0] > 0 && stood_at.is_sorted(),
        "{stood_at:?}: no flush but ours was seen"
    );
}

#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_appended() {
    let directory = tempfile::tempdir().unwrap();
    let mut before = 0;
    for lines in [1, 7, 300, 900, 2, 1500, 40, 650] {
        let (mut child, mut said) = start(directory.path(), &[]);
        let last = last_said(&mut said, lines);
        child.kill().unwrap();
        child.wait().unwrap();
        let (engine, log) = open(directory.path());
        let entries = log.read(0, u64::MAX).unwrap();
        assert!(
            entries
                .iter()
                .map(|(index, _)| *index)
                .eq(1..=entries.len() as u64)
        );
        assert!(
            entries.len() as u64 >= last && last > before,
            "{} of {last}",
            entries.len()
        );
        flushed(&engine);
        before = entries.len() as u64;
    }
}
