//! Entries: one committed atomic write each, as it is logged, shipped and applied everywhere.
//!
//! An entry describes itself: applying it needs no declaration of its collections, so it is never lost
//! on a region that has not heard of one yet.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::content::Content;
use crate::counter::Floor;
use crate::hlc::Timestamp;
use crate::idempotency::Idempotency;
use crate::ids::{CollectionName, Dot, Key, RegionName};
use crate::layout::Layout;
use crate::member::MemberChange;
use crate::path::Path;
use crate::state::SlotName;
use crate::version_vector::VersionVector;

/// One committed atomic write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub dot: Dot,
    /// When it was written; above every time in its dependencies.
    pub time: Timestamp,
    /// All that its origin had applied. Covers `(dot.replica, dot.seq - 1)`.
    pub dependencies: VersionVector,
    /// What it does, in order.
    pub operations: Vec<Operation>,
    /// Where the request stands in a trace: its trace id (16 bytes), span id (8) and flags (1), or W3C's `traceparent`.
    /// Empty when it stands in none that is kept.
    pub trace: Bytes,
    /// Set in the first entry of a replica id: the region that it is an incarnation of.
    pub announces: Option<RegionName>,
    /// A change of who is a member.
    pub member: Option<MemberChange>,
    /// A topology declared anew.
    pub layout: Option<Layout>,
    /// The key that its client gave the request, if any.
    pub idempotency: Option<Idempotency>,
}

/// What an entry does to one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The collection.
    pub collection: CollectionName,
    /// The key.
    pub key: Key,
    /// What the writer had seen, where that is less than the entry's dependencies.
    pub context: Option<VersionVector>,
    /// The slots it writes.
    pub writes: Vec<SlotWrite>,
}

/// A change of one slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotWrite {
    /// Puts a version there, in place of those that the context covers.
    Assign {
        /// Where.
        path: Path,
        /// What it says.
        content: Content,
        /// Whether the slots below lose the versions that the context covers.
        clear: bool,
        /// Whether the writer saw nothing there.
        creates: bool,
    },
    /// Marks an element of a set as present, in place of the marks that the context covers.
    Mark {
        /// Where.
        path: Path,
    },
    /// Removes the marks that the context covers and leaves nothing: a concurrent mark survives.
    Drop {
        /// Where.
        path: Path,
    },
    /// Adds to a counter.
    Add {
        /// Where.
        path: Path,
        /// By how much.
        delta: i64,
    },
    /// Forgets what a counter's reset had seen.
    Reset {
        /// Where.
        path: Path,
        /// What it had seen, by origin.
        floors: Vec<Floor>,
    },
}

impl Entry {
    /// Makes an entry whose operations repeat a key put one version into each slot: only the last one
    /// stays, with nothing of the entry below a slot that it cleared. Answers whether anything changed; its
    /// origin must then take back what the operations did one by one and apply the entry as a whole.
    ///
    /// Otherwise a version that was there for a moment at the origin would leave ledger rows which no other
    /// region has. Operations on one key come out with one context: what each of them had seen.
    pub fn settle(&mut self) -> bool {
        if self.operations.len() < 2 {
            return false;
        }
        let mut by_key: BTreeMap<(CollectionName, Key), Vec<usize>> = BTreeMap::new();
        for (i, operation) in self.operations.iter().enumerate() {
            let key = (operation.collection.clone(), operation.key.clone());
            by_key.entry(key).or_default().push(i);
        }
        let mut changed = false;
        for operations in by_key.into_values().filter(|all| all.len() > 1) {
            changed |= self.share_context(&operations);
            changed |= self.keep_last_versions(&operations);
        }
        let is_left = |operation: &Operation| !operation.writes.is_empty();
        self.operations.retain(is_left);
        changed
    }

    fn share_context(&mut self, operations: &[usize]) -> bool {
        let contexts = operations.iter().map(|&i| &self.operations[i].context);
        let narrowed = contexts.clone().flatten();
        let shared = narrowed.cloned().reduce(|all, one| all.meet(&one));
        let differ = contexts.into_iter().any(|context| *context != shared);
        for &i in operations {
            self.operations[i].context.clone_from(&shared);
        }
        differ
    }

    /// A version moves to where the entry first wrote its slot, in place of what stood there.
    fn keep_last_versions(&mut self, operations: &[usize]) -> bool {
        let mut kept: BTreeMap<Path, (usize, usize)> = BTreeMap::new();
        let mut gone: BTreeSet<(usize, usize)> = BTreeSet::new();
        for &i in operations {
            for j in 0..self.operations[i].writes.len() {
                let SlotWrite::Assign {
                    path,
                    content,
                    clear,
                    ..
                } = self.operations[i].writes[j].clone()
                else {
                    continue;
                };
                if clear {
                    let is_below =
                        |p: &Path| *p != path && p.as_bytes().starts_with(path.as_bytes());
                    gone.extend(kept.extract_if(.., |p, _| is_below(p)).map(|(_, at)| at));
                }
                match kept.get(&path) {
                    None => {
                        kept.insert(path, (i, j));
                    }
                    Some(&(first, at)) => {
                        gone.insert((i, j));
                        self.operations[first].writes[at].become_later(content, clear);
                    }
                }
            }
        }
        for &i in operations {
            let mut j = 0..;
            self.operations[i]
                .writes
                .retain(|_| j.next().is_none_or(|j| !gone.contains(&(i, j))));
        }
        !gone.is_empty()
    }

    /// The context with which this entry replaces versions of a slot: by a write there, or by one above
    /// that clears what lies below it. `None` when it does neither.
    #[must_use]
    pub fn context_at(&self, at: &SlotName) -> Option<&VersionVector> {
        let replaces = |o: &&Operation| {
            o.collection == at.collection
                && o.key == at.key
                && o.writes.iter().any(|write| write.replaces_at(&at.path))
        };
        let operation = self.operations.iter().find(replaces)?;
        Some(operation.context.as_ref().unwrap_or(&self.dependencies))
    }
}

impl SlotWrite {
    fn become_later(&mut self, later: Content, clears: bool) {
        if let SlotWrite::Assign { content, clear, .. } = self {
            *content = later;
            *clear |= clears;
        }
    }

    /// Where it writes.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            SlotWrite::Assign { path, .. }
            | SlotWrite::Mark { path }
            | SlotWrite::Drop { path }
            | SlotWrite::Add { path, .. }
            | SlotWrite::Reset { path, .. } => path,
        }
    }

    /// Whether versions of the slot at `path` that it has seen give way to it.
    fn replaces_at(&self, path: &Path) -> bool {
        match self {
            SlotWrite::Assign {
                path: here, clear, ..
            } => here == path || *clear && path.as_bytes().starts_with(here.as_bytes()),
            SlotWrite::Mark { path: here } | SlotWrite::Drop { path: here } => here == path,
            SlotWrite::Add { .. } | SlotWrite::Reset { .. } => false,
        }
    }

    /// Whether it leaves nothing where it writes.
    #[must_use]
    pub fn deletes(&self) -> bool {
        match self {
            SlotWrite::Assign { content, .. } => !content.is_live(),
            SlotWrite::Drop { .. } | SlotWrite::Reset { .. } => true,
            SlotWrite::Mark { .. } | SlotWrite::Add { .. } => false,
        }
    }
}

impl Operation {
    /// Whether it deletes the whole value: every write of it deletes.
    #[must_use]
    pub fn deletes(&self) -> bool {
        self.writes.iter().all(SlotWrite::deletes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Value;
    use crate::ids::ReplicaId;

    fn at(path: &str) -> Path {
        let segments = path.split('/').filter(|s| !s.is_empty());
        segments.fold(Path::root(), |p, s| p.child(s.as_bytes()))
    }

    /// `a=1` assigns, `a=-` puts a tombstone, `a=.` an object mark, `!` in front clears below.
    fn write(text: &str) -> SlotWrite {
        let (clear, rest) = text
            .strip_prefix('!')
            .map_or((false, text), |rest| (true, rest));
        let (path, value) = rest.split_once('=').unwrap();
        SlotWrite::Assign {
            path: at(path),
            content: match value {
                "-" => Content::Tombstone,
                "." => Content::Object,
                value => Content::Value(Value::json(value.to_owned())),
            },
            clear,
            creates: false,
        }
    }

    fn operation(key: &str, writes: &str) -> Operation {
        Operation {
            collection: "c".parse().unwrap(),
            key: key.parse().unwrap(),
            context: None,
            writes: writes.split(' ').map(write).collect(),
        }
    }

    fn entry(operations: &[Operation]) -> Entry {
        Entry {
            dot: Dot::new(ReplicaId(1), 1),
            time: Timestamp(1),
            dependencies: [(ReplicaId(2), 5)].into_iter().collect(),
            operations: operations.to_vec(),
            trace: Bytes::new(),
            announces: None,
            member: None,
            layout: None,
            idempotency: None,
        }
    }

    #[test]
    fn an_entry_puts_one_version_into_a_slot() {
        let table: [(&[&str], &[&str]); 6] = [
            (&["=1", "=2"], &["=2"]),
            (&["=1", "=-", "=3"], &["=3"]),
            (&["=. a=1", "=. b=2"], &["=. a=1", "b=2"]),
            (&["=. a=1 b=1", "!=-"], &["!=-"]),
            (&["=. a=1", "!=-", "!=. a=3"], &["!=.", "a=3"]),
            (&["=. a=. a/x=1 b=1", "=. !a=2"], &["=. !a=2 b=1"]),
        ];
        for (given, expected) in table {
            let of =
                |all: &[&str]| entry(&all.iter().map(|w| operation("k", w)).collect::<Vec<_>>());
            let mut settled = of(given);
            assert!(settled.settle(), "{given:?}");
            assert_eq!(settled, of(expected), "{given:?}");
            assert!(!settled.settle(), "{given:?}");
        }
    }

    #[test]
    fn an_entry_that_repeats_nothing_stays() {
        let whole = entry(&[operation("k", "=. a=1"), operation("l", "=. a=1")]);
        let mut settled = whole.clone();
        assert!(!settled.settle());
        assert_eq!(settled, whole);
    }

    #[test]
    fn operations_on_one_key_share_the_context_that_saw_less() {
        let saw = |seq| Some([(ReplicaId(2), seq)].into_iter().collect());
        let mut given = entry(&[
            operation("k", "a=1"),
            operation("k", "b=1"),
            operation("l", "a=1"),
        ]);
        given.operations[1].context = saw(3);
        assert!(given.settle());
        let contexts: Vec<_> = given.operations.iter().map(|o| o.context.clone()).collect();
        assert_eq!(contexts, [saw(3), saw(3), None]);
    }

    #[test]
    fn an_entry_replaces_where_it_writes_and_below_what_it_clears() {
        let mut given = entry(&[operation("k", "=. !a=- b=1"), operation("l", "!=-")]);
        given.operations[0].context = Some(VersionVector::new());
        let of = |key: &str, path: &str| {
            let name = SlotName {
                collection: "c".parse().unwrap(),
                key: key.parse().unwrap(),
                path: at(path),
            };
            given.context_at(&name).map(VersionVector::total)
        };
        let found = ["", "a", "a/x", "b", "b/x", "c"].map(|path| of("k", path));
        assert_eq!(found, [Some(0), Some(0), Some(0), Some(0), None, None]);
        assert_eq!((of("l", "a/x"), of("m", "")), (Some(5), None));
    }
}
