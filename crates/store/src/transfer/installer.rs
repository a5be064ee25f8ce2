//! Installer: chunks into an engine, in place of the state that is there.

use std::{ops::Bound, ops::ControlFlow, sync::Arc};

use bytes::Bytes;

use super::{
    FAMILIES, TransferError,
    TransferError::Damaged,
    chunk::{self, Body, Chunk, Totals},
    mark,
};
use crate::{
    Identity, Region,
    engine::{Batch, Direction, Engine, EngineError, Family},
    raft_log::Record,
    records::identity,
};

/// Puts a state into an engine, chunk by chunk.
///
/// A chunk is checked whole before anything of it is written, and one that is refused changes nothing: the
/// right one may follow. From chunk 0 on until [`Installer::finish`] has returned there is no state: nothing
/// may read or apply, and a start finds [`StoreError::BeingReplaced`](crate::StoreError::BeingReplaced).
pub struct Installer {
    engine: Arc<dyn Engine>,
    identity: Identity,
    progress: Option<Progress>,
}

/// What was installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Chunks, the head and the end among them.
    pub chunks: u64,
    /// Pairs of keys and values.
    pub pairs: u64,
}

/// How far the chunks are.
struct Progress {
    checkpoint: u64,
    /// The number of the next one.
    next: u64,
    /// The last pair's place.
    last: Option<(Family, Vec<u8>)>,
    totals: Totals,
    ended: bool,
}

impl Installer {
    /// Into an engine that was formed as a node of the same region ([`Region::form`]). Changes nothing yet.
    ///
    /// # Errors
    /// [`TransferError::NotFormed`]; [`TransferError::Store`] when the engine cannot be read.
    pub fn begin(engine: Arc<dyn Engine>) -> Result<Self, TransferError> {
        let identity = Region::identity_in(&*engine)?.ok_or(TransferError::NotFormed)?;
        Ok(Self {
            engine,
            identity,
            progress: None,
        })
    }

    /// The number of the chunk that is next.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.progress.as_ref().map_or(0, |progress| progress.next)
    }

    /// Takes the next chunk.
    ///
    /// Chunk 0 names the region. If it is this one, the state that was here is marked as being replaced,
    /// durably, and thrown away.
    ///
    /// # Errors
    /// [`TransferError`]. Nothing of the chunk was written then, and it may be pushed again.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), TransferError> {
        let chunk = chunk::read(chunk)?;
        match &mut self.progress {
            None => {
                let progress = begin(&*self.engine, &self.identity, &chunk)?;
                self.progress = Some(progress);
                Ok(())
            }
            Some(progress) => progress.take(&*self.engine, &self.identity, &chunk),
        }
    }

    /// Makes the new state durable and takes the mark away: [`Region::open`] opens it, or
    /// [`Region::reload`] reads it.
    ///
    /// # Errors
    /// [`TransferError::Incomplete`] before the last chunk; [`TransferError::Store`] when the disk fails. The
    /// state is still marked then.
    pub fn finish(self) -> Result<Installed, TransferError> {
        let expected = self.next();
        let Some(Progress {
            ended: true,
            next: chunks,
            totals,
            ..
        }) = self.progress
        else {
            return Err(TransferError::Incomplete { expected });
        };
        self.engine.flush()?;
        mark::clear(&*self.engine)?;
        Ok(Installed {
            chunks,
            pairs: totals.pairs,
        })
    }
}

/// Takes the head: checks whose state it is, and makes room for it.
fn begin(
    engine: &dyn Engine,
    ours: &Identity,
    chunk: &Chunk<'_>,
) -> Result<Progress, TransferError> {
    let Body::Head(theirs) = chunk.body else {
        return Err(TransferError::OutOfOrder {
            expected: 0,
            found: chunk.number,
        });
    };
    same_region(theirs, ours)?;
    engine.writable()?;
    mark::set(engine)?;
    wipe(engine)?;
    Ok(Progress {
        checkpoint: chunk.checkpoint,
        next: 1,
        last: None,
        totals: Totals::default(),
        ended: false,
    })
}

fn same_region(theirs: &[u8], ours: &Identity) -> Result<(), TransferError> {
    let theirs = identity::decode(Bytes::copy_from_slice(theirs))?;
    if theirs == *ours {
        return Ok(());
    }
    Err(TransferError::Foreign {
        theirs: Box::new(theirs),
        ours: Box::new(ours.clone()),
    })
}

/// Takes away everything that travels but the identity: without it nobody could tell whose half a state is.
fn wipe(engine: &dyn Engine) -> Result<(), EngineError> {
    let mut batch = Batch::new();
    for family in FAMILIES {
        let mut last = None;
        let mut visit = |key: &[u8], _: &[u8]| {
            last = Some([key, &[0]].concat());
            ControlFlow::Break(())
        };
        let all = Bound::Unbounded;
        engine.scan(family, all, all, Direction::Backward, &mut visit)?;
        let Some(end) = last else { continue };
        if family == Family::Meta {
            let behind = [identity::KEY, &[0]].concat();
            batch.delete_range(family, b"", identity::KEY);
            batch.delete_range(family, &behind, &end);
        } else {
            batch.delete_range(family, b"", &end);
        }
    }
    engine.commit(&batch)
}

/// Throws away half a state, and this node's Raft log and vote with it: the node has nothing to say any more
/// of what it said before, and must come back as a new one. The identity and the mark stay; [`begin_anew`]
/// takes the mark away once the node has a new id. Durable when it returns.
///
/// # Errors
/// [`TransferError::Store`]; to be called again then.
pub fn abandon(engine: &dyn Engine) -> Result<(), TransferError> {
    wipe(engine)?;
    engine.flush()?;
    let mark = Record::Replacing.key();
    let mut keys: Vec<Vec<u8>> = Vec::new();
    let mut visit = |key: &[u8], _: &[u8]| {
        if key != mark {
            keys.push(key.to_vec());
        }
        ControlFlow::Continue(())
    };
    let all = Bound::Unbounded;
    engine.scan(Family::Raft, all, all, Direction::Forward, &mut visit)?;
    let mut batch = Batch::new();
    for key in &keys {
        batch.delete(Family::Raft, key);
    }
    Ok(engine.append(&batch, true)?)
}

/// Takes the mark of a state that was [`abandon`]ed away: there is an empty one now.
///
/// # Errors
/// [`TransferError::Store`].
pub fn begin_anew(engine: &dyn Engine) -> Result<(), TransferError> {
    Ok(mark::clear(engine)?)
}

impl Progress {
    fn take(
        &mut self,
        engine: &dyn Engine,
        ours: &Identity,
        chunk: &Chunk<'_>,
    ) -> Result<(), TransferError> {
        if let Body::Head(theirs) = chunk.body {
            same_region(theirs, ours)?;
        }
        if chunk.checkpoint != self.checkpoint {
            let number = chunk.number;
            return Err(TransferError::OtherCheckpoint { number });
        }
        if chunk.number != self.next || self.ended {
            return Err(TransferError::OutOfOrder {
                expected: self.next,
                found: chunk.number,
            });
        }
        match chunk.body {
            Body::Head(_) => {
                return Err(Damaged {
                    detail: "a head in the middle",
                });
            }
            Body::Pairs(family, body) => self.write(engine, ours, family, body)?,
            Body::End(totals) => self.end(totals)?,
        }
        self.next += 1;
        Ok(())
    }

    fn write(
        &mut self,
        engine: &dyn Engine,
        ours: &Identity,
        family: Family,
        body: &[u8],
    ) -> Result<(), TransferError> {
        engine.writable()?;
        let mut batch = Batch::with_capacity(0, body.len());
        let mut last = self.last.as_ref().map(|(family, key)| (*family, &key[..]));
        for pair in chunk::each_pair(body) {
            let (key, value) = pair.ok_or(Damaged {
                detail: "a pair is cut off",
            })?;
            if last.is_some_and(|last| last >= (family, key)) {
                return Err(Damaged {
                    detail: "its keys are out of order",
                });
            }
            if family == Family::Meta && key == identity::KEY {
                same_region(value, ours)?;
            }
            batch.put(family, key, value);
            last = Some((family, key));
        }
        let last = last.map(|(family, key)| (family, key.to_vec()));
        engine.commit(&batch)?;
        self.totals.add(batch.len() as u64, body);
        self.last = last;
        Ok(())
    }

    fn end(&mut self, sent: Totals) -> Result<(), TransferError> {
        let Totals { pairs, digest } = self.totals;
        if pairs != sent.pairs {
            let detail = "the count of pairs";
            return Err(TransferError::Mismatch { detail });
        }
        if digest != sent.digest {
            let detail = "the digest";
            return Err(TransferError::Mismatch { detail });
        }
        self.ended = true;
        Ok(())
    }
}
