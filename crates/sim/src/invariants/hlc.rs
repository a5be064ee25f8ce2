//! HLC extends causality: an entry's time is above the time of everything that it depends on.
//!
//! Times of one origin grow with its sequence (that is this same rule, for its own predecessor), so the last
//! entry of each origin among the dependencies is enough to look at.
//!
//! Seen to fail: a restart that forgets the greatest time applied (`Mischief::ForgetTime`); and, by hand, an
//! apply in the store that does not take the times of remote entries into account.

use atoll_core::{Dot, Entry};

use super::Violation;
use crate::book::Book;

const NAME: &str = "hlc";

/// A region wrote an entry.
pub(crate) fn check(entry: &Entry, book: &Book) -> Result<(), Violation> {
    for (replica, seq) in entry.dependencies.iter() {
        let dot = Dot::new(replica, seq);
        let Some(original) = book.original(dot) else {
            let what = format!("{} depends on {dot}, which nobody wrote", entry.dot);
            return Err(Violation::new(NAME, what));
        };
        let time = original.entry.time;
        if entry.time <= time {
            let what = format!(
                "{} has time {} ({:?}) and depends on {dot} of {time} ({time:?})",
                entry.dot, entry.time, entry.time
            );
            return Err(Violation::new(NAME, what));
        }
    }
    Ok(())
}
