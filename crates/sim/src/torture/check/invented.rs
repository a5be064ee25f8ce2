//! No value is shown, in the end or to any reader, that nobody wrote there; nor one whose writer was told
//! that nothing has changed.
//!
//! Caught, by histories below: a value of another key; a value of a refused write.

use serde_json::Value;

use super::book::{Book, merges, texts};
use crate::torture::history::Name;

pub(super) fn check(book: &Book<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for held in &book.end.keys {
        for value in &held.values {
            faults.extend(of_value(book, "the end", &held.name, value));
        }
    }
    for (event, _, name, value) in book.reads() {
        let who = format!("client {} at {} ms", event.client, event.at_ms);
        faults.extend(of_value(book, &who, name, value));
    }
    faults
}

fn of_value<'a>(book: &Book<'a>, who: &str, name: &'a Name, value: &Value) -> Vec<String> {
    if merges(name) {
        return Vec::new();
    }
    let mut faults = Vec::new();
    let mut known = 0;
    for (field, slot) in book.slots_of(name) {
        for text in texts(value, field) {
            known += 1;
            if slot.saying(text).is_none() && !slot.is_unknown(text) {
                let why = match slot.refused.contains(text) {
                    true => "whose write was refused",
                    false => "which nobody wrote there",
                };
                faults.push(format!("{who} shows {text} at {name:?} {field}, {why}"));
            }
        }
    }
    if known < size(value) {
        faults.push(format!(
            "{who} shows {value} at {name:?}, which nobody wrote there"
        ));
    }
    faults
}

/// How many texts somebody must have written for this to be shown.
fn size(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Array(siblings) => siblings.iter().map(size).sum(),
        Value::Object(fields) => fields.len(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::torture::check::sample::{Sample, dot, put};

    #[test]
    fn a_value_of_another_key_is_found() {
        let mut sample = Sample::default();
        sample.done(1, "own/a", put("x"), [1, 0]);
        sample.holds("own/a", "x".into());
        sample.is_fine();
        sample.holds("own/b", "x".into());
        sample.fails(&["invented"]);
    }

    #[test]
    fn a_field_that_nobody_wrote_is_found() {
        let mut sample = Sample::default();
        sample.read(1, "pages/a", json!({"f": "x"}), [1, 0]);
        sample.fails(&["invented"]);
    }

    #[test]
    fn a_write_that_was_refused_must_not_stand() {
        let mut sample = Sample::default();
        sample.refused(1, "own/a", put("x"));
        sample.is_fine();
        sample.read(1, "own/a", "x".into(), [1, 0]);
        sample.fails(&["invented"]);
    }

    #[test]
    fn one_without_an_answer_may() {
        let mut sample = Sample::default();
        sample.unknown(1, "own/a", put("x"));
        sample.stands("own/a", dot(1, 1));
        sample.holds("own/a", "x".into());
        sample.is_fine();
    }
}
