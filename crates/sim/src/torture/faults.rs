//! Which fault happens when and to whom: everything that a seed decides, before anything starts.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::shape::{NodeId, Shape};
use crate::dice::Dice;
use crate::proxy::Passage;

/// Nothing happens before, so that every region has begun.
const FIRST_AT: Duration = Duration::from_secs(2);
/// And nothing new this long before the end.
const LAST_BEFORE_END: Duration = Duration::from_secs(3);
/// How long a node has after a fault before the next one of its region.
const RECOVERY: Duration = Duration::from_secs(4);

/// A fault, when it begins and how long it lasts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Planned {
    pub(crate) at: Duration,
    pub(crate) lasts: Duration,
    pub(crate) fault: Fault,
}

/// Something that goes wrong. Links are numbered as [`Shape::links`] lists them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    /// kill -9; started again when it is over.
    Kill(NodeId),
    /// kill -9 of whoever leads the region then.
    KillLeader(usize),
    /// SIGSTOP, then SIGCONT.
    Freeze(NodeId),
    /// SIGTERM, and started again once it has ended.
    Restart(NodeId),
    /// One node after the other.
    RollingRestart,
    /// A link passes nothing, either way.
    Cut(usize, Passage),
    /// A link passes nothing one way: to those who dialled, or from them.
    CutOneWay(usize, Towards, Passage),
    /// A region's links pass nothing.
    Isolate(usize, Passage),
    /// New connections of a link are reset.
    Refuse(usize),
    /// Open connections of a link are reset, now and then.
    Reset(usize),
    /// A link is slower: this late, and up to as much again.
    Delay(usize, Duration),
    /// A link passes so many bytes a second.
    Narrow(usize, u64),
    /// Another topology is declared, by the leader of some region.
    Topology(usize, Ways),
}

/// How regions are to be linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ways {
    AllToAll,
    /// In the order of the regions.
    Ring,
    /// Round this region.
    Star(usize),
}

/// Which way of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Towards {
    Dialler,
    Dialled,
}

/// A fault without whom it hits: what the report counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// kill -9 of a node.
    Kill,
    /// kill -9 of a region's leader.
    KillLeader,
    /// SIGSTOP, then SIGCONT.
    Freeze,
    /// Orderly restart of a node.
    Restart,
    /// Orderly restart of all nodes, one after the other.
    RollingRestart,
    /// A link cut.
    Cut,
    /// A link cut one way.
    CutOneWay,
    /// All links of a region cut.
    Isolate,
    /// New connections refused.
    Refuse,
    /// Open connections reset.
    Reset,
    /// A link slower.
    Delay,
    /// A link with little capacity.
    Narrow,
    /// A topology that was declared and accepted.
    Topology,
}

impl Fault {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Fault::Kill(_) => Kind::Kill,
            Fault::KillLeader(_) => Kind::KillLeader,
            Fault::Freeze(_) => Kind::Freeze,
            Fault::Restart(_) => Kind::Restart,
            Fault::RollingRestart => Kind::RollingRestart,
            Fault::Cut(..) => Kind::Cut,
            Fault::CutOneWay(..) => Kind::CutOneWay,
            Fault::Isolate(..) => Kind::Isolate,
            Fault::Refuse(_) => Kind::Refuse,
            Fault::Reset(_) => Kind::Reset,
            Fault::Delay(..) => Kind::Delay,
            Fault::Narrow(..) => Kind::Narrow,
            Fault::Topology(..) => Kind::Topology,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Kill => "kill -9",
            Kind::KillLeader => "kill -9 of a leader",
            Kind::Freeze => "SIGSTOP and SIGCONT",
            Kind::Restart => "restart",
            Kind::RollingRestart => "rolling restart",
            Kind::Cut => "cut",
            Kind::CutOneWay => "one-way cut",
            Kind::Isolate => "region isolated",
            Kind::Refuse => "connections refused",
            Kind::Reset => "connections reset",
            Kind::Delay => "delay",
            Kind::Narrow => "narrow link",
            Kind::Topology => "topology change",
        })
    }
}

/// The schedule of a seed. At any time at most one node of a region is disturbed, and a link by one fault.
pub(crate) fn plan(seed: u64, shape: Shape, length: Duration) -> Vec<Planned> {
    let mut planner = Planner {
        dice: Dice::new(seed),
        shape,
        regions_busy: vec![Duration::ZERO; shape.regions],
        links_busy: vec![Duration::ZERO; shape.links().len()],
        planned: Vec::new(),
    };
    let end = length.saturating_sub(LAST_BEFORE_END);
    let mut at = FIRST_AT;
    while at < end {
        planner.one(at);
        at += planner.dice.ms(300, 2500);
    }
    planner.planned
}

struct Planner {
    dice: Dice,
    shape: Shape,
    regions_busy: Vec<Duration>,
    links_busy: Vec<Duration>,
    planned: Vec<Planned>,
}

impl Planner {
    fn one(&mut self, at: Duration) {
        match self.dice.below(20) {
            0..8 => self.of_node(at),
            8 => self.of_all_nodes(at),
            9 | 10 => self.of_region(at),
            11 => self.of_topology(at),
            _ => self.of_link(at),
        }
    }

    fn of_node(&mut self, at: Duration) {
        let region = self.dice.index(self.shape.regions);
        let lasts = self.dice.ms(50, 5000);
        if self.regions_busy[region] > at {
            return;
        }
        let node = NodeId {
            region,
            place: self.dice.index(self.shape.nodes),
        };
        let is_alone = self.shape.nodes == 1;
        let fault = match self.dice.below(6) {
            0 | 1 if !is_alone => Fault::KillLeader(region),
            0..=2 => Fault::Kill(node),
            3 | 4 => Fault::Freeze(node),
            _ => Fault::Restart(node),
        };
        self.regions_busy[region] = at + lasts + RECOVERY;
        self.push(at, lasts, fault);
    }

    fn of_all_nodes(&mut self, at: Duration) {
        if self.regions_busy.iter().any(|busy| *busy > at) {
            return;
        }
        let nodes = u32::try_from(self.shape.nodes * self.shape.regions).unwrap_or(u32::MAX);
        let lasts = Duration::from_secs(2) * nodes;
        self.regions_busy.fill(at + lasts + RECOVERY);
        self.push(at, lasts, Fault::RollingRestart);
    }

    fn of_region(&mut self, at: Duration) {
        let region = self.dice.index(self.shape.regions);
        let lasts = self.dice.ms(500, 8000);
        let passage = self.passage();
        let links = self.shape.links_of_region(region);
        if links.iter().any(|link| self.links_busy[*link] > at) {
            return;
        }
        for link in links {
            self.links_busy[link] = at + lasts;
        }
        self.push(at, lasts, Fault::Isolate(region, passage));
    }

    fn of_topology(&mut self, at: Duration) {
        let by = self.dice.index(self.shape.regions);
        // A ring needs three.
        let ways = match self.dice.below(3) {
            0 if self.shape.regions > 2 => Ways::Ring,
            1 => Ways::Star(self.dice.index(self.shape.regions)),
            _ => Ways::AllToAll,
        };
        self.push(at, Duration::ZERO, Fault::Topology(by, ways));
    }

    fn of_link(&mut self, at: Duration) {
        let link = self.dice.index(self.links_busy.len());
        let lasts = self.dice.ms(200, 8000);
        if self.links_busy[link] > at {
            return;
        }
        let passage = self.passage();
        let fault = match self.dice.below(8) {
            0 => Fault::Cut(link, passage),
            1 => Fault::CutOneWay(link, Towards::Dialled, passage),
            2 => Fault::CutOneWay(link, Towards::Dialler, passage),
            3 => Fault::Refuse(link),
            4 | 5 => Fault::Reset(link),
            6 => Fault::Delay(link, self.dice.ms(5, 200)),
            _ => Fault::Narrow(link, self.dice.between(4, 256) << 10),
        };
        self.links_busy[link] = at + lasts;
        self.push(at, lasts, fault);
    }

    fn passage(&mut self) -> Passage {
        match self.dice.one_in(2) {
            true => Passage::Held,
            false => Passage::Swallowed,
        }
    }

    fn push(&mut self, at: Duration, lasts: Duration, fault: Fault) {
        self.planned.push(Planned { at, lasts, fault });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use std::collections::BTreeSet;

    use super::*;

    const SHAPE: Shape = Shape {
        regions: 3,
        nodes: 3,
    };
    const LENGTH: Duration = Duration::from_secs(1200);

    #[test]
    fn a_seed_always_means_the_same_schedule() {
        assert_eq!(plan(7, SHAPE, LENGTH), plan(7, SHAPE, LENGTH));
        assert_ne!(plan(7, SHAPE, LENGTH), plan(8, SHAPE, LENGTH));
    }

    #[test]
    fn a_long_schedule_has_faults_of_every_kind() {
        let planned = plan(1, SHAPE, LENGTH);
        let kinds: BTreeSet<Kind> = planned.iter().map(|p| p.fault.kind()).collect();
        assert_eq!(kinds.len(), 13, "{kinds:?}");
        assert!(planned.iter().all(|p| p.at < LENGTH));
    }

    #[test]
    fn at_most_one_node_of_a_region_is_disturbed_at_a_time() {
        let mut until = [Duration::ZERO; 3];
        for planned in plan(3, SHAPE, LENGTH) {
            let regions = match planned.fault {
                Fault::Kill(node) | Fault::Freeze(node) | Fault::Restart(node) => {
                    node.region..node.region + 1
                }
                Fault::KillLeader(region) => region..region + 1,
                Fault::RollingRestart => 0..3,
                _ => continue,
            };
            for region in regions {
                assert!(planned.at >= until[region]);
                until[region] = planned.at + planned.lasts;
            }
        }
    }
}
