//! What every engine must do, said once and run on both: [`facts`], and random [`histories`], over a [`Rig`].

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod facts;
mod histories;

use std::{ffi::OsString, fs, path::Path};

use tempfile::TempDir;

use super::{Engine, MemoryEngine, RocksEngine, Settings};

/// An engine, and the ways in which its process can end.
pub(super) trait Rig: Sized {
    fn new() -> Self;
    fn engine(&self) -> &dyn Engine;
    /// Ends in order and starts again.
    fn restart(self) -> Self;
    /// Is killed, and starts again.
    fn crash(self) -> Self;
}

struct MemoryRig(MemoryEngine);

impl Rig for MemoryRig {
    fn new() -> Self {
        Self(MemoryEngine::new())
    }

    fn engine(&self) -> &dyn Engine {
        &self.0
    }

    fn restart(self) -> Self {
        Self(self.0.restart())
    }

    fn crash(self) -> Self {
        Self(self.0.crash(0))
    }
}

pub(super) struct RocksRig {
    engine: RocksEngine,
    pub(super) directory: TempDir,
}

impl RocksRig {
    pub(super) fn on(directory: TempDir) -> Self {
        Self {
            engine: RocksEngine::open(directory.path(), &Settings::default()).unwrap(),
            directory,
        }
    }
}

impl Rig for RocksRig {
    fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap())
    }

    fn engine(&self) -> &dyn Engine {
        &self.engine
    }

    fn restart(self) -> Self {
        drop(self.engine);
        Self::on(self.directory)
    }

    /// A copy of the files of a running engine is what its process leaves when it is killed now.
    fn crash(self) -> Self {
        let left = tempfile::tempdir().unwrap();
        copy(self.directory.path(), left.path());
        Self::on(left)
    }
}

/// Copies a directory as it is at one instant, while an engine may be compacting it.
pub(super) fn copy(from: &Path, to: &Path) {
    loop {
        let before = lengths(from);
        let copied = before
            .iter()
            .all(|(name, _)| fs::copy(from.join(name), to.join(name)).is_ok());
        if copied && lengths(from) == before {
            return;
        }
        for (name, _) in lengths(to) {
            fs::remove_file(to.join(name)).unwrap();
        }
    }
}

fn lengths(directory: &Path) -> Vec<(OsString, u64)> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let mut lengths: Vec<_> = entries
        .filter_map(|entry| Some((entry.file_name(), entry.metadata().ok()?.len())))
        .collect();
    lengths.sort();
    lengths
}
