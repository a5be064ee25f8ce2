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
        let components = components.into_iter();
        let mut vector = VersionVector(Vec::with_capacity(components.size_hint().0));
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vector(components: &[(u64, u64)]) -> VersionVector {
        let named = components.iter().map(|&(r, seq)| (ReplicaId(r), seq));
        named.collect()
    }

    #[test]
    fn a_component_of_nothing_is_none() {
        assert_eq!(vector(&[(1, 0)]), VersionVector::new());
        assert_eq!(
            vector(&[(2, 1), (1, 3), (2, 7), (2, 5)]),
            vector(&[(1, 3), (2, 7)])
        );
        assert!(!VersionVector::new().covers(Dot::new(ReplicaId(1), 1)));
    }

    #[test]
    fn counts_of_entries() {
        let (mine, theirs) = (vector(&[(1, 5), (2, 2)]), vector(&[(1, 3), (3, 9)]));
        assert_eq!((mine.total(), mine.len()), (7, 2));
        assert_eq!((mine.ahead_of(&theirs), theirs.ahead_of(&mine)), (4, 9));
        assert_eq!(
            mine.to_string(),
            "{0000000000000001: 5, 0000000000000002: 2}"
        );
    }

    fn any_vector() -> impl Strategy<Value = VersionVector> {
        prop::collection::vec((0..4_u64, 0..4_u64), 0..4).prop_map(|c| vector(&c))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(10_000) })]

        /// Vectors are a lattice: merge is the least vector above two, meet the greatest below.
        #[test]
        fn vectors_are_partially_ordered(a in any_vector(), b in any_vector(), c in any_vector()) {
            let merged = { let mut m = a.clone(); m.merge(&b); m };
            let met = a.meet(&b);
            prop_assert!(merged >= a && merged >= b && met <= a && met <= b);
            if c >= a && c >= b {
                prop_assert!(c >= merged);
            }
            if c <= a && c <= b {
                prop_assert!(c <= met);
            }
            prop_assert_eq!(a.partial_cmp(&b), b.partial_cmp(&a).map(Ordering::reverse));
            prop_assert_eq!(a == b, a.partial_cmp(&b) == Some(Ordering::Equal));
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
            for dot in (0..4).flat_map(|r| (1..4).map(move |seq| Dot::new(ReplicaId(r), seq))) {
                prop_assert_eq!(merged.covers(dot), a.covers(dot) || b.covers(dot));
                prop_assert_eq!(met.covers(dot), a.covers(dot) && b.covers(dot));
            }
        }
    }
}
