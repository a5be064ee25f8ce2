//! Causal order: no region applies an entry before all that its origin had applied when it wrote it, and
//! none applies it twice. Checked on every arrival, against the entry as its origin made it.
//!
//! Seen to fail: a source that strips what entries depend on (`Mischief::ForgetDependencies`), so that the
//! inbox hands them out in the order in which they came; and, by hand, an inbox in replication that looks at
//! an entry's predecessor only, and a region in the store that applies what it has again.

use atoll_core::{Dot, VersionVector};

use super::Violation;
use crate::book::Book;

const NAME: &str = "causal-order";

/// What one region has applied, counted from its arrivals.
#[derive(Debug, Default)]
pub(crate) struct Order {
    dots: Vec<Dot>,
    applied: VersionVector,
}

impl Order {
    /// An entry arrived at a region. After a crash its Raft log brings the same entries again.
    pub(crate) fn arrived(
        &mut self,
        region: usize,
        place: u64,
        dot: Dot,
        book: &Book,
    ) -> Result<(), Violation> {
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        if let Some(before) = self.dots.get(place.wrapping_sub(1)) {
            if *before == dot {
                return Ok(());
            }
            let what = format!("r{region} had {before} at place {place}, and has {dot} there now");
            return Err(Violation::new(NAME, what));
        }
        if place != self.dots.len() + 1 || dot.seq != self.applied.get(dot.replica) + 1 {
            let what = format!(
                "r{region} applied {dot} at place {place} after {} entries up to {}",
                self.dots.len(),
                self.applied
            );
            return Err(Violation::new(NAME, what));
        }
        let known = book
            .original(dot)
            .map(|original| &original.entry.dependencies);
        if let Some(dependencies) = known
            && !self.applied.covers_all(dependencies)
        {
            let what = format!(
                "r{region} applied {dot}, which depends on {dependencies}, having {}",
                self.applied
            );
            return Err(Violation::new(NAME, what));
        }
        self.dots.push(dot);
        self.applied.raise(dot);
        Ok(())
    }

    /// All that arrived.
    pub(crate) fn applied(&self) -> &VersionVector {
        &self.applied
    }
}

/// A region was given entries before it could apply them.
pub(crate) fn early(region: usize, count: usize) -> Violation {
    Violation::new(
        NAME,
        format!("r{region} was given {count} entries too early"),
    )
}
