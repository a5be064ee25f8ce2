//! Dots: a dot names one entry, on every node and in every answer.
//!
//! Seen to fail: a leader that was killed and leads again in its old term (`enable_leader_restore`).

use std::collections::HashMap;

use super::super::end::NodeEnd;
use super::super::history::{Answer, History};
use crate::Violation;

const NAME: &str = "dots-are-used-once";

pub(in crate::whole) fn check(history: &History, ends: &[NodeEnd]) -> Result<(), Violation> {
    let mut entries = HashMap::new();
    for end in ends {
        for entry in &end.entries {
            let known = entries.entry(&entry.dot).or_insert((&end.name, entry));
            if known.1 != entry {
                let what = format!(
                    "{} is {:?} on {} and {entry:?} on {}",
                    entry.dot, known.1, known.0, end.name
                );
                return Err(Violation::new(NAME, what));
            }
        }
    }
    let mut told: HashMap<&str, &Option<String>> = HashMap::new();
    for operation in &history.operations {
        let Answer::Written { dot } = &operation.answer else {
            continue;
        };
        let name = &operation.idempotency_key;
        let known = told.entry(dot).or_insert(name);
        if *known != name {
            let what = format!("{dot} was told to {known:?} and to {name:?}");
            return Err(Violation::new(NAME, what));
        }
    }
    Ok(())
}
