//! Who is joined to whom, and seeded chance.

use std::collections::BTreeSet;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topology {
    AllToAll,
    Ring,
    Star,
    Custom,
    /// No links: they come and go.
    None,
}

pub(crate) fn pairs(
    topology: Topology,
    regions: usize,
    random: &mut Random,
) -> BTreeSet<(usize, usize)> {
    let mut pairs = BTreeSet::new();
    let mut both = |a: usize, b: usize| {
        if a != b {
            pairs.extend([(a, b), (b, a)]);
        }
    };
    for a in 0..regions {
        match topology {
            Topology::AllToAll => (0..regions).for_each(|b| both(a, b)),
            Topology::Ring => both(a, (a + 1) % regions),
            Topology::Star => both(0, a),
            Topology::None => {}
            // A random tree and a few links more.
            Topology::Custom => {
                let below = |random: &mut Random, n: usize| {
                    usize::try_from(random.within((0, n as u64 - 1))).unwrap()
                };
                if a > 0 {
                    both(a, below(random, a));
                    both(a, below(random, regions));
                }
            }
        }
    }
    pairs
}

/// `SplitMix64`.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn within(&mut self, (least, most): (u64, u64)) -> u64 {
        least + self.next() % (most - least + 1)
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        (self.next() >> 11) as f64 / ((1_u64 << 53) as f64) < probability
    }
}
