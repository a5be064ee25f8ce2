//! What can go wrong below a region's state.

use atoll_core::wire::BadFrame;

use crate::engine::EngineError;
use crate::records::BadRecord;

/// The state could not be read or written. Nothing of the group at hand was committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A record.
    #[error(transparent)]
    Record(#[from] BadRecord),
    /// An entry in the log.
    #[error(transparent)]
    Frame(#[from] BadFrame),
}
