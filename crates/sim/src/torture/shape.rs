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

/// Who dials whom, through a proxy of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) dialler: NodeId,
    pub(crate) dialled: NodeId,
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

    /// Every node dials every other one.
    pub(crate) fn links(self) -> Vec<Link> {
        let ids = self.node_ids();
        let of = |dialler: &NodeId| {
            let dialler = *dialler;
            let others = ids.iter().filter(move |dialled| **dialled != dialler);
            others
                .map(move |dialled| Link {
                    dialler,
                    dialled: *dialled,
                })
                .collect::<Vec<_>>()
        };
        ids.iter().flat_map(of).collect()
    }

    /// The links that cross a region's border.
    pub(crate) fn links_of_region(self, region: usize) -> Vec<usize> {
        let links = self.links().into_iter().enumerate();
        links
            .filter(|(_, link)| (link.dialler.region == region) != (link.dialled.region == region))
            .map(|(i, _)| i)
            .collect()
    }
}
