//! A conditional write stands only where its condition held: what it demanded was still there, or still
//! nothing, right before it, in all that its region had.
//!
//! Caught, by histories below: two writes that both replaced the same value; a key that was created twice.

use atoll_core::{Dot, VersionVector};

use super::book::{Book, Slot};
use crate::torture::history::{Answer, Demand, Did, Name, Stands};

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
            Demand::Absence => present(book, name, slot, &before),
        };
        faults.extend(why.map(|why| format!("{why}, and yet this was done: {event:?}")));
    }
    faults
}

/// All that an entry's region had right before it.
fn before(seen: &VersionVector, dot: Dot) -> VersionVector {
    let own = |(replica, seq)| match replica == dot.replica {
        true => (replica, dot.seq - 1),
        false => (replica, seq),
    };
    seen.iter().map(own).collect()
}

fn replaced(slot: &Slot<'_>, text: &str, before: &VersionVector) -> Option<String> {
    let write = slot.saying(text)?;
    if !before.covers(write.dot) {
        return Some(format!("{text} of {} was not there yet", write.dot));
    }
    let is_replaced = slot.is_replaced(write.dot, Some(before));
    is_replaced.then(|| format!("{text} of {} was there no more", write.dot))
}

fn present(
    book: &Book<'_>,
    name: &Name,
    slot: &Slot<'_>,
    before: &VersionVector,
) -> Option<String> {
    let puts = slot.stands.iter().filter(|write| write.text.is_some());
    let mut there = puts.filter(|put| {
        before.covers(put.dot) && !book.may_be_replaced(name, slot, put.dot, Some(before))
    });
    let put = there.next()?;
    Some(format!("{:?} of {} was there", put.text, put.dot))
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
