//! Transfer: a region's whole state on its way to another node of the region.
//!
//! ```text
//! engine ─checkpoint─▶ Sender ─chunk 0, 1, 2, …─▶ Installer ─▶ engine ─▶ Region::open
//! ```
//!
//! [`Sender`] cuts a checkpoint into chunks of about [`CHUNK_BYTES`]: the same ones each time, so a transfer
//! goes on from any of them, also from another node that stands at the same place. [`Installer`] puts them
//! into an engine. What is said of the state in between: a mark that survives crashes is set before anything
//! is thrown away and goes when everything is there and durable. While it is set, [`Region::open`] answers
//! [`StoreError::BeingReplaced`], and the way out is to install again, from chunk 0.
//!
//! The state is every family but Raft: a node's own facts (vote, Raft log, its id) do not travel.
//!
//! [`Region::open`]: crate::Region::open
//! [`StoreError::BeingReplaced`]: crate::StoreError::BeingReplaced

mod chunk;
mod installer;
mod mark;
mod sender;
#[cfg(test)]
mod tests;

use thiserror::Error;

pub(crate) use self::mark::is_set;
pub use self::{
    installer::{Installed, Installer, abandon, begin_anew},
    sender::Sender,
};
use crate::{
    Identity, StoreError,
    engine::{EngineError, Family},
    records::BadRecord,
};

/// How large a chunk is at most, unless one pair alone is larger.
pub const CHUNK_BYTES: usize = 1 << 20;

/// The families that travel, in the order in which they do.
const FAMILIES: [Family; 6] = [
    Family::Meta,
    Family::Log,
    Family::Arrival,
    Family::State,
    Family::History,
    Family::Ledger,
];

/// A state could not be sent or installed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TransferError {
    /// There is no region in the engine.
    #[error(
        "there is no region's state here: form the region first, with the identity that the others have"
    )]
    NotFormed,
    /// The state is another region's.
    #[error(
        "this is the state of region {} (replica {}, store {}), and here is region {} (replica {}, store {}): \
         nothing was changed. Ask a node of this region",
        theirs.region, theirs.replica, theirs.store, ours.region, ours.replica, ours.store
    )]
    Foreign {
        /// Whose state it is.
        theirs: Box<Identity>,
        /// Whose it should be.
        ours: Box<Identity>,
    },
    /// A chunk of a newer program.
    #[error(
        "a chunk of format {found}, newer than {}: upgrade this node first",
        chunk::VERSION
    )]
    NewerFormat {
        /// Its format.
        found: u8,
    },
    /// A chunk that is not as it was sent.
    #[error("a damaged chunk: {detail}. Ask for it again")]
    Damaged {
        /// How it shows.
        detail: &'static str,
    },
    /// A chunk was left out, or came twice.
    #[error("chunk {found} came where chunk {expected} is next: ask for that one")]
    OutOfOrder {
        /// The next one.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// A chunk of another checkpoint.
    #[error(
        "chunk {number} is of another checkpoint than those before it: go on with the sender of chunk 0, or \
         begin again"
    )]
    OtherCheckpoint {
        /// Its number.
        number: u64,
    },
    /// The chunks do not add up to what was sent.
    #[error("the chunks do not add up: {detail}. Begin again")]
    Mismatch {
        /// What differs.
        detail: &'static str,
    },
    /// The end was not there yet.
    #[error("the state is not whole: chunk {expected} is next. Ask for it, or begin again")]
    Incomplete {
        /// The next one.
        expected: u64,
    },
    /// A state could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<EngineError> for TransferError {
    fn from(error: EngineError) -> Self {
        Self::Store(error.into())
    }
}

impl From<BadRecord> for TransferError {
    fn from(error: BadRecord) -> Self {
        Self::Store(error.into())
    }
}
