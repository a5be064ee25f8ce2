//! What sessions promise: an answer covers the session that was sent; it shows what it covers; and a client
//! that takes its session along reads its own writes, in whatever region.
//!
//! Caught, by histories below: an answer from before the session; a covered write that is not shown; an own
//! write that is not there; a value of an entry that the answer does not cover.

use std::collections::BTreeMap;

use atoll_core::VersionVector;
use serde_json::Value;

use super::book::{Book, Slot, merges, texts};
use crate::torture::collections::OWN;
use crate::torture::history::{Action, Answer, Did, Event, Name};

pub(super) fn check(book: &Book<'_>) -> Vec<String> {
    let mut faults = uncovered(book);
    for (event, shows, name, value) in book.reads() {
        let Some(seen) = shows.seen.as_ref().filter(|_| !merges(name)) else {
            continue;
        };
        for (field, slot) in book.slots_of(name) {
            let why = misshown(book, name, slot, &texts(value, field), &seen.0);
            faults.extend(why.map(|why| format!("{why}: {event:?}")));
        }
    }
    faults.extend(own(book));
    faults
}

fn uncovered(book: &Book<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for event in book.events {
        let seen = match &event.did {
            Did::Write {
                answer: Answer::Ok(stands),
                ..
            } => Some(&stands.seen),
            Did::Read {
                answer: Answer::Ok(shows),
                ..
            } => shows.seen.as_ref(),
            Did::Write { .. } | Did::Read { .. } => None,
        };
        if let (Some(sent), Some(seen)) = (&event.sent, seen)
            && !seen.0.covers_all(&sent.0)
        {
            faults.push(format!("the answer does not cover the session: {event:?}"));
        }
    }
    faults
}

/// What is wrong with the texts that are shown by somebody who has all of `seen`.
fn misshown(
    book: &Book<'_>,
    name: &Name,
    slot: &Slot<'_>,
    shown: &[&str],
    seen: &VersionVector,
) -> Option<String> {
    let shown_writes = shown.iter().filter_map(|text| slot.saying(text));
    for write in shown_writes {
        if !seen.covers(write.dot) {
            return Some(format!("{} is shown and not covered", write.dot));
        }
    }
    if !shown.is_empty() {
        return None;
    }
    let put = book.present(name, slot, seen)?;
    Some(format!("{} is covered and not shown", put.dot))
}

/// Keys that one client alone writes, followed without looking at any vector.
fn own(book: &Book<'_>) -> Vec<String> {
    let mut by_client: BTreeMap<usize, Vec<&Event>> = BTreeMap::new();
    for event in book.events {
        by_client.entry(event.client).or_default().push(event);
    }
    let mut faults = Vec::new();
    for events in by_client.values() {
        // What each key may hold: the last acknowledged text, or one that was never answered for.
        let mut may_hold: BTreeMap<&Name, Vec<Value>> = BTreeMap::new();
        for event in events {
            match &event.did {
                Did::Write {
                    changes, answer, ..
                } => {
                    for change in changes.iter().filter(|c| c.name.collection == OWN) {
                        let texts = may_hold.entry(&change.name).or_insert(vec![Value::Null]);
                        wrote(texts, &change.action, answer);
                    }
                }
                Did::Read {
                    names,
                    answer: Answer::Ok(shows),
                } if event.sent.is_some() => {
                    for (name, value) in names.iter().zip(&shows.values) {
                        let texts = may_hold.get(name);
                        if texts.is_some_and(|texts| !texts.contains(value)) {
                            faults.push(format!("the client's own write is not shown: {event:?}"));
                        }
                    }
                }
                Did::Read { .. } => {}
            }
        }
    }
    faults
}

/// The first of `texts` is what was acknowledged last; the others may come at any time.
fn wrote<T>(texts: &mut Vec<Value>, action: &Action, answer: &Answer<T>) {
    let text = match action {
        Action::Put(text) => Value::from(text.as_str()),
        Action::Delete => Value::Null,
        Action::Patch(_) | Action::Increment(_) | Action::Add(_) | Action::Remove(_) => return,
    };
    match answer {
        Answer::Ok(_) => texts[0] = text,
        Answer::Unknown(_) => texts.push(text),
        Answer::Refused(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::torture::check::sample::{Sample, put, seen};
    use crate::torture::history::Action;

    #[test]
    fn an_answer_from_before_the_session_is_found() {
        let mut sample = Sample::default();
        sample.read(1, "shared/a", json!(null), [2, 1]).sent = Some(seen([2, 0]));
        sample.is_fine();
        sample.read(2, "shared/a", json!(null), [2, 0]).sent = Some(seen([2, 1]));
        sample.fails(&["sessions"]);
    }

    #[test]
    fn what_an_answer_covers_it_shows_and_nothing_else() {
        let mut sample = Sample::default();
        sample.done(1, "shared/a", put("x"), [1, 0]);
        sample.holds("shared/a", "x".into());
        sample.read(2, "shared/a", json!(null), [0, 0]);
        sample.read(2, "shared/a", json!("x"), [1, 0]);
        sample.is_fine();
        for (value, vector) in [(json!(null), [1, 0]), (json!("x"), [0, 0])] {
            let mut wrong = Sample {
                events: sample.events.clone(),
                end: sample.end.clone(),
            };
            wrong.read(2, "shared/a", value, vector);
            wrong.fails(&["sessions"]);
        }
    }

    #[test]
    fn a_client_reads_its_own_writes() {
        let mut sample = Sample::default();
        sample.done(1, "own/a", put("x"), [1, 0]);
        sample.done(1, "own/a", Action::Delete, [2, 0]);
        sample.unknown(1, "own/a", put("y"));
        for value in [json!(null), json!("y")] {
            sample.read(1, "own/a", value, [2, 0]).sent = Some(seen([2, 0]));
        }
        sample.is_fine();
        sample.read(1, "own/a", json!("x"), [2, 0]).sent = Some(seen([2, 0]));
        sample.fails(&["returned", "sessions"]);
    }
}
