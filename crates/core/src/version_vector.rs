//! Version vectors: for each replica the highest contiguous sequence that was applied.
//!
//! After Parker et al., "Detection of Mutual Inconsistency in Distributed Systems" (1983). As many
//! components as the store has regions, kept as a sorted list: lookups are a few comparisons.

use std::cmp::Ordering;
use std::fmt;

use crate::ids::{Dot, ReplicaId};

/// Replica id → highest contiguous sequence applied; absent means 0.
///
/// Invariant: sorted by replica id, no component is 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct VersionVector(Vec<(ReplicaId, u64)>);

impl VersionVector {
    /// The vector that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        VersionVector(Vec::new())
    }

    /// The component of `replica`.
    #[must_use]
    pub fn get(&self, replica: ReplicaId) -> u64 {
        self.find(replica).map_or(0, |i| self.0[i].1)
    }

    /// Whether the entry named `dot` has been seen.
    #[must_use]
    pub fn covers(&self, dot: Dot) -> bool {
        self.get(dot.replica) >= dot.seq
    }

    /// Whether everything that `other` has seen has been seen.
    #[must_use]
    pub fn covers_all(&self, other: &VersionVector) -> bool {
        other
            .0
            .iter()
            .all(|&(replica, seq)| self.get(replica) >= seq)
    }

    /// Raises the component of `dot.replica` to at least `dot.seq`.
    pub fn raise(&mut self, dot: Dot) {
        if dot.seq == 0 {
            return;
        }
        match self.find(dot.replica) {
            Ok(i) => self.0[i].1 = self.0[i].1.max(dot.seq),
            Err(i) => self.0.insert(i, (dot.replica, dot.seq)),
        }
    }

    /// Component-wise maximum.
    pub fn merge(&mut self, other: &VersionVector) {
        for &(replica, seq) in &other.0 {
            self.raise(Dot { replica, seq });
        }
    }

    /// Component-wise minimum.
    #[must_use]
    pub fn meet(&self, other: &VersionVector) -> VersionVector {
        self.0
            .iter()
            .map(|&(r, seq)| (r, seq.min(other.get(r))))
            .collect()
    }

    /// Components in order of replica id.
    pub fn iter(&self) -> impl Iterator<Item = (ReplicaId, u64)> + '_ {
        self.0.iter().copied()
    }

    /// Sum of all components: how many entries it covers.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().map(|&(_, seq)| seq).sum()
    }

    /// How many entries it covers that `other` does not.
    #[must_use]
    pub fn ahead_of(&self, other: &VersionVector) -> u64 {
        self.0
            .iter()
            .map(|&(r, seq)| seq.saturating_sub(other.get(r)))
            .sum()
    }

    /// Whether nothing has been seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of components.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    fn find(&self, replica: ReplicaId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&replica, |&(r, _)| r)
    }
}

impl FromIterator<(ReplicaId, u64)> for VersionVector {
    fn from_iter<I: IntoIterator<Item = (ReplicaId, u64)>>(components: I) -> Self {
        let mut vector = VersionVector::new();
        for (replica, seq) in components {
            vector.raise(Dot { replica, seq });
        }
        vector
    }
}

impl PartialOrd for VersionVector {
    /// `None` when neither has seen all of the other: concurrent.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self.covers_all(other), other.covers_all(self)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Greater),
            (false, true) => Some(Ordering::Less),
            (false, false) => None,
        }
    }
}

impl fmt::Display for VersionVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (replica, seq)) in self.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{replica}: {seq}")?;
        }
        f.write_str("}")
    }
}
