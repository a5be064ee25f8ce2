//! Keys of slots: collection · 0x00 · key, escaped and ended by 0x00 0x01 · path, likewise per segment.
//!
//! All slots of a key are neighbours, the root first; keys of a collection sort by their bytes. The pair
//! 0x00 0x00 never occurs, which leaves it for what is stored about a slot (see `superseded`).

use bytes::Bytes;

use atoll_core::path::{read_segment, write_segment};
use atoll_core::state::SlotName;
use atoll_core::{CollectionName, Key, Path};

use super::{BadRecord, damaged};

const KIND: &str = "slot";

/// The key of a slot.
#[must_use]
pub fn encode(at: &SlotName) -> Vec<u8> {
    let mut out = key_prefix(&at.collection, &at.key);
    out.extend_from_slice(at.path.as_bytes());
    out
}

/// The prefix that all keys of a collection share.
#[must_use]
pub fn collection_prefix(collection: &CollectionName) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.extend_from_slice(collection.as_str().as_bytes());
    out.push(0);
    out
}

/// The prefix that all slots of a key share; also the key of its root slot.
#[must_use]
pub fn key_prefix(collection: &CollectionName, key: &Key) -> Vec<u8> {
    let mut out = collection_prefix(collection);
    write_segment(&mut out, key.as_bytes());
    out
}

/// Where keys of a collection that are not below `bound` begin.
#[must_use]
pub fn lower_bound(collection: &CollectionName, bound: &[u8]) -> Vec<u8> {
    let mut out = collection_prefix(collection);
    for &byte in bound {
        out.push(byte);
        if byte == 0 {
            out.push(0xFF);
        }
    }
    out
}

/// Reads a slot's key.
///
/// # Errors
/// [`BadRecord`] when it is none.
pub fn decode(bytes: &[u8]) -> Result<SlotName, BadRecord> {
    let end = bytes
        .iter()
        .position(|&b| b == 0)
        .ok_or_else(|| damaged(KIND, "no collection in its key"))?;
    let collection = std::str::from_utf8(&bytes[..end]).map_err(|e| damaged(KIND, e))?;
    let (key, path) = decode_in_collection(&bytes[end + 1..])?;
    Ok(SlotName {
        collection: collection.parse().map_err(|e| damaged(KIND, e))?,
        key,
        path,
    })
}

/// Reads what follows the collection's prefix.
///
/// # Errors
/// [`BadRecord`] when it is no key and path.
pub fn decode_in_collection(bytes: &[u8]) -> Result<(Key, Path), BadRecord> {
    let (key, path) = read_segment(bytes).ok_or_else(|| damaged(KIND, "no key in its key"))?;
    let key = Key::new(Bytes::from(key)).map_err(|e| damaged(KIND, e))?;
    let path = Path::from_encoded(Bytes::copy_from_slice(path))
        .ok_or_else(|| damaged(KIND, "no path in its key"))?;
    Ok((key, path))
}
