//! Declaring the topology: everything that can be wrong is found before the layout is written.

use std::collections::BTreeMap;
use std::time::Duration;

use atoll_api::http::{
    MemberList, TopologyDeclaration, TopologyPlan, TopologyRegion, TopologyStatus,
};
use atoll_api::manifest::{self, LinkSpec, TopologyKind, TopologySpec};
use atoll_core::layout::{Layout, LayoutRefused, LayoutRegion, Role, Topology};
use atoll_core::{RegionName, StoreId};
use atoll_replication::steps::{self, Step};
use atoll_replication::topology;
use atoll_store::region::NotChanged;
use atoll_store::{Catalog, Command};
use futures_util::future;

use super::removal::ask_any;
use super::{ALIVE_WITHIN, MembersRefused, changing};
use crate::link::declared::Declared;
use crate::node::Inner;

/// For one region's answer. One that is to join may not have started: whoever declares waits that long.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

impl Inner {
    /// The topology, and who was not yet heard to know of it.
    pub(crate) fn topology(&self) -> TopologyStatus {
        let catalog = self.published.catalog();
        let Some(agreed) = &catalog.layout else {
            return self.configured();
        };
        let layout = &agreed.layout;
        let region = |region: &LayoutRegion| {
            Some(TopologyRegion {
                name: in_api(&region.name)?,
                role: match region.role {
                    Role::Leader => manifest::Role::Leader,
                    Role::ReadOnly => manifest::Role::ReadOnly,
                },
                endpoints: self.endpoints(&catalog, &region.name),
            })
        };
        TopologyStatus {
            revision: layout.revision,
            topology: Some(shown(&layout.topology)),
            regions: layout.regions.iter().filter_map(region).collect(),
            unheard: self.unheard(&catalog, false),
        }
    }

    /// Before any was declared: what the configuration says.
    fn configured(&self) -> TopologyStatus {
        let peers = self.config.peers.iter();
        let peers = peers.map(|peer| (&peer.region, peer.addresses()));
        let me = std::iter::once((&self.config.region, Vec::new()));
        let region = |(name, endpoints): (&String, Vec<String>)| {
            Some(TopologyRegion {
                name: name.parse().ok()?,
                role: manifest::Role::Leader,
                endpoints,
            })
        };
        TopologyStatus {
            revision: 0,
            topology: None,
            regions: me.chain(peers).filter_map(region).collect(),
            unheard: Vec::new(),
        }
    }

    /// Members that were not heard to have the current layout's entry; with `alive`, only those that were heard
    /// of lately.
    fn unheard(&self, catalog: &Catalog, alive: bool) -> Vec<String> {
        let Some(agreed) = &catalog.layout else {
            return Vec::new();
        };
        let now = self.clock.elapsed();
        let lags = |replica| !self.durable_at(replica).covers(agreed.dot);
        let is_alive = |replica| {
            let heard = self.peers.heard_at(replica);
            heard.is_some_and(|at| now.saturating_sub(at) < ALIVE_WITHIN)
        };
        let members = catalog.regions.present().map(|member| member.replica);
        members
            .filter(|&replica| lags(replica) && (!alive || is_alive(replica)))
            .map(|replica| catalog.regions.shown(replica))
            .collect()
    }

    /// Declares the topology.
    pub(crate) async fn declare(
        &self,
        declaration: TopologyDeclaration,
    ) -> Result<TopologyStatus, MembersRefused> {
        let layout = self.checked(declaration).await?;
        let now = self.clock.timestamp();
        self.propose_change(Command::Layout { now, layout }).await?;
        Ok(self.topology())
    }

    /// What declaring it would do.
    pub(crate) async fn plan(
        &self,
        declaration: TopologyDeclaration,
    ) -> Result<TopologyPlan, MembersRefused> {
        let layout = self.checked(declaration).await?;
        let catalog = self.published.catalog();
        let new = in_replication(&layout)?;
        // Before any was declared, all regions go by their configurations.
        let old = match (&catalog.layout, &self.declared) {
            (Some(agreed), _) => Some(in_replication(&agreed.layout)?),
            (None, Declared::Topology(configured)) => Some(configured.clone()),
            (None, Declared::Fixed(_)) => None,
        };
        let steps: Vec<String> = match old {
            Some(old) => {
                let steps = steps::plan(&old, &new, false);
                let steps = steps.map_err(|e| MembersRefused::UnderWay(e.to_string()))?;
                steps.iter().map(ToString::to_string).collect()
            }
            None => {
                let links = new.links().into_iter();
                let add = links.map(|(from, to, carries)| Step::Add { from, to, carries });
                let add = add.map(|step| step.to_string());
                add.chain(["drop the other links of the nodes' configurations".to_owned()])
                    .collect()
            }
        };
        Ok(TopologyPlan {
            revision: layout.revision,
            steps,
        })
    }

    /// The layout that is declared, when nothing speaks against it.
    async fn checked(&self, declaration: TopologyDeclaration) -> Result<Layout, MembersRefused> {
        let catalog = self.published.catalog();
        let layout = self.layout_of(&catalog, declaration)?;
        for region in &layout.regions {
            for endpoint in &region.endpoints {
                let fits = self.config.check_scheme(endpoint);
                fits.map_err(|why| MembersRefused::Incomplete(format!("{}: {why}", region.name)))?;
            }
        }
        let checked = layout.check_after(catalog.layout.as_ref(), &catalog.regions);
        checked.map_err(NotChanged::from)?;
        if let Some(other) = changing(&catalog) {
            return Err(MembersRefused::UnderWay(other));
        }
        if let Some(region) = self.unheard(&catalog, true).first() {
            let what = format!("{region} has not heard of the last topology yet");
            return Err(MembersRefused::UnderWay(what));
        }
        let asked = layout.regions.iter().map(|region| async move {
            let dialer = self.dialer_to(&region.name);
            let answer = ask_any(&region.endpoints, &dialer, ANSWER_WITHIN).await;
            if answer.is_none() {
                tracing::warn!(region = %region.name, "nobody answers there: declared without a look");
            }
            answer.map(|list| (region, list))
        });
        let answers: Vec<_> = future::join_all(asked)
            .await
            .into_iter()
            .flatten()
            .collect();
        check_answers(self.identity.store, &answers)?;
        Ok(layout)
    }

    fn layout_of(
        &self,
        catalog: &Catalog,
        declaration: TopologyDeclaration,
    ) -> Result<Layout, MembersRefused> {
        let TopologyDeclaration {
            revision,
            topology,
            regions,
        } = declaration;
        let now = catalog
            .layout
            .as_ref()
            .map_or(0, |agreed| agreed.layout.revision);
        let region = |region: TopologyRegion| {
            let name = in_core(&region.name);
            LayoutRegion {
                endpoints: if region.endpoints.is_empty() {
                    self.endpoints(catalog, &name)
                } else {
                    region.endpoints
                },
                role: match region.role {
                    manifest::Role::Leader => Role::Leader,
                    manifest::Role::ReadOnly => Role::ReadOnly,
                },
                name,
            }
        };
        let regions: Vec<LayoutRegion> = regions.into_iter().map(region).collect();
        let names = || regions.iter().map(|region| region.name.clone()).collect();
        let all = |names: Vec<manifest::RegionName>| names.iter().map(in_core).collect();
        let lacks = |what: &str| MembersRefused::Incomplete(format!("topology.{what} is missing"));
        let topology = match topology.kind {
            TopologyKind::AllToAll => Topology::AllToAll,
            TopologyKind::Ring => Topology::Ring {
                order: topology.order.map_or_else(names, all),
            },
            TopologyKind::Star => Topology::Star {
                hub: in_core(&topology.hub.ok_or_else(|| lacks("hub"))?),
            },
            TopologyKind::Custom => {
                let links = topology.links.ok_or_else(|| lacks("links"))?;
                let link = |LinkSpec { from, to }: &LinkSpec| (in_core(from), in_core(to));
                Topology::Custom {
                    links: links.iter().map(link).collect(),
                }
            }
        };
        Ok(Layout {
            revision: revision.unwrap_or(now) + 1,
            topology,
            regions,
        })
    }
}

/// Whether those that answered are who they are said to be.
fn check_answers(
    store: StoreId,
    answers: &[(&LayoutRegion, MemberList)],
) -> Result<(), MembersRefused> {
    let mut seen: BTreeMap<&str, &RegionName> = BTreeMap::new();
    for (region, list) in answers {
        let endpoint = || region.endpoints.first().cloned().unwrap_or_default();
        if list.store != store.to_string() {
            return Err(MembersRefused::OtherStore {
                region: region.name.clone(),
                endpoint: endpoint(),
                store: list.store.clone(),
            });
        }
        if let Some(first) = seen.insert(&list.replica, &region.name) {
            return Err(MembersRefused::ReplicaTwice {
                first: first.clone(),
                second: region.name.clone(),
                replica: list.replica.clone(),
            });
        }
        if list.region != region.name.as_str() {
            return Err(MembersRefused::OtherRegion {
                region: region.name.clone(),
                endpoint: endpoint(),
                found: list.region.clone(),
            });
        }
    }
    Ok(())
}

fn in_replication(layout: &Layout) -> Result<topology::Topology, MembersRefused> {
    let topology = topology::Topology::try_from(layout);
    topology.map_err(|bad| MembersRefused::Incomplete(bad.to_string()))
}

/// As the admin API shows it.
fn shown(topology: &Topology) -> TopologySpec {
    let all = |names: &[RegionName]| names.iter().filter_map(in_api).collect();
    let link = |(from, to): &(RegionName, RegionName)| {
        let (from, to) = (in_api(from)?, in_api(to)?);
        Some(LinkSpec { from, to })
    };
    let declared = match topology {
        Topology::AllToAll => manifest::Topology::AllToAll,
        Topology::Ring { order } => manifest::Topology::Ring { order: all(order) },
        Topology::Star { hub } => manifest::Topology::Star {
            hub: in_api(hub).expect("both follow the rules of a DNS label of 40 bytes"),
        },
        Topology::Custom { links } => manifest::Topology::Custom {
            links: links.iter().filter_map(link).collect(),
        },
    };
    declared.into()
}

fn in_api(name: &RegionName) -> Option<manifest::RegionName> {
    name.as_str().parse().ok()
}

fn in_core(name: &manifest::RegionName) -> RegionName {
    name.as_str()
        .parse()
        .expect("both follow the rules of a DNS label of 40 bytes")
}

/// The reason by which a layout is refused, for the one mapping to HTTP.
pub(crate) fn reason(refused: &LayoutRefused) -> atoll_api::http::Reason {
    use atoll_api::http::Reason;
    match refused {
        LayoutRefused::Moved { .. } => Reason::ChangeUnderWay,
        LayoutRefused::UnknownRegion { what, .. } if what.contains("hub") => Reason::HubNotARegion,
        LayoutRefused::UnknownRegion { .. } | LayoutRefused::MemberLeftOut(_) => {
            Reason::UnknownRegion
        }
        LayoutRefused::Unreachable { .. } => Reason::UnreachableRegion,
        LayoutRefused::NoRegions
        | LayoutRefused::RegionTwice(_)
        | LayoutRefused::RingOrder(_)
        | LayoutRefused::BadLink(..) => Reason::InvalidTopology,
    }
}
