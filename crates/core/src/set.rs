//! Sets: a slot per element, marked by every add. A remove takes the marks that it has seen, so an add
//! concurrent with it survives (observed-remove set, Shapiro et al. 2011). Nothing is ever lost, so a set
//! has no ledger rows. An empty set is absent.

use serde_json::Value as Json;

use crate::entry::SlotWrite;
use crate::expand::{Failure, Keyed};
use crate::path::Path;
use crate::state::ReadState;

/// Adds and removes elements of the set at `path`.
pub(crate) fn change<S: ReadState>(
    keyed: &Keyed<'_, S>,
    path: &Path,
    add: &[Json],
    remove: &[Json],
) -> Result<Vec<SlotWrite>, Failure<S::Error>> {
    let mut writes = Vec::with_capacity(add.len() + remove.len());
    for element in remove {
        let path = path.child(canonical(element).as_bytes());
        if keyed.sees_live(&keyed.slot(&path)?) {
            writes.push(SlotWrite::Drop { path });
        }
    }
    writes.extend(add.iter().map(|e| SlotWrite::Mark {
        path: path.child(canonical(e).as_bytes()),
    }));
    Ok(writes)
}

/// Removes all elements seen in the set at `path`.
pub(crate) fn clear<S: ReadState>(
    keyed: &Keyed<'_, S>,
    path: &Path,
) -> Result<Vec<SlotWrite>, Failure<S::Error>> {
    let elements = keyed.below(path)?.into_iter();
    let seen = elements.filter(|(_, slot)| keyed.sees_live(slot));
    Ok(seen.map(|(path, _)| SlotWrite::Drop { path }).collect())
}

/// The one text of a JSON value: object keys sorted, no spaces. Equal elements have equal texts.
pub(crate) fn canonical(value: &Json) -> String {
    match value {
        Json::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort_unstable();
            let parts = names
                .into_iter()
                .map(|n| format!("{}:{}", Json::String(n.clone()), canonical(&fields[n])));
            format!("{{{}}}", parts.collect::<Vec<_>>().join(","))
        }
        Json::Array(items) => {
            format!(
                "[{}]",
                items.iter().map(canonical).collect::<Vec<_>>().join(",")
            )
        }
        scalar => scalar.to_string(),
    }
}
