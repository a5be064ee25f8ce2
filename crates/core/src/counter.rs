//! Counters: one sum per origin; a reset names what it had seen of each.
//!
//! An origin's contributions are a chain (each of its entries has seen the ones before), so its sum up
//! to a position is one number, and a reset is "forget this origin up to that position". Two concurrent
//! resets merge by the greater position; increments concurrent with a reset survive it. After the
//! PN-counter of Shapiro et al., "A comprehensive study of CRDTs" (2011).

use crate::ids::ReplicaId;

/// Where in an origin's sequence a contribution lies: its entry and the addition within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// Sequence of the entry.
    pub seq: u64,
    /// Index of the addition within the entry, from 1.
    pub index: u32,
}

/// What a reset has seen of one origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Floor {
    /// The origin.
    pub replica: ReplicaId,
    /// Everything up to here is forgotten.
    pub position: Position,
    /// The origin's sum up to there.
    pub total: i128,
}

/// The contributions of one origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contribution {
    /// The origin.
    pub replica: ReplicaId,
    /// Its latest contribution.
    pub position: Position,
    /// The sum of all its contributions.
    pub total: i128,
    /// Everything up to here was reset.
    pub floor: Position,
    /// The sum up to the floor.
    pub floor_total: i128,
}

/// The contributions of all origins, sorted by replica id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counter(pub Vec<Contribution>);

impl Counter {
    /// Whether nothing was ever contributed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether some contribution has not been reset.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.0.iter().any(|c| c.position > c.floor)
    }

    /// The sum of what has not been reset.
    #[must_use]
    pub fn value(&self) -> i128 {
        self.0.iter().map(|c| c.total - c.floor_total).sum()
    }

    /// Adds a contribution. Each is added once: entries die at the vector when they come again.
    pub fn add(&mut self, replica: ReplicaId, position: Position, delta: i64) {
        let c = self.of(replica);
        c.total += i128::from(delta);
        c.position = position;
    }

    /// Forgets what a reset had seen.
    pub fn reset(&mut self, floors: &[Floor]) {
        for floor in floors {
            let c = self.of(floor.replica);
            if floor.position > c.floor {
                c.floor = floor.position;
                c.floor_total = floor.total;
            }
        }
    }

    /// What a reset that sees all of this must name. Origins with nothing left are left out.
    #[must_use]
    pub fn floors(&self) -> Vec<Floor> {
        let live = self.0.iter().filter(|c| c.position > c.floor);
        live.map(|c| Floor {
            replica: c.replica,
            position: c.position,
            total: c.total,
        })
        .collect()
    }

    fn of(&mut self, replica: ReplicaId) -> &mut Contribution {
        let at = self.0.partition_point(|c| c.replica < replica);
        if self.0.get(at).is_none_or(|c| c.replica != replica) {
            let zero = Position::default();
            let fresh = Contribution {
                replica,
                position: zero,
                total: 0,
                floor: zero,
                floor_total: 0,
            };
            self.0.insert(at, fresh);
        }
        &mut self.0[at]
    }
}
