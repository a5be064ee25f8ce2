//! A batch is seen whole or not at all: keys that are only ever written together, with one value, never
//! differ within one snapshot.
//!
//! Caught, by a history below: a read that saw half a batch.

use super::book::Book;
use crate::torture::collections::GROUPS;
use crate::torture::history::{Answer, Did};

pub(super) fn check(book: &Book<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for event in book.events {
        let Did::Read {
            names,
            answer: Answer::Ok(shows),
        } = &event.did
        else {
            continue;
        };
        let is_group = names.len() > 1 && names.iter().all(|name| name.collection == GROUPS);
        if is_group && shows.values.windows(2).any(|pair| pair[0] != pair[1]) {
            faults.push(format!("half a batch was read: {event:?}"));
        }
    }
    for (event, changes, _) in book.acknowledged() {
        let of_group = changes.iter().filter(|c| c.name.collection == GROUPS);
        let values: Vec<_> = of_group.map(|c| book.end.values(&c.name)).collect();
        if values.windows(2).any(|pair| pair[0] != pair[1]) {
            faults.push(format!(
                "{values:?} is left of what was written together: {event:?}"
            ));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::torture::check::sample::{Sample, put};

    #[test]
    fn a_read_that_saw_half_a_batch_is_found() {
        let mut sample = Sample::default();
        sample.done(1, "groups/a", put("x"), [1, 0]);
        sample.done(1, "groups/b", put("x"), [2, 0]);
        sample.holds("groups/a", "x".into());
        sample.holds("groups/b", "x".into());
        let names = ["groups/a", "groups/b"];
        sample.read_all(&names, vec![json!(null), json!(null)]);
        sample.read_all(&names, vec![json!("x"), json!("x")]);
        sample.is_fine();
        sample.read_all(&names, vec![json!("x"), json!(null)]);
        sample.fails(&["groups"]);
    }
}
