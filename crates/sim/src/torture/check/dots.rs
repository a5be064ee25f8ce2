//! A dot names one entry for ever: none is acknowledged twice; what was acknowledged is in the log, under
//! the keys that it was for; and the log holds no more entries of a key than were asked for.
//!
//! Caught, by histories below: a dot given out twice; an acknowledged entry that is gone; one that says
//! something else; a write that was applied twice.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::book::Book;
use crate::torture::history::{Answer, Did, Event, Name};

pub(super) fn check(book: &Book<'_>) -> Vec<String> {
    let mut faults = twice(book);
    faults.extend(gone(book));
    faults.extend(unasked(book));
    faults
}

fn twice(book: &Book<'_>) -> Vec<String> {
    let mut known: HashMap<_, &Event> = HashMap::new();
    let mut faults = Vec::new();
    for (event, _, stands) in book.acknowledged() {
        let Some(dot) = stands.dot else { continue };
        if let Some(other) = known.insert(dot, event) {
            faults.push(format!(
                "{dot} was given to two writes: {other:?} and {event:?}"
            ));
        }
        if !stands.seen.0.covers(dot) {
            faults.push(format!("the session of {dot} does not cover it: {event:?}"));
        }
    }
    faults
}

fn gone(book: &Book<'_>) -> Vec<String> {
    let changes = book.end.changes.iter();
    let logged: BTreeSet<_> = changes.map(|change| (change.dot, &change.name)).collect();
    let mut faults = Vec::new();
    for (event, changes, stands) in book.acknowledged() {
        for change in changes.iter().filter(|_| stands.dot.is_some()) {
            if !logged.contains(&(stands.dot, &change.name)) {
                faults.push(format!("acknowledged, and not in the log: {event:?}"));
            }
        }
    }
    faults
}

/// Each write that nobody was told of can be one entry, not more.
fn unasked(book: &Book<'_>) -> Vec<String> {
    let mut sent: BTreeMap<&Name, usize> = BTreeMap::new();
    for event in book.events {
        if let Did::Write {
            changes,
            answer: Answer::Unknown(_),
            ..
        } = &event.did
        {
            for change in changes {
                *sent.entry(&change.name).or_default() += 1;
            }
        }
    }
    let names: BTreeSet<&Name> = book.end.changes.iter().map(|change| &change.name).collect();
    let mut faults = Vec::new();
    for name in names {
        let (found, sent) = (
            book.unanswered_of(name),
            sent.get(name).copied().unwrap_or_default(),
        );
        if found > sent {
            faults.push(format!(
                "{name:?} has {found} entries that nobody was told of, and {sent} such writes were sent"
            ));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use crate::torture::check::sample::{Sample, dot, put};

    #[test]
    fn writes_with_dots_of_their_own_are_fine() {
        let mut sample = Sample::default();
        sample.done(1, "own/a", put("x"), [1, 0]);
        sample.unknown(1, "own/a", put("y"));
        sample.done(1, "own/a", put("z"), [3, 0]);
        sample.stands("own/a", dot(1, 2));
        sample.holds("own/a", "z".into());
        sample.is_fine();
    }

    #[test]
    fn a_dot_that_is_given_out_twice_is_found() {
        let mut sample = Sample::default();
        sample.done(1, "own/a", put("x"), [1, 0]);
        sample.done(1, "own/b", put("y"), [1, 0]);
        sample.holds("own/a", "x".into());
        sample.holds("own/b", "y".into());
        sample.fails(&["dots", "order"]);
    }

    #[test]
    fn an_acknowledged_entry_that_is_gone_is_found() {
        let mut sample = Sample::default();
        sample.done(1, "own/a", put("x"), [1, 0]);
        sample.holds("own/a", "x".into());
        sample.end.changes.clear();
        sample.fails(&["dots"]);
        // Or names another key.
        sample.stands("own/b", dot(1, 1));
        sample.fails(&["dots"]);
    }

    #[test]
    fn a_write_that_was_applied_twice_is_found() {
        let mut sample = Sample::default();
        sample.unknown(1, "own/a", put("x"));
        sample.stands("own/a", dot(1, 1));
        sample.holds("own/a", "x".into());
        sample.is_fine();
        sample.stands("own/a", dot(1, 2));
        sample.fails(&["dots"]);
    }
}
