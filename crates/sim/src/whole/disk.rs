//! A simulated machine's disk, as its node sees it: the store's engine in memory, behind the power switch.

use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;

use atoll_store::engine::{
    Batch, Direction, Disk, Engine, EngineError, Family, MemoryEngine, Read, Visit,
};
use bytes::Bytes;

use super::power::Power;

/// An engine that writes while there is power.
pub(super) struct Plugged {
    pub(super) engine: Arc<MemoryEngine>,
    pub(super) power: Power,
    /// A fault put in by hand: says that it synced, and did not.
    pub(super) lies: bool,
}

impl Plugged {
    fn powered(&self) -> Result<(), EngineError> {
        if self.power.lets_write() {
            return Ok(());
        }
        Err(EngineError::Io {
            action: "write to",
            path: PathBuf::from("memory"),
            detail: "the machine has no power".into(),
        })
    }
}

impl Read for Plugged {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.engine.get(family, key)
    }

    fn scan(
        &self,
        family: Family,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), EngineError> {
        self.engine.scan(family, from, to, direction, visit)
    }
}

impl Engine for Plugged {
    fn with_snapshot(&self, read: &mut dyn FnMut(&dyn Read)) {
        self.engine.with_snapshot(read);
    }

    fn commit(&self, batch: &Batch) -> Result<(), EngineError> {
        self.powered()?;
        self.engine.commit(batch)
    }

    fn append(&self, batch: &Batch, sync: bool) -> Result<(), EngineError> {
        self.powered()?;
        if sync && !self.lies && !batch.is_empty() {
            // Power may go between writing and syncing.
            self.engine.append(batch, false)?;
            self.powered()?;
            return self.engine.append(&Batch::default(), true);
        }
        self.engine.append(batch, sync && !self.lies)
    }

    fn checkpoint(&self) -> Result<Arc<dyn Read>, EngineError> {
        self.powered()?;
        self.engine.checkpoint()
    }

    fn flush(&self) -> Result<(), EngineError> {
        self.powered()?;
        self.engine.flush()
    }

    fn unflushed_bytes(&self) -> Result<u64, EngineError> {
        self.engine.unflushed_bytes()
    }

    fn disk(&self) -> Result<Disk, EngineError> {
        self.engine.disk()
    }

    fn writable(&self) -> Result<(), EngineError> {
        self.engine.writable()
    }
}
