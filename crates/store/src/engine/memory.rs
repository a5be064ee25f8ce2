//! The engine's twin in memory, for the simulator and for tests.
//!
//! It forgets in a crash what RocksDB would: everything committed since the last flush, and as much of the
//! end of the unsynced appends as the simulator likes. Nothing is shared between an engine and what
//! [`MemoryEngine::crash`] makes of it. Maps are copied only when a snapshot or a flush still needs the old one.

use std::{
    collections::BTreeMap,
    ops::{Bound, ControlFlow},
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use bytes::Bytes;

use super::{
    Batch, Change, Direction, Disk, Engine, EngineError, Family, Read, Visit, is_empty_range,
};

/// An [`Engine`] that lives as long as its process, or as the simulator lets it.
#[derive(Debug, Default)]
pub struct MemoryEngine {
    inner: RwLock<Inner>,
}

impl MemoryEngine {
    /// An empty engine.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The engine that a restart finds after a crash now.
    ///
    /// `torn` is how many of the last appends were lost on the way to the disk; synced ones never are.
    /// 0 is a killed process, more is a machine without power.
    #[must_use]
    pub fn crash(&self, torn: usize) -> Self {
        let inner = self.read();
        let kept = inner.appended.len().saturating_sub(torn).max(inner.synced);
        let mut families = inner.flushed.clone();
        for batch in &inner.appended[..kept] {
            families.write(batch);
        }
        Self::recovered(families, inner.free_bytes)
    }

    /// The engine that a restart finds after an orderly end now: all of it.
    #[must_use]
    pub fn restart(&self) -> Self {
        let inner = self.read();
        Self::recovered(inner.families.clone(), inner.free_bytes)
    }

    /// How many of the last appends a crash may lose.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        let inner = self.read();
        inner.appended.len() - inner.synced
    }

    /// Fills or empties the disk: at 0, [`Engine::writable`] refuses. Written data never counts.
    pub fn set_free_bytes(&self, free_bytes: u64) {
        self.write().free_bytes = free_bytes;
    }

    fn recovered(families: Families, free_bytes: u64) -> Self {
        let flushed = families.clone();
        Self {
            inner: RwLock::new(Inner {
                families,
                flushed,
                free_bytes,
                ..Inner::default()
            }),
        }
    }

    // A poisoned lock means that a test's visitor panicked; no writer leaves half a batch.
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for MemoryEngine {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.read().families.get(family, key)
    }

    fn scan(
        &self,
        family: Family,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), EngineError> {
        let families = self.read().families.clone();
        families.scan(family, from, to, direction, visit)
    }
}

impl Engine for MemoryEngine {
    fn with_snapshot(&self, read: &mut dyn FnMut(&dyn Read)) {
        let families = self.read().families.clone();
        read(&families);
    }

    fn commit(&self, batch: &Batch) -> Result<(), EngineError> {
        assert!(
            !batch.touches(Family::Raft),
            "the Raft family is appended to, never committed"
        );
        let mut inner = self.write();
        inner.families.write(batch);
        inner.unflushed_bytes += batch.size_bytes() as u64;
        Ok(())
    }

    fn append(&self, batch: &Batch, sync: bool) -> Result<(), EngineError> {
        assert!(
            batch.touches_only(Family::Raft),
            "only the Raft family is appended to"
        );
        let mut inner = self.write();
        if !batch.is_empty() {
            inner.families.write(batch);
            inner.unflushed_bytes += batch.size_bytes() as u64;
            inner.appended.push(batch.clone());
        }
        if sync {
            inner.synced = inner.appended.len();
        }
        Ok(())
    }

    fn checkpoint(&self) -> Result<Arc<dyn Read>, EngineError> {
        self.writable()?;
        self.flush()?;
        let mut families = self.read().families.clone();
        families.0[Family::Raft.ordinal()] = Arc::default();
        Ok(Arc::new(families))
    }

    fn flush(&self) -> Result<(), EngineError> {
        let mut inner = self.write();
        inner.flushed = inner.families.clone();
        inner.appended.clear();
        inner.synced = 0;
        inner.unflushed_bytes = 0;
        Ok(())
    }

    fn unflushed_bytes(&self) -> Result<u64, EngineError> {
        Ok(self.read().unflushed_bytes)
    }

    fn disk(&self) -> Result<Disk, EngineError> {
        let inner = self.read();
        let maps = inner.families.0.iter().flat_map(|map| map.iter());
        let used_bytes = maps
            .map(|(key, value)| (key.len() + value.len()) as u64)
            .sum();
        let free_bytes = inner.free_bytes;
        Ok(Disk {
            used_bytes,
            free_bytes,
            total_bytes: used_bytes.saturating_add(free_bytes),
        })
    }

    fn writable(&self) -> Result<(), EngineError> {
        match self.read().free_bytes {
            0 => Err(EngineError::DiskFull {
                directory: PathBuf::from("memory"),
                free_bytes: 0,
                reserve_bytes: 1,
            }),
            _ => Ok(()),
        }
    }
}

#[derive(Debug)]
struct Inner {
    families: Families,
    /// What a crash leaves of the families that are not logged, and where the log begins.
    flushed: Families,
    /// Appends since the last flush, and how many of them are synced.
    appended: Vec<Batch>,
    synced: usize,
    unflushed_bytes: u64,
    free_bytes: u64,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            families: Families::default(),
            flushed: Families::default(),
            appended: Vec::new(),
            synced: 0,
            unflushed_bytes: 0,
            free_bytes: u64::MAX,
        }
    }
}

type Map = BTreeMap<Bytes, Bytes>;

#[derive(Clone, Debug, Default)]
struct Families([Arc<Map>; Family::ALL.len()]);

impl Families {
    fn write(&mut self, batch: &Batch) {
        for change in batch.changes() {
            match change {
                Change::Put { family, key, value } => {
                    let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
                    self.map(family).insert(key, value);
                }
                Change::Delete { family, key } => {
                    self.map(family).remove(key);
                }
                Change::DeleteRange { family, from, to } => {
                    let map = self.map(family);
                    let range = (Bound::Included(from), Bound::Excluded(to));
                    let doomed: Vec<_> = map
                        .range::<[u8], _>(range)
                        .map(|(key, _)| key.clone())
                        .collect();
                    for key in doomed {
                        map.remove(&key);
                    }
                }
            }
        }
    }

    fn map(&mut self, family: Family) -> &mut Map {
        Arc::make_mut(&mut self.0[family.ordinal()])
    }
}

impl Read for Families {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        Ok(self.0[family.ordinal()].get(key).cloned())
    }

    fn scan(
        &self,
        family: Family,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), EngineError> {
        if is_empty_range(from, to) {
            return Ok(());
        }
        let range = self.0[family.ordinal()].range::<[u8], _>((from, to));
        let mut show = |(key, value): (&Bytes, &Bytes)| visit(key, value);
        // Whether the visitor ended it or the range did makes no difference.
        let _: ControlFlow<()> = match direction {
            Direction::Forward => { range }.try_for_each(&mut show),
            Direction::Backward => range.rev().try_for_each(&mut show),
        };
        Ok(())
    }
}
