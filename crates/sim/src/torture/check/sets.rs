//! An element is in a set when some add of it was seen by no remove: in the end, and to every reader, of the
//! adds and removes that the answer covers. A concurrent add survives a remove.
//!
//! Caught, by histories below: an element that is lost; one that comes back; one that nobody added.

use atoll_core::VersionVector;
use serde_json::Value;

use super::book::{Book, Slot};
use crate::torture::collections::CARTS;
use crate::torture::history::Name;

pub(super) fn check(book: &Book<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut names: Vec<&Name> = book.slots.keys().map(|(name, _)| *name).collect();
    names.dedup();
    for name in names.into_iter().filter(|name| name.collection == CARTS) {
        let value = book.end.values(name).first().unwrap_or(&Value::Null);
        faults.extend(of_set(book, "the end", name, value, None));
    }
    for (event, shows, name, value) in book.reads() {
        let Some(seen) = shows.seen.as_ref().filter(|_| name.collection == CARTS) else {
            continue;
        };
        let who = format!("client {} at {} ms", event.client, event.at_ms);
        faults.extend(of_set(book, &who, name, value, Some(&seen.0)));
    }
    faults
}

fn of_set<'a>(
    book: &Book<'a>,
    who: &str,
    name: &'a Name,
    value: &Value,
    within: Option<&VersionVector>,
) -> Vec<String> {
    let shown: Vec<&Value> = value.as_array().into_iter().flatten().collect();
    let mut faults = Vec::new();
    for (element, slot) in book.slots_of(name) {
        let is_shown = shown.iter().any(|shown| *shown == element);
        let why = match is_shown {
            true => (!may_be_in(slot, within)).then_some("nobody added it since it was removed"),
            false => must_be_in(book, name, slot, within).then_some("nobody removed it"),
        };
        if let Some(why) = why {
            let verb = if is_shown { "shows" } else { "lacks" };
            faults.push(format!("{who} {verb} {element} in {name:?}, and {why}"));
        }
    }
    let known = |shown: &Value| shown.as_str().is_some_and(|e| book.slot(name, e).is_some());
    for stranger in shown.iter().filter(|shown| !known(shown)) {
        faults.push(format!(
            "{who} shows {stranger} in {name:?}, which nobody added"
        ));
    }
    faults
}

fn may_be_in(slot: &Slot<'_>, within: Option<&VersionVector>) -> bool {
    let covered = |dot| within.is_none_or(|within| within.covers(dot));
    let mut adds = slot.stands.iter().filter(|write| write.text.is_some());
    adds.any(|add| covered(add.dot) && !slot.is_removed(add.dot, within))
        || slot.unknown.iter().any(|write| write.text.is_some())
}

fn must_be_in(
    book: &Book<'_>,
    name: &Name,
    slot: &Slot<'_>,
    within: Option<&VersionVector>,
) -> bool {
    let covered = |dot| within.is_none_or(|within| within.covers(dot));
    let mut adds = slot.stands.iter().filter(|write| write.text.is_some());
    adds.any(|add| {
        covered(add.dot)
            && !slot.is_removed(add.dot, within)
            && !book.may_be_undone(name, slot, add.dot, within)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::torture::check::sample::Sample;
    use crate::torture::history::Action;

    const ADD: fn() -> Action = || Action::Add("tea".into());
    const REMOVE: fn() -> Action = || Action::Remove("tea".into());

    #[test]
    fn an_element_that_nobody_removed_is_missed() {
        let mut sample = Sample::default();
        sample.done(1, "carts/a", ADD(), [1, 0]);
        sample.fails(&["sets"]);
        sample.holds("carts/a", json!(["tea"]));
        sample.is_fine();
    }

    #[test]
    fn a_removed_element_that_comes_back_is_found() {
        let mut sample = Sample::default();
        sample.done(1, "carts/a", ADD(), [1, 0]);
        sample.done(1, "carts/a", REMOVE(), [2, 0]);
        sample.is_fine();
        sample.read(2, "carts/a", json!(["tea"]), [1, 0]);
        sample.is_fine();
        sample.read(2, "carts/a", json!(["tea"]), [2, 0]);
        sample.fails(&["sets"]);
    }

    #[test]
    fn an_add_survives_a_remove_that_had_not_seen_it() {
        let mut sample = Sample::default();
        sample.done(1, "carts/a", ADD(), [1, 0]);
        sample.done(1, "carts/a", REMOVE(), [2, 0]);
        sample.done(2, "carts/a", ADD(), [1, 1]);
        sample.fails(&["sets"]);
        sample.holds("carts/a", json!(["tea"]));
        sample.is_fine();
    }

    #[test]
    fn an_element_that_nobody_added_is_found() {
        let mut sample = Sample::default();
        sample.done(1, "carts/a", ADD(), [1, 0]);
        sample.holds("carts/a", json!(["milk", "tea"]));
        sample.fails(&["sets"]);
    }
}
