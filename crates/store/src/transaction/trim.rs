//! Trimming the ledger: rows that are too old, and the oldest of too many.

use std::ops::{Bound, ControlFlow};

use atoll_core::Timestamp;
use atoll_core::state::ConflictId;

use super::{CachedRow, Transaction};
use crate::engine::{Direction, Family};
use crate::error::StoreError;
use crate::records::ledger_row;

/// Most rows that one call drops.
const ROWS_A_CALL: usize = 4096;

impl Transaction<'_> {
    /// Drops ledger rows detected before `before`, and the oldest beyond `rows_max`, as far as one call
    /// goes. `rows` is how many there were before this group.
    pub(crate) fn trim(
        &mut self,
        before: Timestamp,
        rows_max: u64,
        rows: u64,
    ) -> Result<(), StoreError> {
        let rows = rows.saturating_add_signed(self.ledger_growth());
        let surplus = usize::try_from(rows.saturating_sub(rows_max)).unwrap_or(usize::MAX);
        let stays = |n: usize, detected: Timestamp| n >= surplus && detected >= before;
        for (n, (detected, id)) in self.oldest_rows(&stays)?.into_iter().enumerate() {
            if stays(n, detected) {
                break;
            }
            self.kept_row(id)?;
            self.change_row(id, detected, None);
        }
        Ok(())
    }

    /// Rows in order of detection up to one that stays, at most [`ROWS_A_CALL`].
    fn oldest_rows(
        &mut self,
        stays: &dyn Fn(usize, Timestamp) -> bool,
    ) -> Result<Vec<(Timestamp, ConflictId)>, StoreError> {
        let ledger = self.ledger.get_mut();
        let fresh = |(id, row): (&ConflictId, &CachedRow)| {
            (row.kept.is_some() && !row.stored).then_some((row.detected, *id))
        };
        let mut oldest: Vec<(Timestamp, ConflictId)> = ledger.iter().filter_map(fresh).collect();
        let (from, to) = (
            ledger_row::time_prefix(Timestamp(0)),
            ledger_row::time_end(),
        );
        let (mut stored, mut failed) = (0, None);
        self.base.scan(
            Family::Ledger,
            Bound::Included(&from),
            Bound::Excluded(&to),
            Direction::Forward,
            &mut |key, _| match ledger_row::decode_key(key) {
                Ok((detected, id)) => {
                    if stays(stored, detected) || stored == ROWS_A_CALL {
                        return ControlFlow::Break(());
                    }
                    if ledger.get(&id).is_none_or(|row| row.kept.is_some()) {
                        oldest.push((detected, id));
                        stored += 1;
                    }
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            },
        )?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        oldest.sort_unstable();
        oldest.truncate(ROWS_A_CALL);
        Ok(oldest)
    }
}
