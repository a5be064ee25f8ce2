//! The Raft family's records: their keys, and the frame around every value.
//!
//! | key | value |
//! |---|---|
//! | `c` | committed: the caller's bytes |
//! | `e` index (u64, big-endian) | entry: the caller's bytes |
//! | `n` | node: the caller's bytes, which node this is |
//! | `p` | purged: index (u64, big-endian) of the last entry purged, then the caller's bytes |
//! | `r` | the state is being replaced: nothing; [`crate::transfer`]'s, the log leaves it alone |
//! | `v` | vote: the caller's bytes |
//!
//! Frame: version (1 byte), CRC32C (u32, little-endian) over key, version and payload, payload. The key is
//! summed too, so that a value in the wrong place is noticed. The bytes are pinned in `tests`.

use std::fmt;

use super::RaftLogError;

/// One record of the Raft family, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// The entry at an index.
    Entry(u64),
    /// The vote.
    Vote,
    /// The commit mark.
    Committed,
    /// Which node this is.
    Node,
    /// The purge mark.
    Purged,
    /// The mark that the state is being replaced.
    Replacing,
}

impl Record {
    pub(crate) fn key(self) -> Vec<u8> {
        match self {
            Self::Committed => b"c".to_vec(),
            Self::Entry(index) => [&[ENTRY][..], &index.to_be_bytes()].concat(),
            Self::Node => b"n".to_vec(),
            Self::Purged => b"p".to_vec(),
            Self::Replacing => b"r".to_vec(),
            Self::Vote => b"v".to_vec(),
        }
    }

    pub(crate) fn frame(self, payload: &[&[u8]]) -> Vec<u8> {
        let bytes = payload.iter().map(|part| part.len()).sum::<usize>();
        let mut frame = Vec::with_capacity(FRAME_HEAD + bytes);
        frame.push(FRAME_VERSION);
        frame.extend(self.sum(payload).to_le_bytes());
        for part in payload {
            frame.extend_from_slice(part);
        }
        frame
    }

    /// The payload of a frame, once it is known to be what was written under this key.
    pub(super) fn unframe(self, frame: &[u8]) -> Result<&[u8], RaftLogError> {
        let Some(([version, stored @ ..], payload)) = frame.split_first_chunk::<FRAME_HEAD>()
        else {
            return Err(self.corrupt("it is too short"));
        };
        if *version != FRAME_VERSION {
            let found = *version;
            return Err(RaftLogError::UnknownVersion {
                record: self,
                found,
            });
        }
        if self.sum(&[payload]) != u32::from_le_bytes(*stored) {
            return Err(self.corrupt("its checksum does not match"));
        }
        Ok(payload)
    }

    pub(super) fn corrupt(self, detail: &'static str) -> RaftLogError {
        RaftLogError::Corrupt {
            record: self,
            detail,
        }
    }

    fn sum(self, payload: &[&[u8]]) -> u32 {
        let head = crc32c::crc32c_append(crc32c::crc32c(&self.key()), &[FRAME_VERSION]);
        payload
            .iter()
            .fold(head, |sum, part| crc32c::crc32c_append(sum, part))
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(index) => write!(f, "entry {index}"),
            Self::Vote => f.write_str("vote"),
            Self::Committed => f.write_str("commit mark"),
            Self::Node => f.write_str("node"),
            Self::Purged => f.write_str("purge mark"),
            Self::Replacing => f.write_str("replacement mark"),
        }
    }
}

/// First byte of an entry's key.
pub(super) const ENTRY: u8 = b'e';
/// Bytes of an entry's key.
pub(super) const ENTRY_KEY: usize = 1 + size_of::<u64>();
pub(super) const FRAME_VERSION: u8 = 1;
/// Bytes of a frame before its payload.
pub(super) const FRAME_HEAD: usize = 1 + size_of::<u32>();

/// The index in an entry's key.
pub(super) fn index_of(key: &[u8]) -> Result<u64, RaftLogError> {
    let index = key
        .strip_prefix(&[ENTRY])
        .and_then(|index| index.try_into().ok());
    let index = index.map(u64::from_be_bytes);
    index.ok_or_else(|| Record::Entry(0).corrupt("there is a key that is no index"))
}
