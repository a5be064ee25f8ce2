//! The engine on a disk: RocksDB, which this module alone knows.
//!
//! One database a directory, one column family a [`Family`]. The set of families is fixed when it is
//! opened, so their handles need no lock (RocksDB's crate: `SingleThreaded`). A synced append is a write and
//! then a sync outside RocksDB's write queue: commits go on while the disk is busy.

mod checkpoint;
mod figures;
mod open;
mod options;
#[cfg(test)]
mod tests;
mod wal;

use std::{
    fs::{self, File},
    io,
    ops::{Bound, ControlFlow},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use rocksdb::{
    ColumnFamily, DBWithThreadMode, ErrorKind, FlushOptions, ReadOptions, SingleThreaded,
    WriteBatch, WriteOptions, properties::CUR_SIZE_ALL_MEM_TABLES,
};

pub use self::options::{Memory, Settings};
use super::{
    Batch, Change, Direction, Disk, Engine, EngineError, Family, Figures, OpenError, Read, Visit,
    is_empty_range,
};

type Database = DBWithThreadMode<SingleThreaded>;

/// An [`Engine`] in a directory.
///
/// Dropping it flushes and closes; a process that dies leaves what [`Engine`] promises.
pub struct RocksEngine {
    // Closed before the lock is let go: fields are dropped in this order.
    database: Database,
    directory: PathBuf,
    settings: Settings,
    default_read: ReadOptions,
    logged: WriteOptions,
    unlogged: WriteOptions,
    _lock: File,
}

impl RocksEngine {
    /// Opens a directory, which is made if it is missing and taken if it is empty.
    ///
    /// # Errors
    /// [`OpenError`]; the directory is as it was then.
    pub fn open(directory: &Path, settings: &Settings) -> Result<Self, OpenError> {
        open::open(directory, settings)
    }

    fn handle(&self, family: Family) -> &ColumnFamily {
        handle(&self.database, family)
    }

    fn write(&self, batch: &Batch, options: &WriteOptions) -> Result<(), EngineError> {
        if batch.is_empty() {
            return Ok(());
        }
        let handles = Family::ALL.map(|family| self.handle(family));
        let handle = |family: Family| handles[family.ordinal()];
        // RocksDB writes its own 12 bytes, and at most 12 with each change.
        let mut write = WriteBatch::with_capacity_bytes(12 + batch.size_bytes() + 12 * batch.len());
        for change in batch.changes() {
            match change {
                Change::Put { family, key, value } => write.put_cf(handle(family), key, value),
                Change::Delete { family, key } => write.delete_cf(handle(family), key),
                Change::DeleteRange { family, from, to } => {
                    write.delete_range_cf(handle(family), from, to);
                }
            }
        }
        self.database
            .write_opt(write, options)
            .map_err(|error| self.error("write to", error))
    }

    fn error(&self, action: &'static str, error: rocksdb::Error) -> EngineError {
        engine_error(&self.directory, action, error)
    }
}

impl Read for RocksEngine {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        get(&self.database, family, key, &self.default_read)
    }

    fn scan(
        &self,
        family: Family,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), EngineError> {
        scan(
            &self.database,
            family,
            (from, to),
            direction,
            ReadOptions::default(),
            visit,
        )
    }
}

impl Engine for RocksEngine {
    fn with_snapshot(&self, read: &mut dyn FnMut(&dyn Read)) {
        let snapshot = self.database.snapshot();
        let mut options = ReadOptions::default();
        options.set_snapshot(&snapshot);
        read(&View {
            database: &self.database,
            snapshot: &snapshot,
            options,
        });
    }

    fn commit(&self, batch: &Batch) -> Result<(), EngineError> {
        assert!(
            !batch.touches(Family::Raft),
            "the Raft family is appended to, never committed"
        );
        self.write(batch, &self.unlogged)
    }

    fn append(&self, batch: &Batch, sync: bool) -> Result<(), EngineError> {
        assert!(
            batch.touches_only(Family::Raft),
            "only the Raft family is appended to"
        );
        self.write(batch, &self.logged)?;
        if sync {
            self.database
                .flush_wal(true)
                .map_err(|error| self.error("sync", error))?;
        }
        Ok(())
    }

    fn checkpoint(&self) -> Result<Arc<dyn Read>, EngineError> {
        self.writable()?;
        let checkpoint = checkpoint::take(&self.database, &self.directory, &self.settings)?;
        Ok(Arc::new(checkpoint))
    }

    fn flush(&self) -> Result<(), EngineError> {
        let handles = Family::ALL.map(|family| self.handle(family));
        let all: Vec<_> = handles.iter().collect();
        self.database
            .flush_cfs_opt(&all, &FlushOptions::default())
            .map_err(|error| self.error("flush", error))
    }

    fn unflushed_bytes(&self) -> Result<u64, EngineError> {
        let mut bytes = 0;
        for family in Family::ALL {
            let buffered = self
                .database
                .property_int_value_cf(self.handle(family), CUR_SIZE_ALL_MEM_TABLES)
                .map_err(|error| self.error("measure", error))?;
            bytes += buffered.unwrap_or_default();
        }
        Ok(bytes)
    }

    fn disk(&self) -> Result<Disk, EngineError> {
        let (free_bytes, total_bytes) = room(&self.directory)?;
        let used_bytes = used(&self.directory)
            .and_then(|bytes| Ok(bytes + checkpoint::used(&self.directory)?))
            .map_err(|error| EngineError::io("measure", &self.directory, &error))?;
        Ok(Disk {
            used_bytes,
            free_bytes,
            total_bytes,
        })
    }

    fn figures(&self) -> Figures {
        figures::of(self)
    }

    fn writable(&self) -> Result<(), EngineError> {
        let (free_bytes, _) = room(&self.directory)?;
        let reserve_bytes = self.settings.reserve_bytes;
        if free_bytes >= reserve_bytes {
            return Ok(());
        }
        let directory = self.directory.clone();
        Err(EngineError::DiskFull {
            directory,
            free_bytes,
            reserve_bytes,
        })
    }
}

/// The database at one instant.
struct View<'a> {
    database: &'a Database,
    snapshot: &'a rocksdb::SnapshotWithThreadMode<'a, Database>,
    options: ReadOptions,
}

impl Read for View<'_> {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        get(self.database, family, key, &self.options)
    }

    fn scan(
        &self,
        family: Family,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), EngineError> {
        let mut options = ReadOptions::default();
        options.set_snapshot(self.snapshot);
        scan(self.database, family, (from, to), direction, options, visit)
    }
}

fn handle(database: &Database, family: Family) -> &ColumnFamily {
    database
        .cf_handle(family.name())
        .expect("all families are opened with the database")
}

fn get(
    database: &Database,
    family: Family,
    key: &[u8],
    options: &ReadOptions,
) -> Result<Option<Bytes>, EngineError> {
    match database.get_pinned_cf_opt(handle(database, family), key, options) {
        Ok(found) => Ok(found.map(|value| Bytes::copy_from_slice(&value))),
        Err(error) => Err(engine_error(database.path(), "read", error)),
    }
}

fn scan(
    database: &Database,
    family: Family,
    (from, to): (Bound<&[u8]>, Bound<&[u8]>),
    direction: Direction,
    mut options: ReadOptions,
    visit: &mut Visit<'_>,
) -> Result<(), EngineError> {
    if is_empty_range(from, to) {
        return Ok(());
    }
    match from {
        Bound::Included(from) => options.set_iterate_lower_bound(from),
        Bound::Excluded(from) => options.set_iterate_lower_bound(successor(from)),
        Bound::Unbounded => {}
    }
    match to {
        Bound::Included(to) => options.set_iterate_upper_bound(successor(to)),
        Bound::Excluded(to) => options.set_iterate_upper_bound(to),
        Bound::Unbounded => {}
    }
    let mut pairs = database.raw_iterator_cf_opt(handle(database, family), options);
    match direction {
        Direction::Forward => pairs.seek_to_first(),
        Direction::Backward => pairs.seek_to_last(),
    }
    while let Some((key, value)) = pairs.item() {
        if visit(key, value) == ControlFlow::Break(()) {
            return Ok(());
        }
        match direction {
            Direction::Forward => pairs.next(),
            Direction::Backward => pairs.prev(),
        }
    }
    pairs
        .status()
        .map_err(|error| engine_error(database.path(), "read", error))
}

/// The smallest key above `key`.
fn successor(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// RocksDB says everything in one string; what a caller must tell apart is taken from it here.
fn engine_error(directory: &Path, action: &'static str, error: rocksdb::Error) -> EngineError {
    let kind = error.kind();
    let detail = error.into_string();
    if detail.contains("No space left on device") || detail.contains("Space limit reached") {
        let free_bytes = room(directory).map_or(0, |(free_bytes, _)| free_bytes);
        return EngineError::DiskFull {
            directory: directory.into(),
            free_bytes,
            reserve_bytes: 0,
        };
    }
    if kind == ErrorKind::Corruption {
        let file = named_file(directory, &detail).unwrap_or_else(|| directory.into());
        return EngineError::Corrupt { file, detail };
    }
    EngineError::Io {
        action,
        path: directory.into(),
        detail,
    }
}

/// The first file of this directory that a message names.
fn named_file(directory: &Path, detail: &str) -> Option<PathBuf> {
    let directory = directory.to_str()?;
    let words = detail.split_whitespace();
    let mut words = words.map(|word| word.trim_end_matches([':', ',', '.', ';']));
    words
        .find(|word| word.len() > directory.len() && word.starts_with(directory))
        .map(PathBuf::from)
}

/// Bytes free and bytes in all on the file system of a directory.
fn room(directory: &Path) -> Result<(u64, u64), EngineError> {
    let figures = rustix::fs::statvfs(directory)
        .map_err(|error| EngineError::io("measure the disk of", directory, &error.into()))?;
    Ok((
        figures.f_bavail * figures.f_frsize,
        figures.f_blocks * figures.f_frsize,
    ))
}

/// Bytes in a directory's files; those that RocksDB removes meanwhile count for nothing.
fn used(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        match entry?.metadata() {
            Ok(file) if file.is_file() => bytes += file.len(),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}
