//! What a node is told of the store's topology: by its file, until the log has a layout.

use serde::{Deserialize, Serialize};

use atoll_api::manifest::TopologyKind;
use atoll_core::RegionName;
use atoll_replication::message::Carries;
use atoll_replication::topology::{Shape, Topology};

use crate::config::NodeConfig;

/// The topology, as a node's configuration file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TopologyConfig {
    /// The shape of the links.
    #[serde(rename = "type")]
    pub kind: TopologyKind,
    /// All regions of the store, in declared order, equal in all regions: the first live ones stand in first.
    pub regions: Vec<String>,
    /// Ring: the regions in ring order. Absent: the order of `regions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Vec<String>>,
    /// Star: the region in the middle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub: Option<String>,
    /// Custom: the links, each in one direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<Vec<LinkEnds>>,
}

/// The two ends of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkEnds {
    /// The region that serves.
    pub from: String,
    /// The region that pulls.
    pub to: String,
}

/// Which regions a region is to pull from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Declared {
    /// What follows from a topology, and from who lives.
    Topology(Topology),
    /// These, whatever happens: what the others are told is not known.
    Fixed(Vec<(RegionName, Carries)>),
}

impl Declared {
    /// What the file says.
    ///
    /// # Errors
    /// What is wrong and how to fix it.
    pub(crate) fn by(config: &NodeConfig) -> Result<Declared, String> {
        let peers = config.peers.iter().map(|peer| peer.region.as_str());
        let known: Vec<&str> = std::iter::once(config.region.as_str())
            .chain(peers)
            .collect();
        if let Some(topology) = &config.topology {
            if !config.links.is_empty() {
                return Err("links: leave them out, they follow from the topology".into());
            }
            let regions = &topology.regions;
            if let Some(region) = known
                .iter()
                .find(|name| !regions.iter().any(|r| r == *name))
            {
                return Err(format!("topology.regions: {region} is missing"));
            }
            if let Some(region) = regions.iter().find(|name| !known.contains(&name.as_str())) {
                return Err(format!(
                    "topology.regions: {region} is not among the peers; add its endpoint"
                ));
            }
            return topology.read().map(Declared::Topology);
        }
        let is_mesh = config.links.iter().all(|link| link.carries == OWN_ENTRIES)
            && config
                .peers
                .iter()
                .all(|peer| config.links.iter().any(|l| l.from == peer.region));
        if is_mesh {
            let mut names = known;
            names.sort_unstable();
            let names = names.into_iter().map(name).collect::<Result<_, _>>()?;
            let mesh = Topology::new(names, Shape::AllToAll).map_err(|e| e.to_string())?;
            return Ok(Declared::Topology(mesh));
        }
        let link =
            |link: &crate::config::LinkConfig| Ok((name(&link.from)?, carries(link.carries)));
        let links = config.links.iter().map(link);
        links.collect::<Result<_, String>>().map(Declared::Fixed)
    }
}

const OWN_ENTRIES: atoll_api::topology::Carries = atoll_api::topology::Carries::OwnEntries;

impl TopologyConfig {
    fn read(&self) -> Result<Topology, String> {
        let names = |texts: &[String]| {
            texts
                .iter()
                .map(|text| name(text))
                .collect::<Result<Vec<_>, _>>()
        };
        let regions = names(&self.regions)?;
        let shape = match self.kind {
            TopologyKind::AllToAll => Shape::AllToAll,
            TopologyKind::Ring => Shape::Ring {
                order: match &self.order {
                    Some(order) => names(order)?,
                    None => regions.clone(),
                },
            },
            TopologyKind::Star => Shape::Star {
                hub: name(
                    self.hub
                        .as_deref()
                        .ok_or("topology.hub: name the hub of the star")?,
                )?,
            },
            TopologyKind::Custom => {
                let links = self.links.iter().flatten();
                let ends = |link: &LinkEnds| Ok::<_, String>((name(&link.from)?, name(&link.to)?));
                let links = links.map(ends).collect::<Result<_, _>>()?;
                Shape::Custom { links }
            }
        };
        Topology::new(regions, shape).map_err(|problem| format!("topology: {problem}"))
    }
}

/// The other room's word for the same.
pub(crate) fn carries(carries: atoll_api::topology::Carries) -> Carries {
    match carries {
        atoll_api::topology::Carries::OwnEntries => Carries::OwnEntries,
        atoll_api::topology::Carries::Everything => Carries::Everything,
    }
}

/// And back.
pub(crate) fn shown(carries: Carries) -> atoll_api::topology::Carries {
    match carries {
        Carries::OwnEntries => atoll_api::topology::Carries::OwnEntries,
        Carries::Everything => atoll_api::topology::Carries::Everything,
    }
}

fn name(text: &str) -> Result<RegionName, String> {
    text.parse().map_err(|e| format!("region {text:?}: {e}"))
}
