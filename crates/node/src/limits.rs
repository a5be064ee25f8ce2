//! What the storage below can do at best, for benchmarks to compare with.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use atoll_store::engine::{Engine, RocksEngine, Settings};
use atoll_store::raft_log::RaftLog;

/// Appends `records` of `record_bytes` each to a region's log and syncs them together, again and again for
/// `duration`, with an engine of its own below `directory`. Answers with how long each group took.
///
/// # Errors
/// What the engine says, for people.
pub fn group_commit(
    directory: &Path,
    records: u64,
    record_bytes: usize,
    duration: Duration,
) -> Result<Vec<Duration>, String> {
    let engine = RocksEngine::open(directory, &Settings::default()).map_err(|e| e.to_string())?;
    let engine: Arc<dyn Engine> = Arc::new(engine);
    let log = RaftLog::open(engine).map_err(|e| e.to_string())?;
    let record = Bytes::from(vec![7; record_bytes]);
    let mut took = Vec::new();
    let (began, mut next) = (Instant::now(), 1);
    while began.elapsed() < duration {
        let at = Instant::now();
        let group: Vec<_> = (next..next + records)
            .map(|i| (i, record.clone()))
            .collect();
        log.append_unsynced(&group).map_err(|e| e.to_string())?;
        log.sync().map_err(|e| e.to_string())?;
        took.push(at.elapsed());
        next += records;
    }
    Ok(took)
}
