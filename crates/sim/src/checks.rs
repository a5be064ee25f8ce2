//! What is looked at when everything is quiet: all regions against each other, and against the entries.

use crate::book::KeyName;
use crate::invariants::{Violation, convergence, follows_entries, no_loss, one_application};
use crate::snapshot::Snapshot;
use crate::world::World;

impl World {
    /// Checks all that can be checked at rest.
    pub(crate) fn check(&mut self) -> Result<(), Violation> {
        self.steal()?;
        for (i, place) in self.places.iter().enumerate() {
            if let Some(node) = &place.node {
                let checked = no_loss::check_logs(i, &node.region, &self.book);
                checked.or_else(|violation| self.found(violation))?;
            }
        }
        self.check_states()?;
        for place in 0..self.places.len() {
            if self.places[place].has_left {
                continue; // its state is as old as its last flush
            }
            let keys: Vec<KeyName> = self.places[place].gone.keys().cloned().collect();
            self.check_gone(place, &keys)?;
        }
        if self.schedule.counts_copies() {
            self.check_copies()?;
        }
        self.report.entries = self.book.len() as u64;
        Ok(())
    }

    fn check_states(&mut self) -> Result<(), Violation> {
        let mut snapshots = Vec::new();
        for (i, place) in self.places.iter().enumerate() {
            if let Some(node) = &place.node {
                snapshots.push(Snapshot::read(i, &node.region, &self.book, self.trimmed)?);
            }
        }
        let Some((first, others)) = snapshots.split_first() else {
            return Ok(());
        };
        let nth = self.dice.index(9);
        for other in others {
            let checked = convergence::check(first, other, nth);
            checked.or_else(|violation| self.found(violation))?;
        }
        // All show the same: one stands for all. When a test looks for one invariant only, it may be the last.
        for one in [first, others.last().unwrap_or(first)] {
            let checked = follows_entries::check(one, &self.book, self.trimmed);
            checked.or_else(|violation| self.found(violation))?;
            let checked = one_application::check_counters(one, &self.book);
            checked.or_else(|violation| self.found(violation))?;
            let checked = no_loss::check_values(one, &self.book, self.trimmed);
            checked.or_else(|violation| self.found(violation))?;
        }
        self.report.conflicts += first.rows;
        Ok(())
    }

    fn check_copies(&self) -> Result<(), Violation> {
        for (i, place) in self.places.iter().enumerate() {
            let applied = place.order.applied().iter();
            let foreign = applied.filter(|(replica, _)| *replica != place.replica);
            let checked = place.copies.check(i, &foreign.collect());
            checked.or_else(|violation| self.found(violation))?;
        }
        Ok(())
    }
}
