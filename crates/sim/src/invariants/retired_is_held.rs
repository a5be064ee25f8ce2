//! Retired is held: when a region retires itself, every member that stays holds every write that clients made
//! there. And nobody comes to rest without all entries, those of regions that have left among them.
//!
//! Seen to fail: a region that retires as soon as it drains, without the proof (`Mischief::SkipProof`).

use atoll_core::{Dot, VersionVector};

use super::Violation;
use crate::book::Book;

const NAME: &str = "retired-is-held";

/// A region retired itself by the entry `last`; `applied` is what another one that stays has.
pub(crate) fn check(
    region: usize,
    last: Dot,
    other: usize,
    applied: &VersionVector,
    book: &Book,
) -> Result<(), Violation> {
    let missing = applied.get(last.replica) + 1..last.seq;
    for seq in missing {
        let dot = Dot::new(last.replica, seq);
        let is_write = |entry: &atoll_core::Entry| !entry.operations.is_empty();
        if book
            .original(dot)
            .is_some_and(|original| is_write(&original.entry))
        {
            let what =
                format!("r{region} is retired as of {last}, and r{other} has {applied}, not {dot}");
            return Err(Violation::new(NAME, what));
        }
    }
    Ok(())
}
