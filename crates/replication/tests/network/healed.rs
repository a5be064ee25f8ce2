//! A network whose links are those that every region's healer wants.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use atoll_core::RegionName;
use atoll_replication::Now;
use atoll_replication::delivery::InboxLimits;
use atoll_replication::healing::{Healer, Pull};
use atoll_replication::message::Carries;
use atoll_replication::report::Connection;
use atoll_replication::topology::{Shape, Topology};

use crate::net::{Net, Plan};
use crate::topology;

pub(crate) const FAILOVER_AFTER: Duration = Duration::from_millis(1000);
const DECIDED_EVERY_MS: u64 = 25;

pub(crate) struct Healed {
    pub(crate) net: Net,
    healers: Vec<Healer>,
    pulls: Vec<Vec<Pull>>,
    /// Every link that was added, changed or dropped: when, and its source and target.
    pub(crate) steps: Vec<(u64, Did)>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Did {
    Add(usize, usize),
    Widen(usize, usize),
    Narrow(usize, usize),
    Drop(usize, usize),
}

pub(crate) fn name(region: usize) -> RegionName {
    format!("r{region}").parse().unwrap()
}

fn number(name: &RegionName) -> usize {
    name.as_str()[1..].parse().unwrap()
}

pub(crate) fn declare(regions: usize, shape: Shape) -> Topology {
    Topology::new((0..regions).map(name).collect(), shape).unwrap()
}

pub(crate) fn ring(regions: usize) -> Topology {
    let order = (0..regions).map(name).collect();
    declare(regions, Shape::Ring { order })
}

pub(crate) fn star(regions: usize, hub: usize) -> Topology {
    declare(regions, Shape::Star { hub: name(hub) })
}

pub(crate) fn mesh(regions: usize) -> Topology {
    declare(regions, Shape::AllToAll)
}

/// Links by number, and a ring below them so that none is left out.
pub(crate) fn custom(regions: usize, more: &[(usize, usize)]) -> Topology {
    let ring = (0..regions).map(|r| (r, (r + 1) % regions));
    let links: BTreeSet<_> = ring
        .chain(more.iter().copied())
        .filter(|(a, b)| a != b)
        .collect();
    let links = links.into_iter().map(|(a, b)| (name(a), name(b))).collect();
    declare(regions, Shape::Custom { links })
}

impl Healed {
    pub(crate) fn new(seed: u64, topology: &Topology) -> Healed {
        Healed::far(seed, topology, (1, 20))
    }

    /// Regions so many milliseconds from each other, at least and at most.
    pub(crate) fn far(seed: u64, topology: &Topology, latency_ms: (u64, u64)) -> Healed {
        let plan = Plan {
            seed,
            topology: topology::Topology::None,
            regions: topology.regions().len(),
            faults: false,
            limits: InboxLimits::default(),
            latency_ms,
        };
        let healer = |name: &RegionName| {
            let seed = seed.wrapping_add(number(name) as u64);
            let started = Duration::ZERO;
            Healer::new(
                name.clone(),
                topology.clone(),
                FAILOVER_AFTER,
                seed,
                started,
            )
        };
        let mut healed = Healed {
            net: Net::new(plan),
            healers: topology.regions().iter().map(healer).collect(),
            pulls: vec![Vec::new(); topology.regions().len()],
            steps: Vec::new(),
        };
        (0..healed.healers.len()).for_each(|region| healed.decide(region));
        healed
    }

    pub(crate) fn run(&mut self, ms: u64, write: f64) {
        for _ in 0..ms {
            self.net.run(1, write);
            let now = Duration::from_millis(self.net.now);
            for said in std::mem::take(&mut self.net.said) {
                let (from, healer) = (name(said.from), &mut self.healers[said.to]);
                healer.heard(&from, now);
                if let Some(announced) = said.announced {
                    let replica = self.net.regions[said.from].me;
                    let applied =
                        atoll_replication::log::Log::vector(&self.net.regions[said.to].log);
                    healer.announced(&from, replica, &announced, &applied, now);
                }
            }
            for region in 0..self.healers.len() {
                // Not all at the same time.
                let is_due = (self.net.now + 7 * region as u64).is_multiple_of(DECIDED_EVERY_MS);
                if is_due && !self.net.dead.contains(&region) {
                    self.decide(region);
                }
            }
        }
    }

    fn decide(&mut self, region: usize) {
        let now = Duration::from_millis(self.net.now);
        let healer = &mut self.healers[region];
        let knowledge = &mut self.net.regions[region].knowledge;
        let rows = knowledge.hearing();
        let pulls = healer.decide(&rows, now);
        let time = Now {
            elapsed: now,
            wall_ms: self.net.now,
        };
        if let Some(row) = healer.beat(&rows, time) {
            knowledge.learn_hearing([&row]);
        }
        let before: BTreeMap<RegionName, Carries> = self.pulls[region]
            .iter()
            .map(|p| (p.from.clone(), p.carries))
            .collect();
        for pull in &pulls {
            let from = number(&pull.from);
            let did = match (before.get(&pull.from), pull.carries) {
                (None, _) => Some(Did::Add(from, region)),
                (Some(Carries::OwnEntries), Carries::Everything) => Some(Did::Widen(from, region)),
                (Some(Carries::Everything), Carries::OwnEntries) => Some(Did::Narrow(from, region)),
                (Some(_), _) => None,
            };
            self.steps.extend(did.map(|did| (self.net.now, did)));
            self.net
                .have_link(from, region, pull.carries, pull.is_quiet);
        }
        for from in self.net.links_into(region) {
            if !pulls.iter().any(|pull| pull.from == name(from)) {
                self.steps.push((self.net.now, Did::Drop(from, region)));
                self.net.drop_link(from, region);
            }
        }
        self.pulls[region] = pulls;
    }

    pub(crate) fn declare(&mut self, topology: &Topology) {
        for healer in &mut self.healers {
            healer.declare(topology.clone());
        }
    }

    /// Its process ends. What it has committed stays; what it knew of the others goes.
    pub(crate) fn kill(&mut self, region: usize) {
        self.net.dead.insert(region);
    }

    pub(crate) fn revive(&mut self, region: usize) {
        self.net.dead.remove(&region);
        let now = Duration::from_millis(self.net.now);
        let healer = &self.healers[region];
        let topology = healer.topology().clone();
        self.healers[region] = Healer::new(name(region), topology, FAILOVER_AFTER, 99, now);
        for from in self.net.links_into(region) {
            self.net.drop_link(from, region);
        }
        self.pulls[region].clear();
        self.decide(region);
    }

    pub(crate) fn pulls(&self, region: usize) -> &[Pull] {
        &self.pulls[region]
    }

    pub(crate) fn links(&self) -> String {
        let mut links = Vec::new();
        for (to, pulls) in self.pulls.iter().enumerate() {
            if !self.net.dead.contains(&to) {
                links.extend(pulls.iter().map(|p| format!("{}:r{to}", p.from)));
            }
        }
        links.join(" ")
    }

    pub(crate) fn connection(&self, region: usize) -> Option<Connection> {
        let now = Duration::from_millis(self.net.now);
        let rows = self.net.regions[region].knowledge.hearing();
        self.healers[region].connection(&rows, now)
    }

    pub(crate) fn is_settled(&self) -> bool {
        let mut live = (0..self.healers.len()).filter(|r| !self.net.dead.contains(r));
        live.all(|r| self.healers[r].is_settled())
    }

    /// Goes on without writes until `is_so`; says how long that took.
    pub(crate) fn until(
        &mut self,
        what: &str,
        most_ms: u64,
        is_so: impl Fn(&Healed) -> bool,
    ) -> u64 {
        let started = self.net.now;
        while !is_so(self) {
            let took = self.net.now - started;
            assert!(
                took < most_ms,
                "{what}: not in {took} ms; links {}; blocked {:?}; dead {:?}{}",
                self.links(),
                self.net.blocked,
                self.net.dead,
                self.net.vectors()
            );
            self.run(10, 0.0);
        }
        self.net.now - started
    }

    /// Whether of any two live regions, of which the first can reach the second, the second has what the first has.
    pub(crate) fn all_that_can_have_it_have_it(&self) -> bool {
        let regions = self.healers.len();
        let live: Vec<usize> = (0..regions)
            .filter(|r| !self.net.dead.contains(r))
            .collect();
        let vector = |r: usize| atoll_replication::log::Log::vector(&self.net.regions[r].log);
        live.iter().all(|&from| {
            let reached = self.reached_from(from, &live);
            reached
                .iter()
                .all(|&to| vector(to).covers_all(&vector(from)))
        })
    }

    /// Whether the links that live regions have lead from each of them to every other.
    pub(crate) fn has_a_way(&self) -> bool {
        let is_live = |region: &usize| !self.net.dead.contains(region);
        let live: BTreeSet<usize> = (0..self.healers.len()).filter(is_live).collect();
        live.iter().all(|&from| {
            let mut reached = BTreeSet::from([from]);
            for _ in &live {
                for &to in &live {
                    let brings = |pull: &Pull| {
                        let source = number(&pull.from);
                        let carries_it = pull.carries == Carries::Everything || source == from;
                        live.contains(&source) && reached.contains(&source) && carries_it
                    };
                    if self.pulls[to].iter().any(brings) {
                        reached.insert(to);
                    }
                }
            }
            reached == live
        })
    }

    /// Whether each of these regions has what the others of them wrote.
    pub(crate) fn have_each_others(&self, regions: &[usize]) -> bool {
        let vector = |r: usize| atoll_replication::log::Log::vector(&self.net.regions[r].log);
        let has = |to: usize, from: usize| {
            let writer = self.net.regions[from].me;
            vector(to).get(writer) >= vector(from).get(writer)
        };
        regions
            .iter()
            .all(|&to| regions.iter().all(|&from| has(to, from)))
    }

    fn reached_from(&self, from: usize, live: &[usize]) -> BTreeSet<usize> {
        let mut reached = BTreeSet::from([from]);
        loop {
            let passes = |to: &&usize| {
                let from_one = |a: &usize| !self.net.blocked.contains(&(*a, **to));
                !reached.contains(*to) && reached.iter().any(from_one)
            };
            let more: Vec<usize> = live.iter().filter(passes).copied().collect();
            if more.is_empty() {
                return reached;
            }
            reached.extend(more);
        }
    }

    /// Copies sent per entry applied, while everyone writes for so long.
    pub(crate) fn copies_per_entry(&mut self, ms: u64) -> f64 {
        let (copies, entries) = (self.net.copies(), self.net.applied_remotely());
        self.run(ms, 0.05);
        let (copies, entries) = (
            self.net.copies() - copies,
            self.net.applied_remotely() - entries,
        );
        assert!(entries > 100, "{entries}");
        copies as f64 / entries as f64
    }
}
