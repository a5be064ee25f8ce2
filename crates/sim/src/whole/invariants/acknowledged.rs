//! Acknowledged: in the end every node of every region has every write that was acknowledged, under the dot
//! that its client was told. Excused are those lost with a region that was removed by force, when the number
//! that was repeated then names them.
//!
//! Seen to fail: disks that say that they sync and do not, of regions that lose power (`Mischief::LyingDisksUnwatched`).

use std::collections::HashMap;

use super::super::departures::Lost;
use super::super::end::NodeEnd;
use super::super::history::{Answer, Asked, History};
use crate::Violation;

const NAME: &str = "acknowledged-is-kept";

pub(in crate::whole) fn check(
    history: &History,
    ends: &[NodeEnd],
    lost: &Lost,
) -> Result<(), Violation> {
    for end in ends {
        let mut there: HashMap<&str, &str> = HashMap::new();
        for entry in &end.entries {
            if let Some(key) = &entry.idempotency_key {
                there.insert(key, &entry.dot);
            }
        }
        for operation in &history.operations {
            let (Asked::Write { value }, Answer::Written { dot }) =
                (operation.asked, &operation.answer)
            else {
                continue;
            };
            let name = operation.idempotency_key.as_deref().unwrap_or_default();
            let is_there = there.get(name) == Some(&dot.as_str());
            if is_there || lost.has(operation.region, dot)? {
                continue;
            }
            let what = format!(
                "{} = {value} was acknowledged as {dot}; {} has {:?}",
                operation.key,
                end.name,
                there.get(name)
            );
            return Err(Violation::new(NAME, what));
        }
    }
    Ok(())
}
