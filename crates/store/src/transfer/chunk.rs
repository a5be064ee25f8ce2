//! A chunk's bytes.
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 4 | magic `AtTr` |
//! | 4 | 1 | format, now 1 |
//! | 5 | 1 | kind: 0 head, 1 pairs, 2 end |
//! | 6 | 1 | family of pairs (1 meta, 2 log, 3 arrival, 4 state, 5 history, 6 ledger), else 0 |
//! | 7 | 8 | checkpoint: the same in all chunks of one |
//! | 15 | 8 | number of the chunk, from 0 |
//! | 23 | 4 | length of the body |
//! | 27 | … | body |
//! | … | 4 | CRC32C of all before it |
//!
//! Numbers are little-endian. A head's body is the identity's record. A body of pairs is, for each, in the
//! order of their keys: length of the key (4), length of the value (4), key, value. An end's body is the
//! count of all pairs (8) and a digest (16): [`struct@Hash`] over length (4) and CRC32C (4) of every body of pairs.

use bytes::{BufMut, Bytes, BytesMut};

use atoll_core::hash::Hash;

use super::{TransferError, TransferError::Damaged};
use crate::engine::Family;

/// The format that this program writes.
pub(super) const VERSION: u8 = 1;

const MAGIC: &[u8; 4] = b"AtTr";
const HEAD_BYTES: usize = 27;
const SUM_BYTES: usize = 4;
const PAIR_HEAD_BYTES: usize = 8;

/// A chunk that was read, its sum checked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chunk<'a> {
    pub(super) checkpoint: u64,
    pub(super) number: u64,
    pub(super) body: Body<'a>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body<'a> {
    /// The identity's record.
    Head(&'a [u8]),
    /// Pairs of one family.
    Pairs(Family, &'a [u8]),
    End(Totals),
}

/// What all bodies of pairs come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) pairs: u64,
    pub(super) digest: Hash,
}

impl Totals {
    /// Adds a body that has so many pairs.
    pub(super) fn add(&mut self, pairs: u64, body: &[u8]) {
        self.pairs += pairs;
        self.digest.feed(&length(body.len()).to_le_bytes());
        self.digest.feed(&crc32c::crc32c(body).to_le_bytes());
    }
}

pub(super) fn head(checkpoint: u64, identity: &[u8]) -> Bytes {
    frame(0, 0, checkpoint, 0, identity)
}

pub(super) fn pairs(checkpoint: u64, number: u64, family: Family, body: &[u8]) -> Bytes {
    frame(1, code(family), checkpoint, number, body)
}

pub(super) fn end(checkpoint: u64, number: u64, totals: Totals) -> Bytes {
    let mut body = Vec::with_capacity(24);
    body.put_u64_le(totals.pairs);
    body.put_u128_le(totals.digest.value());
    frame(2, 0, checkpoint, number, &body)
}

/// Bytes of a chunk that are not its pairs.
pub(super) const FRAME_BYTES: usize = HEAD_BYTES + SUM_BYTES;

/// Bytes that a pair takes in a body.
pub(super) fn pair_bytes(key: &[u8], value: &[u8]) -> usize {
    PAIR_HEAD_BYTES + key.len() + value.len()
}

/// Adds a pair to a body.
pub(super) fn put_pair(body: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    body.put_u32_le(length(key.len()));
    body.put_u32_le(length(value.len()));
    body.put_slice(key);
    body.put_slice(value);
}

/// The pairs of a body, each `None` from where it is cut off.
pub(super) fn each_pair(body: &[u8]) -> impl Iterator<Item = Option<(&[u8], &[u8])>> {
    let mut rest = Some(body);
    std::iter::from_fn(move || {
        let left = rest.take().filter(|left| !left.is_empty())?;
        let pair = split_pair(left);
        rest = pair.map(|(_, _, rest)| rest);
        Some(pair.map(|(key, value, _)| (key, value)))
    })
}

fn split_pair(body: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (key, body) = body.split_first_chunk::<4>()?;
    let (value, body) = body.split_first_chunk::<4>()?;
    let (key, body) = body.split_at_checked(u32::from_le_bytes(*key) as usize)?;
    let (value, body) = body.split_at_checked(u32::from_le_bytes(*value) as usize)?;
    Some((key, value, body))
}

/// Reads a chunk.
///
/// # Errors
/// [`TransferError::NewerFormat`] and [`TransferError::Damaged`].
pub(super) fn read(bytes: &[u8]) -> Result<Chunk<'_>, TransferError> {
    let damaged = |detail| Damaged { detail };
    let rest = bytes.strip_prefix(MAGIC).ok_or(damaged("it is no chunk"))?;
    match rest.first() {
        Some(&VERSION) => {}
        Some(&found) if found > VERSION => return Err(TransferError::NewerFormat { found }),
        _ => return Err(damaged("it has no format")),
    }
    let (summed, sum) = bytes
        .split_last_chunk::<SUM_BYTES>()
        .filter(|(summed, _)| summed.len() >= HEAD_BYTES)
        .ok_or(damaged("it is too short"))?;
    if crc32c::crc32c(summed) != u32::from_le_bytes(*sum) {
        return Err(damaged("its checksum does not match"));
    }
    let (head, body) = summed.split_at(HEAD_BYTES);
    let number = |at: usize| head[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
    if head[23..] != length(body.len()).to_le_bytes() {
        return Err(damaged("its length does not match"));
    }
    let body = match (head[5], head[6]) {
        (0, 0) => Body::Head(body),
        (1, code) => Body::Pairs(family(code).ok_or(damaged("of no known family"))?, body),
        (2, 0) => Body::End(totals(body).ok_or(damaged("its end is cut off"))?),
        _ => return Err(damaged("of no known kind")),
    };
    Ok(Chunk {
        checkpoint: number(7),
        number: number(15),
        body,
    })
}

fn totals(body: &[u8]) -> Option<Totals> {
    let (pairs, digest) = body.split_first_chunk()?;
    Some(Totals {
        pairs: u64::from_le_bytes(*pairs),
        digest: Hash::at(u128::from_le_bytes(digest.try_into().ok()?)),
    })
}

fn frame(kind: u8, family: u8, checkpoint: u64, number: u64, body: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(FRAME_BYTES + body.len());
    frame.put_slice(MAGIC);
    frame.put_slice(&[VERSION, kind, family]);
    frame.put_u64_le(checkpoint);
    frame.put_u64_le(number);
    frame.put_u32_le(length(body.len()));
    frame.put_slice(body);
    let sum = crc32c::crc32c(&frame);
    frame.put_u32_le(sum);
    frame.freeze()
}

/// Keys and values have 32-bit lengths in the engine too.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a chunk, a key and a value are far below 4 GiB")
}

const fn code(family: Family) -> u8 {
    match family {
        Family::Raft => panic!("the Raft family does not travel"),
        Family::Meta => 1,
        Family::Log => 2,
        Family::Arrival => 3,
        Family::State => 4,
        Family::History => 5,
        Family::Ledger => 6,
    }
}

fn family(code: u8) -> Option<Family> {
    super::FAMILIES
        .get(usize::from(code).checked_sub(1)?)
        .copied()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

    use super::*;
    use crate::records::checks::hex;

    fn body() -> Vec<u8> {
        let mut body = Vec::new();
        put_pair(&mut body, b"key", b"value");
        put_pair(&mut body, b"other", b"");
        body
    }

    fn totals_of(body: &[u8]) -> Totals {
        let mut totals = Totals::default();
        totals.add(2, body);
        totals
    }

    const CHECKPOINT: u64 = 0x0102_0304_0506_0708;

    #[test]
    fn the_bytes_are_pinned() {
        let of = |bytes: &Bytes| hex(bytes);
        insta::assert_snapshot!(of(&head(CHECKPOINT, b"whose")), @r"
        41745472010000080706050403020100000000000000000500000077686f7365
        f3235275
        ");
        insta::assert_snapshot!(of(&pairs(CHECKPOINT, 1, Family::State, &body())), @r"
        41745472010104080706050403020101000000000000001d0000000300000005
        0000006b657976616c756505000000000000006f74686572f1ce5126
        ");
        insta::assert_snapshot!(of(&end(CHECKPOINT, 2, totals_of(&body()))), @r"
        4174547201020008070605040302010200000000000000180000000200000000
        000000df1654bb40d541a86b99655799eed4689f762bed
        ");
    }

    #[test]
    fn chunks_come_back_as_they_were_made() {
        let same = |bytes: &Bytes, number, expected: Body<'_>| {
            let (checkpoint, body) = (CHECKPOINT, expected);
            assert_eq!(
                read(bytes),
                Ok(Chunk {
                    checkpoint,
                    number,
                    body
                })
            );
        };
        same(&head(CHECKPOINT, b"whose"), 0, Body::Head(b"whose"));
        let body = body();
        for family in super::super::FAMILIES {
            let chunk = pairs(CHECKPOINT, 7, family, &body);
            same(&chunk, 7, Body::Pairs(family, &body));
        }
        let totals = totals_of(&body);
        same(&end(CHECKPOINT, 9, totals), 9, Body::End(totals));
        let pairs: Vec<_> = each_pair(&body).map(Option::unwrap).collect();
        assert_eq!(
            pairs,
            [(&b"key"[..], &b"value"[..]), (&b"other"[..], &b""[..])]
        );
    }

    /// Caught: a sum that is not compared.
    #[test]
    fn a_chunk_with_any_bit_flipped_or_byte_cut_off_is_refused() {
        let chunk = pairs(CHECKPOINT, 1, Family::State, &body());
        for place in 0..chunk.len() {
            for bit in 0..8 {
                let mut damaged = chunk.to_vec();
                damaged[place] ^= 1 << bit;
                let refused = read(&damaged).unwrap_err();
                let newer = matches!(refused, TransferError::NewerFormat { .. }) && place == 4;
                assert!(
                    newer || matches!(refused, Damaged { .. }),
                    "{place}: {refused}"
                );
            }
            assert!(matches!(read(&chunk[..place]), Err(Damaged { .. })));
        }
        let longer = [&chunk[..], &[0]].concat();
        assert!(matches!(read(&longer), Err(Damaged { .. })));
    }

    #[test]
    fn a_newer_format_is_named() {
        let mut chunk = head(CHECKPOINT, b"whose").to_vec();
        chunk[4] = 2;
        assert_eq!(read(&chunk), Err(TransferError::NewerFormat { found: 2 }));
    }

    #[test]
    fn a_body_that_is_cut_off_has_no_pair_there() {
        let body = body();
        let whole = [0, 16, body.len()];
        for end in 0..=body.len() {
            let cut_off = each_pair(&body[..end]).any(|pair| pair.is_none());
            assert_eq!(cut_off, !whole.contains(&end), "at {end}");
        }
    }
}
