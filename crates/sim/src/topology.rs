//! Which region pulls from which: every shape that a manifest can declare.

use std::fmt;

use atoll_replication::message::Carries;

use crate::dice::Dice;

/// A declared topology.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    AllToAll,
    Ring,
    Star,
    /// A ring in some order, so that everything reaches everyone, and links at random besides.
    Custom,
}

/// A directed replication edge between two regions, by their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) carries: Carries,
}

impl Shape {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        *dice.pick(&[Shape::AllToAll, Shape::Ring, Shape::Star, Shape::Custom])
    }

    /// Its links among so many regions.
    pub(crate) fn edges(self, regions: usize, dice: &mut Dice) -> Vec<Edge> {
        let all = 0..regions;
        let edge = |from, to, carries| Edge { from, to, carries };
        match self {
            Shape::AllToAll => all
                .clone()
                .flat_map(|from| all.clone().map(move |to| (from, to)))
                .filter(|(from, to)| from != to)
                .map(|(from, to)| edge(from, to, Carries::OwnEntries))
                .collect(),
            Shape::Ring => ring(&(0..regions).collect::<Vec<_>>()),
            Shape::Star => (1..regions)
                .flat_map(|spoke| {
                    [
                        edge(spoke, 0, Carries::OwnEntries),
                        edge(0, spoke, Carries::Everything),
                    ]
                })
                .collect(),
            Shape::Custom => custom(regions, dice),
        }
    }
}

fn ring(order: &[usize]) -> Vec<Edge> {
    let next = order.iter().cycle().skip(1);
    let pairs = order.iter().zip(next);
    pairs
        .map(|(&from, &to)| Edge {
            from,
            to,
            carries: Carries::Everything,
        })
        .collect()
}

fn custom(regions: usize, dice: &mut Dice) -> Vec<Edge> {
    let mut order: Vec<usize> = (0..regions).collect();
    dice.shuffle(&mut order);
    let mut edges = ring(&order);
    for _ in 0..dice.index(2 * regions) {
        let (from, to) = (dice.index(regions), dice.index(regions));
        let known = edges.iter().any(|e| (e.from, e.to) == (from, to));
        if from != to && !known {
            edges.push(Edge {
                from,
                to,
                carries: Carries::Everything,
            });
        }
    }
    edges
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}:r{}", self.from, self.to)
    }
}
