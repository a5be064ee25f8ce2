//! No resurrection: once a region has applied a write that takes a version away (an overwrite, a delete, a
//! set's remove), that version is in none of its states again.
//!
//! Contexts are closed downwards, so all that was ever taken from a slot is one vector: the merge of the
//! contexts of the writes applied to it. Checked after every applied group on the keys that it touched, and
//! on all keys after a restart and in the end.
//!
//! And no answer shows a value that a client deleted: what a delete of a key had seen must not be read again,
//! nor anything that nobody wrote. Checked on every read of a document or a register.
//!
//! Seen to fail: a flush that is not atomic over the families (`Mischief::FlushInParts`): after a crash the
//! Raft log is applied again to a state that has it already, and overwritten versions come back. And, by
//! hand, a delete of a document in core that leaves the fields below in place: the next write shows them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::Value as Json;

use atoll_core::view::{self, Answer, Lens};
use atoll_core::{Content, DataType, Entry, Path, SlotWrite, Value, VersionVector};
use atoll_store::query::Slots;

use super::Violation;
use crate::book::{Book, KeyName, Written};

const NAME: &str = "no-resurrection";

/// What was taken away in one region.
#[derive(Debug, Default)]
pub(crate) struct Gone {
    keys: BTreeMap<KeyName, Vec<Taken>>,
}

/// What was taken from one slot, and from those below it.
#[derive(Debug)]
struct Taken {
    path: Path,
    here: VersionVector,
    below: VersionVector,
}

impl Gone {
    /// The region applied an entry. Answers through `touched` with the keys that it wrote.
    pub(crate) fn applied(&mut self, entry: &Entry, touched: &mut BTreeSet<KeyName>) {
        for operation in &entry.operations {
            let context = operation.context.as_ref().unwrap_or(&entry.dependencies);
            let name = (operation.collection.clone(), operation.key.clone());
            let taken = self.keys.entry(name.clone()).or_default();
            for write in &operation.writes {
                let clears = match write {
                    SlotWrite::Assign { clear, .. } => *clear,
                    SlotWrite::Mark { .. } | SlotWrite::Drop { .. } => false,
                    SlotWrite::Add { .. } | SlotWrite::Reset { .. } => continue,
                };
                take(taken, write.path(), context, clears);
            }
            touched.insert(name);
        }
    }

    /// The keys from which something was ever taken.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &KeyName> {
        self.keys.keys()
    }

    /// Looks at the slots of a key.
    pub(crate) fn check(
        &self,
        region: usize,
        key: &KeyName,
        slots: &Slots,
    ) -> Result<(), Violation> {
        let Some(taken) = self.keys.get(key) else {
            return Ok(());
        };
        for (path, slot) in slots.iter().filter(|(_, slot)| !slot.siblings.is_empty()) {
            for one in taken {
                let gone = if one.path == *path {
                    &one.here
                } else if path.as_bytes().starts_with(one.path.as_bytes()) {
                    &one.below
                } else {
                    continue;
                };
                if let Some(back) = slot.siblings.iter().find(|v| gone.covers(v.dot)) {
                    let what = format!(
                        "r{region} shows {} of {}/{}{} again, after a write that had seen {gone}",
                        back.dot,
                        key.0,
                        key.1,
                        path.pointer()
                    );
                    return Err(Violation::new(NAME, what));
                }
            }
        }
        Ok(())
    }
}

/// A client reads a key.
pub(crate) fn check_answer(
    region: usize,
    key: &KeyName,
    lens: Lens<'_>,
    slots: &Slots,
    applied: &VersionVector,
    book: &Book,
) -> Result<(), Violation> {
    let mut leaves = Vec::new();
    match (lens.spec.data_type, view::answer(&lens, slots)) {
        (DataType::Register, Answer::One(value)) => leaves.push((Path::root(), value.data)),
        (DataType::Document, Answer::One(value)) => read_leaves(&value, &mut leaves),
        (DataType::Document, Answer::Several(siblings)) => {
            // The merged document comes first.
            if let Some(value) = siblings.first().and_then(|s| s.value.as_ref()) {
                read_leaves(value, &mut leaves);
            }
        }
        _ => {}
    }
    for (path, said) in leaves {
        let written = book
            .key(key)
            .and_then(|key| Some((key, key.slots.get(&path)?)));
        let stands = written.is_some_and(|(key, slot)| {
            let says = |v: &&Written| matches!(&v.content, Content::Value(v) if v.data == said);
            let mut versions = slot.versions.iter().filter(says);
            versions.any(|v| applied.covers(v.dot) && !key.is_deleted(v.dot, applied))
        });
        if !stands {
            let what = format!(
                "r{region} answers {} for {}/{}{}, which was deleted or never written",
                String::from_utf8_lossy(&said),
                key.0,
                key.1,
                path.pointer()
            );
            return Err(Violation::new(NAME, what));
        }
    }
    Ok(())
}

/// The leaves of a document, with where they lie.
fn read_leaves(document: &Value, leaves: &mut Vec<(Path, Bytes)>) {
    fn walk(path: &Path, json: &Json, leaves: &mut Vec<(Path, Bytes)>) {
        match json {
            Json::Object(fields) => {
                for (name, field) in fields {
                    walk(&path.child(name.as_bytes()), field, leaves);
                }
            }
            leaf => leaves.push((path.clone(), leaf.to_string().into())),
        }
    }
    if let Ok(json) = serde_json::from_slice(&document.data) {
        walk(&Path::root(), &json, leaves);
    }
}

fn take(taken: &mut Vec<Taken>, path: &Path, context: &VersionVector, clears: bool) {
    let at = taken.iter().position(|t| t.path == *path);
    let at = at.unwrap_or_else(|| {
        taken.push(Taken {
            path: path.clone(),
            here: VersionVector::new(),
            below: VersionVector::new(),
        });
        taken.len() - 1
    });
    taken[at].here.merge(context);
    if clears {
        taken[at].below.merge(context);
    }
}
