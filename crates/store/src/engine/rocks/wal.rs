//! Judges RocksDB's write-ahead files before RocksDB opens them: a torn tail is cut, anything else is refused.
//!
//! RocksDB alone cannot be trusted with the difference. In "tolerate corrupted tail" it takes a record whose
//! length was damaged for the end of the file and drops every whole record behind it without a word, and
//! a damaged type byte makes it spin; "point in time" drops the same on any damage. So damage with a whole
//! record behind it in the file is corruption, which touches nothing; damage with none is what a crash
//! leaves, and the file is cut after its last whole record. RocksDB then opens in "absolute consistency".
//!
//! The layout is RocksDB's `db/log_format.h`: blocks of 32 KiB; physical records of CRC (masked CRC32C of all
//! that follows the length), length, type, for some types a log number, payload; a record is one `Full`, or
//! `First`, `Middle`…, `Last`. A client that stores images of such records, and a crash that tears the very
//! record they are in, could make a tail look like corruption: that fails safe.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use super::super::EngineError;

/// Cuts the torn tail that a crash left, if there is one.
///
/// Only the tail of the last file that holds records is cut. The tail of an older one is left to RocksDB,
/// which knows whether that file is still needed (and how much of it was synced) and refuses if so.
///
/// # Errors
/// [`EngineError::Corrupt`] with the offset, when whole records lie behind the damage.
pub(super) fn settle(directory: &Path) -> Result<(), EngineError> {
    let mut torn = None;
    for path in files(directory)? {
        let verdict = File::open(&path)
            .and_then(judge)
            .map_err(|error| EngineError::io("read", path.clone(), &error))?;
        if verdict.whole_bytes > 0 {
            torn = None;
        }
        match verdict.rest {
            Rest::Nothing => {}
            Rest::Torn => torn = torn.or(Some((path, verdict.whole_bytes))),
            Rest::Corrupt { at, next } => {
                let detail = format!(
                    "record at offset {at} is not whole, and a whole one follows at {next}"
                );
                return Err(EngineError::Corrupt { file: path, detail });
            }
        }
    }
    torn.map_or(Ok(()), |(path, keep)| cut(&path, keep))
}

/// Write-ahead files, oldest first.
pub(super) fn files(directory: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let failed = |error| EngineError::io("list", directory, &error);
    let mut numbered = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let number = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .and_then(|stem| stem.parse::<u64>().ok());
        if let (Some(number), Some("log")) = (number, path.extension().and_then(|end| end.to_str()))
        {
            numbered.push((number, path));
        }
    }
    numbered.sort_unstable();
    Ok(numbered.into_iter().map(|(_, path)| path).collect())
}

fn cut(path: &Path, keep: u64) -> Result<(), EngineError> {
    OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|file| file.set_len(keep).and_then(|()| file.sync_all()))
        .map_err(|error| EngineError::io("cut the torn end of", path, &error))
}

const BLOCK: usize = 32 * 1024;
const HEADER: usize = 7;
const HEADER_WITH_NUMBER: usize = 11;

#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    /// Up to where the file holds whole records.
    whole_bytes: u64,
    rest: Rest,
}

#[derive(Debug, PartialEq, Eq)]
enum Rest {
    Nothing,
    Torn,
    Corrupt { at: u64, next: u64 },
}

fn judge(mut source: impl io::Read) -> io::Result<Verdict> {
    let mut block = vec![0; BLOCK];
    let mut walk = Walk {
        block_start: 0,
        whole_bytes: 0,
        inside: false,
        damage: None,
    };
    loop {
        let length = fill(&mut source, &mut block)?;
        if let Some(rest) = walk.block(&block[..length]) {
            return Ok(Verdict {
                whole_bytes: walk.whole_bytes,
                rest,
            });
        }
        if length < BLOCK {
            let torn = walk.inside || walk.damage.is_some();
            let rest = if torn { Rest::Torn } else { Rest::Nothing };
            return Ok(Verdict {
                whole_bytes: walk.whole_bytes,
                rest,
            });
        }
        walk.block_start += BLOCK as u64;
    }
}

struct Walk {
    block_start: u64,
    whole_bytes: u64,
    /// A `First` was seen and its `Last` not yet.
    inside: bool,
    damage: Option<u64>,
}

impl Walk {
    /// Goes through one block; ends the walk when a whole record follows damage.
    fn block(&mut self, block: &[u8]) -> Option<Rest> {
        let mut place = 0;
        while self.damage.is_none() && place < block.len() {
            if block.len() == BLOCK && BLOCK - place < HEADER {
                return None;
            }
            match Physical::parse(&block[place..]).filter(|record| self.fits(record.piece)) {
                Some(record) => {
                    place += record.length;
                    self.inside = matches!(record.piece, Piece::First | Piece::Middle);
                    if !self.inside {
                        self.whole_bytes = self.block_start + place as u64;
                    }
                }
                None => self.damage = Some(self.block_start + place as u64),
            }
        }
        let at = self.damage?;
        let begins = |place: &usize| {
            Physical::parse(&block[*place..])
                .is_some_and(|record| matches!(record.piece, Piece::Full | Piece::First))
        };
        let behind = if at < self.block_start { 0 } else { place + 1 };
        let next = self.block_start + (behind..block.len()).find(begins)? as u64;
        Some(Rest::Corrupt { at, next })
    }

    fn fits(&self, piece: Piece) -> bool {
        match piece {
            Piece::Full | Piece::First | Piece::Other => !self.inside,
            Piece::Middle | Piece::Last => self.inside,
        }
    }
}

struct Physical {
    piece: Piece,
    /// With its header.
    length: usize,
}

#[derive(Clone, Copy)]
enum Piece {
    Full,
    First,
    Middle,
    Last,
    /// A record about the file itself.
    Other,
}

impl Physical {
    /// The physical record at the start of `bytes`, if it is whole.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (header, _) = bytes.split_first_chunk::<HEADER>()?;
        let [crc @ .., low, high, kind] = header;
        let payload = usize::from(u16::from_le_bytes([*low, *high]));
        let (piece, header_length) = match kind {
            1 => (Piece::Full, HEADER),
            2 => (Piece::First, HEADER),
            3 => (Piece::Middle, HEADER),
            4 => (Piece::Last, HEADER),
            5 => (Piece::Full, HEADER_WITH_NUMBER),
            6 => (Piece::First, HEADER_WITH_NUMBER),
            7 => (Piece::Middle, HEADER_WITH_NUMBER),
            8 => (Piece::Last, HEADER_WITH_NUMBER),
            9 | 10 | 130 => (Piece::Other, HEADER),
            11 | 131 => (Piece::Other, HEADER_WITH_NUMBER),
            _ => return None,
        };
        let length = header_length + payload;
        let summed = bytes.get(HEADER - 1..length)?;
        (mask(crc32c::crc32c(summed)) == u32::from_le_bytes(*crc)).then_some(Self { piece, length })
    }
}

/// RocksDB stores a CRC in this disguise, so that a CRC of bytes that hold CRCs is not trivial.
fn mask(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

fn fill(source: &mut impl io::Read, block: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < block.len() {
        match source.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

    use super::*;

    fn physical(kind: u8, payload: &[u8]) -> Vec<u8> {
        let summed = [&[kind], payload].concat();
        let length = u16::try_from(payload.len()).unwrap();
        [
            &mask(crc32c::crc32c(&summed)).to_le_bytes()[..],
            &length.to_le_bytes(),
            &summed,
        ]
        .concat()
    }

    fn check(bytes: &[u8], whole_bytes: usize, rest: Rest) {
        assert_eq!(
            judge(bytes).unwrap(),
            Verdict {
                whole_bytes: whole_bytes as u64,
                rest
            }
        );
    }

    /// Three records, the middle one over two blocks.
    fn three() -> (Vec<u8>, [usize; 3]) {
        let mut bytes = physical(1, &[0xAA; 100]);
        let first = bytes.len();
        bytes.extend(physical(2, &vec![0xBB; BLOCK - first - HEADER]));
        bytes.extend(physical(4, &[0xBB; 200]));
        let second = bytes.len();
        bytes.extend(physical(1, &[0xCC; 50]));
        let third = bytes.len();
        (bytes, [first, second, third])
    }

    #[test]
    fn whole_files_are_whole() {
        let (bytes, [first, second, third]) = three();
        check(&bytes, third, Rest::Nothing);
        check(&bytes[..second], second, Rest::Nothing);
        check(&bytes[..first], first, Rest::Nothing);
        check(&[], 0, Rest::Nothing);
    }

    #[test]
    fn a_cut_at_any_byte_keeps_the_whole_records_before_it() {
        let (bytes, [first, second, third]) = three();
        for end in 0..third {
            let whole = [0, first, second]
                .into_iter()
                .rfind(|whole| *whole <= end)
                .unwrap();
            let rest = if whole == end {
                Rest::Nothing
            } else {
                Rest::Torn
            };
            check(&bytes[..end], whole, rest);
        }
    }

    #[test]
    fn zeroes_behind_the_last_record_are_a_torn_tail() {
        let (mut bytes, [.., third]) = three();
        bytes.extend(vec![0; 3 * BLOCK]);
        check(&bytes, third, Rest::Torn);
    }

    #[test]
    fn a_flipped_bit_before_a_whole_record_is_corruption() {
        let (bytes, [first, second, third]) = three();
        for place in (0..300).chain(BLOCK - 50..third) {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[place] ^= 1 << bit;
                let verdict = judge(&bytes[..]).unwrap();
                let rest = if place < second { "corrupt" } else { "torn" };
                let found = match verdict.rest {
                    Rest::Corrupt { next, .. } => {
                        let behind = if place < first { first } else { second };
                        assert_eq!(next, behind as u64);
                        "corrupt"
                    }
                    Rest::Torn => "torn",
                    Rest::Nothing => "whole",
                };
                assert_eq!(found, rest, "bit {bit} of byte {place}");
            }
        }
    }

    #[test]
    fn the_trailer_of_a_block_is_no_record() {
        for gap in 0..HEADER {
            let mut bytes = physical(1, &vec![1; BLOCK - HEADER - gap]);
            bytes.extend(vec![0; gap]);
            bytes.extend(physical(1, b"next"));
            check(&bytes, bytes.len(), Rest::Nothing);
        }
    }
}
