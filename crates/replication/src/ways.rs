//! Ways between regions: who hears of whose entries over a set of links.
//!
//! Regions are numbered by their place in the declared order. A link that carries own entries brings what its
//! source wrote; one that carries everything brings also what its source has heard. So a way is one link of
//! either kind, and then links that carry everything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::message::Carries;

/// A directed pair of regions: source, target.
pub(crate) type Pair = (usize, usize);

/// Links between so many regions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Graph {
    regions: usize,
    links: BTreeMap<Pair, Carries>,
}

impl Graph {
    pub(crate) fn new(regions: usize) -> Graph {
        Graph {
            regions,
            links: BTreeMap::new(),
        }
    }

    /// A link that is there already carries the wider of the two.
    pub(crate) fn add(&mut self, from: usize, to: usize, carries: Carries) {
        if from != to {
            let known = self.links.entry((from, to)).or_insert(carries);
            if carries == Carries::Everything {
                *known = carries;
            }
        }
    }

    pub(crate) fn get(&self, pair: Pair) -> Option<Carries> {
        self.links.get(&pair).copied()
    }

    pub(crate) fn links(&self) -> impl Iterator<Item = (Pair, Carries)> + '_ {
        self.links.iter().map(|(&pair, &carries)| (pair, carries))
    }

    /// The links that end at a region: source, what they carry.
    pub(crate) fn ending_at(&self, to: usize) -> impl Iterator<Item = (usize, Carries)> + '_ {
        self.links()
            .filter(move |((_, target), _)| *target == to)
            .map(|((from, _), carries)| (from, carries))
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(Pair) -> bool) {
        self.links.retain(|&pair, _| keep(pair));
    }

    /// All links carry everything from now on.
    pub(crate) fn widen(&mut self) {
        let all = self.links.values_mut();
        all.for_each(|carries| *carries = Carries::Everything);
    }

    /// The regions that hear of what `from` writes, itself included.
    pub(crate) fn reached_from(&self, from: usize) -> BTreeSet<usize> {
        let mut reached = BTreeSet::from([from]);
        let mut edge: VecDeque<usize> = [from].into();
        while let Some(at) = edge.pop_front() {
            for to in 0..self.regions {
                let passes = match self.get((at, to)) {
                    Some(Carries::Everything) => true,
                    Some(Carries::OwnEntries) => at == from,
                    None => false,
                };
                if passes && reached.insert(to) {
                    edge.push_back(to);
                }
            }
        }
        reached
    }

    /// The shortest chain of links, each of which carries everything, by declared order where several are.
    pub(crate) fn shortest(&self, from: usize, to: usize) -> Option<Vec<Pair>> {
        let mut before: BTreeMap<usize, usize> = BTreeMap::new();
        let mut edge: VecDeque<usize> = [from].into();
        while let Some(at) = edge.pop_front() {
            for next in 0..self.regions {
                let passes = self.get((at, next)) == Some(Carries::Everything);
                if passes && next != from && !before.contains_key(&next) {
                    before.insert(next, at);
                    edge.push_back(next);
                }
            }
        }
        let mut chain = Vec::new();
        let mut at = to;
        while at != from {
            let source = *before.get(&at)?;
            chain.push((source, at));
            at = source;
        }
        chain.reverse();
        Some(chain)
    }

    /// The first pair of `among`, in declared order, of which the second does not hear of the first.
    pub(crate) fn first_without_a_way(&self, among: &BTreeSet<usize>) -> Option<Pair> {
        among.iter().find_map(|&from| {
            let reached = self.reached_from(from);
            let missing = among.iter().find(|to| !reached.contains(to));
            missing.map(|&to| (from, to))
        })
    }

    /// The regions in groups within which each hears of each, in declared order.
    pub(crate) fn sides(&self) -> Vec<Vec<usize>> {
        let reached: Vec<_> = (0..self.regions).map(|r| self.reached_from(r)).collect();
        let mut sides: Vec<Vec<usize>> = Vec::new();
        for region in 0..self.regions {
            let both = |other: &usize| {
                reached[*other].contains(&region) && reached[region].contains(other)
            };
            match sides.iter_mut().find(|side| side.iter().all(both)) {
                Some(side) => side.push(region),
                None => sides.push(vec![region]),
            }
        }
        sides
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_entries_are_not_passed_on() {
        let mut graph = Graph::new(3);
        graph.add(0, 1, Carries::OwnEntries);
        graph.add(1, 2, Carries::OwnEntries);
        assert_eq!(graph.reached_from(0), BTreeSet::from([0, 1]));
        graph.add(1, 2, Carries::Everything);
        assert_eq!(graph.reached_from(0), BTreeSet::from([0, 1, 2]));
        assert_eq!(graph.reached_from(2), BTreeSet::from([2]));
        assert_eq!(graph.sides(), [vec![0], vec![1], vec![2]]);
        graph.add(2, 0, Carries::Everything);
        assert_eq!(graph.sides(), [vec![0, 1], vec![2]]);
        graph.add(0, 1, Carries::Everything);
        assert_eq!(graph.sides(), [vec![0, 1, 2]]);
    }
}
