//! The topology: from its spec to a [`Topology`] in which every region reaches every other.

use std::collections::{BTreeMap, BTreeSet};

use super::declared::Topology;
use super::error::list;
use super::geostore::{LinkSpec, TopologyKind, TopologySpec};
use super::names::RegionName;

/// Fewer leaders have no use for a ring: each would be every other one's neighbour anyway.
pub(crate) const RING_LEADERS_MIN: usize = 3;

/// What is wrong with a topology.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopologyFault {
    /// A name that is no region.
    #[error("{name} is not a region of this store: write one of {known}", known = list(.known))]
    UnknownRegion {
        /// As given.
        name: RegionName,
        /// The regions.
        known: Vec<RegionName>,
    },
    /// A field of another type of topology.
    #[error("{field} belongs to {owner} only: remove it or change the type")]
    OfOtherType {
        /// The field.
        field: &'static str,
        /// The type that it belongs to.
        owner: &'static str,
    },
    /// A ring too small.
    #[error(
        "a Ring needs at least {RING_LEADERS_MIN} regions with role Leader, here are {leaders}: add regions, or use AllToAll"
    )]
    RingTooSmall {
        /// How many regions take writes.
        leaders: usize,
    },
    /// A region twice in the ring.
    #[error("{name} is in the ring twice: name every region once")]
    OrderTwice {
        /// The region.
        name: RegionName,
    },
    /// Regions that the ring leaves out.
    #[error("the ring leaves out {missing}: name every region once, or remove order", missing = list(.missing))]
    OrderIncomplete {
        /// The regions.
        missing: Vec<RegionName>,
    },
    /// A star without a hub.
    #[error("a Star needs a hub: add hub with one of {known}", known = list(.known))]
    HubMissing {
        /// The regions.
        known: Vec<RegionName>,
    },
    /// A custom topology without links.
    #[error("a Custom topology needs its links: add links, such as [{{from: eu, to: us}}]")]
    LinksMissing,
    /// A link from a region to itself.
    #[error("{name} is linked to itself: remove the link")]
    LinkToSelf {
        /// The region.
        name: RegionName,
    },
    /// The same link twice.
    #[error("the link from {from} to {to} is listed twice: keep one")]
    LinkTwice {
        /// Its source.
        from: RegionName,
        /// Its target.
        to: RegionName,
    },
    /// Regions that never hear of another's writes.
    #[error("what {from} writes never reaches {unreached}: add a link on the way", unreached = list(.unreached))]
    Unreachable {
        /// The region that is not heard.
        from: RegionName,
        /// The regions that do not hear it.
        unreached: Vec<RegionName>,
    },
}

impl From<Topology> for TopologySpec {
    fn from(topology: Topology) -> TopologySpec {
        let mut spec = TopologySpec {
            kind: TopologyKind::AllToAll,
            order: None,
            hub: None,
            links: None,
            failover_after: None,
        };
        match topology {
            Topology::AllToAll => {}
            Topology::Ring { order } => {
                spec.kind = TopologyKind::Ring;
                spec.order = Some(order);
            }
            Topology::Star { hub } => {
                spec.kind = TopologyKind::Star;
                spec.hub = Some(hub);
            }
            Topology::Custom { links } => {
                spec.kind = TopologyKind::Custom;
                spec.links = Some(links);
            }
        }
        spec
    }
}

/// Faults with the fields at fault, relative to the topology; empty for the topology itself.
type Faults = Vec<(String, TopologyFault)>;

/// Checks a topology against the regions of the store, of which so many are leaders.
pub(crate) fn declare(
    spec: &TopologySpec,
    regions: &[RegionName],
    leaders: usize,
) -> Result<Topology, Faults> {
    let TopologySpec {
        kind,
        order,
        hub,
        links,
        failover_after: _,
    } = spec;
    let mut faults = fields_of_other_types(spec);
    let topology = match kind {
        TopologyKind::AllToAll => Ok(Topology::AllToAll),
        TopologyKind::Ring => ring(order.as_deref(), regions, leaders),
        TopologyKind::Star => star(hub.as_ref(), regions),
        TopologyKind::Custom => custom(links.as_deref(), regions),
    };
    match topology {
        Ok(topology) if faults.is_empty() => Ok(topology),
        Ok(_) => Err(faults),
        Err(more) => {
            faults.extend(more);
            Err(faults)
        }
    }
}

fn fields_of_other_types(spec: &TopologySpec) -> Faults {
    [
        ("order", "Ring", TopologyKind::Ring, spec.order.is_some()),
        ("hub", "Star", TopologyKind::Star, spec.hub.is_some()),
        (
            "links",
            "Custom",
            TopologyKind::Custom,
            spec.links.is_some(),
        ),
    ]
    .into_iter()
    .filter(|(_, _, kind, is_given)| *is_given && *kind != spec.kind)
    .map(|(field, owner, _, _)| {
        (
            field.to_owned(),
            TopologyFault::OfOtherType { field, owner },
        )
    })
    .collect()
}

fn ring(
    order: Option<&[RegionName]>,
    regions: &[RegionName],
    leaders: usize,
) -> Result<Topology, Faults> {
    let mut faults = Faults::new();
    if leaders < RING_LEADERS_MIN {
        let fault = TopologyFault::RingTooSmall { leaders };
        faults.push(("type".to_owned(), fault));
    }
    let mut seen = BTreeSet::new();
    for (index, name) in order.unwrap_or_default().iter().enumerate() {
        let field = format!("order[{index}]");
        if !regions.contains(name) {
            faults.push((field, unknown(name, regions)));
        } else if !seen.insert(name) {
            faults.push((field, TopologyFault::OrderTwice { name: name.clone() }));
        }
    }
    let missing: Vec<_> = regions
        .iter()
        .filter(|name| !seen.contains(name))
        .cloned()
        .collect();
    if order.is_some() && !missing.is_empty() {
        faults.push((
            "order".to_owned(),
            TopologyFault::OrderIncomplete { missing },
        ));
    }
    let order = order.unwrap_or(regions).to_vec();
    if faults.is_empty() {
        Ok(Topology::Ring { order })
    } else {
        Err(faults)
    }
}

fn star(hub: Option<&RegionName>, regions: &[RegionName]) -> Result<Topology, Faults> {
    let (field, fault) = match hub {
        Some(hub) if regions.contains(hub) => return Ok(Topology::Star { hub: hub.clone() }),
        Some(hub) => ("hub", unknown(hub, regions)),
        None => (
            "",
            TopologyFault::HubMissing {
                known: regions.to_vec(),
            },
        ),
    };
    Err(vec![(field.to_owned(), fault)])
}

fn custom(links: Option<&[LinkSpec]>, regions: &[RegionName]) -> Result<Topology, Faults> {
    let links = match links {
        Some(links) => links,
        None if regions.len() == 1 => &[],
        None => return Err(vec![(String::new(), TopologyFault::LinksMissing)]),
    };
    let mut faults = Faults::new();
    for (index, link) in links.iter().enumerate() {
        for (end, name) in [("from", &link.from), ("to", &link.to)] {
            if !regions.contains(name) {
                faults.push((format!("links[{index}].{end}"), unknown(name, regions)));
            }
        }
        if link.from == link.to {
            let fault = TopologyFault::LinkToSelf {
                name: link.from.clone(),
            };
            faults.push((format!("links[{index}]"), fault));
        } else if links[..index].contains(link) {
            let fault = TopologyFault::LinkTwice {
                from: link.from.clone(),
                to: link.to.clone(),
            };
            faults.push((format!("links[{index}]"), fault));
        }
    }
    if !faults
        .iter()
        .any(|(_, fault)| matches!(fault, TopologyFault::UnknownRegion { .. }))
    {
        faults.extend(unreached(links, regions).map(|fault| ("links".to_owned(), fault)));
    }
    if faults.is_empty() {
        Ok(Topology::Custom {
            links: links.to_vec(),
        })
    } else {
        Err(faults)
    }
}

/// For each region whose writes do not reach all others, who misses them.
fn unreached(links: &[LinkSpec], regions: &[RegionName]) -> impl Iterator<Item = TopologyFault> {
    let mut targets = BTreeMap::<&RegionName, Vec<&RegionName>>::new();
    for link in links {
        targets.entry(&link.from).or_default().push(&link.to);
    }
    regions.iter().filter_map(move |from| {
        let reached = reached_from(from, &targets);
        let unreached: Vec<_> = regions
            .iter()
            .filter(|name| !reached.contains(name))
            .cloned()
            .collect();
        (!unreached.is_empty()).then(|| TopologyFault::Unreachable {
            from: from.clone(),
            unreached,
        })
    })
}

fn reached_from<'a>(
    from: &'a RegionName,
    targets: &BTreeMap<&'a RegionName, Vec<&'a RegionName>>,
) -> BTreeSet<&'a RegionName> {
    let mut reached = BTreeSet::from([from]);
    let mut open = vec![from];
    while let Some(name) = open.pop() {
        for target in targets.get(name).into_iter().flatten() {
            if reached.insert(target) {
                open.push(target);
            }
        }
    }
    reached
}

fn unknown(name: &RegionName, regions: &[RegionName]) -> TopologyFault {
    TopologyFault::UnknownRegion {
        name: name.clone(),
        known: regions.to_vec(),
    }
}
