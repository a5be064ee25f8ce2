//! Copies: in a steady mesh or ring a region is sent at most 1.1 copies of the entries that it did not write.
//!
//! Only schedules in which nothing goes wrong count: what is sent again after a fault is sent again.
//!
//! Seen to fail: a source that sends its batches twice (`Mischief::SendTwice`).

use super::Violation;

const NAME: &str = "copies";

/// Entries that were sent to one region.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Copies {
    /// All, with those that it had already.
    pub(crate) received: u64,
}

/// `foreign` is how many entries other regions have written.
pub(crate) fn check(region: usize, copies: Copies, foreign: u64) -> Result<(), Violation> {
    if copies.received * 10 <= foreign * 11 {
        return Ok(());
    }
    let what = format!(
        "r{region} was sent {} copies of {foreign} entries",
        copies.received
    );
    Err(Violation::new(NAME, what))
}
