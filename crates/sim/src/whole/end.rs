//! What a node holds when everything is quiet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_core::{Timestamp, wire};
use atoll_node::Node;
use atoll_store::engine::Engine;
use atoll_store::log::LogReader;
use atoll_store::query;

use super::machine::Machine;
use crate::Violation;
use crate::snapshot::Snapshot;

/// An entry, as far as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EntryEnd {
    pub(super) dot: String,
    pub(super) seq: u64,
    pub(super) idempotency_key: Option<String>,
    frame: bytes::Bytes,
}

/// A node in the end.
pub(super) struct NodeEnd {
    pub(super) name: String,
    pub(super) region: usize,
    /// In order of arrival.
    pub(super) entries: Vec<EntryEnd>,
    pub(super) shown: Snapshot,
    pub(super) disk: Arc<dyn Engine>,
}

impl NodeEnd {
    pub(super) fn read(machine: &Machine, node: &Node, nth: usize) -> Result<NodeEnd, Violation> {
        let disk = machine.disk();
        let mut entries = Vec::new();
        let mut bad = None;
        let mut keys = BTreeSet::new();
        LogReader::new(Arc::clone(&disk)).read(1, &mut |arrival| {
            match wire::decode_entry(&arrival.frame) {
                Ok(entry) => {
                    let operations = entry.operations.iter();
                    keys.extend(operations.map(|o| (o.collection.clone(), o.key.clone())));
                    let named = entry.idempotency.as_ref();
                    entries.push(EntryEnd {
                        dot: entry.dot.to_string(),
                        seq: entry.dot.seq,
                        idempotency_key: named.map(|named| named.key.as_str().to_owned()),
                        frame: arrival.frame,
                    });
                }
                Err(error) => bad = Some(error),
            }
            bad.is_none()
        })?;
        if let Some(error) = bad {
            return Err(Violation::broken(error));
        }
        let catalog = node.catalog();
        let shown = disk.snapshot(|read| {
            let applied = query::applied(read)?;
            let mut slots = BTreeMap::new();
            for name in keys {
                let mut all = query::slots(read, &name.0, &name.1)?;
                all.retain(|(_, slot)| !slot.siblings.is_empty() || !slot.counter.is_empty());
                slots.insert(name, all);
            }
            let mut conflicts = BTreeMap::new();
            query::conflicts(read, &catalog, Timestamp(0), None, None, &mut |conflict| {
                conflicts.insert(conflict.id, conflict);
                true
            })?;
            Ok::<_, Violation>(Snapshot {
                region: nth,
                vector: applied.vector,
                slots,
                rows: conflicts.len() as u64,
                rows_counted: applied.ledger_rows,
                conflicts,
                catalog: Arc::clone(&catalog),
            })
        })?;
        Ok(NodeEnd {
            name: machine.name.clone(),
            region: machine.region,
            entries,
            shown,
            disk,
        })
    }
}
