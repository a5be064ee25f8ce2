//! Who has what: for each replica the vector that is durable there, gathered from acknowledgements and
//! heartbeats, its own and relayed ones. Answers write concerns and gives the stable vector.
//!
//! **Why the stable vector is stable.** Below it things are forgotten, so no entry may arrive later that does
//! not know what is forgotten. A member r that announced vector w writes its next entries with dependencies
//! of at least w; they have sequences above `w[r]`. So once this region has applied r's entries up to `w[r]`,
//! every entry of r that is still to come covers w. Only announcements for which that holds count (they are
//! *safe*), and the stable vector is the meet of one safe announcement of every member.

use std::collections::BTreeMap;

use atoll_core::{Dot, RegionName, ReplicaId, VersionVector};

use crate::hearing;
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
    hearing: BTreeMap<RegionName, hearing::Row>,
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
            hearing: BTreeMap::new(),
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

    /// Takes in who hears whom. Of each region the latest row counts.
    pub fn learn_hearing<'a>(&mut self, rows: impl IntoIterator<Item = &'a hearing::Row>) {
        for row in rows {
            let known = self.hearing.get(&row.region);
            if known.is_none_or(|known| known.beat < row.beat) {
                self.hearing.insert(row.region.clone(), row.clone());
                self.revision += 1;
            }
        }
    }

    /// Who hears whom, to be told to others.
    #[must_use]
    pub fn hearing(&self) -> Vec<hearing::Row> {
        self.hearing.values().cloned().collect()
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

    /// Whether any other region was heard of.
    #[must_use]
    pub fn hears_of_others(&self) -> bool {
        self.rows.keys().any(|replica| *replica != self.me)
    }

    /// The highest sequence of this region's own entries that another one is known to hold durably.
    #[must_use]
    pub fn held_elsewhere(&self) -> u64 {
        let others = self.rows.iter().filter(|(replica, _)| **replica != self.me);
        others
            .map(|(_, row)| row.newest.get(self.me))
            .max()
            .unwrap_or(0)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vector(components: &[(u64, u64)]) -> VersionVector {
        components
            .iter()
            .map(|&(r, seq)| (ReplicaId(r), seq))
            .collect()
    }

    #[test]
    fn write_concerns_count_regions_that_have_the_entry() {
        let mut knowledge = Knowledge::new(ReplicaId(1));
        let members: Vec<_> = (1..=4).map(ReplicaId).collect();
        let dot = Dot::new(ReplicaId(1), 5);
        let mut met = |who: u64, seq| {
            knowledge.learn(ReplicaId(who), &vector(&[(1, seq)]));
            let concerns = [
                Concern::Region,
                Concern::Regions(2),
                Concern::Majority,
                Concern::All,
            ];
            concerns.map(|c| knowledge.is_met(dot, c, &members))
        };
        assert_eq!(met(2, 4), [true, false, false, false]);
        assert_eq!(met(2, 5), [true, true, false, false]);
        assert_eq!(met(3, 7), [true, true, true, false]);
        assert_eq!(met(9, 7), [true, true, true, false], "not a member");
        assert_eq!(met(4, 5), [true, true, true, true]);
        assert_eq!(knowledge.confirmed_by(dot), [2, 3, 4, 9].map(ReplicaId));
    }

    #[test]
    fn an_announcement_counts_once_its_own_entries_are_here() {
        let mut knowledge = Knowledge::new(ReplicaId(1));
        let members = [ReplicaId(1), ReplicaId(2)];
        knowledge.learn(ReplicaId(1), &vector(&[(1, 9)]));
        knowledge.learn(ReplicaId(2), &vector(&[(1, 4), (2, 3)]));
        assert_eq!(
            knowledge.stable(&members),
            vector(&[]),
            "2:1 to 2:3 may not know 1:4"
        );
        knowledge.learn(ReplicaId(2), &vector(&[(1, 8), (2, 100)]));
        knowledge.learn(ReplicaId(1), &vector(&[(1, 9), (2, 3)]));
        assert_eq!(knowledge.stable(&members), vector(&[(1, 4), (2, 3)]));
        knowledge.learn(ReplicaId(1), &vector(&[(1, 9), (2, 100)]));
        assert_eq!(knowledge.stable(&members), vector(&[(1, 8), (2, 100)]));
    }

    #[test]
    fn gossip_changes_the_revision_only_when_it_is_news() {
        let mut knowledge = Knowledge::new(ReplicaId(1));
        let matrix = vec![
            (ReplicaId(2), vector(&[(2, 3)])),
            (ReplicaId(1), vector(&[(1, 1)])),
        ];
        knowledge.learn_matrix(&matrix);
        let revision = knowledge.revision();
        knowledge.learn_matrix(&matrix);
        assert_eq!(knowledge.revision(), revision);
        assert_eq!(
            knowledge.durable(ReplicaId(1)),
            None,
            "nobody tells a region what it has"
        );
    }

    const REGIONS: usize = 4;

    /// A step of a small causal store: who acts, on whom, and what.
    #[derive(Debug, Clone)]
    enum Step {
        Write(usize),
        /// The first learns all that the second knows.
        Gossip(usize, usize),
        /// The first applies the next entry of an origin, if the second has it and causality allows.
        Apply(usize, usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let region = || 0..REGIONS;
        prop_oneof![
            1 => region().prop_map(Step::Write),
            2 => (region(), region()).prop_map(|(a, b)| Step::Gossip(a, b)),
            4 => (region(), region(), region()).prop_map(|(a, b, o)| Step::Apply(a, b, o)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Fails when `Row::promote` takes every announcement at once.
        #[test]
        fn every_entry_still_to_arrive_knows_the_stable_vector(
            steps in prop::collection::vec(step(), 1..150),
        ) {
            let id = |region: usize| ReplicaId(region as u64);
            let members: Vec<_> = (0..REGIONS).map(id).collect();
            let mut applied = vec![VersionVector::new(); REGIONS];
            let mut knowledge: Vec<_> = members.iter().map(|&r| Knowledge::new(r)).collect();
            let mut entries: BTreeMap<Dot, VersionVector> = BTreeMap::new();
            for step in steps {
                let changed = match step {
                    Step::Write(r) => {
                        let dot = Dot::new(id(r), applied[r].get(id(r)) + 1);
                        entries.insert(dot, applied[r].clone());
                        applied[r].raise(dot);
                        r
                    }
                    Step::Gossip(a, b) => {
                        let matrix = knowledge[b].matrix();
                        knowledge[a].learn_matrix(&matrix);
                        a
                    }
                    Step::Apply(a, b, origin) => {
                        let dot = Dot::new(id(origin), applied[a].get(id(origin)) + 1);
                        if applied[b].covers(dot) && applied[a].covers_all(&entries[&dot]) {
                            applied[a].raise(dot);
                        }
                        a
                    }
                };
                knowledge[changed].learn(id(changed), &applied[changed].clone());
                let stable = knowledge[changed].stable(&members);
                prop_assert!(applied.iter().all(|vector| vector.covers_all(&stable)));
                for (dot, dependencies) in &entries {
                    let here = applied[changed].covers(*dot);
                    prop_assert!(here || dependencies.covers_all(&stable), "{dot} {stable}");
                }
            }
            // And it is of use: once all is everywhere and told, all of it is stable.
            let all = entries.keys().map(|dot| (dot.replica, dot.seq)).collect();
            for round in 0..2 * members.len() {
                let k = &mut knowledge[round % members.len()];
                members.iter().for_each(|&r| k.learn(r, &all));
                prop_assert_eq!(k.stable(&members), VersionVector::clone(&all));
            }
        }
    }
}
