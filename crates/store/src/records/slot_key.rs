//! Keys of slots: collection · 0x00 · key, escaped and ended by 0x00 0x01 · path, likewise per segment.
//!
//! All slots of a key are neighbours, the root first; keys of a collection sort by their bytes. 0x00 0x00
//! never follows a slot's key, which leaves it for what is stored about a slot (see `superseded`).

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::checks::{
        at, collection_names, hex, holds, keys, slot_names, survives_damage,
    };
    use proptest::prelude::*;

    #[test]
    fn the_bytes_are_pinned() {
        insta::assert_snapshot!(hex(&encode(&at("c", "k", &[]))), @"63006b0001");
        insta::assert_snapshot!(hex(&encode(&at("c", "a\0b", &["", "f\0"]))), @"63006100ff62000100016600ff0001");
    }

    #[test]
    fn a_key_comes_back() {
        holds(&slot_names(), |name| {
            prop_assert_eq!(decode(&encode(&name)), Ok(name));
            Ok(())
        });
    }

    #[test]
    fn damage_is_an_error_at_most() {
        survives_damage(&encode(&at("c", "a\0b", &["f", "g"])), |bytes| {
            drop(decode(&bytes));
        });
    }

    /// Caught: a collection that is ended by a byte which names may hold.
    #[test]
    fn keys_sort_like_what_they_name() {
        holds(&(slot_names(), slot_names()), |(a, b)| {
            let by_name = (&a.collection, &a.key, a.path.segments()).cmp(&(
                &b.collection,
                &b.key,
                b.path.segments(),
            ));
            prop_assert_eq!(encode(&a).cmp(&encode(&b)), by_name);
            Ok(())
        });
    }

    #[test]
    fn a_key_begins_with_another_where_it_lies_below_it() {
        let close = (slot_names(), slot_names(), 0..4_u8).prop_map(|(a, mut b, near)| {
            if near > 0 {
                b.collection = a.collection.clone();
            }
            if near > 1 {
                b.key = a.key.clone();
            }
            if near > 2 {
                b.path = b
                    .path
                    .segments()
                    .iter()
                    .fold(a.path.clone(), |p, s| p.child(s));
            }
            (a, b)
        });
        holds(&close, |(a, b)| {
            let key = encode(&b);
            let same_key = a.collection == b.collection && a.key == b.key;
            let is_below = same_key && b.path.segments().starts_with(&a.path.segments());
            prop_assert_eq!(
                key.starts_with(&key_prefix(&a.collection, &a.key)),
                same_key
            );
            prop_assert_eq!(key.starts_with(&encode(&a)), is_below);
            let of_collection = key.starts_with(&collection_prefix(&a.collection));
            prop_assert_eq!(of_collection, a.collection == b.collection);
            Ok(())
        });
    }

    #[test]
    fn a_lower_bound_parts_keys_by_their_bytes() {
        let bound = prop::collection::vec(prop::sample::select(vec![0, 1, b'a', 0xC3, 0xFF]), 0..4);
        holds(
            &(collection_names(), keys(), bound),
            |(collection, key, bound)| {
                let not_below = key.as_bytes() >= bound.as_slice();
                let slot = key_prefix(&collection, &key);
                prop_assert_eq!(slot >= lower_bound(&collection, &bound), not_below);
                Ok(())
            },
        );
    }
}
