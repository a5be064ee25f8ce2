//! Batch: changes that happen together, in the order in which they were put.
//!
//! One buffer for all bytes, so that filling a batch allocates next to nothing, and a cleared one nothing.

use std::ops::Range;

use super::Family;

/// Changes to write at once; a later change to a key overrides an earlier one.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    records: Vec<Record>,
    families: u8,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty batch with room for this many changes and bytes of keys and values.
    #[must_use]
    pub fn with_capacity(changes: usize, bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            records: Vec::with_capacity(changes),
            families: 0,
        }
    }

    /// Gives a key a value.
    pub fn put(&mut self, family: Family, key: &[u8], value: &[u8]) {
        self.push(Kind::Put, family, key, value);
    }

    /// Takes a key away; nothing happens if it is not there.
    pub fn delete(&mut self, family: Family, key: &[u8]) {
        self.push(Kind::Delete, family, key, &[]);
    }

    /// Takes away all keys from `from` (included) to `to` (excluded).
    ///
    /// Meant for seldom and large: each one costs every later read of the family a little until a compaction.
    pub fn delete_range(&mut self, family: Family, from: &[u8], to: &[u8]) {
        if from < to {
            self.push(Kind::DeleteRange, family, from, to);
        }
    }

    /// Adds another batch's changes after this one's.
    pub fn extend(&mut self, other: &Self) {
        for change in other.changes() {
            match change {
                Change::Put { family, key, value } => self.put(family, key, value),
                Change::Delete { family, key } => self.delete(family, key),
                Change::DeleteRange { family, from, to } => self.delete_range(family, from, to),
            }
        }
    }

    /// Forgets the changes and keeps the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
        self.families = 0;
    }

    /// The changes, in order.
    pub fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        let mut start = 0;
        self.records.iter().map(move |record| {
            let (key, value) = record.split(start);
            start = record.end;
            let (family, key, value) = (record.family, &self.bytes[key], &self.bytes[value]);
            match record.kind {
                Kind::Put => Change::Put { family, key, value },
                Kind::Delete => Change::Delete { family, key },
                Kind::DeleteRange => Change::DeleteRange {
                    family,
                    from: key,
                    to: value,
                },
            }
        })
    }

    /// How many changes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of keys and values.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether a change is of this family.
    #[must_use]
    pub fn touches(&self, family: Family) -> bool {
        self.families & bit(family) != 0
    }

    /// Whether all changes are of this family.
    pub(super) fn touches_only(&self, family: Family) -> bool {
        self.families & !bit(family) == 0
    }

    fn push(&mut self, kind: Kind, family: Family, key: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.records.push(Record {
            kind,
            family,
            key_end,
            end: self.bytes.len(),
        });
        self.families |= bit(family);
    }
}

/// One change of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// The key has this value.
    Put {
        /// Where.
        family: Family,
        /// Its key.
        key: &'a [u8],
        /// Its new value.
        value: &'a [u8],
    },
    /// The key is not there.
    Delete {
        /// Where.
        family: Family,
        /// Its key.
        key: &'a [u8],
    },
    /// No key is there from `from` to before `to`.
    DeleteRange {
        /// Where.
        family: Family,
        /// First key taken away.
        from: &'a [u8],
        /// First key left.
        to: &'a [u8],
    },
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Put,
    Delete,
    DeleteRange,
}

/// A change whose bytes follow those of the change before it.
#[derive(Clone, Copy, Debug)]
struct Record {
    kind: Kind,
    family: Family,
    key_end: usize,
    end: usize,
}

impl Record {
    fn split(&self, start: usize) -> (Range<usize>, Range<usize>) {
        (start..self.key_end, self.key_end..self.end)
    }
}

const fn bit(family: Family) -> u8 {
    1 << family.ordinal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_come_back_as_they_were_put() {
        let mut batch = Batch::new();
        batch.put(Family::State, b"a", b"1");
        batch.delete(Family::Log, b"b");
        batch.delete_range(Family::Meta, b"c", b"d");
        let mut twice = Batch::with_capacity(6, 16);
        twice.extend(&batch);
        twice.extend(&batch);
        let once = [
            Change::Put {
                family: Family::State,
                key: b"a",
                value: b"1",
            },
            Change::Delete {
                family: Family::Log,
                key: b"b",
            },
            Change::DeleteRange {
                family: Family::Meta,
                from: b"c",
                to: b"d",
            },
        ];
        assert_eq!(batch.changes().collect::<Vec<_>>(), once);
        assert_eq!(twice.changes().collect::<Vec<_>>(), [once, once].concat());
    }

    #[test]
    fn an_empty_range_is_no_change() {
        let mut batch = Batch::new();
        batch.delete_range(Family::State, b"b", b"b");
        batch.delete_range(Family::State, b"b", b"a");
        assert!(batch.is_empty());
    }

    #[test]
    fn a_batch_knows_its_families() {
        let mut batch = Batch::new();
        assert!(batch.touches_only(Family::Raft));
        batch.put(Family::Raft, b"a", b"");
        assert!(batch.touches(Family::Raft) && batch.touches_only(Family::Raft));
        batch.put(Family::Ledger, b"a", b"");
        assert!(batch.touches(Family::Ledger) && !batch.touches_only(Family::Raft));
        batch.clear();
        assert!(batch.is_empty() && !batch.touches(Family::Raft) && batch.size_bytes() == 0);
    }
}
