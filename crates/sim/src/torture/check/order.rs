//! A region does one thing after the other, whoever leads it: a write that was sent after another one was
//! acknowledged comes after it in the region's sequence, and no region writes under two replica ids.
//!
//! Caught, by histories below: a write that went before one that was done already.

use std::collections::BTreeMap;

use atoll_core::Dot;

use super::book::Book;
use crate::torture::history::Event;

pub(super) fn check(book: &Book<'_>) -> Vec<String> {
    let mut by_region: BTreeMap<&str, Vec<(&Event, Dot)>> = BTreeMap::new();
    for (event, _, stands) in book.acknowledged() {
        let writes = by_region.entry(&event.region).or_default();
        writes.extend(stands.dot.map(|dot| (event, dot)));
    }
    let mut faults = Vec::new();
    for (region, writes) in by_region {
        faults.extend(of_region(region, writes));
    }
    faults
}

fn of_region(region: &str, mut writes: Vec<(&Event, Dot)>) -> Vec<String> {
    let mut done = writes.clone();
    writes.sort_by_key(|(event, _)| event.at_ms);
    done.sort_by_key(|(event, _)| event.answered_ms());
    let mut done = done.into_iter().peekable();
    let mut last: Option<(&Event, Dot)> = None;
    let mut faults = Vec::new();
    for (event, dot) in writes {
        while let Some(before) = done.next_if(|(before, _)| before.answered_ms() < event.at_ms) {
            if last.is_none_or(|last| last.1.seq < before.1.seq) {
                last = Some(before);
            }
        }
        let Some((before, its)) = last else { continue };
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
    faults
}

#[cfg(test)]
mod tests {
    use crate::torture::check::sample::{Sample, put};

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
}
