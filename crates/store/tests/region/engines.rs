//! Both engines, each with a region on it.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use atoll_core::intent::{Intent, Rejection};
use atoll_core::{ReplicaId, StoreId};
use atoll_store::engine::{
    Batch, Direction, Engine, Family, MemoryEngine, Read, RocksEngine, Settings,
};
use atoll_store::records::applied;
use atoll_store::region::Merged;
use atoll_store::transfer::{Installer, Sender};
use atoll_store::{Command, Group, Identity, Outcome, Region, Written};
use bytes::Bytes;
use tempfile::TempDir;

use crate::commands::{at, request};

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

/// Checks a fact on a fresh region of each engine.
pub(crate) fn check(fact: impl Fn(Seat)) {
    fact(Seat::new(Kind::Memory, &identity(0)));
    fact(Seat::new(Kind::Rocks, &identity(0)));
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

    /// Begins again with nothing, which is far cheaper than a new directory.
    pub(crate) fn wipe(&mut self, identity: &Identity) {
        let engine = Arc::clone(self.engine());
        let mut batch = Batch::new();
        for (family, key, _) in everything(&*engine) {
            batch.delete(family, &key);
        }
        engine.commit(&batch).unwrap();
        Region::form(&*engine, identity).unwrap();
        self.region = Region::open(engine).unwrap();
        self.commands = 0;
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

    /// Takes over another node's state, in chunks of at most so many bytes.
    pub(crate) fn install(&mut self, from: &Seat, chunk_bytes: usize) {
        let checkpoint = from.engine().checkpoint().unwrap();
        let mut sender = Sender::with_chunk_bytes(checkpoint, chunk_bytes).unwrap();
        let mut installer = Installer::begin(Arc::clone(self.engine())).unwrap();
        while let Some(chunk) = sender.chunk(installer.next()).unwrap() {
            installer.push(&chunk).unwrap();
        }
        installer.finish().unwrap();
        self.region.as_mut().unwrap().reload().unwrap();
        self.commands = from.commands;
    }

    /// All that is stored, byte for byte.
    pub(crate) fn everything(&self) -> Vec<(Family, Bytes, Bytes)> {
        everything(&**self.engine())
    }

    /// The same without the place in the Raft log, which every command moves.
    pub(crate) fn state(&self) -> Vec<(Family, Bytes, Bytes)> {
        let mut pairs = self.everything();
        for (family, key, value) in &mut pairs {
            if *family == Family::Meta && *key == applied::KEY {
                let mut record = applied::decode(value.clone()).unwrap();
                record.raft.clear();
                *value = applied::encode(&record).into();
            }
        }
        pairs
    }

    /// Writes intents as one entry, so many milliseconds after the start.
    pub(crate) fn write(&mut self, ms: u64, intents: &[Intent]) -> Result<Written, Rejection> {
        let command = Command::Write {
            now: at(ms),
            requests: vec![request(intents)],
        };
        let outcome = self.apply(&[command]).outcomes.remove(0);
        let Outcome::Written(mut written) = outcome else {
            panic!("{outcome:?}");
        };
        written.remove(0)
    }

    /// Takes frames that another region sent.
    pub(crate) fn receive(&mut self, sender: usize, frames: Vec<Bytes>) -> Merged {
        let command = Command::Remote {
            now: at(0),
            sender: identity(sender).replica,
            frames: frames.into_iter().map(Into::into).collect(),
        };
        let outcome = self.apply(&[command]).outcomes.remove(0);
        let Outcome::Merged(merged) = outcome else {
            panic!("{outcome:?}");
        };
        merged
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
