//! Copies: in a steady mesh or ring a region is sent at most 1.1 copies of the entries that it did not write.
//!
//! Only schedules in which nothing goes wrong count: what is sent again after a fault is sent again. And only
//! entries written once all links stand: what is under way when a link is opened may come twice.
//!
//! Seen to fail: a source that sends its batches twice (`Mischief::SendTwice`); and, in earnest, a ring in
//! which every region's own entries came back to it in the end.

use atoll_core::VersionVector;
use atoll_core::wire::{decode_header, split_frame};
use atoll_replication::message::Batch;

use super::Violation;

const NAME: &str = "copies";

/// Entries that were sent to one region.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    /// What was written before all links stood.
    before: Option<VersionVector>,
    received: u64,
}

impl Copies {
    /// All links stand, and `written` is written.
    pub(crate) fn begin(&mut self, written: &VersionVector) {
        self.before.get_or_insert_with(|| written.clone());
    }

    /// Whether they are counted.
    pub(crate) fn has_begun(&self) -> bool {
        self.before.is_some()
    }

    /// A batch came.
    pub(crate) fn count(&mut self, batch: &Batch) {
        let Some(before) = &self.before else {
            return;
        };
        let mut rest = batch.entries.clone();
        while let Ok(frame) = split_frame(&mut rest) {
            let is_counted = decode_header(&frame).is_ok_and(|(dot, ..)| !before.covers(dot));
            self.received += u64::from(is_counted);
        }
    }

    /// `foreign` is what others have written, and the region has.
    pub(crate) fn check(&self, region: usize, foreign: &VersionVector) -> Result<(), Violation> {
        let Some(before) = &self.before else {
            return Ok(());
        };
        let (received, entries) = (self.received, foreign.ahead_of(before));
        if received * 10 <= entries * 11 {
            return Ok(());
        }
        let what = format!("r{region} was sent {received} copies of {entries} entries");
        Err(Violation::new(NAME, what))
    }
}
