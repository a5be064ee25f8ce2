//! What a hot key costs: hundreds of versions in flight from each of three regions make work in proportion
//! to their number, not to the pairs of them.

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use atoll_core::{Policy, UpdateDelete};
use atoll_store::engine::{
    Batch, Change, Direction, Disk, Engine, EngineError, Family, MemoryEngine, Read, Visit,
};
use atoll_store::{Command, Region};
use bytes::Bytes;

use crate::commands::{all_types, at, configure, intent, put};
use crate::engines::identity;
use crate::regions::Regions;

/// An engine that counts what is written to history and ledger, and what is read.
#[derive(Default)]
struct Counting {
    inner: MemoryEngine,
    changes: AtomicUsize,
    reads: AtomicUsize,
}

impl Read for Counting {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.inner.get(family, key)
    }

    fn scan(
        &self,
        family: Family,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), EngineError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let mut count = |key: &[u8], value: &[u8]| {
            self.reads.fetch_add(1, Ordering::Relaxed);
            visit(key, value)
        };
        self.inner.scan(family, from, to, direction, &mut count)
    }
}

impl Engine for Counting {
    fn with_snapshot(&self, read: &mut dyn FnMut(&dyn Read)) {
        self.inner.with_snapshot(read);
    }

    fn commit(&self, batch: &Batch) -> Result<(), EngineError> {
        let family = |change| match change {
            Change::Put { family, .. }
            | Change::Delete { family, .. }
            | Change::DeleteRange { family, .. } => family,
        };
        let counted = |family: &Family| matches!(family, Family::History | Family::Ledger);
        let changes = batch.changes().map(family).filter(counted).count();
        self.changes.fetch_add(changes, Ordering::Relaxed);
        self.inner.commit(batch)
    }

    fn append(&self, batch: &Batch, sync: bool) -> Result<(), EngineError> {
        self.inner.append(batch, sync)
    }

    fn checkpoint(&self) -> Result<Arc<dyn Read>, EngineError> {
        self.inner.checkpoint()
    }

    fn flush(&self) -> Result<(), EngineError> {
        self.inner.flush()
    }

    fn unflushed_bytes(&self) -> Result<u64, EngineError> {
        self.inner.unflushed_bytes()
    }

    fn disk(&self) -> Result<Disk, EngineError> {
        self.inner.disk()
    }

    fn writable(&self) -> Result<(), EngineError> {
        self.inner.writable()
    }
}

/// Changes and reads for each version, in hundredths, when so many are in flight from each of three regions
/// and arrive one by one.
fn cost(in_flight: u64) -> (usize, usize) {
    let specs = all_types(&Policy::LastWriterWins, UpdateDelete::UpdateWins);
    let mut others = Regions::of(3, &specs);
    for n in 0..in_flight {
        for place in 0..3 {
            others.write(place, n, &[intent("r", "k", put(&n.to_string()))]);
        }
    }
    let engine = Arc::new(Counting::default());
    Region::form(&*engine, &identity(4)).unwrap();
    let mut region = Region::open(Arc::clone(&engine) as Arc<dyn Engine>)
        .unwrap()
        .unwrap();
    let mut apply = |command| region.apply(&[command], Bytes::new()).unwrap();
    apply(configure(specs));
    for place in 0..3 {
        for frame in others.frames(place) {
            apply(Command::Remote {
                now: at(0),
                sender: identity(place).replica,
                frames: vec![frame.into()],
            });
        }
    }
    let versions = 3 * in_flight as usize;
    let rows = region.applied().ledger_rows as usize;
    assert!(
        rows > 0 && rows <= versions,
        "{rows} rows of {versions} versions"
    );
    let hundredths = |count: &AtomicUsize| 100 * count.load(Ordering::Relaxed) / versions;
    (hundredths(&engine.changes), hundredths(&engine.reads))
}

/// Caught: a scan of history that goes on when its visitor has enough.
#[test]
fn versions_in_flight_cost_as_much_as_there_are_of_them() {
    let costs = [100, 300, 900].map(cost);
    for (changes, reads) in costs {
        assert!(changes <= 800 && reads <= 2000, "{costs:?}");
    }
    let (first, last) = (costs[0], costs[2]);
    assert!(last.0 <= first.0 + first.0 / 10, "changes grow: {costs:?}");
    assert!(last.1 <= first.1 + first.1 / 10, "reads grow: {costs:?}");
}
