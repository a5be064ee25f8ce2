//! Sessions: a read with a session shows at least what the session has written and read of that key.
//!
//! Entries that were lost with a region that was removed by force have no place any more.
//!
//! Later than in one region: of two writes of a region, the one with the greater sequence.
//!
//! Seen to fail: answers that do not wait for what the session has seen (`Mischief::StaleSessions`).

use std::collections::HashMap;

use super::super::departures::Lost;
use super::super::end::NodeEnd;
use super::super::history::{Answer, Asked, Freshness, History};
use crate::Violation;

const NAME: &str = "sessions-hold";

pub(in crate::whole) fn check(
    history: &History,
    ends: &[NodeEnd],
    lost: &Lost,
) -> Result<(), Violation> {
    let Some(end) = ends.first() else {
        return Ok(());
    };
    // Value → its place in its region's order.
    let mut places: HashMap<u64, u64> = HashMap::new();
    for entry in &end.entries {
        if let Some(value) = entry.idempotency_key.as_deref().and_then(value_of) {
            places.insert(value, entry.seq);
        }
    }
    let mut seen: HashMap<(usize, &str), u64> = HashMap::new();
    for operation in &history.operations {
        let of = (operation.client, operation.key.as_str());
        let shown = match (operation.asked, &operation.answer) {
            (_, Answer::Unknown) => continue,
            (Asked::Write { value }, _) => Some(value),
            (Asked::Read { .. }, Answer::Value(value)) => *value,
            (Asked::Read { .. }, Answer::Written { .. }) => continue,
        };
        let place = match shown {
            None => 0,
            Some(value) => match places.get(&value) {
                Some(place) => *place,
                None if lost.is_removed(operation.region) => continue,
                None => {
                    let what = format!("{} showed {value}, which no entry has", operation.key);
                    return Err(Violation::new(NAME, what));
                }
            },
        };
        let before = seen.get(&of).copied().unwrap_or_default();
        let is_bound = match operation.asked {
            Asked::Read { how } => how != Freshness::Any,
            Asked::Write { .. } => false,
        };
        if is_bound && place < before {
            let what = format!(
                "client {} had seen number {before} of {} and was shown {shown:?}, number {place}",
                operation.client, operation.key
            );
            return Err(Violation::new(NAME, what));
        }
        // A read without a session still adds to it: its answer carries one.
        seen.insert(of, before.max(place));
    }
    Ok(())
}

fn value_of(idempotency_key: &str) -> Option<u64> {
    idempotency_key.strip_prefix("request-")?.parse().ok()
}
