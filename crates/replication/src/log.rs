//! The log of a region, as its links read it.

use bytes::Bytes;

use atoll_core::{Dot, ReplicaId, VersionVector};

/// The log of the source's region, as a link reads it. Positions are arrival indexes.
pub trait Log {
    /// Why it could not be read.
    type Error;
    /// One past the position of the last entry.
    fn end(&self) -> u64;
    /// The position of the first entry that `vector` does not cover; `end` when it covers all.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn start_for(&self, vector: &VersionVector) -> Result<u64, Self::Error>;
    /// Shows entries from `from` on, until `visit` answers `false` or about `max_bytes` were shown. Returns
    /// where to go on: at the entry that `visit` refused, or one past the last shown.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn read(
        &self,
        from: u64,
        max_bytes: usize,
        visit: &mut dyn FnMut(Arrived) -> bool,
    ) -> Result<u64, Self::Error>;
    /// The frame of one entry, if the log still holds it.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn entry(&self, dot: Dot) -> Result<Option<Bytes>, Self::Error>;
    /// All that the region has applied.
    fn vector(&self) -> VersionVector;
}

/// An entry in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// Its position.
    pub arrival: u64,
    /// Its dot.
    pub dot: Dot,
    /// Who sent it here; `None` when it was written here.
    pub sender: Option<ReplicaId>,
    /// Its frame.
    pub frame: Bytes,
}
