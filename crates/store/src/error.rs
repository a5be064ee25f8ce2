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
    /// There is half a state: another node's was being installed, and it was not finished.
    #[error(
        "the state is being replaced and is not whole: it must come again from another node of the region. If \
         the region has no other, put the directory back from a copy"
    )]
    BeingReplaced,
    /// An entry in the log.
    #[error(transparent)]
    Frame(#[from] BadFrame),
}
