//! Once: a request under an idempotency key is one entry, however often it was sent, through whichever nodes
//! and leaders.
//!
//! Seen to fail: a store that does not look whether it knows the key.

use std::collections::HashMap;

use super::super::end::NodeEnd;
use crate::Violation;

const NAME: &str = "applied-once";

pub(in crate::whole) fn check(ends: &[NodeEnd]) -> Result<(), Violation> {
    for end in ends {
        let mut seen: HashMap<&str, &str> = HashMap::new();
        for entry in &end.entries {
            let Some(key) = &entry.idempotency_key else {
                continue;
            };
            if let Some(first) = seen.insert(key, &entry.dot) {
                let what = format!("{key} is {first} and {} on {}", entry.dot, end.name);
                return Err(Violation::new(NAME, what));
            }
        }
    }
    Ok(())
}
