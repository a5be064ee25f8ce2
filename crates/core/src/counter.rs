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

/// An addition that is in its origin's sum and does not count: its entry repeats another one
/// ([`crate::idempotency`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Discount {
    /// The origin.
    pub replica: ReplicaId,
    /// Which addition.
    pub position: Position,
    /// What was added.
    pub delta: i64,
}

impl Discount {
    fn rank(&self) -> (ReplicaId, Position) {
        (self.replica, self.position)
    }
}

/// What a counter counts.
///
/// Invariant: both lists are sorted; no discount is of what was reset.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counter {
    /// The contributions of all origins, sorted by replica id.
    pub contributions: Vec<Contribution>,
    /// What of them does not count, sorted by replica id and position.
    pub discounts: Vec<Discount>,
}

impl Counter {
    /// Whether nothing was ever contributed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.contributions.is_empty()
    }

    /// Whether some contribution has not been reset.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.contributions.iter().any(|c| c.position > c.floor)
    }

    /// The sum of what has not been reset.
    #[must_use]
    pub fn value(&self) -> i128 {
        let sums = self.contributions.iter().map(|c| c.total - c.floor_total);
        let repeated = self.discounts.iter().map(|d| i128::from(d.delta));
        sums.sum::<i128>() - repeated.sum::<i128>()
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
            let is_left = |d: &Discount| d.replica != floor.replica || d.position > floor.position;
            self.discounts.retain(is_left);
        }
    }

    /// Takes an addition out of the value: it repeats another one. One that was reset is gone already, and
    /// each is taken out once.
    pub fn discount(&mut self, discount: Discount) {
        let at = self
            .discounts
            .binary_search_by_key(&discount.rank(), Discount::rank);
        if let Err(at) = at
            && discount.delta != 0
            && discount.position > self.of(discount.replica).floor
        {
            self.discounts.insert(at, discount);
        }
    }

    /// What a reset that sees all of this must name. Origins with nothing left are left out.
    #[must_use]
    pub fn floors(&self) -> Vec<Floor> {
        let live = self.contributions.iter().filter(|c| c.position > c.floor);
        live.map(|c| Floor {
            replica: c.replica,
            position: c.position,
            total: c.total,
        })
        .collect()
    }

    fn of(&mut self, replica: ReplicaId) -> &mut Contribution {
        let all = &mut self.contributions;
        let at = all.partition_point(|c| c.replica < replica);
        if all.get(at).is_none_or(|c| c.replica != replica) {
            let zero = Position::default();
            let fresh = Contribution {
                replica,
                position: zero,
                total: 0,
                floor: zero,
                floor_total: 0,
            };
            all.insert(at, fresh);
        }
        &mut all[at]
    }
}
