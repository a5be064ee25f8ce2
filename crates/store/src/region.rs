//! The region's state machine: what a command does to the state.
//!
//! [`Region::apply`] is a deterministic function of (state, commands): it reads no clock and draws no
//! number, so all nodes of a region stay equal. One group of commands is one engine batch. Dots,
//! dependencies and corrected times are known only here, so the bytes of an entry are born here.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;

use atoll_core::apply::EntryWrite;
use atoll_core::collection::Regions;
use atoll_core::expand::{Failure, expand_within};
use atoll_core::intent::{Intent, Rejection};
use atoll_core::layout::AgreedLayout;
use atoll_core::state::LedgerRow;
use atoll_core::view::{self, Lens};
use atoll_core::wire::{self, EntryFrame};
use atoll_core::{
    CollectionName, CollectionSpec, Dot, Entry, MemberState, Operation, ReplicaId, StoreId,
    Timestamp, apply,
};

use crate::command::{Command, Request};
use crate::engine::{Batch, Engine, Family};
use crate::error::StoreError;
use crate::records::applied::{self, Applied};
use crate::records::arrival::{self, Arrival};
use crate::records::identity::{self, Identity};
use crate::records::{collections, layout, log_index};
use crate::transaction::Transaction;
use crate::transfer;

mod idempotency;
mod members;
mod outcome;

pub use members::NotChanged;
pub use outcome::{Group, Merged, NewConflict, Outcome, Resolution, Written};

/// What readers need to interpret the state: shared, replaced as a whole when it changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    /// The collections, by name.
    pub collections: BTreeMap<CollectionName, CollectionSpec>,
    /// Which replica id is which region, and how far each is.
    pub regions: Regions,
    /// The topology that was declared last; `None` while none was.
    pub layout: Option<AgreedLayout>,
}

impl Catalog {
    /// How to look at a collection; `None` when there is none of that name.
    #[must_use]
    pub fn lens(&self, collection: &CollectionName) -> Option<Lens<'_>> {
        let spec = self.collections.get(collection)?;
        Some(Lens {
            spec,
            regions: &self.regions,
        })
    }
}

/// A region's state and what it takes to change it.
pub struct Region {
    engine: Arc<dyn Engine>,
    identity: Identity,
    applied: Applied,
    catalog: Arc<Catalog>,
}

/// A group being applied.
struct Work<'a> {
    tx: Transaction<'a>,
    next: Applied,
    catalog: Arc<Catalog>,
    identity: &'a Identity,
    group: Group,
}

impl Region {
    /// The identity that an engine holds, if it was ever given one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn identity_in(engine: &dyn Engine) -> Result<Option<Identity>, StoreError> {
        let bytes = engine.get(Family::Meta, identity::KEY)?;
        Ok(bytes.map(identity::decode).transpose()?)
    }

    /// Makes an empty engine this region's, durably.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn form(engine: &dyn Engine, identity: &Identity) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(Family::Meta, identity::KEY, &identity::encode(identity));
        engine.commit(&batch)?;
        Ok(engine.flush()?)
    }

    /// Opens the state that an engine holds.
    ///
    /// # Errors
    /// When it cannot be read; [`StoreError::BeingReplaced`] when it is half installed
    /// ([`crate::transfer`]). `Ok(None)` when the engine was not formed.
    pub fn open(engine: Arc<dyn Engine>) -> Result<Option<Region>, StoreError> {
        if transfer::is_set(&*engine)? {
            return Err(StoreError::BeingReplaced);
        }
        let Some(identity) = Region::identity_in(&*engine)? else {
            return Ok(None);
        };
        let read = |key| engine.get(Family::Meta, key);
        let applied = read(applied::KEY)?
            .map(applied::decode)
            .transpose()?
            .unwrap_or_default();
        let regions = read(collections::REGIONS_KEY)?.map(collections::decode_regions);
        let specs = read(collections::KEY)?
            .map(collections::decode)
            .transpose()?
            .unwrap_or_default();
        let catalog = Catalog {
            collections: by_name(specs),
            regions: regions.transpose()?.unwrap_or_default(),
            layout: read(layout::KEY)?.map(layout::decode).transpose()?,
        };
        Ok(Some(Region {
            engine,
            identity,
            applied,
            catalog: Arc::new(catalog),
        }))
    }

    /// Reads again what the engine holds, after something else than [`Region::apply`] changed it.
    ///
    /// # Errors
    /// As [`Region::open`]; this is as it was then.
    pub fn reload(&mut self) -> Result<(), StoreError> {
        if let Some(region) = Region::open(Arc::clone(&self.engine))? {
            *self = region;
        }
        Ok(())
    }

    /// Whose state it is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The store's id.
    #[must_use]
    pub fn store(&self) -> StoreId {
        self.identity.store
    }

    /// This region's replica id.
    #[must_use]
    pub fn replica(&self) -> ReplicaId {
        self.identity.replica
    }

    /// How far it is.
    #[must_use]
    pub fn applied(&self) -> &Applied {
        &self.applied
    }

    /// Its collections and regions.
    #[must_use]
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// The engine below.
    #[must_use]
    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    /// Applies a group of commands; `raft` is what to remember as the place in the Raft log.
    ///
    /// # Errors
    /// When the state cannot be read or written, or a command cannot be decoded: nothing was changed then,
    /// and the node must stop rather than skip it.
    pub fn apply<C: std::borrow::Borrow<Command>>(
        &mut self,
        commands: &[C],
        raft: Bytes,
    ) -> Result<Group, StoreError> {
        let engine = Arc::clone(&self.engine);
        let mut work = Work {
            tx: Transaction::new(&*engine, 0),
            next: self.applied.clone(),
            catalog: Arc::clone(&self.catalog),
            identity: &self.identity,
            group: Group::default(),
        };
        for command in commands {
            let outcome = work.apply(command.borrow())?;
            work.tx.prune(&work.next.stable)?;
            work.group.outcomes.push(outcome);
        }
        let Work {
            mut tx,
            mut next,
            catalog,
            mut group,
            ..
        } = work;
        next.raft = raft;
        group.conflicts = new_conflicts(&mut tx, &catalog);
        group.resolutions = resolutions(&mut tx, &catalog)?;
        next.ledger_rows = next.ledger_rows.saturating_add_signed(tx.ledger_growth());
        next.idempotency_keys = next.idempotency_keys.saturating_add_signed(tx.key_growth());

        let frames = group.arrivals.iter().map(|new| new.frame.len());
        // An entry is kept as it came, and changes a slot or two.
        let mut batch = Batch::with_capacity(
            8 + 4 * group.arrivals.len(),
            512 + frames.map(|bytes| 2 * bytes + 256).sum::<usize>(),
        );
        tx.into_batch(&mut batch);
        for new in &group.arrivals {
            batch.put(
                Family::Arrival,
                &arrival::key(new.index),
                &arrival::encode(new),
            );
            batch.put(
                Family::Log,
                &log_index::key(new.dot),
                &log_index::encode(new.index),
            );
        }
        batch.put(Family::Meta, applied::KEY, &applied::encode(&next));
        let changed = !Arc::ptr_eq(&catalog, &self.catalog);
        if changed && catalog.collections != self.catalog.collections {
            let specs: Vec<CollectionSpec> = catalog.collections.values().cloned().collect();
            batch.put(Family::Meta, collections::KEY, &collections::encode(&specs));
        }
        if changed && catalog.regions != self.catalog.regions {
            let bytes = collections::encode_regions(&catalog.regions);
            batch.put(Family::Meta, collections::REGIONS_KEY, &bytes);
        }
        if let Some(agreed) = &catalog.layout
            && catalog.layout != self.catalog.layout
        {
            batch.put(Family::Meta, layout::KEY, &layout::encode(agreed));
        }
        engine.commit(&batch)?;
        self.applied = next;
        self.catalog = catalog;
        Ok(group)
    }
}

impl Work<'_> {
    fn apply(&mut self, command: &Command) -> Result<Outcome, StoreError> {
        Ok(match command {
            Command::Announce { now } => {
                self.announce(*now, None);
                Outcome::Done
            }
            Command::Join { now } => {
                self.announce(*now, Some(MemberState::Joining));
                Outcome::Done
            }
            Command::Member { now, change } => Outcome::Changed(self.change(*now, change)),
            Command::Layout { now, layout } => Outcome::Changed(self.lay_out(*now, layout)),
            Command::Write { now, requests } => {
                self.tx.set_now(now.millis());
                let written = requests.iter().map(|request| self.write(*now, request));
                Outcome::Written(written.collect::<Result<_, _>>()?)
            }
            Command::Remote {
                now,
                sender,
                frames,
            } => {
                self.tx.set_now(now.millis());
                Outcome::Merged(self.merge(*sender, frames)?)
            }
            Command::Configure { collections } => Outcome::Configured(self.configure(collections)),
            Command::Stable { vector } => {
                self.next.stable.merge(vector);
                Outcome::Done
            }
            Command::Trim { before, rows_max } => {
                let rows = self.next.ledger_rows;
                self.tx.trim(*before, *rows_max, rows)?;
                Outcome::Done
            }
            Command::Forget { before, keys_max } => {
                let (kept, stable) = (self.next.idempotency_keys, &self.next.stable);
                self.tx.forget_keys(*before, *keys_max, kept, stable)?;
                Outcome::Done
            }
        })
    }

    /// The frame of this region's next entry: nothing in it yet.
    fn next_entry(&self, now: Timestamp) -> Entry {
        let me = self.identity.replica;
        Entry {
            dot: Dot::new(me, self.next.vector.get(me) + 1),
            // Writes are refused beyond it. What is said of members is ordered by revisions and may share it.
            time: Timestamp::after(now, self.next.time).min(Timestamp::LATEST),
            dependencies: self.next.vector.clone(),
            operations: Vec::new(),
            trace: Bytes::new(),
            announces: None,
            member: None,
            layout: None,
            idempotency: None,
        }
    }

    fn write(
        &mut self,
        now: Timestamp,
        request: &Request,
    ) -> Result<Result<Written, Rejection>, StoreError> {
        let idempotency = match self.meet(request)? {
            ControlFlow::Continue(idempotency) => idempotency,
            ControlFlow::Break(answer) => return Ok(answer),
        };
        if let Err(rejection) = self.may_write(now) {
            return Ok(Err(rejection));
        }
        self.tx.begin();
        let mut entry = self.next_entry(now);
        let mut index = 0;
        for (i, intent) in request.intents.iter().enumerate() {
            match self.originate(&entry, intent, i > 0, &mut index) {
                Ok(operation) if operation.writes.is_empty() => {}
                Ok(operation) => entry.operations.push(operation),
                Err(Failure::Rejected(rejection)) => {
                    self.tx.roll_back();
                    return Ok(Err(rejection));
                }
                Err(Failure::State(error)) => return Err(error),
            }
        }
        if entry.operations.is_empty() {
            self.tx.roll_back();
            return Ok(Ok(Written {
                entry: None,
                session: self.next.vector.clone(),
                repeats: false,
            }));
        }
        if entry.settle() {
            self.tx.roll_back();
            apply::apply(&mut self.tx, &entry)?;
        }
        entry.trace = request.trace.clone();
        entry.idempotency = idempotency;
        self.tx.remember_key(&entry)?;
        let named = (entry.dot, entry.time);
        self.add(entry, None, None);
        Ok(Ok(Written {
            entry: Some(named),
            session: self.next.vector.clone(),
            repeats: false,
        }))
    }

    /// Expands an intent and applies it; one that `follows` others in its entry sees what they did.
    fn originate(
        &mut self,
        entry: &Entry,
        intent: &Intent,
        follows: bool,
        index: &mut u32,
    ) -> Result<Operation, Failure<StoreError>> {
        let catalog = Arc::clone(&self.catalog);
        let lens = catalog
            .lens(&intent.collection)
            .ok_or_else(|| Rejection::UnknownCollection(intent.collection.to_string()))?;
        let follows = follows.then_some(entry.dot);
        let operation = expand_within(&self.tx, lens, intent, &entry.dependencies, follows)?;
        let write = EntryWrite {
            dot: entry.dot,
            time: entry.time,
            dependencies: &entry.dependencies,
            operation: &operation,
        };
        write.apply(&mut self.tx, index).map_err(Failure::State)?;
        Ok(operation)
    }

    /// Nothing is taken of a sender from the entry on that removed it by force. All others may rely on it: what those
    /// that know of the removal have of it is all that there will ever be.
    fn merge(&mut self, sender: ReplicaId, frames: &[EntryFrame]) -> Result<Merged, StoreError> {
        let mut merged = Merged::default();
        let mut is_removed = self.catalog.regions.is_removed(sender);
        for frame in frames {
            // Links check entries before they propose them; one that slipped through waits like an early one.
            let Ok(entry) = frame.take() else {
                merged.early += 1;
                continue;
            };
            if self.next.vector.covers(entry.dot) {
                merged.duplicates += 1;
            } else if is_removed {
                merged.refused += 1;
            } else if !self.next.vector.covers_all(&entry.dependencies) {
                merged.early += 1;
            } else {
                self.tx.begin();
                apply::apply(&mut self.tx, &entry)?;
                self.take_in(&entry);
                if entry.member.is_some() {
                    is_removed = self.catalog.regions.is_removed(sender);
                }
                self.tx.remember_key(&entry)?;
                self.add(entry, Some(sender), Some(frame.bytes().clone()));
                merged.applied += 1;
            }
        }
        Ok(merged)
    }

    /// Puts an applied entry into the log.
    fn add(&mut self, entry: Entry, sender: Option<ReplicaId>, frame: Option<Bytes>) {
        self.next.vector.raise(entry.dot);
        self.next.time = self.next.time.max(entry.time);
        self.next.arrival += 1;
        self.group.arrivals.push(Arrival {
            index: self.next.arrival,
            dot: entry.dot,
            sender,
            frame: frame.unwrap_or_else(|| wire::encode_entry(&entry)),
        });
        self.tx.remember(entry);
    }

    fn configure(&mut self, collections: &[CollectionSpec]) -> Result<(), String> {
        for spec in collections {
            if let Some(known) = self.catalog.collections.get(&spec.name)
                && known.data_type != spec.data_type
            {
                return Err(format!(
                    "collection {} is a {} and cannot become a {}: declare a new collection and copy",
                    spec.name,
                    known.data_type.name(),
                    spec.data_type.name()
                ));
            }
        }
        let wanted = by_name(collections.to_vec());
        if wanted != self.catalog.collections {
            Arc::make_mut(&mut self.catalog).collections = wanted;
        }
        Ok(())
    }
}

fn by_name(specs: Vec<CollectionSpec>) -> BTreeMap<CollectionName, CollectionSpec> {
    specs
        .into_iter()
        .map(|spec| (spec.name.clone(), spec))
        .collect()
}

fn new_conflicts(tx: &mut Transaction<'_>, catalog: &Catalog) -> Vec<NewConflict> {
    let named = tx.fresh_rows().filter_map(|row| {
        let verdict = view::verdict(&catalog.lens(&row.at.collection)?, row);
        Some(NewConflict {
            collection: row.at.collection.clone(),
            kind: verdict.kind,
            outcome: verdict.outcome,
        })
    });
    named.collect()
}

fn resolutions(tx: &mut Transaction<'_>, catalog: &Catalog) -> Result<Vec<Resolution>, StoreError> {
    let settled = tx.settled_rows()?;
    let measure = |row: &LedgerRow, after_ms: u64, by_policy: bool| {
        let verdict = view::verdict(&catalog.lens(&row.at.collection)?, row);
        (verdict.winner.is_some() == by_policy).then(|| Resolution {
            collection: row.at.collection.clone(),
            kind: verdict.kind,
            after_ms,
        })
    };
    let at_once = tx.fresh_rows().filter_map(|row| measure(row, 0, true));
    let mut resolutions: Vec<Resolution> = at_once.collect();
    let later = settled
        .iter()
        .filter_map(|(row, after_ms)| measure(row, *after_ms, false));
    resolutions.extend(later);
    Ok(resolutions)
}
