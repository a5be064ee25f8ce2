//! A batch being filled, within its bounds.

use bytes::{Bytes, BytesMut};

use crate::message::{Batch, READER};

/// A batch being filled.
pub(crate) struct Draft {
    bytes_max: usize,
    entries_max: usize,
    count: u32,
    entries: BytesMut,
}

impl Draft {
    pub(crate) fn new(bytes_max: usize, entries_max: usize) -> Self {
        Draft {
            bytes_max,
            entries_max,
            count: 0,
            entries: BytesMut::new(),
        }
    }

    /// Takes an entry in; `false` when it is for the next batch. The first always fits.
    pub(crate) fn add(&mut self, frame: &Bytes) -> bool {
        let full = self.entries.len() + frame.len() > self.bytes_max
            || self.count as usize >= self.entries_max;
        if self.count > 0 && full {
            return false;
        }
        self.entries.extend_from_slice(frame);
        self.count += 1;
        true
    }

    pub(crate) fn finish(self, sent: &mut u64) -> Option<Batch> {
        *sent += self.entries.len() as u64;
        (self.count > 0).then(|| Batch {
            min_reader: READER,
            count: self.count,
            entries: self.entries.freeze(),
        })
    }
}
