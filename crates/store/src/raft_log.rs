//! The region's Raft log as bytes: entries by index, vote, commit and purge marks, in [`Family::Raft`].
//!
//! What is in an entry, a vote or a mark is the caller's business (the node speaks Raft, not this room). Made
//! for openraft's log storage: entries have no holes, reads tolerate absence at the ends only, all writes
//! happen in the order of the calls.
//!
//! Every record is summed and named, see [`Record`]: one that is not as it was written is an error with its name.

mod record;

use std::{
    fmt,
    ops::{Bound, ControlFlow},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use thiserror::Error;

pub use self::record::Record;
use self::record::{ENTRY, ENTRY_KEY, FRAME_HEAD, FRAME_VERSION, index_of};
use crate::engine::{Batch, Direction, Engine, EngineError, Family};

/// A node's part of its region's Raft log.
///
/// Share it freely: reads go on beside writes, writes wait for each other (but not for each other's sync).
pub struct RaftLog {
    engine: Arc<dyn Engine>,
    span: Mutex<Span>,
}

impl RaftLog {
    /// The log that an engine holds, empty at first.
    ///
    /// # Errors
    /// [`RaftLogError`] when the marks, or the first or the last entry, are not as they were written.
    pub fn open(engine: Arc<dyn Engine>) -> Result<Self, RaftLogError> {
        let log = Self {
            engine,
            span: Mutex::default(),
        };
        let mut span = Span::default();
        if let Some((index, _)) = log.purged()? {
            span.purge(index.saturating_add(1));
        }
        if let Some(first) = log.outermost(Direction::Forward)? {
            let expected = span.next.unwrap_or(first);
            if first != expected {
                return Err(RaftLogError::Gap {
                    expected,
                    found: first,
                });
            }
            span.first = first;
        }
        if let Some((last, _)) = log.last()? {
            span.next = Some(last.saturating_add(1));
        }
        *log.span() = span;
        Ok(log)
    }

    /// Adds entries behind the last one and returns when they are on the disk.
    ///
    /// # Errors
    /// [`RaftLogError::Gap`] when the indexes do not follow each other and the last one; nothing is written
    /// then. [`RaftLogError::Engine`]: what was written is unknown, read it back after opening again.
    pub fn append(&self, entries: &[(u64, Bytes)]) -> Result<(), RaftLogError> {
        self.append_unsynced(entries)?;
        self.sync()
    }

    /// As [`RaftLog::append`], but does not wait for the disk: the entries can be read at once, and are safe
    /// after the next [`RaftLog::sync`]. Several appends may share one.
    ///
    /// # Errors
    /// As [`RaftLog::append`].
    pub fn append_unsynced(&self, entries: &[(u64, Bytes)]) -> Result<(), RaftLogError> {
        let Some((first, _)) = entries.first() else {
            return Ok(());
        };
        let mut span = self.span();
        let mut next = span.next.unwrap_or(*first);
        let bytes = entries
            .iter()
            .map(|(_, payload)| ENTRY_KEY + FRAME_HEAD + payload.len())
            .sum();
        let mut batch = Batch::with_capacity(entries.len(), bytes);
        for (index, payload) in entries {
            if *index != next {
                return Err(RaftLogError::Gap {
                    expected: next,
                    found: *index,
                });
            }
            put(&mut batch, Record::Entry(*index), &[payload]);
            next += 1;
        }
        self.engine.append(&batch, false)?;
        let first = if span.next.is_none() {
            *first
        } else {
            span.first
        };
        *span = Span {
            first,
            next: Some(next),
        };
        Ok(())
    }

    /// Returns when everything written so far is on the disk.
    ///
    /// # Errors
    /// [`RaftLogError::Engine`]: what was written is unknown.
    pub fn sync(&self) -> Result<(), RaftLogError> {
        Ok(self.engine.append(&Batch::new(), true)?)
    }

    /// Takes away all entries behind `index`, or all there are; returns when that is on the disk.
    ///
    /// # Errors
    /// [`RaftLogError::Engine`].
    pub fn truncate_after(&self, index: Option<u64>) -> Result<(), RaftLogError> {
        let mut span = self.span();
        let from = index.map_or(span.first, |index| span.first.max(index.saturating_add(1)));
        let Some(next) = span.next.filter(|next| from < *next) else {
            return Ok(());
        };
        let mut batch = Batch::new();
        delete_entries(&mut batch, from, next);
        self.engine.append(&batch, false)?;
        span.next = Some(from);
        drop(span);
        self.sync()
    }

    /// Takes away all entries up to `index`, itself included, and remembers it with the caller's `mark`.
    ///
    /// `index` may lie behind the last entry: the next one appended then follows it. Not synced: a purge that
    /// a crash undoes is asked for again. Purge only what the state has *flushed*
    /// ([`Engine::flush`]), not merely applied.
    ///
    /// # Errors
    /// [`RaftLogError::Engine`].
    pub fn purge_upto(&self, index: u64, mark: &[u8]) -> Result<(), RaftLogError> {
        let mut span = self.span();
        let first = index.saturating_add(1);
        if first <= span.first {
            return Ok(());
        }
        let mut batch = Batch::new();
        put(&mut batch, Record::Purged, &[&index.to_be_bytes(), mark]);
        delete_entries(&mut batch, span.first, first);
        self.engine.append(&batch, false)?;
        span.purge(first);
        Ok(())
    }

    /// The entries from `from` to before `to`, as many as are there: without the purged at the beginning and
    /// those not appended yet at the end.
    ///
    /// # Errors
    /// [`RaftLogError`] when an entry between is missing or not as it was written.
    pub fn read(&self, from: u64, to: u64) -> Result<Vec<(u64, Bytes)>, RaftLogError> {
        self.read_limited(from, to, usize::MAX)
    }

    /// As [`RaftLog::read`], but ends with the entry that brings the payloads to `bytes` or above.
    ///
    /// # Errors
    /// As [`RaftLog::read`].
    pub fn read_limited(
        &self,
        from: u64,
        to: u64,
        bytes: usize,
    ) -> Result<Vec<(u64, Bytes)>, RaftLogError> {
        let mut entries: Vec<(u64, Bytes)> = Vec::new();
        let mut size = 0;
        let mut failed = None;
        let mut visit = |key: &[u8], value: &[u8]| {
            match entry(key, value, entries.last().map(|(index, _)| index + 1)) {
                Ok((index, payload)) => {
                    size += payload.len();
                    entries.push((index, Bytes::copy_from_slice(payload)));
                }
                Err(error) => failed = Some(error),
            }
            if failed.is_some() || size >= bytes {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let (from, to) = (Record::Entry(from).key(), Record::Entry(to).key());
        let (from, to) = (
            Bound::Included(from.as_slice()),
            Bound::Excluded(to.as_slice()),
        );
        self.engine
            .scan(Family::Raft, from, to, Direction::Forward, &mut visit)?;
        failed.map_or(Ok(entries), Err)
    }

    /// The last entry that is there; none when all are purged or none was ever appended.
    ///
    /// # Errors
    /// [`RaftLogError`] when it is not as it was written.
    pub fn last(&self) -> Result<Option<(u64, Bytes)>, RaftLogError> {
        match self.outermost(Direction::Backward)? {
            Some(index) => Ok(self
                .get(Record::Entry(index))?
                .map(|payload| (index, payload))),
            None => Ok(None),
        }
    }

    /// The index of the last entry purged, and its mark.
    ///
    /// # Errors
    /// [`RaftLogError`] when it is not as it was written.
    pub fn purged(&self) -> Result<Option<(u64, Bytes)>, RaftLogError> {
        let Some(payload) = self.get(Record::Purged)? else {
            return Ok(None);
        };
        let (index, _) = payload
            .split_first_chunk()
            .ok_or_else(|| Record::Purged.corrupt("it is too short"))?;
        Ok(Some((
            u64::from_be_bytes(*index),
            payload.slice(size_of::<u64>()..),
        )))
    }

    /// Remembers a vote; returns when it is on the disk.
    ///
    /// # Errors
    /// [`RaftLogError::Engine`]: which vote holds is unknown.
    pub fn save_vote(&self, vote: &[u8]) -> Result<(), RaftLogError> {
        self.save(Record::Vote, vote, true)
    }

    /// The vote saved last.
    ///
    /// # Errors
    /// [`RaftLogError`] when it is not as it was written.
    pub fn vote(&self) -> Result<Option<Bytes>, RaftLogError> {
        self.get(Record::Vote)
    }

    /// Remembers how far the log is committed. Not synced: a crash may bring an older one back.
    ///
    /// # Errors
    /// [`RaftLogError::Engine`].
    pub fn save_committed(&self, committed: &[u8]) -> Result<(), RaftLogError> {
        self.save(Record::Committed, committed, false)
    }

    /// What was committed when it was last saved.
    ///
    /// # Errors
    /// [`RaftLogError`] when it is not as it was written.
    pub fn committed(&self) -> Result<Option<Bytes>, RaftLogError> {
        self.get(Record::Committed)
    }

    /// Remembers which node this is; returns when it is on the disk.
    ///
    /// # Errors
    /// [`RaftLogError::Engine`]: whether it is there is unknown.
    pub fn save_node(&self, node: &[u8]) -> Result<(), RaftLogError> {
        self.save(Record::Node, node, true)
    }

    /// Which node this is; none before it was said.
    ///
    /// # Errors
    /// [`RaftLogError`] when it is not as it was written.
    pub fn node(&self) -> Result<Option<Bytes>, RaftLogError> {
        self.get(Record::Node)
    }

    fn save(&self, record: Record, payload: &[u8], sync: bool) -> Result<(), RaftLogError> {
        let mut batch = Batch::new();
        put(&mut batch, record, &[payload]);
        let in_order = self.span();
        self.engine.append(&batch, false)?;
        drop(in_order);
        if sync { self.sync() } else { Ok(()) }
    }

    fn get(&self, record: Record) -> Result<Option<Bytes>, RaftLogError> {
        let Some(value) = self.engine.get(Family::Raft, &record.key())? else {
            return Ok(None);
        };
        record.unframe(&value)?;
        Ok(Some(value.slice(FRAME_HEAD..)))
    }

    /// Index of the first or the last entry.
    fn outermost(&self, direction: Direction) -> Result<Option<u64>, RaftLogError> {
        let mut found = None;
        self.engine
            .scan_prefix(Family::Raft, &[ENTRY], direction, &mut |key, _| {
                found = Some(index_of(key));
                ControlFlow::Break(())
            })?;
        found.transpose()
    }

    fn span(&self) -> MutexGuard<'_, Span> {
        self.span.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RaftLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RaftLog")
            .field("span", &*self.span())
            .finish_non_exhaustive()
    }
}

/// The Raft log is not what was written, or cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RaftLogError {
    /// A record's bytes are not what was written.
    #[error(
        "the Raft log's {record} is damaged: {detail}. Nothing was repaired or thrown away. Put the directory \
         back from a copy, or empty it and let this node catch up from the others"
    )]
    Corrupt {
        /// Which.
        record: Record,
        /// How it shows.
        detail: &'static str,
    },
    /// A newer program wrote a record.
    #[error(
        "the Raft log's {record} has frame version {found}, and this program knows {FRAME_VERSION}: run the newer one"
    )]
    UnknownVersion {
        /// Which.
        record: Record,
        /// The version on disk.
        found: u8,
    },
    /// Entries do not follow each other.
    #[error("the Raft log needs entry {expected} next and has {found}")]
    Gap {
        /// The index that should come.
        expected: u64,
        /// The index that came.
        found: u64,
    },
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Which entries are there: from `first` to before `next`.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    first: u64,
    /// The index that the next entry must have; any will do in a log that never had one.
    next: Option<u64>,
}

impl Span {
    fn purge(&mut self, first: u64) {
        *self = Self {
            first,
            next: Some(self.next.map_or(first, |next| next.max(first))),
        };
    }
}

fn put(batch: &mut Batch, record: Record, payload: &[&[u8]]) {
    batch.put(Family::Raft, &record.key(), &record.frame(payload));
}

/// Takes away the entries from `from` to before `to`.
fn delete_entries(batch: &mut Batch, from: u64, to: u64) {
    batch.delete_range(
        Family::Raft,
        &Record::Entry(from).key(),
        &Record::Entry(to).key(),
    );
}

/// Index and payload of a stored entry, which must be `expected` if that is known.
fn entry<'a>(
    key: &[u8],
    value: &'a [u8],
    expected: Option<u64>,
) -> Result<(u64, &'a [u8]), RaftLogError> {
    let found = index_of(key)?;
    match expected {
        Some(expected) if expected != found => Err(RaftLogError::Gap { expected, found }),
        _ => Ok((found, Record::Entry(found).unframe(value)?)),
    }
}

#[cfg(test)]
mod tests;
