//! The log as links and the changes feed read it: entries in order of arrival, from any vector on.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use bytes::Bytes;

use atoll_core::{Dot, VersionVector};

use crate::engine::{Direction, Engine, Family};
use crate::error::StoreError;
use crate::query;
use crate::records::arrival::{self, Arrival};
use crate::records::log_index;

/// Reads the log of one region.
#[derive(Clone)]
pub struct LogReader {
    engine: Arc<dyn Engine>,
}

impl LogReader {
    /// Reads what `engine` holds.
    #[must_use]
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        LogReader { engine }
    }

    /// The arrival index of the first entry that `vector` does not cover; one past the last when it covers
    /// all.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn start_for(&self, vector: &VersionVector) -> Result<u64, StoreError> {
        self.engine.snapshot(|read| {
            let applied = query::applied(read)?;
            let mut start = applied.arrival + 1;
            for (replica, seq) in applied.vector.iter() {
                let first = Dot::new(replica, vector.get(replica) + 1);
                if first.seq <= seq
                    && let Some(index) = read.get(Family::Log, &log_index::key(first))?
                {
                    start = start.min(log_index::decode(&index)?);
                }
            }
            Ok(start)
        })
    }

    /// Shows the entries from `from` on until `visit` answers `false`.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn read(
        &self,
        from: u64,
        visit: &mut dyn FnMut(Arrival) -> bool,
    ) -> Result<(), StoreError> {
        let mut failed = None;
        self.engine.scan(
            Family::Arrival,
            Bound::Included(&arrival::key(from)),
            Bound::Unbounded,
            Direction::Forward,
            &mut |key, value| match arrival::decode(key, &Bytes::copy_from_slice(value)) {
                Ok(arrival) => query::flow(visit(arrival)),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            },
        )?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// The entry of a dot.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn entry(&self, dot: Dot) -> Result<Option<Arrival>, StoreError> {
        query::arrival_of(&*self.engine, dot)
    }
}
