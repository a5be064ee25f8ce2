//! Raft's log over the store's: appended at once, synced in groups.
//!
//! An append is written and readable when it returns; a thread of its own syncs, one `fdatasync` for all that
//! was appended meanwhile, and tells Raft. Entries not applied yet are kept decoded, so that apply reads no
//! disk.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::time::Duration;

use futures_util::{Stream, TryStreamExt, stream};
use openraft::EntryPayload;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::type_config::alias::{DefaultEntryOf, LogIdOf, VoteOf};

use tokio::sync::Notify;

use atoll_store::engine::Engine;
use atoll_store::raft_log::{RaftLog, RaftLogError};

use super::{TypeConfig, codec};
use crate::surroundings::Work;

type Entry = DefaultEntryOf<TypeConfig>;

/// Entries kept decoded, and the bytes that they take on the disk: what waits to be applied is a few groups.
const RECENT_ENTRIES: usize = 256;
const RECENT_BYTES: usize = 4 << 20;
/// Entries read, or sent to a follower, at once.
const PART_BYTES: usize = 4 << 20;
/// Appends waiting for a sync.
const UNSYNCED_APPENDS: usize = 1024;

/// The last entries that were appended, decoded.
#[derive(Default)]
struct Recent {
    entries: VecDeque<Entry>,
    bytes: usize,
}

#[derive(Clone)]
pub(super) struct LogStore {
    log: Arc<RaftLog>,
    recent: Arc<Mutex<Recent>>,
    syncs: mpsc::SyncSender<IOFlushed<TypeConfig>>,
    /// Told of every append where a task syncs, and no thread.
    told: Arc<Notify>,
}

impl LogStore {
    pub(super) fn open(engine: Arc<dyn Engine>, work: Work) -> Result<Self, RaftLogError> {
        let log = Arc::new(RaftLog::open(engine)?);
        let (syncs, waiting) = mpsc::sync_channel(UNSYNCED_APPENDS);
        let (syncing, told) = (Arc::clone(&log), Arc::new(Notify::new()));
        match work {
            Work::Threads => {
                std::thread::Builder::new()
                    .name("raft-log-sync".into())
                    .spawn(move || sync_groups(&syncing, &waiting))
                    .expect("a thread can be started");
            }
            Work::InLine { sync_after } => {
                tokio::spawn(sync_now_and_then(
                    syncing,
                    waiting,
                    Arc::downgrade(&told),
                    sync_after,
                ));
            }
        }
        Ok(LogStore {
            log,
            recent: Arc::default(),
            syncs,
            told,
        })
    }

    fn recent(&self) -> std::sync::MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recent {
    fn remember(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            let follows = |last: &Entry| last.log_id.index + 1 == entry.log_id.index;
            if !self.entries.back().is_none_or(follows) {
                self.clear();
            }
            self.bytes += size(&entry);
            self.entries.push_back(entry);
        }
        while self.entries.len() > RECENT_ENTRIES || self.bytes > RECENT_BYTES {
            let Some(oldest) = self.entries.pop_front() else {
                return;
            };
            self.bytes -= size(&oldest);
        }
    }

    fn clear(&mut self) {
        *self = Recent::default();
    }

    /// Entries `[from, to)` if all of them are kept; they are at most [`RECENT_BYTES`].
    fn recall(&self, from: u64, to: u64) -> Option<Vec<Entry>> {
        let first = self.entries.front()?.log_id.index;
        let last = self.entries.back()?.log_id.index;
        if from < first || to > last + 1 || from >= to {
            return None;
        }
        let at = usize::try_from(from - first).ok()?;
        let count = usize::try_from(to - from).ok()?;
        Some(self.entries.iter().skip(at).take(count).cloned().collect())
    }
}

fn size(entry: &Entry) -> usize {
    match &entry.payload {
        EntryPayload::Normal(proposal) => proposal.bytes.len(),
        EntryPayload::Blank | EntryPayload::Membership(_) => 0,
    }
}

/// Syncs until the log store is gone: all that waits, with one sync.
fn sync_groups(log: &RaftLog, waiting: &mpsc::Receiver<IOFlushed<TypeConfig>>) {
    while let Ok(first) = waiting.recv() {
        sync_group(log, std::iter::once(first).chain(waiting.try_iter()));
    }
}

fn sync_group(log: &RaftLog, group: impl Iterator<Item = IOFlushed<TypeConfig>>) {
    let group: Vec<_> = group.collect();
    let result = log.sync();
    for callback in group {
        callback.io_completed(result.clone().map_err(|e| io_error(&e)));
    }
}

/// The same as a task, for an engine whose sync takes no time: each takes `after` instead.
async fn sync_now_and_then(
    log: Arc<RaftLog>,
    waiting: mpsc::Receiver<IOFlushed<TypeConfig>>,
    told: Weak<Notify>,
    after: fn() -> Duration,
) {
    while let Some(told) = told.upgrade() {
        told.notified().await;
        drop(told);
        tokio::time::sleep(after()).await;
        sync_group(&log, waiting.try_iter());
    }
}

fn io_error(error: &RaftLogError) -> io::Error {
    io::Error::other(error.to_string())
}

impl LogStore {
    /// Entries from `from` on to before `to`, as many as are there; ends with the one that brings them to
    /// `bytes` or above.
    fn entries(&self, from: u64, to: u64, bytes: usize) -> Result<Vec<Entry>, io::Error> {
        if let Some(entries) = self.recent().recall(from, to) {
            return Ok(entries);
        }
        let records = self
            .log
            .read_limited(from, to, bytes)
            .map_err(|e| io_error(&e))?;
        records
            .iter()
            .map(|(index, bytes)| codec::read_entry(*index, bytes))
            .collect()
    }
}

fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(&from) => from,
        Bound::Excluded(&before) => before + 1,
        Bound::Unbounded => 0,
    };
    let to = match range.end_bound() {
        Bound::Included(&last) => last + 1,
        Bound::Excluded(&to) => to,
        Bound::Unbounded => u64::MAX,
    };
    (from, to)
}

impl RaftLogReader<TypeConfig> for LogStore {
    /// What is to be applied: read in parts, since a start may have thousands of large commands before it.
    async fn entries_stream<RB: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = Result<Entry, io::Error>> + Send {
        let (from, to) = bounds(&range);
        let log = self.clone();
        let parts = stream::try_unfold(from, move |next| {
            let read = if next < to {
                log.entries(next, to, PART_BYTES)
            } else {
                Ok(Vec::new())
            };
            std::future::ready(read.map(|part| {
                let last = part.last()?.log_id.index;
                Some((stream::iter(part.into_iter().map(Ok)), last + 1))
            }))
        });
        parts.try_flatten()
    }

    /// What a follower is sent at once.
    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, io::Error> {
        self.entries(start, end, PART_BYTES)
    }

    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        let (from, to) = bounds(&range);
        self.entries(from, to, usize::MAX)
    }

    async fn read_vote(&mut self) -> Result<Option<VoteOf<TypeConfig>>, io::Error> {
        let bytes = self.log.vote().map_err(|e| io_error(&e))?;
        bytes.map(|bytes| codec::read_vote(&bytes)).transpose()
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let purged = self.log.purged().map_err(|e| io_error(&e))?;
        let last_purged_log_id = purged
            .map(|(_, mark)| codec::read_log_id(&mark))
            .transpose()?;
        let last = self.log.last().map_err(|e| io_error(&e))?;
        let last_log_id = match last {
            Some((index, bytes)) => Some(codec::read_log_id_of_entry(index, &bytes)?),
            None => last_purged_log_id,
        };
        Ok(LogState {
            last_purged_log_id,
            last_log_id,
        })
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<TypeConfig>) -> Result<(), io::Error> {
        self.log
            .save_vote(&codec::vote(vote)?)
            .map_err(|e| io_error(&e))
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: IOFlushed<TypeConfig>,
    ) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let records = entries
            .iter()
            .map(|entry| Ok((entry.log_id.index, codec::entry(entry)?)));
        let records = records.collect::<io::Result<Vec<_>>>()?;
        self.log
            .append_unsynced(&records)
            .map_err(|e| io_error(&e))?;
        self.recent().remember(entries);
        let sent = self.syncs.send(callback);
        self.told.notify_one();
        sent.map_err(|_| io::Error::other("the log's sync thread is gone"))
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<TypeConfig>>) -> Result<(), io::Error> {
        self.recent().clear();
        self.log
            .truncate_after(last.map(|id| id.index))
            .map_err(|e| io_error(&e))
    }

    async fn purge(&mut self, upto: LogIdOf<TypeConfig>) -> Result<(), io::Error> {
        self.log
            .purge_upto(upto.index, &codec::log_id(&upto)?)
            .map_err(|e| io_error(&e))
    }
}
