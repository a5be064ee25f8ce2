//! Opening a directory: everything that can refuse it comes before everything that writes to it.

use std::{
    fs::{self, File, TryLockError},
    path::Path,
};

use rocksdb::{ReadOptions, WriteOptions};

use super::{
    Database, EngineError, OpenError, RocksEngine, Settings, checkpoint, engine_error, options, wal,
};
use crate::{
    engine::Engine,
    format::{self, Standing},
};

pub(super) fn open(directory: &Path, settings: &Settings) -> Result<RocksEngine, OpenError> {
    fs::create_dir_all(directory).map_err(|error| EngineError::io("make", directory, &error))?;
    let lock = lock(directory)?;
    let found = match format::examine(directory)? {
        Standing::Known(found) => {
            wal::settle(directory)?;
            found
        }
        Standing::Empty => {
            format::stamp(directory)?;
            format::VERSION
        }
    };
    let create = !has_begun(directory)?;
    let database = Database::open_cf_descriptors(
        &options::database(settings, create),
        directory,
        options::families(settings),
    )
    .map_err(|error| open_error(directory, error))?;
    checkpoint::remove_all(directory)?;
    let engine = RocksEngine {
        database,
        directory: directory.into(),
        settings: settings.clone(),
        default_read: ReadOptions::default(),
        logged: WriteOptions::default(),
        unlogged: options::unlogged(),
        _lock: lock,
    };
    migrate(&engine, found)?;
    Ok(engine)
}

/// Takes the directory for this process, without a file of our own in it: it may be a stranger's.
///
/// RocksDB takes a lock too, but only once it has begun to write. Where a file system has no such locks, its
/// lock is the one that counts.
fn lock(directory: &Path) -> Result<File, OpenError> {
    let file = File::open(directory).map_err(|error| EngineError::io("open", directory, &error))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked {
            directory: directory.into(),
        }),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}

/// Whether there is a database already. One that lost the file that names its parts is damaged, not new:
/// RocksDB would make an empty one over it.
fn has_begun(directory: &Path) -> Result<bool, EngineError> {
    let current = directory.join("CURRENT");
    let failed = |error| EngineError::io("read", directory, &error);
    if current.try_exists().map_err(failed)? {
        return Ok(true);
    }
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path
            .extension()
            .is_some_and(|end| end == "sst" || end == "log")
        {
            let detail = format!("it is missing, though {} is there", path.display());
            return Err(EngineError::Corrupt {
                file: current,
                detail,
            });
        }
    }
    Ok(false)
}

fn open_error(directory: &Path, error: rocksdb::Error) -> OpenError {
    let said: &str = error.as_ref();
    if said.contains("While lock file") || said.contains("lock hold by current process") {
        return OpenError::Locked {
            directory: directory.into(),
        };
    }
    engine_error(directory, "open", error).into()
}

fn migrate(engine: &RocksEngine, found: u32) -> Result<(), EngineError> {
    let steps = format::steps_from(found);
    for step in steps {
        step(engine)?;
    }
    if steps.is_empty() {
        return Ok(());
    }
    engine.flush()?;
    format::stamp(&engine.directory)
}
