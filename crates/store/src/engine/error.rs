//! What can go wrong with an engine, each with what to do about it.

use std::{io, path::PathBuf};

use thiserror::Error;

/// A read or a write failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EngineError {
    /// The disk holds something else than was written.
    #[error(
        "{} is damaged: {detail}. Nothing was repaired or thrown away. Check the disk, then put the \
         directory back from a copy, or empty it and let this node catch up from the others",
        file.display()
    )]
    Corrupt {
        /// The damaged file, or the directory when it is not known which.
        file: PathBuf,
        /// Where in the file, and how it shows.
        detail: String,
    },
    /// No room is left, or only the reserve.
    #[error(
        "the disk of {} is full: {free_bytes} bytes are free and {reserve_bytes} are kept back to flush and \
         trim. Enlarge the volume or make room; what was acknowledged is safe",
        directory.display()
    )]
    DiskFull {
        /// The engine's directory.
        directory: PathBuf,
        /// Left on the file system.
        free_bytes: u64,
        /// Kept back from new writes.
        reserve_bytes: u64,
    },
    /// The operating system or RocksDB refused.
    #[error("could not {action} {}: {detail}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What came back.
        detail: String,
    },
}

impl EngineError {
    /// A failure of the operating system.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, error: &io::Error) -> Self {
        Self::Io {
            action,
            path: path.into(),
            detail: error.to_string(),
        }
    }
}

/// A directory was not opened; no data in it was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// Somebody else has it open.
    #[error(
        "{} is in use by another process. Stop that one first, or give this one a directory of its own",
        directory.display()
    )]
    Locked {
        /// The directory asked for.
        directory: PathBuf,
    },
    /// A newer program wrote it.
    #[error(
        "{} has data format {found}, and this program knows formats up to {known}. Run the version of atoll \
         that wrote it, or a newer one; nothing was changed",
        directory.display()
    )]
    NewerFormat {
        /// The directory asked for.
        directory: PathBuf,
        /// The format on disk.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// Something else lives there.
    #[error(
        "{} is not an atoll directory: {detail}. Name an empty or new directory; nothing was changed",
        directory.display()
    )]
    NotAtoll {
        /// The directory asked for.
        directory: PathBuf,
        /// What gives it away.
        detail: String,
    },
    /// The disk failed, is full or damaged.
    #[error(transparent)]
    Engine(#[from] EngineError),
}
