//! The bytes of membership changes and layouts, in entries, commands and records. Field numbers are never
//! reused.

use prost::Message;

use super::{BadFrame, malformed};
use crate::ids::ReplicaId;
use crate::layout::{self, Role, Topology};
use crate::member::{self, MemberState};

/// A membership change.
#[derive(Clone, PartialEq, Message)]
pub struct MemberChange {
    /// Whose.
    #[prost(fixed64, tag = "1")]
    pub replica: u64,
    /// Its region's name.
    #[prost(string, tag = "2")]
    pub region: String,
    /// 0 = Active, 1 = Joining, 2 = Draining, 3 = Retired.
    #[prost(uint32, tag = "3")]
    pub state: u32,
    /// Revision.
    #[prost(uint64, tag = "4")]
    pub revision: u64,
    /// Last sequence of a retired one.
    #[prost(uint64, tag = "5")]
    pub last: u64,
}

/// A layout.
#[derive(Clone, PartialEq, Message)]
pub struct Layout {
    /// Revision.
    #[prost(uint64, tag = "1")]
    pub revision: u64,
    /// 1 = AllToAll, 2 = Ring, 3 = Star, 4 = Custom.
    #[prost(uint32, tag = "2")]
    pub topology: u32,
    /// Ring: its order.
    #[prost(string, repeated, tag = "3")]
    pub order: Vec<String>,
    /// Star: its hub.
    #[prost(string, tag = "4")]
    pub hub: String,
    /// Custom: its links.
    #[prost(message, repeated, tag = "5")]
    pub links: Vec<LayoutLink>,
    /// The regions.
    #[prost(message, repeated, tag = "6")]
    pub regions: Vec<LayoutRegion>,
}

/// A link of a Custom layout.
#[derive(Clone, PartialEq, Message)]
pub struct LayoutLink {
    /// The source.
    #[prost(string, tag = "1")]
    pub from: String,
    /// The target.
    #[prost(string, tag = "2")]
    pub to: String,
}

/// A region of a layout.
#[derive(Clone, PartialEq, Message)]
pub struct LayoutRegion {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// 0 = Leader, 1 = ReadOnly.
    #[prost(uint32, tag = "2")]
    pub role: u32,
    /// Where its nodes are.
    #[prost(string, repeated, tag = "3")]
    pub endpoints: Vec<String>,
}

const ALL_TO_ALL: u32 = 1;
const RING: u32 = 2;
const STAR: u32 = 3;
const CUSTOM: u32 = 4;

/// The number of a state. An announced member that was never changed is Active, so that is 0.
#[must_use]
pub fn state_number(state: MemberState) -> u32 {
    match state {
        MemberState::Active => 0,
        MemberState::Joining => 1,
        MemberState::Draining => 2,
        MemberState::Retired => 3,
    }
}

/// The state of a number; `None` when it is of a newer version.
#[must_use]
pub fn state_of(number: u32) -> Option<MemberState> {
    MemberState::ALL
        .into_iter()
        .find(|state| state_number(*state) == number)
}

impl From<&member::MemberChange> for MemberChange {
    fn from(change: &member::MemberChange) -> Self {
        let member::MemberChange {
            replica,
            region,
            state,
            revision,
            last,
        } = change;
        MemberChange {
            replica: replica.0,
            region: region.to_string(),
            state: state_number(*state),
            revision: *revision,
            last: *last,
        }
    }
}

impl TryFrom<MemberChange> for member::MemberChange {
    type Error = BadFrame;
    fn try_from(change: MemberChange) -> Result<Self, BadFrame> {
        let MemberChange {
            replica,
            region,
            state,
            revision,
            last,
        } = change;
        let unknown = || malformed(format!("a member in state {state}; upgrade this node"));
        Ok(member::MemberChange {
            replica: ReplicaId(replica),
            region: region.parse().map_err(malformed)?,
            state: state_of(state).ok_or_else(unknown)?,
            revision,
            last,
        })
    }
}

impl From<&layout::Layout> for Layout {
    fn from(layout: &layout::Layout) -> Self {
        let layout::Layout {
            revision,
            topology,
            regions,
        } = layout;
        let mut message = Layout {
            revision: *revision,
            regions: regions.iter().map(Into::into).collect(),
            ..Layout::default()
        };
        match topology {
            Topology::AllToAll => message.topology = ALL_TO_ALL,
            Topology::Ring { order } => {
                message.topology = RING;
                message.order = order.iter().map(ToString::to_string).collect();
            }
            Topology::Star { hub } => {
                message.topology = STAR;
                message.hub = hub.to_string();
            }
            Topology::Custom { links } => {
                message.topology = CUSTOM;
                let link = |(from, to): &(crate::RegionName, crate::RegionName)| LayoutLink {
                    from: from.to_string(),
                    to: to.to_string(),
                };
                message.links = links.iter().map(link).collect();
            }
        }
        message
    }
}

impl TryFrom<Layout> for layout::Layout {
    type Error = BadFrame;
    fn try_from(message: Layout) -> Result<Self, BadFrame> {
        let Layout {
            revision,
            topology,
            order,
            hub,
            links,
            regions,
        } = message;
        let name = |text: String| text.parse::<crate::RegionName>().map_err(malformed);
        let topology = match topology {
            ALL_TO_ALL => Topology::AllToAll,
            RING => Topology::Ring {
                order: order.into_iter().map(name).collect::<Result<_, _>>()?,
            },
            STAR => Topology::Star { hub: name(hub)? },
            CUSTOM => {
                let link = |LayoutLink { from, to }| Ok((name(from)?, name(to)?));
                Topology::Custom {
                    links: links.into_iter().map(link).collect::<Result<_, _>>()?,
                }
            }
            other => {
                return Err(malformed(format!(
                    "a topology of kind {other}; upgrade this node"
                )));
            }
        };
        Ok(layout::Layout {
            revision,
            topology,
            regions: regions
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl From<&layout::LayoutRegion> for LayoutRegion {
    fn from(region: &layout::LayoutRegion) -> Self {
        let layout::LayoutRegion {
            name,
            role,
            endpoints,
        } = region;
        LayoutRegion {
            name: name.to_string(),
            role: match role {
                Role::Leader => 0,
                Role::ReadOnly => 1,
            },
            endpoints: endpoints.clone(),
        }
    }
}

impl TryFrom<LayoutRegion> for layout::LayoutRegion {
    type Error = BadFrame;
    fn try_from(region: LayoutRegion) -> Result<Self, BadFrame> {
        let LayoutRegion {
            name,
            role,
            endpoints,
        } = region;
        Ok(layout::LayoutRegion {
            name: name.parse().map_err(malformed)?,
            role: match role {
                0 => Role::Leader,
                1 => Role::ReadOnly,
                other => {
                    return Err(malformed(format!(
                        "a region in role {other}; upgrade this node"
                    )));
                }
            },
            endpoints,
        })
    }
}
