//! What the machine itself can do, measured in the same run.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::load::{histogram, record};
use super::processes;
use crate::failure::Failure;

/// Appends so many bytes and waits until they are on disk, again and again, for `duration`.
pub(crate) fn fdatasync(
    directory: &Path,
    append_bytes: usize,
    duration: Duration,
) -> Result<Histogram<u64>, Failure> {
    let path = directory.join("fdatasync");
    let mut file = File::create(&path)?;
    let bytes = vec![7; append_bytes];
    let mut latency = histogram()?;
    let end = Instant::now() + duration;
    while Instant::now() < end {
        let began = Instant::now();
        file.write_all(&bytes)?;
        file.sync_data()?;
        record(&mut latency, began.elapsed());
    }
    std::fs::remove_file(path)?;
    Ok(latency)
}

/// What RocksDB's synced group commit costs: records of a region's log, so many with one sync.
pub(crate) struct GroupCommit {
    pub(crate) records_per_second: f64,
    pub(crate) records_per_core_second: f64,
    /// Of a group.
    pub(crate) latency: Histogram<u64>,
}

/// Commits groups of `records`, one after the other, for `duration`.
pub(crate) fn group_commit(
    directory: &Path,
    records: u64,
    record_bytes: usize,
    duration: Duration,
) -> Result<GroupCommit, Failure> {
    let path = directory.join("group-commit");
    let me = [std::process::id()];
    let before = processes::cpu_seconds(&me)?;
    let took = atoll_node::limits::group_commit(&path, records, record_bytes, duration)
        .map_err(Failure::new)?;
    let cpu_seconds = processes::cpu_seconds(&me)? - before;
    std::fs::remove_dir_all(path)?;
    let mut latency = histogram()?;
    took.iter().for_each(|took| record(&mut latency, *took));
    let all = took.len() as f64 * records as f64;
    let seconds: f64 = took.iter().map(Duration::as_secs_f64).sum();
    Ok(GroupCommit {
        records_per_second: all / seconds.max(f64::EPSILON),
        records_per_core_second: all / cpu_seconds.max(f64::EPSILON),
        latency,
    })
}
