//! A process dies while it installs another node's state, or at any point after: what the next one finds.
//!
//! The child is this test binary again, told by an environment variable to play a node that is sent one state
//! after another. State `n` stands at place `1000 n` of the Raft log; behind each the node appends and applies
//! a few entries of its own. It says on its standard output what it has done. The parent ends it and looks.
//!
//! Where a doc comment says "caught", the code was broken by hand in that way once, and the test failed.

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
    process::{Child, ChildStdout, Command as Process, Stdio},
    sync::Arc,
};

use atoll_core::{ReplicaId, StoreId};
use atoll_store::{
    Command, Identity, Region, StoreError,
    engine::{Batch, Direction, Engine, Family, Memory, MemoryEngine, Read, RocksEngine, Settings},
    raft_log::RaftLog,
    transfer::{Installer, Sender},
};
use bytes::Bytes;
use tempfile::TempDir;

const DIRECTORY: &str = "ATOLL_TEST_INSTALL_DIRECTORY";
const ABORT_AFTER: &str = "ATOLL_TEST_INSTALL_ABORT_AFTER";
const PAIRS: u64 = 4000;
const ENTRIES: u64 = 5;

/// So small that the engine flushes by itself in the middle of a state.
fn settings() -> Settings {
    Settings {
        memory: Memory::new(1 << 20, 1 << 20),
        ..Settings::default()
    }
}

fn open(directory: &Path) -> (Arc<RocksEngine>, RaftLog) {
    let engine = Arc::new(RocksEngine::open(directory, &settings()).unwrap());
    if Region::identity_in(&*engine).unwrap().is_none() {
        form(&*engine);
    }
    let log = RaftLog::open(engine.clone()).unwrap();
    (engine, log)
}

fn form(engine: &dyn Engine) {
    let identity = Identity {
        store: StoreId(1),
        region: "eu".parse().unwrap(),
        replica: ReplicaId(0xA1),
    };
    Region::form(engine, &identity).unwrap();
}

fn move_to(region: &mut Region, place: u64) {
    let raft = Bytes::copy_from_slice(&place.to_be_bytes());
    region.apply::<Command>(&[], raft).unwrap();
}

fn place(region: &Region) -> u64 {
    let raft = &region.applied().raft;
    raft[..].try_into().map_or(0, u64::from_be_bytes)
}

/// Another node that stands at place `1000 round`.
fn sender(round: u64) -> Sender {
    let engine = Arc::new(MemoryEngine::new());
    form(&*engine);
    let mut batch = Batch::new();
    for number in 0..PAIRS {
        let key = [round.to_be_bytes(), number.to_be_bytes()].concat();
        batch.put(Family::State, &key, &[7; 1000]);
        batch.put(Family::Ledger, &key, &[]);
    }
    engine.commit(&batch).unwrap();
    let mut region = Region::open(engine.clone()).unwrap().unwrap();
    move_to(&mut region, 1000 * round);
    Sender::with_chunk_bytes(engine.checkpoint().unwrap(), 100_000).unwrap()
}

fn say(what: &str) {
    println!("did {what}");
    if env::var(ABORT_AFTER).is_ok_and(|after| after == what) {
        std::process::abort();
    }
}

/// What a node does when it starts: the log is brought to where the state is, the state to where the log is.
fn recover(region: &mut Region, log: &RaftLog) {
    let at = place(region);
    if log.last().unwrap().is_none_or(|(last, _)| last < at) {
        log.purge_upto(at, b"mark").unwrap();
    }
    for (index, _) in log.read(at + 1, u64::MAX).unwrap() {
        assert_eq!(index, place(region) + 1);
        move_to(region, index);
    }
}

/// The node: recovers, then takes states until it is told to abort or somebody kills it. Nothing when run as a
/// test.
#[test]
fn child() {
    let Some(directory) = env::var_os(DIRECTORY) else {
        return;
    };
    let (engine, log) = open(Path::new(&directory));
    let mut next = 1;
    match Region::open(engine.clone()) {
        Ok(region) => {
            let mut region = region.unwrap();
            recover(&mut region, &log);
            next = place(&region) / 1000 + 1;
        }
        Err(StoreError::BeingReplaced) => {
            let last = log.last().unwrap().map_or(0, |(last, _)| last);
            next = next.max(last / 1000 + 1);
        }
        Err(error) => panic!("{error}"),
    }
    for round in next.. {
        let mut sender = sender(round);
        let mut installer = Installer::begin(engine.clone()).unwrap();
        while let Some(chunk) = sender.chunk(installer.next()).unwrap() {
            installer.push(&chunk).unwrap();
            say(&format!("chunk {} of {round}", installer.next() - 1));
        }
        installer.finish().unwrap();
        say(&format!("install {round}"));
        log.purge_upto(1000 * round, b"mark").unwrap();
        say(&format!("purge {round}"));
        let mut region = Region::open(engine.clone()).unwrap().unwrap();
        for index in 1000 * round + 1..=1000 * round + ENTRIES {
            log.append(&[(index, Bytes::from("entry"))]).unwrap();
            move_to(&mut region, index);
        }
        say(&format!("append {round}"));
        engine.flush().unwrap();
        say(&format!("flush {round}"));
    }
}

fn start(directory: &Path, abort_after: &str) -> (Child, BufReader<ChildStdout>) {
    let mut child = Process::new(env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(ABORT_AFTER, abort_after)
        .stdout(Stdio::piped())
        // Says why, when it dies before it is told to.
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    (child, said)
}

/// What a child left that died right after it had said this.
fn died_after(directory: &TempDir, what: &str) -> (Arc<RocksEngine>, RaftLog) {
    let (mut child, said) = start(directory.path(), what);
    let last = said.lines().map(Result::unwrap).last().unwrap();
    assert!(last.contains(what), "{last} instead of {what}");
    assert!(!child.wait().unwrap().success());
    open(directory.path())
}

/// The region, if its state is there: all of one state and nothing else then.
fn whole(engine: &Arc<RocksEngine>) -> Option<Region> {
    let region = match Region::open(engine.clone()) {
        Ok(region) => region.unwrap(),
        Err(StoreError::BeingReplaced) => return None,
        Err(error) => panic!("{error}"),
    };
    let round = place(&region) / 1000;
    for family in [Family::State, Family::Ledger] {
        let mut pairs = 0;
        let mut visit = |key: &[u8], _: &[u8]| {
            assert_eq!(key, [round.to_be_bytes(), u64::to_be_bytes(pairs)].concat());
            pairs += 1;
            ControlFlow::Continue(())
        };
        engine
            .scan_prefix(family, b"", Direction::Forward, &mut visit)
            .unwrap();
        assert_eq!(pairs, if round == 0 { 0 } else { PAIRS }, "{family:?}");
    }
    Some(region)
}

/// Checks that state and log go on together, and tells where they stand.
fn goes_on(engine: &Arc<RocksEngine>, log: &RaftLog) -> u64 {
    let mut region = whole(engine).unwrap();
    recover(&mut region, log);
    let at = place(&region);
    let next = at + 1;
    log.append(&[(next, Bytes::from("next"))]).unwrap();
    assert_eq!(log.last().unwrap().unwrap().0, next);
    log.truncate_after(Some(at)).unwrap();
    at
}

/// Caught: no mark; a state that is opened whatever the mark.
#[test]
fn a_state_cut_off_at_any_chunk_is_known_as_such() {
    let directory = tempfile::tempdir().unwrap();
    for chunk in [0, 1, 2, 30, 41] {
        let (engine, log) = died_after(&directory, &format!("chunk {chunk} of 1"));
        assert!(whole(&engine).is_none(), "chunk {chunk}");
        assert_eq!(log.last(), Ok(None));
    }
    let (engine, log) = died_after(&directory, "append 1");
    assert_eq!(goes_on(&engine, &log), 1000 + ENTRIES);
    drop((engine, log));
    let (engine, _) = died_after(&directory, "chunk 7 of 2");
    assert!(whole(&engine).is_none());
}

/// Caught: a mark that goes before the state is flushed.
#[test]
fn a_state_that_was_installed_goes_on_with_its_log_after_a_death_at_any_point() {
    let points = [
        ("install", 0),
        ("purge", 0),
        ("append", ENTRIES),
        ("flush", ENTRIES),
    ];
    let directory = tempfile::tempdir().unwrap();
    for (round, (point, entries)) in (1..).zip(points) {
        let (engine, log) = died_after(&directory, &format!("{point} {round}"));
        assert_eq!(goes_on(&engine, &log), 1000 * round + entries, "{point}");
        let (purged, mark) = log.purged().unwrap().unwrap();
        assert_eq!((purged, &mark[..]), (1000 * round, &b"mark"[..]));
    }
}

#[test]
fn a_kill_at_any_moment_leaves_a_whole_state_or_the_mark() {
    let directory = tempfile::tempdir().unwrap();
    let (mut replaced, mut stood_at) = (0, Vec::new());
    for lines in [3, 130, 70, 99, 20, 1, 160, 44, 85] {
        let (mut child, said) = start(directory.path(), "");
        let did = said.lines().map(Result::unwrap);
        let did = did.filter(|line| line.starts_with("did ")).take(lines);
        assert_eq!(did.count(), lines);
        child.kill().unwrap();
        child.wait().unwrap();
        let (engine, log) = open(directory.path());
        if whole(&engine).is_some() {
            stood_at.push(goes_on(&engine, &log));
        } else {
            replaced += 1;
        }
    }
    assert!(stood_at.is_sorted(), "{stood_at:?}");
    assert!(
        replaced > 0,
        "no kill in the middle of a state: {stood_at:?}"
    );
}
