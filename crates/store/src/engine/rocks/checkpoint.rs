//! Checkpoints: the database at one instant, as hard links in a directory of its own below the engine's.
//!
//! RocksDB flushes all families at once (what is not in the write-ahead log would be missing) and links the
//! tables. The write-ahead log is taken out of the copy: it holds the Raft family alone, which a checkpoint
//! does not show. The copy is opened read-only and shares the engine's cache, so it stays within its bound on
//! memory. It goes when it is dropped; what a crash leaves goes with the next start.

use std::{
    fs, io,
    ops::Bound,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use rocksdb::ReadOptions;

use super::{
    Database, Direction, EngineError, Family, Read, Settings, Visit, engine_error, options, wal,
};

/// Name of the directory that holds an engine's checkpoints.
pub(super) const FOLDER: &str = "checkpoints";

/// Checkpoints of this process: no two share a directory, not even of engines that follow each other.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// The database at one instant, without the Raft family.
pub(super) struct Checkpoint {
    // Closed before its directory is removed: fields are dropped in this order.
    database: Database,
    default_read: ReadOptions,
    _directory: Directory,
}

/// Makes a checkpoint of a database.
///
/// # Errors
/// [`EngineError`]; nothing is left of it then.
pub(super) fn take(
    database: &Database,
    directory: &Path,
    settings: &Settings,
) -> Result<Checkpoint, EngineError> {
    let folder = directory.join(FOLDER);
    fs::create_dir_all(&folder).map_err(|error| failed("make", &folder, &error))?;
    let number = TAKEN.fetch_add(1, Ordering::Relaxed);
    let copy = Directory(folder.join(number.to_string()));
    rocksdb::checkpoint::Checkpoint::new(database)
        .and_then(|links| links.create_checkpoint(&copy.0))
        .map_err(|error| engine_error(directory, "copy", error))?;
    for file in wal::files(&copy.0)? {
        fs::remove_file(&file).map_err(|error| failed("remove", &file, &error))?;
    }
    let families = options::families(settings).into_iter();
    let families = families.filter(|family| family.name() != Family::Raft.name());
    let options = options::read_only(settings);
    let database = Database::open_cf_descriptors_read_only(&options, &copy.0, families, false)
        .map_err(|error| engine_error(&copy.0, "open", error))?;
    let mut default_read = ReadOptions::default();
    default_read.fill_cache(false);
    Ok(Checkpoint {
        database,
        default_read,
        _directory: copy,
    })
}

/// Removes what checkpoints a process left that ended without dropping them.
///
/// # Errors
/// [`EngineError::Io`].
pub(super) fn remove_all(directory: &Path) -> Result<(), EngineError> {
    let folder = directory.join(FOLDER);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove", &folder, &error))
        }
        _ => Ok(()),
    }
}

/// Bytes that only checkpoints hold on to: of files that the engine itself has removed.
pub(super) fn used(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for copy in listed(&directory.join(FOLDER))? {
        for file in listed(&copy)? {
            match file.metadata() {
                Ok(file) if file.is_file() && file.nlink() == 1 => bytes += file.len(),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(bytes)
}

/// What is in a directory; nothing when it is gone.
fn listed(directory: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn failed(action: &'static str, path: &Path, error: &io::Error) -> EngineError {
    if error.kind() == io::ErrorKind::StorageFull {
        return EngineError::DiskFull {
            directory: path.into(),
            free_bytes: 0,
            reserve_bytes: 0,
        };
    }
    EngineError::io(action, path, error)
}

/// A checkpoint's directory, which goes with it, and what RocksDB had of it when it failed.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next start.
        let _ = fs::remove_dir_all(&self.0);
        let _ = fs::remove_dir_all(self.0.with_extension("tmp"));
    }
}

impl Read for Checkpoint {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        if family == Family::Raft {
            return Ok(None);
        }
        super::get(&self.database, family, key, &self.default_read)
    }

    fn scan(
        &self,
        family: Family,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), EngineError> {
        if family == Family::Raft {
            return Ok(());
        }
        let mut options = ReadOptions::default();
        // Read once, from one end to the other: the engine's blocks stay where they are.
        options.fill_cache(false);
        let range = (from, to);
        super::scan(&self.database, family, range, direction, options, visit)
    }
}
