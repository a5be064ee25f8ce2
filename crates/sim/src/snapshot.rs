//! All that one region shows, read when everything is quiet.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_core::state::ConflictId;
use atoll_core::{Timestamp, VersionVector};
use atoll_store::query::{self, Conflict, Slots};
use atoll_store::{Catalog, Region};

use crate::book::{Book, KeyName};
use crate::invariants::Violation;

/// What a region shows.
pub(crate) struct Snapshot {
    pub(crate) region: usize,
    pub(crate) vector: VersionVector,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) slots: BTreeMap<KeyName, Slots>,
    /// Ledger rows detected at or after the time up to which some region has trimmed.
    pub(crate) conflicts: BTreeMap<ConflictId, Conflict>,
    /// All ledger rows that are there, and how many the region thinks there are.
    pub(crate) rows: u64,
    pub(crate) rows_counted: u64,
}

impl Snapshot {
    /// Reads the keys that were ever written, and the ledger from `trimmed` on.
    pub(crate) fn read(
        place: usize,
        region: &Region,
        book: &Book,
        trimmed: Timestamp,
    ) -> Result<Snapshot, Violation> {
        let catalog = Arc::clone(region.catalog());
        region.engine().snapshot(|read| {
            let applied = query::applied(read)?;
            let mut slots = BTreeMap::new();
            for (name, _) in book.keys() {
                let mut all = query::slots(read, &name.0, &name.1)?;
                // A slot of which only history is left is nobody's business.
                all.retain(|(_, slot)| !slot.siblings.is_empty() || !slot.counter.is_empty());
                slots.insert(name.clone(), all);
            }
            let (mut conflicts, mut rows) = (BTreeMap::new(), 0);
            query::conflicts(read, &catalog, Timestamp(0), None, None, &mut |conflict| {
                rows += 1;
                if conflict.detected >= trimmed {
                    conflicts.insert(conflict.id, conflict);
                }
                true
            })?;
            Ok(Snapshot {
                region: place,
                vector: applied.vector,
                slots,
                conflicts,
                rows,
                rows_counted: applied.ledger_rows,
                catalog,
            })
        })
    }
}
