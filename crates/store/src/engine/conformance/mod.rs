//! What every engine must do, said once and run on both: [`facts`], [`checkpoints`], and random [`histories`],
//! over a [`Rig`].

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

/// A test of every fact for each engine.
macro_rules! facts {
    ($($fact:ident),* $(,)?) => {
        mod memory {
            $(#[test] fn $fact() { super::$fact::<super::MemoryRig>(); })*
        }
        mod rocks {
            $(#[test] fn $fact() { super::$fact::<super::RocksRig>(); })*
        }
    };
}

mod checkpoints;
mod facts;
mod histories;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{Engine, MemoryEngine, RocksEngine, Settings};

/// An engine, and the ways in which its process can end.
pub(super) trait Rig: Sized {
    fn new() -> Self;
    /// With a disk that has less left than the reserve.
    fn full() -> Self;
    fn engine(&self) -> &dyn Engine;
    /// Ends in order and starts again.
    fn restart(self) -> Self;
    /// Is killed, and starts again.
    fn crash(self) -> Self;
    /// How many checkpoints there are on the disk, whole or not.
    fn checkpoints(&self) -> usize;
}

struct MemoryRig(MemoryEngine);

impl Rig for MemoryRig {
    fn new() -> Self {
        Self(MemoryEngine::new())
    }

    fn full() -> Self {
        let rig = Self::new();
        rig.0.set_free_bytes(0);
        rig
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

    fn checkpoints(&self) -> usize {
        0
    }
}

pub(super) struct RocksRig {
    engine: RocksEngine,
    pub(super) directory: TempDir,
}

impl RocksRig {
    pub(super) fn on(directory: TempDir) -> Self {
        Self::with(directory, &Settings::default())
    }

    fn with(directory: TempDir, settings: &Settings) -> Self {
        Self {
            engine: RocksEngine::open(directory.path(), settings).unwrap(),
            directory,
        }
    }
}

impl Rig for RocksRig {
    fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap())
    }

    fn full() -> Self {
        let settings = Settings {
            reserve_bytes: u64::MAX,
            ..Settings::default()
        };
        Self::with(tempfile::tempdir().unwrap(), &settings)
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

    fn checkpoints(&self) -> usize {
        let folder = self.directory.path().join("checkpoints");
        fs::read_dir(folder).map_or(0, Iterator::count)
    }
}

/// Copies a directory as it is at one instant, while an engine may be compacting it.
pub(super) fn copy(from: &Path, to: &Path) {
    loop {
        let before = lengths(from);
        let copied = before.keys().all(|name| {
            fs::create_dir_all(to.join(name).parent().unwrap()).unwrap();
            fs::copy(from.join(name), to.join(name)).is_ok()
        });
        if copied && lengths(from) == before {
            return;
        }
        for name in lengths(to).keys() {
            fs::remove_file(to.join(name)).unwrap();
        }
    }
}

/// The files in a directory and those below it, by their path in it.
fn lengths(directory: &Path) -> BTreeMap<PathBuf, u64> {
    let mut lengths = BTreeMap::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let entry = entry.unwrap();
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        let name = PathBuf::from(entry.file_name());
        if metadata.is_dir() {
            let below = lengths_below(&entry.path(), &name);
            lengths.extend(below);
        } else {
            lengths.insert(name, metadata.len());
        }
    }
    lengths
}

fn lengths_below(directory: &Path, name: &Path) -> BTreeMap<PathBuf, u64> {
    let below = lengths(directory).into_iter();
    below
        .map(|(path, length)| (name.join(path), length))
        .collect()
}
