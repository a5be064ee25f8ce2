//! What the machine itself can do, measured in the same run.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::load::{histogram, record};
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
