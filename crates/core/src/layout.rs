//! Layouts: the declared topology of a store, as data in its log.
//!
//! An entry may carry a [`Layout`]; every region goes by the greatest by (revision, time, dot), so all agree
//! whatever the order of arrival. What links follow from it is decided in `atoll_replication`.

use std::collections::BTreeSet;

use crate::hlc::Timestamp;
use crate::ids::{Dot, RegionName};
use crate::member::Regions;

/// A declared topology with the regions that it links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// One more than the layout's that it was declared upon; the first is 1.
    pub revision: u64,
    /// Which regions pull from which.
    pub topology: Topology,
    /// The regions, in declared order.
    pub regions: Vec<LayoutRegion>,
}

/// The layout that a region goes by: the greatest that it has heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreedLayout {
    /// The layout.
    pub layout: Layout,
    /// When it was declared: the time of the entry that carries it.
    pub time: Timestamp,
    /// The entry that carries it.
    pub dot: Dot,
}

/// Which regions pull from which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topology {
    /// Every region from every other.
    AllToAll,
    /// Every region from the one before it.
    Ring {
        /// All regions, each once.
        order: Vec<RegionName>,
    },
    /// Every region from the hub, the hub from every region.
    Star {
        /// The region in the middle.
        hub: RegionName,
    },
    /// As listed.
    Custom {
        /// The links, each once: source, target.
        links: Vec<(RegionName, RegionName)>,
    },
}

/// One region of a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutRegion {
    /// Its name.
    pub name: RegionName,
    /// Whether it takes writes.
    pub role: Role,
    /// Where its nodes are, `http://host:port` each; may be empty.
    pub endpoints: Vec<String>,
}

/// Whether a region takes writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It does.
    Leader,
    /// It only follows.
    ReadOnly,
}

/// Why a layout is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutRefused {
    /// Another layout came first.
    #[error("the topology was changed meanwhile: it is at revision {now}; look at it again")]
    Moved {
        /// The revision that it has.
        now: u64,
    },
    /// No region at all.
    #[error("the layout has no regions")]
    NoRegions,
    /// A name twice.
    #[error("region {0} is named twice")]
    RegionTwice(RegionName),
    /// A name that is none of the layout's.
    #[error("{what} {region}, which is not a region of the layout; its regions are {regions}")]
    UnknownRegion {
        /// "the hub is", "the ring names", "a link names".
        what: &'static str,
        /// The name.
        region: RegionName,
        /// Those that it has.
        regions: String,
    },
    /// A ring that leaves out regions or names one twice.
    #[error("the ring's order must name every region once; {0} is not named once")]
    RingOrder(RegionName),
    /// A link from a region to itself, or twice.
    #[error("the link {0}:{1} is none, or is listed twice")]
    BadLink(RegionName, RegionName),
    /// Some region's entries would not reach another.
    #[error("nothing that {from} writes would reach {to}: add links that lead there")]
    Unreachable {
        /// The writer.
        from: RegionName,
        /// Who would not hear of it.
        to: RegionName,
    },
    /// A member that the layout leaves out.
    #[error("{0} is a member and the layout leaves it out: drain or remove it first")]
    MemberLeftOut(RegionName),
}

impl AgreedLayout {
    /// The greater of two; which one is `self` does not show.
    #[must_use]
    pub fn or_greater(self, other: AgreedLayout) -> AgreedLayout {
        let rank = |agreed: &AgreedLayout| (agreed.layout.revision, agreed.time, agreed.dot);
        if rank(&other) > rank(&self) {
            other
        } else {
            self
        }
    }
}

impl Layout {
    /// The region of that name.
    #[must_use]
    pub fn region(&self, name: &RegionName) -> Option<&LayoutRegion> {
        self.regions.iter().find(|region| region.name == *name)
    }

    /// The same with one region gone. A star without its hub fails [`Layout::check`].
    #[must_use]
    pub fn without(&self, gone: &RegionName) -> Layout {
        let mut rest = self.clone();
        rest.regions.retain(|region| region.name != *gone);
        match &mut rest.topology {
            Topology::AllToAll | Topology::Star { .. } => {}
            Topology::Ring { order } => order.retain(|name| name != gone),
            Topology::Custom { links } => {
                links.retain(|(from, to)| from != gone && to != gone);
            }
        }
        rest
    }

    /// Who pulls from whom: source, target.
    #[must_use]
    pub fn links(&self) -> Vec<(RegionName, RegionName)> {
        let names = || self.regions.iter().map(|region| region.name.clone());
        match &self.topology {
            Topology::AllToAll => names()
                .flat_map(|from| names().map(move |to| (from.clone(), to)))
                .filter(|(from, to)| from != to)
                .collect(),
            Topology::Ring { order } if order.len() < 2 => Vec::new(),
            Topology::Ring { order } => {
                let targets = order.iter().cycle().skip(1).cloned();
                order.iter().cloned().zip(targets).collect()
            }
            Topology::Star { hub } => names()
                .filter(|spoke| spoke != hub)
                .flat_map(|spoke| [(spoke.clone(), hub.clone()), (hub.clone(), spoke)])
                .collect(),
            Topology::Custom { links } => links.clone(),
        }
    }

    /// Whether it makes sense by itself: names that fit, and every region's entries reach every other.
    ///
    /// # Errors
    /// [`LayoutRefused`].
    pub fn check(&self) -> Result<(), LayoutRefused> {
        let mut names = BTreeSet::new();
        for region in &self.regions {
            if !names.insert(&region.name) {
                return Err(LayoutRefused::RegionTwice(region.name.clone()));
            }
        }
        if names.is_empty() {
            return Err(LayoutRefused::NoRegions);
        }
        self.check_names(&names)?;
        let links = self.links();
        for from in &names {
            let reached = reached_from(from, &links);
            if let Some(to) = names.iter().find(|name| !reached.contains(*name)) {
                return Err(LayoutRefused::Unreachable {
                    from: (*from).clone(),
                    to: (*to).clone(),
                });
            }
        }
        Ok(())
    }

    /// Whether it may follow `current` in a store with these members.
    ///
    /// # Errors
    /// [`LayoutRefused`].
    pub fn check_after(
        &self,
        current: Option<&AgreedLayout>,
        members: &Regions,
    ) -> Result<(), LayoutRefused> {
        let now = current.map_or(0, |agreed| agreed.layout.revision);
        if self.revision != now + 1 {
            return Err(LayoutRefused::Moved { now });
        }
        self.check()?;
        let left_out = |name: &&RegionName| self.region(name).is_none();
        match members.present().map(|m| &m.region).find(left_out) {
            Some(name) => Err(LayoutRefused::MemberLeftOut(name.clone())),
            None => Ok(()),
        }
    }

    fn check_names(&self, names: &BTreeSet<&RegionName>) -> Result<(), LayoutRefused> {
        let known = |what: &'static str, region: &RegionName| {
            if names.contains(region) {
                return Ok(());
            }
            let regions: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            Err(LayoutRefused::UnknownRegion {
                what,
                region: region.clone(),
                regions: regions.join(", "),
            })
        };
        match &self.topology {
            Topology::AllToAll => Ok(()),
            Topology::Star { hub } => known("the hub is", hub),
            Topology::Ring { order } => {
                order
                    .iter()
                    .try_for_each(|region| known("the ring names", region))?;
                let once = |name: &&&RegionName| order.iter().filter(|n| n == *name).count() == 1;
                match names.iter().find(|name| !once(name)) {
                    Some(name) => Err(LayoutRefused::RingOrder((*name).clone())),
                    None => Ok(()),
                }
            }
            Topology::Custom { links } => {
                let mut seen = BTreeSet::new();
                for (from, to) in links {
                    known("a link names", from)?;
                    known("a link names", to)?;
                    if from == to || !seen.insert((from, to)) {
                        return Err(LayoutRefused::BadLink(from.clone(), to.clone()));
                    }
                }
                Ok(())
            }
        }
    }
}

fn reached_from(from: &RegionName, links: &[(RegionName, RegionName)]) -> BTreeSet<RegionName> {
    let mut reached = BTreeSet::from([from.clone()]);
    loop {
        let more = links
            .iter()
            .filter(|(source, target)| reached.contains(source) && !reached.contains(target));
        let more: Vec<RegionName> = more.map(|(_, target)| target.clone()).collect();
        if more.is_empty() {
            return reached;
        }
        reached.extend(more);
    }
}
