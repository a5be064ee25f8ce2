//! Both engines, each with a region on it.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use atoll_core::{ReplicaId, StoreId};
use atoll_store::engine::{Direction, Engine, Family, MemoryEngine, Read, RocksEngine, Settings};
use atoll_store::{Command, Group, Identity, Region};
use bytes::Bytes;
use tempfile::TempDir;

/// Where a region's state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    Rocks,
}

/// A region on an engine of its own.
pub(crate) struct Seat {
    kept: Kept,
    region: Option<Region>,
    commands: u64,
}

enum Kept {
    Memory(Arc<MemoryEngine>),
    Rocks(TempDir),
}

/// Regions `r0`, `r1`, …: the greater the number, the smaller the replica id.
pub(crate) fn identity(place: usize) -> Identity {
    Identity {
        store: StoreId(1),
        region: format!("r{place}").parse().unwrap(),
        replica: ReplicaId(50 - 10 * place as u64),
    }
}

impl Seat {
    pub(crate) fn new(kind: Kind, identity: &Identity) -> Self {
        let kept = match kind {
            Kind::Memory => Kept::Memory(Arc::default()),
            Kind::Rocks => Kept::Rocks(tempfile::tempdir().unwrap()),
        };
        let engine = kept.open();
        Region::form(&*engine, identity).unwrap();
        Seat {
            region: Region::open(engine).unwrap(),
            kept,
            commands: 0,
        }
    }

    pub(crate) fn region(&self) -> &Region {
        self.region.as_ref().unwrap()
    }

    pub(crate) fn engine(&self) -> &Arc<dyn Engine> {
        self.region().engine()
    }

    /// Applies one group; its place in the Raft log is how many commands were applied.
    pub(crate) fn apply(&mut self, commands: &[Command]) -> Group {
        self.commands += commands.len() as u64;
        let raft = Bytes::copy_from_slice(&self.commands.to_be_bytes());
        self.region.as_mut().unwrap().apply(commands, raft).unwrap()
    }

    /// Ends in order and starts again.
    pub(crate) fn restart(&mut self) {
        self.region = None;
        if let Kept::Memory(engine) = &mut self.kept {
            *engine = Arc::new(engine.restart());
        }
        self.region = Region::open(self.kept.open()).unwrap();
    }

    /// All that is stored, byte for byte.
    pub(crate) fn everything(&self) -> Vec<(Family, Bytes, Bytes)> {
        everything(&**self.engine())
    }
}

impl Kept {
    fn open(&self) -> Arc<dyn Engine> {
        match self {
            Kept::Memory(engine) => Arc::clone(engine) as Arc<dyn Engine>,
            Kept::Rocks(directory) => {
                Arc::new(RocksEngine::open(directory.path(), &Settings::default()).unwrap())
            }
        }
    }
}

pub(crate) fn everything(read: &dyn Read) -> Vec<(Family, Bytes, Bytes)> {
    let mut pairs = Vec::new();
    for family in Family::ALL {
        let mut visit = |key: &[u8], value: &[u8]| {
            let copy = Bytes::copy_from_slice;
            pairs.push((family, copy(key), copy(value)));
            ControlFlow::Continue(())
        };
        let all = (Bound::Unbounded, Bound::Unbounded);
        read.scan(family, all.0, all.1, Direction::Forward, &mut visit)
            .unwrap();
    }
    pairs
}

/// How many pairs a family holds.
pub(crate) fn count(read: &dyn Read, family: Family) -> usize {
    let pairs = everything(read).into_iter();
    pairs.filter(|(of, _, _)| *of == family).count()
}
