//! The mark that a state is being replaced, in the Raft family: the one that a crash does not take.
//!
//! That it is there is all that counts; its value is empty.

use crate::{
    engine::{Batch, Engine, EngineError, Family, Read},
    raft_log::Record,
};

/// Sets it; returns when it is on the disk.
pub(super) fn set(engine: &dyn Engine) -> Result<(), EngineError> {
    let mut batch = Batch::new();
    let mark = Record::Replacing;
    batch.put(Family::Raft, &mark.key(), &mark.frame(&[]));
    engine.append(&batch, true)
}

/// Takes it away; returns when that is on the disk.
pub(super) fn clear(engine: &dyn Engine) -> Result<(), EngineError> {
    let mut batch = Batch::new();
    batch.delete(Family::Raft, &Record::Replacing.key());
    engine.append(&batch, true)
}

/// Whether it is set. A damaged one is.
pub(crate) fn is_set(read: &dyn Read) -> Result<bool, EngineError> {
    Ok(read.get(Family::Raft, &Record::Replacing.key())?.is_some())
}
