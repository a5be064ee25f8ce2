//! An entry's frame on its way from a link into the state, where it is read once.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::{BadFrame, decode_checked, decode_entry, split_frame};
use crate::entry::Entry;

/// An entry's bytes and, until somebody takes it, what was read of them. Equal to another one of the same bytes.
///
/// What was read takes several times the bytes' memory: clones share it, and it goes to the first who
/// takes it.
#[derive(Clone)]
pub struct EntryFrame {
    bytes: Bytes,
    read: Option<Arc<Mutex<Option<Entry>>>>,
}

impl EntryFrame {
    /// Splits the first frame off `bytes`, checked and unread.
    ///
    /// # Errors
    /// As [`split_frame`].
    pub fn split(bytes: &mut Bytes) -> Result<EntryFrame, BadFrame> {
        split_frame(bytes).map(EntryFrame::from)
    }

    /// Reads the entry of a frame that [`EntryFrame::split`] has checked, looks at it, and keeps it.
    ///
    /// # Errors
    /// [`BadFrame`].
    pub fn read<T>(&mut self, look: impl FnOnce(&Entry) -> T) -> Result<T, BadFrame> {
        let entry = decode_checked(&self.bytes)?;
        let seen = look(&entry);
        self.read = Some(Arc::new(Mutex::new(Some(entry))));
        Ok(seen)
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How many bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Lets go of what was read: this is going to wait.
    pub fn forget(&mut self) {
        self.read = None;
    }

    /// The entry, read again unless it was read and not taken.
    ///
    /// # Errors
    /// As [`decode_entry`].
    pub fn take(&self) -> Result<Entry, BadFrame> {
        let read = self.read.as_ref();
        let read = read.and_then(|read| read.lock().unwrap_or_else(PoisonError::into_inner).take());
        read.map_or_else(|| decode_entry(&self.bytes), Ok)
    }
}

impl From<Bytes> for EntryFrame {
    fn from(bytes: Bytes) -> Self {
        EntryFrame { bytes, read: None }
    }
}

impl PartialEq for EntryFrame {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for EntryFrame {}

impl fmt::Debug for EntryFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes.fmt(f)
    }
}
