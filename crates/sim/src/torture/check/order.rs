//! A region does one thing after the other, whoever leads it: a write that was sent after another one was
//! acknowledged comes after it in the region's sequence, and no region writes under two replica ids. A read
//! without a session that was sent then covers it: a leader that was deposed and does not know shows the past.
//!
//! Caught, by histories below: a write that went before one that was done already; a read that missed one.

use std::collections::BTreeMap;

use atoll_core::{Dot, VersionVector};

use super::book::Book;
use crate::torture::history::Event;

pub(super) fn check(book: &Book<'_>) -> Vec<String> {
    let mut by_region: BTreeMap<&str, Acts<'_>> = BTreeMap::new();
    for (event, _, stands) in book.acknowledged() {
        let acts = by_region.entry(&event.region).or_default();
        acts.writes.extend(stands.dot.map(|dot| (event, dot)));
    }
    for (event, shows, ..) in book.reads().filter(|(event, ..)| event.sent.is_none()) {
        let acts = by_region.entry(&event.region).or_default();
        acts.reads
            .extend(shows.seen.as_ref().map(|seen| (event, &seen.0)));
    }
    let mut faults = Vec::new();
    for (region, acts) in by_region {
        faults.extend(of_region(region, acts));
    }
    faults
}

/// What was done in one region.
#[derive(Default)]
struct Acts<'a> {
    writes: Vec<(&'a Event, Dot)>,
    /// Without a session.
    reads: Vec<(&'a Event, &'a VersionVector)>,
}

fn of_region(region: &str, acts: Acts<'_>) -> Vec<String> {
    let Acts {
        mut writes,
        mut reads,
    } = acts;
    let mut faults = Vec::new();
    let mut done = Done::new(writes.clone());
    writes.sort_by_key(|(event, _)| event.at_ms);
    for (event, dot) in &writes {
        let Some((before, its)) = done.before(event.at_ms) else {
            continue;
        };
        if its.replica != dot.replica {
            faults.push(format!(
                "{region} wrote as {} and as {}",
                its.replica, dot.replica
            ));
        } else if its.seq >= dot.seq {
            faults.push(format!(
                "{dot} was sent after {its} was done: {event:?} after {before:?}"
            ));
        }
    }
    let mut done = Done::new(writes);
    reads.sort_by_key(|(event, _)| event.at_ms);
    for (event, seen) in reads {
        if let Some((_, its)) = done.before(event.at_ms)
            && !seen.covers(its)
        {
            faults.push(format!(
                "{its} was done before this, and is not covered: {event:?}"
            ));
        }
    }
    faults
}

/// Writes by when they were answered.
struct Done<'a> {
    rest: std::iter::Peekable<std::vec::IntoIter<(&'a Event, Dot)>>,
    last: Option<(&'a Event, Dot)>,
}

impl<'a> Done<'a> {
    fn new(mut writes: Vec<(&'a Event, Dot)>) -> Self {
        writes.sort_by_key(|(event, _)| event.answered_ms());
        Done {
            rest: writes.into_iter().peekable(),
            last: None,
        }
    }

    /// The highest in the region's sequence of those answered before; `at_ms` never goes back.
    fn before(&mut self, at_ms: u64) -> Option<(&'a Event, Dot)> {
        while let Some(before) = self.rest.next_if(|(e, _)| e.answered_ms() < at_ms) {
            if self.last.is_none_or(|(_, last)| last.seq < before.1.seq) {
                self.last = Some(before);
            }
        }
        self.last
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::torture::check::sample::{Sample, put, seen};

    #[test]
    fn a_write_that_went_before_one_that_was_done_is_found() {
        let mut sample = Sample::default();
        sample.done(1, "own/a", put("x"), [2, 0]);
        sample.done(1, "own/b", put("y"), [1, 0]).at_ms = 3;
        sample.holds("own/a", "x".into());
        sample.holds("own/b", "y".into());
        // They overlapped.
        sample.is_fine();
        sample.events[1].at_ms = 6;
        sample.fails(&["order"]);
    }

    #[test]
    fn a_read_of_what_the_region_was_before_is_found() {
        let mut sample = Sample::default();
        sample.done(1, "own/a", put("x"), [1, 0]);
        sample.holds("own/a", "x".into());
        // With a session it may be older than what the region has, and elsewhere anyhow.
        sample.read(1, "own/a", json!(null), [0, 0]).sent = Some(seen([0, 0]));
        sample.read(2, "own/a", json!(null), [0, 0]);
        sample.events[1].client = 7;
        sample.is_fine();
        sample.read(1, "own/a", json!(null), [0, 0]);
        sample.fails(&["order"]);
    }
}
