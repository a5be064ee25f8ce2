//! No acknowledged write is lost: each is shown in the end, or was replaced by a write that had seen it, or
//! is named by a row of the ledger. Where all siblings are shown, the ledger is no excuse.
//!
//! Caught, by histories below: a value, a field and a delete that are gone without a trace.

use super::book::{Book, Slot, SlotName, Write, before, merges, texts};
use crate::torture::collections::KEPT;

pub(super) fn check(book: &Book<'_>) -> Vec<String> {
    let listed = book.end.listed();
    let in_row = |(name, field): &SlotName<'_>, dot| listed.contains(&(*name, field.as_str(), dot));
    let in_any_row = |at: &SlotName<'_>, dot| {
        let mut rows = book.slots_of(at.0);
        let root = (at.0, String::new());
        in_row(&root, dot) || rows.any(|(field, _)| in_row(&(at.0, field.to_owned()), dot))
    };
    let mut faults = Vec::new();
    for (at, slot) in book.slots.iter().filter(|((name, _), _)| !merges(name)) {
        let shown = shown(book, at);
        let stands = slot.stands.iter();
        for write in stands.filter(|write| leaves_something(book, at, slot, write)) {
            let is_shown = match write.text {
                Some(text) => shown.contains(&text),
                None => shown.is_empty(),
            };
            let is_listed = match write.text {
                Some(_) if at.0.collection == KEPT => false,
                Some(_) => in_row(at, write.dot),
                None => in_any_row(at, write.dot),
            };
            if !is_shown && !is_listed && !is_replaced(book, at, slot, write.dot) {
                faults.push(format!(
                    "{at:?} shows {shown:?}, and nothing explains why not this: {:?}",
                    write.event
                ));
            }
        }
    }
    faults
}

/// A field that is removed where there is none leaves no version that anything could disagree with.
fn leaves_something(
    book: &Book<'_>,
    (name, field): &SlotName<'_>,
    slot: &Slot<'_>,
    write: &Write<'_>,
) -> bool {
    let is_removed_field = write.text.is_none() && !field.is_empty();
    let had_seen = write.seen.filter(|_| is_removed_field);
    had_seen.is_none_or(|seen| {
        let before = before(seen, write.dot);
        book.present(name, slot, &before).is_some()
    })
}

fn shown<'b>(book: &Book<'b>, (name, field): &SlotName<'_>) -> Vec<&'b str> {
    let values = book.end.values(name).iter();
    values.flat_map(|value| texts(value, field)).collect()
}

fn is_replaced(book: &Book<'_>, at: &SlotName<'_>, slot: &Slot<'_>, dot: atoll_core::Dot) -> bool {
    book.may_be_replaced(at.0, slot, dot, None)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::torture::check::sample::{Sample, dot, put};
    use crate::torture::history::Action;

    fn patch(fields: &[(&str, &str)]) -> Action {
        let said = |(field, text): &(&str, &str)| ((*field).into(), Some((*text).into()));
        Action::Patch(fields.iter().map(said).collect())
    }

    #[test]
    fn a_value_that_nobody_replaced_is_missed() {
        let mut sample = Sample::default();
        sample.done(1, "shared/a", put("x"), [1, 0]);
        sample.fails(&["unexplained"]);
        sample.holds("shared/a", "x".into());
        sample.is_fine();
    }

    #[test]
    fn a_concurrent_write_explains_nothing_without_a_row() {
        let mut sample = Sample::default();
        sample.done(1, "shared/a", put("x"), [1, 0]);
        sample.done(2, "shared/a", put("y"), [0, 1]);
        sample.holds("shared/a", "y".into());
        sample.fails(&["unexplained"]);
        sample.row("shared/a", "", [dot(1, 1), dot(2, 1)]);
        sample.is_fine();
    }

    #[test]
    fn a_write_that_had_seen_it_explains_it() {
        let mut sample = Sample::default();
        sample.done(1, "shared/a", put("x"), [1, 0]);
        sample.done(2, "shared/a", put("y"), [1, 1]);
        sample.holds("shared/a", "y".into());
        sample.is_fine();
    }

    #[test]
    fn so_does_one_that_stands_though_nobody_was_told() {
        let mut sample = Sample::default();
        sample.done(1, "shared/a", put("x"), [1, 0]);
        sample.unknown(1, "shared/a", put("y"));
        sample.holds("shared/a", "y".into());
        sample.fails(&["unexplained"]);
        sample.stands("shared/a", dot(1, 2));
        sample.is_fine();
    }

    #[test]
    fn where_siblings_are_kept_a_row_explains_nothing() {
        let mut sample = Sample::default();
        sample.done(1, "kept/a", put("x"), [1, 0]);
        sample.done(2, "kept/a", put("y"), [0, 1]);
        sample.row("kept/a", "", [dot(1, 1), dot(2, 1)]);
        let mut lost = Sample {
            events: sample.events.clone(),
            end: sample.end.clone(),
        };
        lost.holds("kept/a", "y".into());
        lost.fails(&["unexplained"]);
        sample.holds("kept/a", json!(["x", "y"]));
        sample.is_fine();
    }

    #[test]
    fn each_field_of_a_document_is_missed_on_its_own() {
        let mut sample = Sample::default();
        sample.done(1, "pages/a", patch(&[("f", "x"), ("g", "y")]), [1, 0]);
        sample.done(2, "pages/a", patch(&[("f", "z")]), [0, 1]);
        sample.row("pages/a", "/f", [dot(1, 1), dot(2, 1)]);
        let mut lost = Sample {
            events: sample.events.clone(),
            end: sample.end.clone(),
        };
        lost.holds("pages/a", json!({"f": "z"}));
        lost.fails(&["unexplained"]);
        sample.holds("pages/a", json!({"f": "z", "g": "y"}));
        sample.is_fine();
    }

    #[test]
    fn a_field_that_was_removed_needs_a_row_if_it_was_there() {
        let remove = || Action::Patch([("f".into(), None)].into_iter().collect());
        for (was_there, checks) in [(true, &["unexplained"][..]), (false, &[])] {
            let mut sample = Sample::default();
            let field = if was_there { "f" } else { "g" };
            sample.done(1, "pages/a", patch(&[(field, "x")]), [1, 0]);
            sample.done(1, "pages/a", remove(), [2, 0]);
            sample.done(2, "pages/a", patch(&[("f", "y")]), [1, 1]);
            let shown = match was_there {
                true => json!({"f": "y"}),
                false => json!({"g": "x", "f": "y"}),
            };
            sample.holds("pages/a", shown);
            sample.fails(checks);
        }
    }

    #[test]
    fn a_delete_that_shows_nothing_of_itself_needs_a_row() {
        let mut sample = Sample::default();
        sample.done(2, "shared/a", put("x"), [0, 1]);
        sample.done(1, "shared/a", put("y"), [1, 1]);
        sample.done(1, "shared/a", Action::Delete, [2, 1]);
        sample.done(2, "shared/a", put("z"), [1, 2]);
        sample.holds("shared/a", "z".into());
        sample.fails(&["unexplained"]);
        sample.row("shared/a", "", [dot(1, 2), dot(2, 2)]);
        sample.is_fine();
    }
}
