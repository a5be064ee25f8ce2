//! Sender: a checkpoint as a sequence of chunks.

use std::{
    ops::{Bound, ControlFlow},
    sync::Arc,
};

use atoll_core::hash::Hash;
use bytes::Bytes;

use super::{
    CHUNK_BYTES, FAMILIES, TransferError,
    chunk::{self, Totals},
};
use crate::{
    engine::{Direction, Family, Read},
    records::{applied, applied::Applied, identity},
};

/// Turns a checkpoint into chunks.
///
/// One chunk is in memory at a time, and one key for each chunk that was made.
pub struct Sender {
    checkpoint: Arc<dyn Read>,
    identity: Bytes,
    applied: Applied,
    name: u64,
    chunk_bytes: usize,
    /// Where chunk 1 and those after it begin, as far as is known.
    places: Vec<Place>,
    /// The number of the last chunk, once it is known.
    last: Option<u64>,
}

/// Where a chunk begins.
#[derive(Clone, Debug, Default)]
struct Place {
    /// Which of [`FAMILIES`].
    family: usize,
    /// The last key before it, if one of this family is before it.
    after: Option<Vec<u8>>,
    /// All before it.
    totals: Totals,
}

impl Sender {
    /// Of a checkpoint ([`Engine::checkpoint`](crate::engine::Engine::checkpoint)): of what does not change.
    ///
    /// # Errors
    /// [`TransferError::NotFormed`]; [`TransferError::Store`] when it cannot be read.
    pub fn new(checkpoint: Arc<dyn Read>) -> Result<Self, TransferError> {
        Self::with_chunk_bytes(checkpoint, CHUNK_BYTES)
    }

    /// The same with chunks of another size: at most so many bytes, unless one pair alone is larger.
    ///
    /// # Errors
    /// As [`Sender::new`].
    pub fn with_chunk_bytes(
        checkpoint: Arc<dyn Read>,
        chunk_bytes: usize,
    ) -> Result<Self, TransferError> {
        let identity = checkpoint
            .get(Family::Meta, identity::KEY)?
            .ok_or(TransferError::NotFormed)?;
        identity::decode(identity.clone())?;
        let applied = checkpoint.get(Family::Meta, applied::KEY)?;
        let mut hash = Hash::new();
        for part in [Some(&identity), applied.as_ref()].into_iter().flatten() {
            hash.feed(&(part.len() as u64).to_le_bytes());
            hash.feed(part);
        }
        hash.feed(&(chunk_bytes as u64).to_le_bytes());
        let applied = match applied {
            Some(record) => applied::decode(record)?,
            None => Applied::default(),
        };
        Ok(Self {
            checkpoint,
            identity,
            applied,
            name: u64::try_from(hash.value() >> 64).expect("64 bits are left"),
            chunk_bytes,
            places: vec![Place::default()],
            last: None,
        })
    }

    /// How far the state is that is sent, its place in the Raft log included.
    #[must_use]
    pub fn applied(&self) -> &Applied {
        &self.applied
    }

    /// The chunk of this number, from 0; none behind the last. The same each time.
    ///
    /// In order each costs what is in it; one far ahead costs all between.
    ///
    /// # Errors
    /// [`TransferError::Store`] when the checkpoint cannot be read.
    pub fn chunk(&mut self, number: u64) -> Result<Option<Bytes>, TransferError> {
        if number == 0 {
            return Ok(Some(chunk::head(self.name, &self.identity)));
        }
        loop {
            if self.last.is_some_and(|last| number > last) {
                return Ok(None);
            }
            let known = self.places.len() as u64;
            let made = self.make(number.min(known))?;
            if number <= known {
                return Ok(Some(made));
            }
        }
    }

    /// Makes a chunk whose place is known, and learns the place of the next.
    fn make(&mut self, number: u64) -> Result<Bytes, TransferError> {
        let known = self.places.len() as u64;
        let index = usize::try_from(number - 1).expect("places are in memory");
        let mut place = self.places[index].clone();
        while let Some(family) = FAMILIES.get(place.family).copied() {
            let run = self.run(family, place.after.as_deref())?;
            if run.pairs == 0 {
                place.family += 1;
                place.after = None;
                continue;
            }
            if number == known {
                place.totals.add(run.pairs, &run.body);
                place.after = Some(run.last_key);
                self.places.push(place);
            }
            return Ok(chunk::pairs(self.name, number, family, &run.body));
        }
        self.last = Some(number);
        Ok(chunk::end(self.name, number, place.totals))
    }

    /// The pairs of a family behind a key, as many as a chunk takes.
    fn run(&self, family: Family, after: Option<&[u8]>) -> Result<Run, TransferError> {
        let room = self.chunk_bytes.saturating_sub(chunk::FRAME_BYTES);
        let mut run = Run::default();
        let mut visit = |key: &[u8], value: &[u8]| {
            if run.pairs > 0 && run.body.len() + chunk::pair_bytes(key, value) > room {
                return ControlFlow::Break(());
            }
            chunk::put_pair(&mut run.body, key, value);
            run.pairs += 1;
            run.last_key.clear();
            run.last_key.extend_from_slice(key);
            ControlFlow::Continue(())
        };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let forward = Direction::Forward;
        self.checkpoint
            .scan(family, from, Bound::Unbounded, forward, &mut visit)?;
        Ok(run)
    }
}

/// Pairs that follow each other.
#[derive(Default)]
struct Run {
    body: Vec<u8>,
    pairs: u64,
    last_key: Vec<u8>,
}
