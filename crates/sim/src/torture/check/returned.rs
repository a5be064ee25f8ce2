//! No value comes back that a write had seen and replaced or deleted: not in the end, and not to a reader
//! whose answer covers that write.
//!
//! Caught, by histories below: a deleted value in the end; an overwritten one in a read.

use atoll_core::VersionVector;
use serde_json::Value;

use super::book::{Book, merges, texts};
use crate::torture::history::Name;

pub(super) fn check(book: &Book<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for held in &book.end.keys {
        for value in &held.values {
            faults.extend(of_value(book, "the end", &held.name, value, None));
        }
    }
    for (event, shows, name, value) in book.reads() {
        let Some(seen) = &shows.seen else { continue };
        let who = format!("client {} at {} ms", event.client, event.at_ms);
        faults.extend(of_value(book, &who, name, value, Some(&seen.0)));
    }
    faults
}

fn of_value<'a>(
    book: &Book<'a>,
    who: &str,
    name: &'a Name,
    value: &Value,
    within: Option<&VersionVector>,
) -> Vec<String> {
    let mut faults = Vec::new();
    for (field, slot) in book.slots_of(name).filter(|_| !merges(name)) {
        for text in texts(value, field) {
            let Some(write) = slot.saying(text) else {
                continue;
            };
            if slot.is_replaced(write.dot, within) {
                faults.push(format!(
                    "{who} shows {text} of {} at {name:?} {field}, which a later write had seen",
                    write.dot
                ));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use crate::torture::check::sample::{Sample, put};
    use crate::torture::history::Action;

    #[test]
    fn a_deleted_value_in_the_end_is_found() {
        let mut sample = Sample::default();
        sample.done(1, "own/a", put("x"), [1, 0]);
        sample.done(1, "own/a", Action::Delete, [2, 0]);
        sample.is_fine();
        sample.holds("own/a", "x".into());
        sample.fails(&["unexplained", "returned"]);
    }

    #[test]
    fn an_overwritten_value_in_a_read_is_found() {
        let mut sample = Sample::default();
        sample.done(1, "shared/a", put("x"), [1, 0]);
        sample.done(1, "shared/a", put("y"), [2, 0]);
        sample.holds("shared/a", "y".into());
        // Another region may show the old one for as long as it does not know better.
        sample.read(2, "shared/a", "x".into(), [1, 0]);
        sample.is_fine();
        sample.read(2, "shared/a", "x".into(), [2, 0]);
        sample.fails(&["returned"]);
    }
}
