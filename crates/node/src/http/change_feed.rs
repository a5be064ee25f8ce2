//! The changes feed's reading side: from the log to lines.
//!
//! A cursor is the vector of all that was delivered, so any region can go on from it: what the vector
//! covers is skipped, whenever it arrives. Lines of one entry stay together; all but its last carry the
//! cursor from before it, so that resuming in the middle repeats the entry and never loses half of it.

use std::sync::Arc;

use bytes::Bytes;

use atoll_api::http::ChangeLine;
use atoll_core::token::{self, TokenKind};
use atoll_core::view;
use atoll_core::{CollectionName, DataType, Entry, Operation, StoreId, VersionVector, wire};
use atoll_store::{Catalog, StoreError};

use crate::node::Node;

use super::read;

/// Entries read at once.
const CHUNK_ENTRIES: usize = 1000;
/// Their bytes, roughly.
const CHUNK_BYTES: usize = 1 << 20;

/// Where a reader of changes is.
pub(crate) struct Feed {
    delivered: VersionVector,
    collection: Option<CollectionName>,
    left: usize,
    /// Where to read on; `None` until the log was asked where `delivered` ends.
    next: Option<u64>,
}

/// Some lines, and whether they go up to the end of the log.
pub(crate) struct Chunk {
    pub(crate) lines: Bytes,
    pub(crate) is_last: bool,
}

impl Feed {
    pub(crate) fn new(
        delivered: VersionVector,
        collection: Option<CollectionName>,
        limit: usize,
    ) -> Feed {
        Feed {
            delivered,
            collection,
            left: limit,
            next: None,
        }
    }

    /// Whether as many lines as wanted were delivered.
    pub(crate) fn is_done(&self) -> bool {
        self.left == 0
    }

    /// The arrival index of the next entry to look at.
    pub(crate) fn next_index(&self) -> u64 {
        self.next.unwrap_or_default()
    }

    /// Reads the next chunk, from one snapshot.
    pub(crate) fn read(mut self, node: &Node) -> Result<(Feed, Chunk), StoreError> {
        let start = match self.next {
            Some(index) => index,
            None => node.log().start_for(&self.delivered)?,
        };
        self.next = Some(start);
        let (mut arrivals, mut bytes) = (Vec::new(), 0);
        node.log().read(start, &mut |arrival| {
            bytes += arrival.frame.len();
            arrivals.push(arrival);
            arrivals.len() < CHUNK_ENTRIES && bytes < CHUNK_BYTES
        })?;
        let is_last = arrivals.len() < CHUNK_ENTRIES && bytes < CHUNK_BYTES;
        let writer = Lines {
            catalog: node.catalog(),
            store: node.identity().store,
            node,
        };
        let mut lines = Vec::new();
        for arrival in arrivals {
            if self.delivered.covers(arrival.dot) {
                self.next = Some(arrival.index + 1);
                continue;
            }
            let entry = wire::decode_entry(&arrival.frame)?;
            let wanted = self.wanted(&entry);
            let is_full = wanted.len() > self.left && !lines.is_empty();
            if is_full {
                self.left = 0;
                break;
            }
            let before = self.delivered.clone();
            self.delivered.raise(arrival.dot);
            writer.write(&entry, &wanted, &before, &self.delivered, &mut lines)?;
            self.next = Some(arrival.index + 1);
            self.left = self.left.saturating_sub(wanted.len());
            if self.is_done() {
                break;
            }
        }
        let lines = lines.into();
        Ok((self, Chunk { lines, is_last }))
    }

    fn wanted<'a>(&self, entry: &'a Entry) -> Vec<&'a Operation> {
        let is_wanted = |operation: &&Operation| {
            self.collection
                .as_ref()
                .is_none_or(|name| *name == operation.collection)
        };
        entry.operations.iter().filter(is_wanted).collect()
    }
}

struct Lines<'a> {
    catalog: Arc<Catalog>,
    store: StoreId,
    node: &'a Node,
}

impl Lines<'_> {
    fn write(
        &self,
        entry: &Entry,
        wanted: &[&Operation],
        before: &VersionVector,
        after: &VersionVector,
        out: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        for (index, operation) in wanted.iter().enumerate() {
            let delivered = if index + 1 == wanted.len() {
                after
            } else {
                before
            };
            let line = ChangeLine {
                cursor: token::write(TokenKind::Cursor, self.store, delivered),
                collection: operation.collection.to_string(),
                key: operation.key.as_str().to_owned(),
                dot: entry.dot.to_string(),
                region: self.catalog.regions.shown(entry.dot.replica),
                time: entry.time.to_string(),
                deleted: self.deletes_key(operation)?,
            };
            serde_json::to_writer(&mut *out, &line).expect("a Vec grows, and a line is text");
            out.push(b'\n');
        }
        Ok(())
    }

    /// Whether an operation deleted its key, and not only fields or elements of it.
    fn deletes_key(&self, operation: &Operation) -> Result<bool, StoreError> {
        if !operation.deletes() {
            return Ok(false);
        }
        if operation.writes.iter().any(|write| write.path().is_root()) {
            return Ok(true);
        }
        let Some(lens) = self.catalog.lens(&operation.collection) else {
            return Ok(true);
        };
        match lens.spec.data_type {
            DataType::Register | DataType::Counter => Ok(true),
            // Of these only what is left tells.
            DataType::Document | DataType::Set | DataType::Map => {
                let slots = self
                    .node
                    .engine()
                    .snapshot(|snapshot| read::slots_of(snapshot, &lens, &operation.key))?;
                Ok(!view::is_present(&lens, &slots))
            }
        }
    }
}
