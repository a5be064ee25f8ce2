//! Who has what: for each replica the vector that is durable there, gathered from acknowledgements and
//! heartbeats, its own and relayed ones. Answers write concerns and gives the stable vector.
//!
//! **Why the stable vector is stable.** Below it things are forgotten, so no entry may arrive later that does
//! not know what is forgotten. A member r that announced vector w writes its next entries with dependencies
//! of at least w; they have sequences above w[r]. So once this region has applied r's entries up to w[r],
//! every entry of r that is still to come covers w. Only announcements for which that holds count (they are
//! *safe*), and the stable vector is the meet of one safe announcement of every member.

use std::collections::BTreeMap;

use atoll_core::{Dot, RegionName, ReplicaId, VersionVector};

use crate::message::Matrix;

/// How far a write must be known to have travelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern {
    /// Durable in the region that took it.
    Region,
    /// Durable in so many regions, that one included.
    Regions(usize),
    /// Durable in more than half of the members.
    Majority,
    /// Durable in all members.
    All,
}

/// What this region knows of all replicas.
#[derive(Debug, Clone)]
pub struct Knowledge {
    me: ReplicaId,
    rows: BTreeMap<ReplicaId, Row>,
    regions: BTreeMap<ReplicaId, RegionName>,
    revision: u64,
}

/// What is known of one replica. `safe` ≤ `candidate` ≤ `newest`.
#[derive(Debug, Clone, Default)]
struct Row {
    newest: VersionVector,
    /// An earlier announcement that waits to become safe: the newest never would under constant writes.
    candidate: VersionVector,
    safe: VersionVector,
}

impl Row {
    fn promote(&mut self, replica: ReplicaId, mine: &VersionVector) {
        for _ in 0..2 {
            if self.candidate.get(replica) <= mine.get(replica) {
                self.safe.clone_from(&self.candidate);
                self.candidate.clone_from(&self.newest);
            }
        }
    }
}

impl Knowledge {
    /// What region `me` knows when it knows nothing.
    #[must_use]
    pub fn new(me: ReplicaId) -> Self {
        Knowledge {
            me,
            rows: BTreeMap::new(),
            regions: BTreeMap::new(),
            revision: 0,
        }
    }

    /// `replica` said that it has `vector` durably. For this region itself: it has applied `vector`.
    pub fn learn(&mut self, replica: ReplicaId, vector: &VersionVector) {
        let row = self.rows.entry(replica).or_default();
        if row.newest.covers_all(vector) {
            return;
        }
        row.newest.merge(vector);
        self.revision += 1;
        if replica == self.me {
            let mine = row.newest.clone();
            row.safe.clone_from(&mine);
            row.candidate.clone_from(&mine);
            for (&other, row) in &mut self.rows {
                if other != self.me {
                    row.promote(other, &mine);
                }
            }
        } else {
            let mine = self
                .rows
                .get(&self.me)
                .map(|r| r.newest.clone())
                .unwrap_or_default();
            if let Some(row) = self.rows.get_mut(&replica) {
                row.promote(replica, &mine);
            }
        }
    }

    /// Takes in what another region knows. What it says of this region is old news.
    pub fn learn_matrix(&mut self, matrix: &Matrix) {
        for (replica, vector) in matrix {
            if *replica != self.me {
                self.learn(*replica, vector);
            }
        }
    }

    /// Takes in which replica id is which region.
    pub fn learn_regions<'a>(
        &mut self,
        regions: impl IntoIterator<Item = &'a (ReplicaId, RegionName)>,
    ) {
        for (replica, name) in regions {
            if !self.regions.contains_key(replica) {
                self.regions.insert(*replica, name.clone());
                self.revision += 1;
            }
        }
    }

    /// Forgets a retired replica.
    pub fn forget(&mut self, replica: ReplicaId) {
        self.rows.remove(&replica);
        self.revision += 1;
    }

    /// Grows with every change.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// What is durable at `replica`, as far as known.
    #[must_use]
    pub fn durable(&self, replica: ReplicaId) -> Option<&VersionVector> {
        self.rows.get(&replica).map(|row| &row.newest)
    }

    /// All rows, to be told to others.
    #[must_use]
    pub fn matrix(&self) -> Matrix {
        self.rows
            .iter()
            .map(|(&replica, row)| (replica, row.newest.clone()))
            .collect()
    }

    /// Which replica id is which region, to be told to others.
    #[must_use]
    pub fn regions(&self) -> Vec<(ReplicaId, RegionName)> {
        self.regions
            .iter()
            .map(|(&replica, name)| (replica, name.clone()))
            .collect()
    }

    /// The region that a replica id is an incarnation of.
    #[must_use]
    pub fn region(&self, replica: ReplicaId) -> Option<&RegionName> {
        self.regions.get(&replica)
    }

    /// The replicas known to have an entry durably.
    #[must_use]
    pub fn confirmed_by(&self, dot: Dot) -> Vec<ReplicaId> {
        let has = |(&replica, row): (&ReplicaId, &Row)| row.newest.covers(dot).then_some(replica);
        self.rows.iter().filter_map(has).collect()
    }

    /// Whether an entry that this region has committed is known to be where `concern` wants it.
    #[must_use]
    pub fn is_met(&self, dot: Dot, concern: Concern, members: &[ReplicaId]) -> bool {
        let has = |r: &&ReplicaId| {
            **r == self.me || self.durable(**r).is_some_and(|vector| vector.covers(dot))
        };
        let confirmed = members.iter().filter(has).count();
        match concern {
            Concern::Region => true,
            Concern::Regions(needed) => confirmed >= needed,
            Concern::Majority => confirmed > members.len() / 2,
            Concern::All => confirmed == members.len(),
        }
    }

    /// A vector that every member has durably and that every entry still to arrive here knows. `members` must
    /// name every replica whose entries may still arrive.
    #[must_use]
    pub fn stable(&self, members: &[ReplicaId]) -> VersionVector {
        let nothing = VersionVector::new();
        let safe = |r: &ReplicaId| self.rows.get(r).map_or(&nothing, |row| &row.safe);
        let mine = safe(&self.me).clone();
        members
            .iter()
            .fold(mine, |meet, member| meet.meet(safe(member)))
    }
}
