//! Names of things: stores, regions, replicas, collections, keys, dots.
//!
//! Each is a type that cannot be wrong once made: parse at the boundary, then stop checking.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;

/// Longest key in bytes.
pub const KEY_BYTES_MAX: usize = 1024;
/// Longest region name in bytes: it becomes part of Kubernetes object names.
pub const REGION_NAME_BYTES_MAX: usize = 40;
/// Longest collection name in bytes.
pub const COLLECTION_NAME_BYTES_MAX: usize = 63;

/// A name that breaks its rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {given:?} {rule}")]
pub struct InvalidName {
    /// What was being named: "region", "collection", "key", "store id", "dot".
    pub what: &'static str,
    /// The text as given, cut to 64 characters.
    pub given: String,
    /// The rule that it breaks, as the end of a sentence.
    pub rule: &'static str,
}

fn invalid(what: &'static str, given: &str, rule: &'static str) -> InvalidName {
    InvalidName {
        what,
        given: given.chars().take(64).collect(),
        rule,
    }
}

/// One incarnation of a region: drawn at random when it is first formed, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(pub u64);

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for ReplicaId {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let rule = "must be 16 hexadecimal digits";
        if text.len() != 16 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(invalid("replica id", text, rule));
        }
        u64::from_str_radix(text, 16)
            .map(ReplicaId)
            .map_err(|_| invalid("replica id", text, rule))
    }
}

/// The identity of one store, drawn at random when it is first formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId(pub u64);

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for StoreId {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        text.parse::<ReplicaId>()
            .map(|id| StoreId(id.0))
            .map_err(|_| invalid("store id", text, "must be 16 hexadecimal digits"))
    }
}

/// The name of one entry: the replica that originated it and its place in that replica's sequence.
///
/// Sequences start at 1 and have no gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot {
    /// Who originated the entry.
    pub replica: ReplicaId,
    /// Its place in the origin's sequence, from 1.
    pub seq: u64,
}

impl Dot {
    /// The dot `(replica, seq)`.
    #[must_use]
    pub fn new(replica: ReplicaId, seq: u64) -> Self {
        Dot { replica, seq }
    }
}

impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.replica, self.seq)
    }
}

impl FromStr for Dot {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let bad = || {
            invalid(
                "dot",
                text,
                "must look like <16 hexadecimal digits>:<number>",
            )
        };
        let (replica, seq) = text.split_once(':').ok_or_else(bad)?;
        Ok(Dot {
            replica: replica.parse().map_err(|_| bad())?,
            seq: seq.parse().map_err(|_| bad())?,
        })
    }
}

/// The name of a region: a DNS label of at most 40 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegionName(Arc<str>);

impl RegionName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RegionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RegionName {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let letter = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = text.as_bytes();
        let ends_fit = bytes.first().is_some_and(letter) && bytes.last().is_some_and(letter);
        let body_fits = bytes.iter().all(|b| letter(b) || *b == b'-');
        if !ends_fit || !body_fits || bytes.len() > REGION_NAME_BYTES_MAX {
            return Err(invalid(
                "region",
                text,
                "must be 1 to 40 of a-z, 0-9 and '-', not at an end",
            ));
        }
        Ok(RegionName(text.into()))
    }
}

/// The name of a collection: 1 to 63 of a-z, 0-9, '.', '_' and '-', starting with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CollectionName(Arc<str>);

impl CollectionName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CollectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CollectionName {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let letter = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = text.as_bytes();
        let start_fits = bytes.first().is_some_and(letter);
        let body_fits = bytes
            .iter()
            .all(|b| letter(b) || matches!(b, b'.' | b'_' | b'-'));
        if !start_fits || !body_fits || bytes.len() > COLLECTION_NAME_BYTES_MAX {
            return Err(invalid(
                "collection",
                text,
                "must be 1 to 63 of a-z, 0-9, '.', '_' and '-', and start with a letter or digit",
            ));
        }
        Ok(CollectionName(text.into()))
    }
}

/// A key: 1 to 1,024 bytes of UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Bytes);

impl Key {
    /// A key from raw bytes.
    ///
    /// # Errors
    /// When empty, longer than [`KEY_BYTES_MAX`], or not UTF-8.
    pub fn new(bytes: Bytes) -> Result<Self, InvalidName> {
        let lossy = || String::from_utf8_lossy(&bytes).into_owned();
        if bytes.is_empty() || bytes.len() > KEY_BYTES_MAX {
            return Err(invalid("key", &lossy(), "must be 1 to 1,024 bytes"));
        }
        if std::str::from_utf8(&bytes).is_err() {
            return Err(invalid("key", &lossy(), "must be UTF-8"));
        }
        Ok(Key(bytes))
    }

    /// The key's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key's bytes, shared.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Key {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Key::new(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
