//! No dot reused: a dot names one entry for ever, to the byte, wherever and whenever it arrives. An origin that
//! gives a dot out twice has lost the first entry, and regions that have the first never take the second.
//!
//! Seen to fail: a region that answers and tells others before its Raft log is on the disk
//! (`Mischief::ForgetSync`): after a crash it gives the same dot to another write.

use atoll_store::Arrival;

use super::Violation;
use crate::book::Book;

const NAME: &str = "no-dot-reused";

/// An entry arrived somewhere.
pub(crate) fn check(region: usize, arrival: &Arrival, book: &Book) -> Result<(), Violation> {
    match book.original(arrival.dot) {
        Some(original) if original.frame != arrival.frame => {
            let what = format!(
                "r{region} has another entry under {} than was seen before",
                arrival.dot
            );
            Err(Violation::new(NAME, what))
        }
        _ => Ok(()),
    }
}
