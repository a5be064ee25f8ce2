//! Engine: ordered bytes in seven families, one batch at a time; what everything else in this room stands on.
//!
//! Two engines obey this trait and pass one conformance suite: [`RocksEngine`] on a disk and
//! [`MemoryEngine`], its twin for the simulator. Neither knows what a key or a value means.
//!
//! Durability has two doors, and a family goes through one of them only:
//! - [`Engine::append`], for [`Family::Raft`] alone: written to the write-ahead log, survives a crash.
//! - [`Engine::commit`], for every other family: not logged. After a crash these families stand together
//!   where the last flush left them, and the region applies the Raft log again from there.
//!
//! A flush (asked for by [`Engine::flush`], or the engine's own when its buffers are full) takes all
//! families at one instant, so a crash never shows half a batch, nor one family ahead of another.

mod batch;
#[cfg(test)]
mod conformance;
mod error;
mod memory;
mod rocks;

use std::{
    ops::{Bound, ControlFlow},
    sync::Arc,
};

use bytes::Bytes;

pub use self::{
    batch::{Batch, Change},
    error::{EngineError, OpenError},
    memory::MemoryEngine,
    rocks::{Memory, RocksEngine, Settings},
};

/// Reads bytes, from the engine as it is now or from a snapshot of it.
pub trait Read: Send + Sync {
    /// The value of a key, if it has one.
    ///
    /// # Errors
    /// [`EngineError`] when the disk fails or holds something else than was written.
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, EngineError>;

    /// Shows the pairs between `from` and `to` to `visit`, in key order or against it, until it breaks.
    ///
    /// `from` is always the lower end, also backward. One scan sees one instant. The slices live only
    /// for the call. A range whose ends are crossed is empty.
    ///
    /// # Errors
    /// [`EngineError`] when the disk fails or holds something else than was written.
    fn scan(
        &self,
        family: Family,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), EngineError>;

    /// [`Read::scan`] over all keys that begin with `prefix`.
    ///
    /// # Errors
    /// As [`Read::scan`].
    fn scan_prefix(
        &self,
        family: Family,
        prefix: &[u8],
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), EngineError> {
        let end = prefix_end(prefix);
        let to = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.scan(family, Bound::Included(prefix), to, direction, visit)
    }
}

/// Holds all of one node's data.
pub trait Engine: Read {
    /// Calls `read` once with a view that no later write changes, the same instant for all families.
    ///
    /// The view lives as long as the call: RocksDB keeps every version that a snapshot can see, so a
    /// long one costs disk. Most callers want [`<dyn Engine>::snapshot`](trait.Engine.html#method.snapshot).
    fn with_snapshot(&self, read: &mut dyn FnMut(&dyn Read));

    /// Writes a batch at once or not at all; durable with the next flush.
    ///
    /// # Panics
    /// When the batch touches [`Family::Raft`], which only [`Engine::append`] writes.
    ///
    /// # Errors
    /// [`EngineError`]; nothing of the batch is visible then.
    fn commit(&self, batch: &Batch) -> Result<(), EngineError>;

    /// Writes a batch to the Raft family at once or not at all, through the write-ahead log.
    ///
    /// With `sync`, returns when it and everything appended before are on the disk; without, a process
    /// may die and lose nothing, a machine may lose the end of what was appended. It can be read as
    /// soon as it is written, before it is synced. An empty batch with `sync` only syncs.
    ///
    /// # Panics
    /// When the batch touches another family than [`Family::Raft`].
    ///
    /// # Errors
    /// [`EngineError`]; whether the batch will be there after a restart is unknown then.
    fn append(&self, batch: &Batch, sync: bool) -> Result<(), EngineError>;

    /// A copy of all families but [`Family::Raft`] at one instant, which lives until it is dropped.
    ///
    /// Later writes do not show in it, and it may outlive the engine while the process lives. The Raft family
    /// is empty in it. It costs a flush, which makes all that it shows durable, and the room of what the engine
    /// throws away while it lives.
    ///
    /// # Errors
    /// [`EngineError::DiskFull`] when less than the reserve is left (see [`Engine::writable`]): a copy holds
    /// on to room that trimming would give back. Any other [`EngineError`] when the disk fails.
    fn checkpoint(&self) -> Result<Arc<dyn Read>, EngineError>;

    /// Makes everything written so far durable, all families at one instant.
    ///
    /// What a caller read before it called is durable when this returns: that is how far the Raft log may
    /// be purged.
    ///
    /// # Errors
    /// [`EngineError`]; what was durable before still is.
    fn flush(&self) -> Result<(), EngineError>;

    /// About how many bytes a flush now would write: what was written since the last one, and what a start
    /// after a crash now would have to apply again. Cheap enough to ask after every group.
    ///
    /// # Errors
    /// [`EngineError`] when the engine cannot tell.
    fn unflushed_bytes(&self) -> Result<u64, EngineError>;

    /// What the engine takes of its disk, and what the disk has left.
    ///
    /// # Errors
    /// [`EngineError::Io`] when the disk cannot be asked.
    fn disk(&self) -> Result<Disk, EngineError>;

    /// What the engine tells of itself, for people who watch it; nothing where it cannot. Cheap.
    fn figures(&self) -> Figures {
        Figures::default()
    }

    /// Whether new writes should be let in: ask before proposing, since what the log holds must be applied.
    ///
    /// # Errors
    /// [`EngineError::DiskFull`] when less than the reserve is left: enough to flush, compact and trim,
    /// which is how a full disk gets room again.
    fn writable(&self) -> Result<(), EngineError>;
}

impl dyn Engine + '_ {
    /// What `read` makes of one instant, see [`Engine::with_snapshot`].
    ///
    /// # Panics
    /// When an engine does not keep its promise to call back once.
    pub fn snapshot<T>(&self, read: impl FnOnce(&dyn Read) -> T) -> T {
        let mut read = Some(read);
        let mut answer = None;
        self.with_snapshot(&mut |view| answer = read.take().map(|read| read(view)));
        answer.expect("an engine calls back once")
    }
}

/// What a scan calls with each key and value; breaks to end it.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Where a key lives: the engine's independent key spaces. What they hold is said where records are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// The region's own facts: identity, applied index, vectors, configuration.
    Meta,
    /// The Raft log and vote; the only family in the write-ahead log.
    Raft,
    /// Entries by dot, as they arrived.
    Log,
    /// Dots by order of arrival.
    Arrival,
    /// Slots of keys.
    State,
    /// Superseded versions that are not stable yet.
    History,
    /// Conflicts.
    Ledger,
}

impl Family {
    /// All families, in the order of their ordinals.
    pub const ALL: [Self; 7] = [
        Self::Meta,
        Self::Raft,
        Self::Log,
        Self::Arrival,
        Self::State,
        Self::History,
        Self::Ledger,
    ];

    /// The name on disk, never reused for something else.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Raft => "raft",
            Self::Log => "log",
            Self::Arrival => "arrival",
            Self::State => "state",
            Self::History => "history",
            Self::Ledger => "ledger",
        }
    }

    /// Place in [`Family::ALL`].
    pub(crate) const fn ordinal(self) -> usize {
        self as usize
    }
}

/// Order in which a scan shows keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest key first.
    Forward,
    /// Greatest key first.
    Backward,
}

/// An engine's disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Taken by the engine's files, the write-ahead log among them.
    pub used_bytes: u64,
    /// Left on the file system for this process's user.
    pub free_bytes: u64,
    /// Size of the file system.
    pub total_bytes: u64,
}

/// What an engine tells of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Bytes in memory that are not in files yet.
    pub buffered_bytes: u64,
    /// Bytes of files that are kept in memory.
    pub cache_bytes: u64,
    /// Bytes in memory that tell where in files things are.
    pub index_bytes: u64,
    /// Bytes that wait to be compacted.
    pub compaction_bytes: u64,
    /// Compactions under way.
    pub compactions: u64,
    /// Whether writes wait until compactions have caught up.
    pub writes_stopped: bool,
    /// Bytes of each family, in the order of [`Family::ALL`].
    pub family_bytes: [u64; Family::ALL.len()],
}

impl Figures {
    /// Bytes of one family.
    #[must_use]
    pub fn of(&self, family: Family) -> u64 {
        self.family_bytes[family.ordinal()]
    }
}

/// The smallest key above all keys that begin with `prefix`; none when there is no such key.
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// Whether no key can lie between two bounds.
pub(crate) fn is_empty_range(from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
    match (from, to) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Excluded(to))
        | (Bound::Excluded(from), Bound::Included(to)) => from >= to,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_familys_ordinal_is_its_place() {
        for (place, family) in Family::ALL.into_iter().enumerate() {
            assert_eq!(family.ordinal(), place);
        }
    }

    #[test]
    fn the_end_of_a_prefix_is_the_next_key_that_does_not_begin_with_it() {
        assert_eq!(prefix_end(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(prefix_end(b"a\xff"), Some(b"b".to_vec()));
        assert_eq!(prefix_end(b"\xff\xff"), None);
        assert_eq!(prefix_end(b""), None);
    }
}
