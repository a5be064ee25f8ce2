//! What the simulator has seen: every entry as its origin made it, what it does to which slot, who was told
//! what, and in which order entries arrived in each region.
//!
//! The invariants ask here. Nothing in it comes from a region's state: only from entries and arrivals.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use atoll_core::intent::{Action, Intent};
use atoll_core::{
    CollectionName, Content, Dot, Entry, IdempotencyKey, Key, Operation, Path, SlotWrite,
    Timestamp, VersionVector,
};
use atoll_store::{Arrival, Request};

/// A key of a collection.
pub(crate) type KeyName = (CollectionName, Key);

/// All that was seen.
#[derive(Debug, Default)]
pub(crate) struct Book {
    entries: HashMap<Dot, Original>,
    keys: BTreeMap<KeyName, KeyBook>,
    /// Entries by the idempotency key that they carry.
    named: HashMap<IdempotencyKey, Vec<Dot>>,
    /// Writes that a client was told are done.
    pub(crate) acknowledged: Vec<Acknowledged>,
}

/// An entry as its origin made it.
#[derive(Debug)]
pub(crate) struct Original {
    pub(crate) entry: Arc<Entry>,
    pub(crate) frame: Bytes,
}

/// A write that a client was told is done.
#[derive(Debug)]
pub(crate) struct Acknowledged {
    pub(crate) by: usize,
    pub(crate) dot: Dot,
    pub(crate) request: Request,
}

/// What entries do to one key.
#[derive(Debug, Default)]
pub(crate) struct KeyBook {
    pub(crate) slots: BTreeMap<Path, SlotBook>,
    /// Writes that also take what lies below their slot, and where.
    clears: Vec<(Path, Taking)>,
    /// Deletes of the whole key that a client was told are done.
    deletes: Vec<Delete>,
}

/// A delete of a whole key, as a client asked for it.
#[derive(Debug)]
pub(crate) struct Delete {
    pub(crate) dot: Dot,
    pub(crate) context: VersionVector,
}

/// What entries do to one slot.
#[derive(Debug, Default)]
pub(crate) struct SlotBook {
    pub(crate) versions: Vec<Written>,
    pub(crate) takings: Vec<Taking>,
    pub(crate) additions: Vec<Addition>,
    pub(crate) resets: Vec<Reset>,
}

/// A version that an entry wrote.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) dot: Dot,
    pub(crate) time: Timestamp,
    pub(crate) content: Content,
    pub(crate) creates: bool,
    /// A mark of a set: never in the ledger.
    pub(crate) is_mark: bool,
    pub(crate) source: WriteSource,
}

/// A write that takes the versions that it has seen out of a slot.
#[derive(Debug, Clone)]
pub(crate) struct Taking {
    pub(crate) by: Dot,
    /// A drop leaves nothing, not even its own entry's marks before it.
    drops: bool,
    source: WriteSource,
}

/// An addition to a counter.
#[derive(Debug, Clone)]
pub(crate) struct Addition {
    pub(crate) dot: Dot,
    pub(crate) delta: i64,
    place: usize,
}

/// A reset of a counter.
#[derive(Debug, Clone)]
pub(crate) struct Reset {
    dot: Dot,
    dependencies: VersionVector,
    place: usize,
}

/// The operation that a write belongs to.
#[derive(Debug, Clone)]
pub(crate) struct WriteSource {
    entry: Arc<Entry>,
    operation: usize,
    /// Where in the entry, over all of its operations.
    place: usize,
}

impl WriteSource {
    fn operation(&self) -> &Operation {
        &self.entry.operations[self.operation]
    }

    /// What the writer had seen.
    pub(crate) fn context(&self) -> &VersionVector {
        let narrowed = self.operation().context.as_ref();
        narrowed.unwrap_or(&self.entry.dependencies)
    }

    /// What the writer's region had applied.
    pub(crate) fn dependencies(&self) -> &VersionVector {
        &self.entry.dependencies
    }
}

impl Taking {
    /// When it was written.
    pub(crate) fn time(&self) -> Timestamp {
        self.source.entry.time
    }

    /// Whether its writer had seen this version.
    pub(crate) fn has_seen(&self, dot: Dot) -> bool {
        self.source.context().covers(dot)
    }

    /// Whether it takes this version, if both are of one slot.
    pub(crate) fn takes(&self, version: &Written) -> bool {
        if self.by == version.dot {
            return self.drops && self.source.place > version.source.place;
        }
        self.has_seen(version.dot)
    }
}

impl Reset {
    /// Whether it forgets this addition: its origin had applied it, or it came before in the same entry.
    pub(crate) fn forgets(&self, addition: &Addition) -> bool {
        if self.dot == addition.dot {
            return self.place > addition.place;
        }
        self.dependencies.covers(addition.dot)
    }
}

impl Book {
    /// The entry of that name.
    pub(crate) fn original(&self, dot: Dot) -> Option<&Original> {
        self.entries.get(&dot)
    }

    /// The entries that carry an idempotency key, in the order in which they were written.
    pub(crate) fn of_key(&self, key: &IdempotencyKey) -> &[Dot] {
        self.named.get(key).map_or(&[], Vec::as_slice)
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many entries of a replica id there are beyond a dot.
    pub(crate) fn beyond(&self, last: Dot) -> u64 {
        let first = Dot::new(last.replica, last.seq + 1);
        let mut beyond = (first.seq..).map(|seq| Dot::new(first.replica, seq));
        beyond
            .position(|dot| !self.entries.contains_key(&dot))
            .map_or(0, |count| count as u64)
    }

    /// Forgets the entries of a replica id beyond a dot, and all that they did: they are lost. Says how many.
    pub(crate) fn lose_beyond(&mut self, last: Dot) -> u64 {
        let stays = |dot: Dot| dot.replica != last.replica || dot.seq <= last.seq;
        let before = self.entries.len();
        self.entries.retain(|dot, _| stays(*dot));
        let lost = before - self.entries.len();
        if lost == 0 {
            return 0;
        }
        for named in self.named.values_mut() {
            named.retain(|dot| stays(*dot));
        }
        self.acknowledged.retain(|written| stays(written.dot));
        for key in self.keys.values_mut() {
            key.clears.retain(|(_, taking)| stays(taking.by));
            key.deletes.retain(|delete| stays(delete.dot));
            for slot in key.slots.values_mut() {
                slot.versions.retain(|version| stays(version.dot));
                slot.takings.retain(|taking| stays(taking.by));
                slot.additions.retain(|addition| stays(addition.dot));
                slot.resets.retain(|reset| stays(reset.dot));
            }
        }
        lost as u64
    }

    /// All keys that were ever written.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&KeyName, &KeyBook)> {
        self.keys.iter()
    }

    /// One of them.
    pub(crate) fn key(&self, name: &KeyName) -> Option<&KeyBook> {
        self.keys.get(name)
    }

    /// A client was told that its write is done.
    pub(crate) fn acknowledge(&mut self, by: usize, dot: Dot, request: &Request) {
        let entry = self.entries.get(&dot).map(|original| &original.entry);
        let operations = entry.into_iter().flat_map(|entry| &entry.operations);
        for operation in operations.filter(|o| deletes(request, o)) {
            let name = (operation.collection.clone(), operation.key.clone());
            let dependencies = || entry.map(|entry| entry.dependencies.clone());
            let context = operation.context.clone().or_else(dependencies);
            let key = self.keys.entry(name).or_default();
            key.deletes
                .extend(context.map(|context| Delete { dot, context }));
        }
        self.acknowledged.push(Acknowledged {
            by,
            dot,
            request: request.clone(),
        });
    }

    /// Takes in an entry that was never seen before.
    pub(crate) fn add(&mut self, entry: Entry, arrival: &Arrival) -> Arc<Entry> {
        let entry = Arc::new(entry);
        let original = Original {
            entry: Arc::clone(&entry),
            frame: arrival.frame.clone(),
        };
        self.entries.insert(entry.dot, original);
        if let Some(idempotency) = &entry.idempotency {
            let named = self.named.entry(idempotency.key.clone()).or_default();
            named.push(entry.dot);
        }
        let mut place = 0;
        for (i, operation) in entry.operations.iter().enumerate() {
            let name = (operation.collection.clone(), operation.key.clone());
            let key = self.keys.entry(name).or_default();
            for write in &operation.writes {
                place += 1;
                let source = WriteSource {
                    entry: Arc::clone(&entry),
                    operation: i,
                    place,
                };
                key.add(write, &source);
            }
        }
        entry
    }
}

/// Whether a client asked, once or more, to delete the key of an operation, and for nothing else there.
fn deletes(request: &Request, operation: &Operation) -> bool {
    let of_key = |i: &&Intent| i.collection == operation.collection && i.key == operation.key;
    let mut intents = request.intents.iter().filter(of_key);
    intents.all(|intent| intent.action == Action::Delete)
}

impl KeyBook {
    /// Whether a delete that is among `applied` had seen a version.
    pub(crate) fn is_deleted(&self, dot: Dot, applied: &VersionVector) -> bool {
        let had_seen = |d: &&Delete| applied.covers(d.dot) && d.context.covers(dot);
        self.deletes.iter().any(|delete| had_seen(&delete))
    }

    fn add(&mut self, write: &SlotWrite, source: &WriteSource) {
        let (dot, time) = (source.entry.dot, source.entry.time);
        let slot = self.slots.entry(write.path().clone()).or_default();
        let written = |content: &Content, creates, is_mark| Written {
            dot,
            time,
            content: content.clone(),
            creates,
            is_mark,
            source: source.clone(),
        };
        let taking = |drops| Taking {
            by: dot,
            drops,
            source: source.clone(),
        };
        match write {
            SlotWrite::Assign {
                path,
                content,
                clear,
                creates,
            } => {
                slot.versions.push(written(content, *creates, false));
                slot.takings.push(taking(false));
                if *clear {
                    self.clears.push((path.clone(), taking(false)));
                }
            }
            SlotWrite::Mark { .. } => {
                slot.versions.push(written(&Content::Object, false, true));
                slot.takings.push(taking(false));
            }
            SlotWrite::Drop { .. } => slot.takings.push(taking(true)),
            SlotWrite::Add { delta, .. } => slot.additions.push(Addition {
                dot,
                delta: *delta,
                place: source.place,
            }),
            SlotWrite::Reset { .. } => slot.resets.push(Reset {
                dot,
                dependencies: source.entry.dependencies.clone(),
                place: source.place,
            }),
        }
    }

    /// The writes that take versions of the slot at `path`: those there, and those that clear from above.
    pub(crate) fn takings(&self, path: &Path) -> impl Iterator<Item = &Taking> {
        let here = self.slots.get(path).map(|slot| slot.takings.iter());
        let path = path.clone();
        let above = self
            .clears
            .iter()
            .filter(move |(from, _)| *from != path && path.as_bytes().starts_with(from.as_bytes()));
        here.into_iter()
            .flatten()
            .chain(above.map(|(_, taking)| taking))
    }

    /// The version of that name in the slot at `path`. An entry may write a set's mark twice: the last counts.
    pub(crate) fn version(&self, path: &Path, dot: Dot) -> Option<&Written> {
        let slot = self.slots.get(path)?;
        slot.versions.iter().rev().find(|v| v.dot == dot)
    }
}
