//! What a recorded history and what the regions hold in the end must say together. Pure: no clock, no I/O.
//!
//! One file a check, each with small histories at its end in which it fails: made by hand, each with the
//! fault that the check exists for. All of them look at the same [`book`].

mod book;
mod conditions;
mod counters;
mod dots;
mod groups;
mod invented;
mod order;
mod returned;
#[cfg(test)]
mod sample;
mod sessions;
mod sets;
mod unexplained;

use std::fmt;

use super::end::{self, End};
use super::history::Event;
use book::Book;

/// Something that must never happen did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which check says so.
    pub check: &'static str,
    /// What, and where.
    pub what: String,
}

/// Answers with what is wrong, each fault in a sentence.
type Check = fn(&Book<'_>) -> Vec<String>;

/// All checks, in the order in which their faults are worth reading.
const CHECKS: [(&str, Check); 10] = [
    ("dots", dots::check),
    ("unexplained", unexplained::check),
    ("invented", invented::check),
    ("returned", returned::check),
    ("counters", counters::check),
    ("sets", sets::check),
    ("conditions", conditions::check),
    ("groups", groups::check),
    ("sessions", sessions::check),
    ("order", order::check),
];

/// Looks for everything that must never happen. `ends`: what each region, or each node, holds.
#[must_use]
pub fn check(events: &[Event], ends: &[End]) -> Vec<Fault> {
    let mut faults: Vec<Fault> = end::differences(ends)
        .into_iter()
        .map(|what| fault("equal", what))
        .collect();
    if let Some(end) = ends.first() {
        let book = Book::new(events, end);
        for (name, check) in CHECKS {
            faults.extend(check(&book).into_iter().map(|what| fault(name, what)));
        }
    }
    faults
}

fn fault(check: &'static str, what: String) -> Fault {
    Fault { check, what }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.what)
    }
}
