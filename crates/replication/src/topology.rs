//! Topologies: which region pulls from which while all is well, and while some are dead or cut off.
//!
//! The second is [`Topology::planned`], a function of what is known to be down and of nothing else: no clock,
//! no measurement. Regions that know the same compute the same links, so nobody has to agree on anything.
//!
//! - A ring closes round its dead: each pulls from the nearest live region before it.
//! - A star whose hub is dead gets the first live region in declared order for a hub.
//! - Whatever is still without a way, because a pair is cut or a custom graph lost a region, gets the
//!   shortest chain of links that are not known to be cut, by declared order where several are as short.
//!
//! Declared order is total, so a round-trip time never decides who stands in: it differs from place to place,
//! and two regions that decide by it may each wait for the other. It decides, by what arrives first, which of
//! several open links brings an origin (see `routes`).

use std::collections::{BTreeMap, BTreeSet};

use atoll_core::RegionName;
use atoll_core::layout::Layout;
pub use atoll_core::layout::Topology as Shape;

use crate::message::Carries;
use crate::ways::{Graph, Pair};

/// A declared topology that leaves no region out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    regions: Vec<RegionName>,
    shape: Shape,
}

/// A declared link: source, target, what it carries while all is well.
pub type Link = (RegionName, RegionName, Carries);

/// Why a topology cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTopology {
    /// A name twice.
    #[error("region {0} is named twice")]
    RegionTwice(RegionName),
    /// A hub that is no region.
    #[error("the hub {0} is not a region of the store; name one of its regions")]
    HubIsNoRegion(RegionName),
    /// A region that is none.
    #[error("{0} is not a region of the store; name its regions only")]
    UnknownRegion(RegionName),
    /// A ring that leaves a region out or names it twice.
    #[error("the ring's order must name every region once; {0} is not named once")]
    RingOrder(RegionName),
    /// A region that does not hear of another.
    #[error("nothing that {from} writes would reach {to}: add links that lead there")]
    Unreachable {
        /// The writer.
        from: RegionName,
        /// Who would not hear of it.
        to: RegionName,
    },
}

impl TryFrom<&Layout> for Topology {
    type Error = BadTopology;

    fn try_from(layout: &Layout) -> Result<Topology, BadTopology> {
        let regions = layout.regions.iter().map(|region| region.name.clone());
        Topology::new(regions.collect(), layout.topology.clone())
    }
}

impl Topology {
    /// The topology of `regions`, in declared order.
    ///
    /// # Errors
    /// [`BadTopology`].
    pub fn new(regions: Vec<RegionName>, shape: Shape) -> Result<Topology, BadTopology> {
        let mut seen = BTreeSet::new();
        if let Some(twice) = regions.iter().find(|region| !seen.insert(*region)) {
            return Err(BadTopology::RegionTwice(twice.clone()));
        }
        let is_region = |name: &RegionName| {
            let known = regions.contains(name);
            known.then_some(()).ok_or_else(|| name.clone())
        };
        match &shape {
            Shape::AllToAll => {}
            Shape::Star { hub } => is_region(hub).map_err(BadTopology::HubIsNoRegion)?,
            Shape::Ring { order } => {
                let known = order.iter().try_for_each(is_region);
                known.map_err(BadTopology::UnknownRegion)?;
                let once = |region: &&RegionName| order.iter().filter(|o| o == region).count() == 1;
                if let Some(region) = regions.iter().find(|region| !once(region)) {
                    return Err(BadTopology::RingOrder(region.clone()));
                }
            }
            Shape::Custom { links } => {
                let mut ends = links.iter().flat_map(|(from, to)| [from, to]);
                let known = ends.try_for_each(is_region);
                known.map_err(BadTopology::UnknownRegion)?;
            }
        }
        let topology = Topology { regions, shape };
        let all = (0..topology.regions.len()).collect();
        match topology.declared().first_without_a_way(&all) {
            None => Ok(topology),
            Some((from, to)) => Err(BadTopology::Unreachable {
                from: topology.regions[from].clone(),
                to: topology.regions[to].clone(),
            }),
        }
    }

    /// Its regions, in declared order.
    #[must_use]
    pub fn regions(&self) -> &[RegionName] {
        &self.regions
    }

    /// Its shape.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The declared links, by source and target in declared order.
    #[must_use]
    pub fn links(&self) -> Vec<Link> {
        self.named(&self.declared())
    }

    pub(crate) fn named(&self, graph: &Graph) -> Vec<Link> {
        let name = |region: usize| self.regions[region].clone();
        let link = |((from, to), carries): (Pair, Carries)| (name(from), name(to), carries);
        graph.links().map(link).collect()
    }

    pub(crate) fn place(&self, name: &RegionName) -> Option<usize> {
        self.regions.iter().position(|region| region == name)
    }

    /// The declared links.
    pub(crate) fn declared(&self) -> Graph {
        self.among(&(0..self.regions.len()).collect())
    }

    /// The links to use while only `live` regions live and `cuts` cannot be used.
    pub(crate) fn planned(&self, live: &BTreeSet<usize>, cuts: &BTreeSet<Pair>) -> Graph {
        let mut graph = self.among(live);
        let is_whole = live.len() == self.regions.len() && cuts.is_empty();
        if is_whole {
            return graph;
        }
        graph.retain(|pair| !cuts.contains(&pair));
        // What the dead have written is held by some and lacked by others: all pass on all they have.
        graph.widen();
        let mut usable = Graph::new(self.regions.len());
        for &from in live {
            for &to in live.iter().filter(|to| !cuts.contains(&(from, **to))) {
                usable.add(from, to, Carries::Everything);
            }
        }
        for &from in live {
            for &to in live {
                if from == to || graph.reached_from(from).contains(&to) {
                    continue;
                }
                for (source, target) in usable.shortest(from, to).unwrap_or_default() {
                    graph.add(source, target, Carries::Everything);
                }
            }
        }
        graph
    }

    fn among(&self, live: &BTreeSet<usize>) -> Graph {
        let mut graph = Graph::new(self.regions.len());
        let places: BTreeMap<&RegionName, usize> = self.regions.iter().zip(0..).collect();
        let lives = |name: &RegionName| places.get(name).copied().filter(|r| live.contains(r));
        match &self.shape {
            Shape::AllToAll => {
                for (&from, &to) in live.iter().flat_map(|a| live.iter().map(move |b| (a, b))) {
                    graph.add(from, to, Carries::OwnEntries);
                }
            }
            Shape::Ring { order } => {
                let order: Vec<usize> = order.iter().filter_map(lives).collect();
                for (&from, &to) in order.iter().zip(order.iter().cycle().skip(1)) {
                    graph.add(from, to, Carries::Everything);
                }
            }
            Shape::Star { hub } => {
                let hub = lives(hub).or_else(|| live.first().copied());
                for (&spoke, hub) in live.iter().flat_map(|spoke| hub.map(|hub| (spoke, hub))) {
                    graph.add(spoke, hub, Carries::OwnEntries);
                    graph.add(hub, spoke, Carries::Everything);
                }
            }
            Shape::Custom { links } => {
                for (from, to) in links {
                    if let (Some(from), Some(to)) = (lives(from), lives(to)) {
                        graph.add(from, to, Carries::Everything);
                    }
                }
            }
        }
        graph
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(text: &str) -> Vec<RegionName> {
        text.split_whitespace()
            .map(|n| n.parse().unwrap())
            .collect()
    }

    fn ring(text: &str) -> Topology {
        Topology::new(names(text), Shape::Ring { order: names(text) }).unwrap()
    }

    fn star(text: &str, hub: &str) -> Result<Topology, BadTopology> {
        Topology::new(
            names(text),
            Shape::Star {
                hub: hub.parse().unwrap(),
            },
        )
    }

    fn shown(topology: &Topology, dead: &[usize], cuts: &[Pair]) -> String {
        let live = (0..topology.regions.len())
            .filter(|r| !dead.contains(r))
            .collect();
        let graph = topology.planned(&live, &cuts.iter().copied().collect());
        let own = |carries| {
            if carries == Carries::OwnEntries {
                "'"
            } else {
                ""
            }
        };
        let links = topology.named(&graph);
        let links = links
            .iter()
            .map(|(from, to, carries)| format!("{from}{to}{}", own(*carries)));
        links.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_ring_closes_round_its_dead() {
        let ring = ring("a b c d e f");
        assert_eq!(shown(&ring, &[], &[]), "ab bc cd de ef fa");
        assert_eq!(shown(&ring, &[3], &[]), "ab bc ce ef fa");
        assert_eq!(shown(&ring, &[0, 3], &[]), "bc ce ef fb");
        assert_eq!(shown(&ring, &[3, 4], &[]), "ab bc cf fa");
        assert_eq!(shown(&ring, &[1, 2, 3, 4, 5], &[]), "");
    }

    #[test]
    fn a_star_without_its_hub_takes_the_first_live_region() {
        let star = star("a b c d", "c").unwrap();
        assert_eq!(shown(&star, &[], &[]), "ac' bc' ca cb cd dc'");
        assert_eq!(shown(&star, &[2], &[]), "ab ad ba da");
        assert_eq!(shown(&star, &[0, 2], &[]), "bd db");
    }

    #[test]
    fn a_cut_that_goes_one_way_is_gone_round() {
        assert_eq!(shown(&ring("a b c"), &[], &[(0, 1)]), "ac bc ca cb");
        let star = star("a b c", "a").unwrap();
        assert_eq!(shown(&star, &[], &[(1, 0)]), "ab ac bc ca");
        let mesh = Topology::new(names("a b c"), Shape::AllToAll).unwrap();
        assert_eq!(shown(&mesh, &[], &[]), "ab' ac' ba' bc' ca' cb'");
        assert_eq!(shown(&mesh, &[], &[(0, 1)]), "ac ba bc ca cb");
    }

    #[test]
    fn a_topology_that_leaves_a_region_out_is_refused_by_name() {
        let refused =
            |text: &str, shape| Topology::new(names(text), shape).unwrap_err().to_string();
        assert_eq!(
            star("a b", "x").unwrap_err().to_string(),
            "the hub x is not a region of the store; name one of its regions"
        );
        assert_eq!(refused("a b a", Shape::AllToAll), "region a is named twice");
        let order = names("a b");
        assert_eq!(
            refused("a b c", Shape::Ring { order }),
            "the ring's order must name every region once; c is not named once"
        );
        let pair = |text: &str| (names(text)[0].clone(), names(text)[1].clone());
        let links = vec![pair("a b"), pair("b a"), pair("a c")];
        assert_eq!(
            refused("a b c", Shape::Custom { links }),
            "nothing that c writes would reach a: add links that lead there"
        );
        let links = vec![pair("a b"), pair("b y")];
        assert_eq!(
            refused("a b", Shape::Custom { links }),
            "y is not a region of the store; name its regions only"
        );
    }

    fn any_topology() -> impl Strategy<Value = Topology> {
        let shape = (
            0..4_u8,
            prop::collection::vec((0..7_usize, 0..7_usize), 0..12),
        );
        (2..7_usize, shape, 0..7_usize).prop_map(|(regions, (kind, more), turn)| {
            let all: Vec<RegionName> = (0..regions)
                .map(|r| format!("r{r}").parse().unwrap())
                .collect();
            let mut order = all.clone();
            order.rotate_left(turn % regions);
            let next = order.iter().cycle().skip(1);
            let mut links: Vec<_> = order.iter().cloned().zip(next.cloned()).collect();
            let more = more
                .iter()
                .map(|(a, b)| (all[a % regions].clone(), all[b % regions].clone()));
            links.extend(more.filter(|(a, b)| a != b));
            let hub = order[0].clone();
            let shape = match kind {
                0 => Shape::AllToAll,
                1 => Shape::Ring { order },
                2 => Shape::Star { hub },
                _ => Shape::Custom { links },
            };
            Topology::new(all, shape).unwrap()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]

        /// Seen to fail: with the chains of `usable` left out of `planned`, a ring with one cut is open.
        #[test]
        fn whatever_can_reach_each_other_has_a_way(
            topology in any_topology(),
            dead in prop::collection::btree_set(0..7_usize, 0..4),
            cuts in prop::collection::btree_set((0..7_usize, 0..7_usize), 0..9),
        ) {
            let regions = topology.regions.len();
            let live: BTreeSet<usize> = (0..regions).filter(|r| !dead.contains(r)).collect();
            let plan = topology.planned(&live, &cuts);
            let mut possible = Graph::new(regions);
            for &from in &live {
                for &to in live.iter().filter(|to| !cuts.contains(&(from, **to))) {
                    possible.add(from, to, Carries::Everything);
                }
            }
            for &region in &live {
                prop_assert_eq!(plan.reached_from(region), possible.reached_from(region));
            }
            for ((from, to), _) in plan.links() {
                prop_assert!(live.contains(&from) && live.contains(&to) && !cuts.contains(&(from, to)));
            }
        }
    }
}
