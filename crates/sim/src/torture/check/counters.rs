//! A counter is the sum of the increments that were acknowledged, and of some of those without an answer,
//! each once: in the end, and to every reader, of those that the answer covers.
//!
//! Caught, by histories below: an increment that is lost; one that counts twice.

use std::collections::BTreeMap;

use atoll_core::{Dot, VersionVector};
use serde_json::Value;

use super::book::Book;
use crate::torture::collections::VOTES;
use crate::torture::history::{Action, Answer, Did, Name, Stands};

/// What was added to one counter. Increments are positive.
#[derive(Default)]
struct Added {
    acknowledged: Vec<(Dot, i64)>,
    unknown: i64,
}

pub(super) fn check(book: &Book<'_>) -> Vec<String> {
    let added = added(book);
    let mut faults = Vec::new();
    for (name, added) in &added {
        let value = book.end.values(name).first().unwrap_or(&Value::Null);
        faults.extend(added.check("the end", name, value, None));
    }
    for (event, shows, name, value) in book.reads() {
        let (Some(seen), Some(added)) = (&shows.seen, added.get(name)) else {
            continue;
        };
        let who = format!("client {} at {} ms", event.client, event.at_ms);
        faults.extend(added.check(&who, name, value, Some(&seen.0)));
    }
    for held in &book.end.keys {
        if held.name.collection == VOTES && !added.contains_key(&held.name) {
            faults.push(format!("{:?}: nobody ever counted there", held.name));
        }
    }
    faults
}

fn added<'a>(book: &Book<'a>) -> BTreeMap<&'a Name, Added> {
    let mut all: BTreeMap<&Name, Added> = BTreeMap::new();
    for event in book.events {
        let Did::Write {
            changes, answer, ..
        } = &event.did
        else {
            continue;
        };
        for change in changes {
            let Action::Increment(by) = change.action else {
                continue;
            };
            let added = all.entry(&change.name).or_default();
            match answer {
                Answer::Ok(Stands { dot, .. }) => {
                    added.acknowledged.extend(dot.map(|dot| (dot, by)));
                }
                Answer::Unknown(_) => added.unknown += by,
                Answer::Refused(_) => {}
            }
        }
    }
    all
}

impl Added {
    fn check(
        &self,
        who: &str,
        name: &Name,
        value: &Value,
        within: Option<&VersionVector>,
    ) -> Option<String> {
        let covered = |dot: Dot| within.is_none_or(|within| within.covers(dot));
        let acknowledged = self.acknowledged.iter();
        let least: i64 = acknowledged
            .filter(|(dot, _)| covered(*dot))
            .map(|(_, by)| by)
            .sum();
        let most = least + self.unknown;
        let shown = value.as_i64().or_else(|| value.is_null().then_some(0));
        let is_right = shown.is_some_and(|shown| (least..=most).contains(&shown));
        (!is_right).then(|| {
            format!("{who} shows {value} at {name:?}, and it must be from {least} to {most}")
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::torture::check::sample::{Sample, dot};
    use crate::torture::history::Action;

    fn sample() -> Sample {
        let mut sample = Sample::default();
        sample.done(1, "votes/a", Action::Increment(2), [1, 0]);
        sample.done(2, "votes/a", Action::Increment(3), [0, 1]);
        sample.unknown(1, "votes/a", Action::Increment(4));
        sample.stands("votes/a", dot(1, 2));
        sample
    }

    #[test]
    fn a_lost_increment_is_found_and_one_too_many() {
        for (value, is_fine) in [(4, false), (5, true), (9, true), (10, false)] {
            let mut sample = sample();
            sample.holds("votes/a", value.into());
            match is_fine {
                true => sample.is_fine(),
                false => sample.fails(&["counters"]),
            }
        }
    }

    #[test]
    fn readers_see_what_their_answers_cover() {
        for (value, is_fine) in [(1, false), (2, true), (6, true), (7, false)] {
            let mut sample = sample();
            sample.holds("votes/a", 9.into());
            sample.read(1, "votes/a", value.into(), [1, 0]);
            match is_fine {
                true => sample.is_fine(),
                false => sample.fails(&["counters"]),
            }
        }
    }
}
