//! How many regions, how many nodes in each, and the links between all of them.

/// Names of regions, as many as a run can have.
const REGIONS: [&str; 7] = ["eu", "us", "ap", "sa", "af", "au", "me"];

/// Most regions of a run.
pub const REGIONS_MAX: usize = REGIONS.len();

/// Regions, and nodes in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Regions.
    pub regions: usize,
    /// Nodes of each.
    pub nodes: usize,
}

/// A node, by the places of its region and its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeId {
    pub(crate) region: usize,
    pub(crate) place: usize,
}

/// A way that has a proxy of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// From a node to another region: to any node there that answers.
    Between { dialler: NodeId, region: usize },
    /// From the other nodes of its region to a node. Its address is the same for all of them.
    Within { dialled: NodeId },
}

/// The name of a region.
pub(crate) fn region_name(region: usize) -> &'static str {
    REGIONS[region]
}

impl NodeId {
    pub(crate) fn name(self) -> String {
        format!("{}-{}", region_name(self.region), self.place)
    }
}

impl Shape {
    pub(crate) fn node_ids(self) -> Vec<NodeId> {
        (0..self.regions)
            .flat_map(|region| (0..self.nodes).map(move |place| NodeId { region, place }))
            .collect()
    }

    /// Every way on which nodes meet.
    pub(crate) fn links(self) -> Vec<Link> {
        let ids = self.node_ids();
        let mut links = Vec::new();
        for dialler in &ids {
            let others = (0..self.regions).filter(|region| *region != dialler.region);
            links.extend(others.map(|region| Link::Between {
                dialler: *dialler,
                region,
            }));
        }
        if self.nodes > 1 {
            links.extend(ids.iter().map(|id| Link::Within { dialled: *id }));
        }
        links
    }

    /// The links that cross a region's border.
    pub(crate) fn links_of_region(self, of: usize) -> Vec<usize> {
        let crosses = |link: &Link| match link {
            Link::Between { dialler, region } => dialler.region == of || *region == of,
            Link::Within { .. } => false,
        };
        let links = self.links().into_iter().enumerate();
        links
            .filter(|(_, link)| crosses(link))
            .map(|(i, _)| i)
            .collect()
    }
}
