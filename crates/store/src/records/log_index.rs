//! Entries by dot. Family `log`, key: replica id (8) · sequence (8) → arrival index (8).

use atoll_core::{Dot, ReplicaId};

use super::{BadRecord, damaged, number};

const KIND: &str = "log";

/// The key of a dot.
#[must_use]
pub fn key(dot: Dot) -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    out.extend_from_slice(&dot.replica.0.to_be_bytes());
    out.extend_from_slice(&dot.seq.to_be_bytes());
    out
}

/// The bytes of an arrival index.
#[must_use]
pub fn encode(arrival: u64) -> [u8; 8] {
    arrival.to_be_bytes()
}

/// Reads an arrival index.
///
/// # Errors
/// [`BadRecord`].
pub fn decode(value: &[u8]) -> Result<u64, BadRecord> {
    super::bare_number(KIND, value)
}

/// Reads the dot in a key.
///
/// # Errors
/// [`BadRecord`].
pub fn decode_key(key: &[u8]) -> Result<Dot, BadRecord> {
    if key.len() != 16 {
        return Err(damaged(KIND, "its key is not of 16 bytes"));
    }
    Ok(Dot::new(
        ReplicaId(number(KIND, key, 0)?),
        number(KIND, key, 8)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::checks::{dot, dots, hex, holds};
    use proptest::prelude::*;

    #[test]
    fn the_bytes_are_pinned() {
        insta::assert_snapshot!(hex(&key(dot(0xA1, 7))), @"00000000000000a10000000000000007");
        insta::assert_snapshot!(hex(&encode(300)), @"000000000000012c");
    }

    #[test]
    fn an_index_is_eight_bytes_and_a_dot_sixteen() {
        assert_eq!(decode(&encode(300)), Ok(300));
        for length in [0, 7, 9] {
            assert!(decode(&vec![0; length]).is_err(), "{length}");
        }
        for length in [0, 8, 15, 17] {
            assert!(decode_key(&vec![0; length]).is_err(), "{length}");
        }
    }

    #[test]
    fn keys_come_back_and_sort_like_dots() {
        holds(&(dots(), dots()), |(a, b)| {
            prop_assert_eq!(decode_key(&key(a)), Ok(a));
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
            Ok(())
        });
    }
}
