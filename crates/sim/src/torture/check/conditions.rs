//! A conditional write stands only where its condition held: what it demanded was still there, or still
//! nothing, right before it, in all that its region had.
//!
//! Caught, by histories below: two writes that both replaced the same value; a key that was created twice.

use atoll_core::VersionVector;

use super::book::{Book, Slot, before};
use crate::torture::history::{Answer, Demand, Did, Stands};

pub(super) fn check(book: &Book<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for event in book.events {
        let Did::Write {
            changes,
            demand: Some(demand),
            answer:
                Answer::Ok(Stands {
                    dot: Some(dot),
                    seen,
                }),
        } = &event.did
        else {
            continue;
        };
        let Some(name) = changes.first().map(|change| &change.name) else {
            continue;
        };
        let Some(slot) = book.slot(name, "") else {
            continue;
        };
        let before = before(&seen.0, *dot);
        let why = match demand {
            Demand::Value(text) => replaced(slot, text, &before),
            Demand::Absence => book
                .present(name, slot, &before)
                .map(|put| format!("{:?} of {} was there", put.text, put.dot)),
        };
        faults.extend(why.map(|why| format!("{why}, and yet this was done: {event:?}")));
    }
    faults
}

fn replaced(slot: &Slot<'_>, text: &str, before: &VersionVector) -> Option<String> {
    let write = slot.saying(text)?;
    if !before.covers(write.dot) {
        return Some(format!("{text} of {} was not there yet", write.dot));
    }
    let is_replaced = slot.is_replaced(write.dot, Some(before));
    is_replaced.then(|| format!("{text} of {} was there no more", write.dot))
}

#[cfg(test)]
mod tests {
    use crate::torture::check::sample::{Sample, put};
    use crate::torture::history::{Action, Demand};

    #[test]
    fn a_value_is_replaced_once() {
        let mut sample = Sample::default();
        let demand = || Demand::Value("x".into());
        sample.done(1, "shared/a", put("x"), [1, 0]);
        sample.done_if(1, "shared/a", demand(), put("y"), [2, 0]);
        sample.holds("shared/a", "y".into());
        sample.is_fine();
        sample.done_if(1, "shared/a", demand(), put("z"), [3, 0]);
        sample.end.keys.clear();
        sample.holds("shared/a", "z".into());
        sample.fails(&["conditions"]);
    }

    #[test]
    fn regions_that_do_not_know_of_each_other_may_both() {
        let mut sample = Sample::default();
        let demand = || Demand::Value("x".into());
        sample.done(1, "kept/a", put("x"), [1, 0]);
        sample.done_if(1, "kept/a", demand(), put("y"), [2, 0]);
        sample.done_if(2, "kept/a", demand(), put("z"), [1, 1]);
        sample.holds("kept/a", serde_json::json!(["y", "z"]));
        sample.is_fine();
    }

    #[test]
    fn a_key_is_created_once_until_it_is_deleted() {
        let mut sample = Sample::default();
        sample.done_if(1, "shared/a", Demand::Absence, put("x"), [1, 0]);
        sample.done(1, "shared/a", Action::Delete, [2, 0]);
        sample.done_if(1, "shared/a", Demand::Absence, put("y"), [3, 0]);
        sample.holds("shared/a", "y".into());
        sample.is_fine();
        sample.done_if(1, "shared/a", Demand::Absence, put("z"), [4, 0]);
        sample.end.keys.clear();
        sample.holds("shared/a", "z".into());
        sample.fails(&["conditions"]);
    }
}
