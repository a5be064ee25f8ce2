//! Reading: keys, pages, the ledger, entries by dot, each from one snapshot.

use std::ops::{Bound, ControlFlow};

use bytes::Bytes;

use atoll_core::content::Content;
use atoll_core::state::{ConflictId, LedgerRow, SlotName};
use atoll_core::view::{self, Lens};
use atoll_core::{CollectionName, Dot, Key, Path, Slot, SlotWrite, Timestamp, wire};

use crate::engine::{Direction, Family, Read};
use crate::error::StoreError;
use crate::records::applied::{self, Applied};
use crate::records::arrival::{self, Arrival};
use crate::records::ledger_row::{self, KeptRow};
use crate::records::{idempotency, log_index, slot, slot_key};
use crate::region::Catalog;
use crate::transaction::Transaction;

/// All slots of a key, in path order.
pub type Slots = Vec<(Path, Slot)>;

/// How far the state in this snapshot is.
///
/// # Errors
/// When it cannot be read.
pub fn applied(read: &dyn Read) -> Result<Applied, StoreError> {
    let bytes = read.get(Family::Meta, applied::KEY)?;
    Ok(bytes.map(applied::decode).transpose()?.unwrap_or_default())
}

/// Whether idempotency keys are remembered of writes before `before`, or more than `keys_max` of them.
///
/// # Errors
/// When it cannot be read.
pub fn remembers_too_much(
    read: &dyn Read,
    before: Timestamp,
    keys_max: u64,
) -> Result<bool, StoreError> {
    let mut oldest = None;
    let mut visit = |place: &[u8], _: &[u8]| {
        oldest = Some(idempotency::decode_time_key(place));
        ControlFlow::Break(())
    };
    let ages = idempotency::time_prefix();
    read.scan_prefix(Family::Meta, ages, Direction::Forward, &mut visit)?;
    let Some((time, _)) = oldest.transpose()? else {
        return Ok(false);
    };
    Ok(time < before || applied(read)?.idempotency_keys > keys_max)
}

/// The root slot of a key: all there is of a Register or Counter.
///
/// # Errors
/// When it cannot be read.
pub fn root(read: &dyn Read, collection: &CollectionName, key: &Key) -> Result<Slots, StoreError> {
    let bytes = read.get(Family::State, &slot_key::key_prefix(collection, key))?;
    let slot = bytes.map(slot::decode).transpose()?;
    Ok(slot.map(|slot| (Path::root(), slot)).into_iter().collect())
}

/// All slots of a key.
///
/// # Errors
/// When they cannot be read.
pub fn slots(read: &dyn Read, collection: &CollectionName, key: &Key) -> Result<Slots, StoreError> {
    let prefix = slot_key::key_prefix(collection, key);
    let mut slots = Vec::new();
    for (key, bytes) in pairs(read, Family::State, &prefix)? {
        slots.push((slot_key::decode(&key)?.path, slot::decode(bytes)?));
    }
    Ok(slots)
}

/// Which keys a page shows.
#[derive(Debug, Clone, Default)]
pub struct PageBounds {
    /// Only keys that begin with this.
    pub prefix: Bytes,
    /// From here, included; empty = from the first.
    pub start: Bytes,
    /// Up to here, excluded; empty = to the last.
    pub end: Bytes,
    /// At most this many.
    pub limit: usize,
    /// Stop once the slots read exceed this many bytes; at least one key is shown.
    pub bytes_max: usize,
}

/// Keys with their slots, and where the next page starts.
pub type Page = (Vec<(Key, Slots)>, Option<Key>);

/// A page of present keys in order of their bytes, with their slots, and where the next page starts.
///
/// # Errors
/// When the state cannot be read.
pub fn page(read: &dyn Read, lens: &Lens<'_>, bounds: &PageBounds) -> Result<Page, StoreError> {
    let collection = &lens.spec.name;
    let prefix_len = slot_key::collection_prefix(collection).len();
    let start = bounds.start.clone().max(bounds.prefix.clone());
    let from = slot_key::lower_bound(collection, &start);
    let mut to = slot_key::collection_prefix(collection);
    if let Some(last) = to.last_mut() {
        *last = 1; // names hold no byte below '-', so nothing of another collection lies between
    }

    let mut paging = Paging {
        lens,
        bounds,
        done: Vec::new(),
        current: None,
        bytes: 0,
        next: None,
    };
    let mut failed = None;
    read.scan(
        Family::State,
        Bound::Included(&from),
        Bound::Excluded(&to),
        Direction::Forward,
        &mut |key, value| match slot_key::decode_in_collection(&key[prefix_len..])
            .map_err(StoreError::from)
            .and_then(|(key, path)| paging.slot(key, path, value))
        {
            Ok(flow) => flow,
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        },
    )?;
    if let Some(error) = failed {
        return Err(error);
    }
    paging.finish_key();
    Ok((paging.done, paging.next))
}

struct Paging<'a> {
    lens: &'a Lens<'a>,
    bounds: &'a PageBounds,
    done: Vec<(Key, Slots)>,
    current: Option<(Key, Slots)>,
    bytes: usize,
    next: Option<Key>,
}

impl Paging<'_> {
    fn slot(&mut self, key: Key, path: Path, value: &[u8]) -> Result<ControlFlow<()>, StoreError> {
        let slot = slot::decode(Bytes::copy_from_slice(value))?;
        if let Some((current, slots)) = &mut self.current
            && *current == key
        {
            self.bytes += value.len();
            slots.push((path, slot));
            return Ok(ControlFlow::Continue(()));
        }
        self.finish_key();
        let bytes = key.as_bytes();
        let PageBounds {
            prefix,
            end,
            limit,
            bytes_max,
            ..
        } = self.bounds;
        let past_end = !end.is_empty() && bytes >= end;
        if past_end || (!bytes.starts_with(prefix) && bytes > prefix) {
            return Ok(ControlFlow::Break(()));
        }
        let full = self.done.len() >= *limit || (self.bytes > *bytes_max && !self.done.is_empty());
        if full {
            self.next = Some(key);
            return Ok(ControlFlow::Break(()));
        }
        self.bytes += value.len();
        self.current = Some((key, vec![(path, slot)]));
        Ok(ControlFlow::Continue(()))
    }

    fn finish_key(&mut self) {
        if let Some((key, slots)) = self.current.take()
            && view::is_present(self.lens, &slots)
        {
            self.done.push((key, slots));
        }
    }
}

/// The entry of a dot as it arrived; `None` when the log does not have it.
///
/// # Errors
/// When the log cannot be read.
pub fn arrival_of(read: &dyn Read, dot: Dot) -> Result<Option<Arrival>, StoreError> {
    let Some(index) = read.get(Family::Log, &log_index::key(dot))? else {
        return Ok(None);
    };
    let key = arrival::key(log_index::decode(&index)?);
    let bytes = read.get(Family::Arrival, &key)?;
    Ok(bytes
        .map(|bytes| arrival::decode(&key, &bytes))
        .transpose()?)
}

pub(crate) fn ledger_row(read: &dyn Read, id: ConflictId) -> Result<Option<KeptRow>, StoreError> {
    let Some(time) = read.get(Family::Ledger, &ledger_row::id_key(id))? else {
        return Ok(None);
    };
    let key = ledger_row::key(ledger_row::decode_time(&time)?, id);
    let bytes = read.get(Family::Ledger, &key)?;
    Ok(bytes.map(ledger_row::decode).transpose()?)
}

/// One conflict as people read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Its name.
    pub id: ConflictId,
    /// Its row.
    pub row: LedgerRow,
    /// What the two versions said, in the row's order; `None` when the log no longer has it.
    pub contents: [Option<Content>; 2],
    /// What the policies make of it.
    pub verdict: view::Verdict,
    /// The time of the later version.
    pub detected: Timestamp,
    /// When it was decided: at once by an automatic policy, otherwise by the first write that saw both.
    pub resolved: Option<Timestamp>,
    /// When this region noticed, by its own clock, in milliseconds since 1970.
    pub seen_here_ms: u64,
}

/// The conflict of that name.
///
/// # Errors
/// When the ledger cannot be read.
pub fn conflict(
    read: &dyn Read,
    catalog: &Catalog,
    id: ConflictId,
) -> Result<Option<Conflict>, StoreError> {
    match ledger_row(read, id)? {
        Some(kept) => read_conflict(read, catalog, id, kept),
        None => Ok(None),
    }
}

/// Conflicts in order of detection from `(from, after)` on, the one named `after` excluded, until `visit`
/// answers `false`. Rows of collections that are no longer declared are left out.
///
/// # Errors
/// When the ledger cannot be read.
pub fn conflicts(
    read: &dyn Read,
    catalog: &Catalog,
    from: Timestamp,
    after: Option<ConflictId>,
    collection: Option<&CollectionName>,
    visit: &mut dyn FnMut(Conflict) -> bool,
) -> Result<(), StoreError> {
    const ROWS_A_SCAN: usize = 256;
    let to = ledger_row::time_end();
    let mut start = match after {
        Some(id) => Bound::Excluded(ledger_row::key(from, id)),
        None => Bound::Included(ledger_row::time_prefix(from)),
    };
    loop {
        let mut rows = Vec::new();
        let bound = start.as_ref().map(Vec::as_slice);
        read.scan(
            Family::Ledger,
            bound,
            Bound::Excluded(&to),
            Direction::Forward,
            &mut |key, value| {
                rows.push((key.to_vec(), Bytes::copy_from_slice(value)));
                flow(rows.len() < ROWS_A_SCAN)
            },
        )?;
        let Some((last, _)) = rows.last() else {
            return Ok(());
        };
        start = Bound::Excluded(last.clone());
        for (key, value) in rows {
            let kept = ledger_row::decode(value)?;
            if collection.is_some_and(|c| *c != kept.row.at.collection) {
                continue;
            }
            let (_, id) = ledger_row::decode_key(&key)?;
            if let Some(conflict) = read_conflict(read, catalog, id, kept)?
                && !visit(conflict)
            {
                return Ok(());
            }
        }
    }
}

fn read_conflict(
    read: &dyn Read,
    catalog: &Catalog,
    id: ConflictId,
    kept: KeptRow,
) -> Result<Option<Conflict>, StoreError> {
    let KeptRow {
        row,
        seen_here_ms,
        resolved,
    } = kept;
    let Some(lens) = catalog.lens(&row.at.collection) else {
        return Ok(None);
    };
    let verdict = view::verdict(&lens, &row);
    let detected = ledger_row::detected(&row);
    let contents = [
        content_of(read, &row.at, row.first.dot)?,
        content_of(read, &row.at, row.second.dot)?,
    ];
    let resolved = match (verdict.winner, resolved) {
        (Some(_), _) => Some(detected),
        (None, Some(noted)) => Some(noted),
        (None, None) => {
            let first = Transaction::new(read, 0).resolution(&row)?;
            first.map(|(time, _)| time)
        }
    };
    Ok(Some(Conflict {
        id,
        row,
        contents,
        verdict,
        detected,
        resolved,
        seen_here_ms,
    }))
}

/// What an entry said in a slot.
fn content_of(read: &dyn Read, at: &SlotName, dot: Dot) -> Result<Option<Content>, StoreError> {
    let Some(arrival) = arrival_of(read, dot)? else {
        return Ok(None);
    };
    let entry = wire::decode_entry(&arrival.frame)?;
    let operations = entry
        .operations
        .into_iter()
        .filter(|o| o.collection == at.collection && o.key == at.key);
    let writes = operations.flat_map(|o| o.writes);
    let said = writes.filter_map(|write| match write {
        SlotWrite::Assign { path, content, .. } if path == at.path => Some(content),
        _ => None,
    });
    Ok(said.last())
}

/// Whether a scan goes on.
pub(crate) fn flow(goes_on: bool) -> ControlFlow<()> {
    if goes_on {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}

/// All pairs of a family whose keys begin with `prefix`.
pub(crate) fn pairs(
    read: &dyn Read,
    family: Family,
    prefix: &[u8],
) -> Result<Vec<(Vec<u8>, Bytes)>, StoreError> {
    let mut found = Vec::new();
    read.scan_prefix(family, prefix, Direction::Forward, &mut |key, value| {
        found.push((key.to_vec(), Bytes::copy_from_slice(value)));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}
