//! Regions that come and go, and another topology, while the store runs: all through the admin API.
//!
//! ```text
//!   declare the new topology, with those that leave still in it ─▶ start those that join, wait for each
//!     ─▶ drain those that leave, one by one, stop them ─▶ declare the topology without them
//! ```
//!
//! The first step finds everything that is wrong, before anything moves.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use atoll_api::http::{MemberState, TopologyDeclaration, TopologyRegion};
use atoll_api::manifest::{RegionName, StoreManifest, Topology, TopologyKind};
use atoll_client::Client;

use super::control::{self, DevRegion};
use super::ports;
use super::reload::Running;
use crate::commands::region::retired;
use crate::commands::topology::declaration;
use crate::failure::Failure;
use crate::output;

const LOOKED_AT_EVERY: Duration = Duration::from_millis(100);
/// A change is refused while the last one is still on its way.
const DECLARED_WITHIN: Duration = Duration::from_secs(30);
/// A region that takes longer is left to itself.
const CHANGED_WITHIN: Duration = Duration::from_secs(600);

/// What becomes of the regions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    added: Vec<RegionName>,
    removed: Vec<RegionName>,
}

impl Change {
    /// `None` when regions and topology are the same.
    pub(crate) fn between(old: &StoreManifest, new: &StoreManifest) -> Option<Change> {
        let only_in = |one: &StoreManifest, other: &StoreManifest| {
            let names = one.regions.iter().map(|region| region.name.clone());
            names
                .filter(|name| other.region(name.as_str()).is_none())
                .collect::<Vec<_>>()
        };
        let change = Change {
            added: only_in(new, old),
            removed: only_in(old, new),
        };
        let is_same =
            change.added.is_empty() && change.removed.is_empty() && old.topology == new.topology;
        (!is_same).then_some(change)
    }
}

impl Running<'_> {
    /// Takes the running store to the regions and the topology of `new`. Answers with what was done.
    pub(crate) async fn change_regions(&mut self, new: &StoreManifest) -> Result<String, Failure> {
        let Some(Change { added, removed }) = Change::between(self.manifest, new) else {
            return Ok("the regions are as before".to_owned());
        };
        let counts: Vec<usize> = added.iter().map(|name| replicas(new, name)).collect();
        let mut free = ports::choose(0, counts.iter().sum())?.into_iter();
        let addresses: Vec<Vec<SocketAddr>> = counts
            .iter()
            .map(|&count| free.by_ref().take(count).collect())
            .collect();
        let mut ways = BTreeMap::<String, Vec<SocketAddr>>::new();
        for (name, nodes) in added.iter().zip(&addresses) {
            for node in nodes {
                let way = self.store.way_to(*node).await?;
                ways.entry(name.to_string()).or_default().push(way);
            }
        }
        for region in &self.entry.regions {
            let first = [&region.server];
            let nodes = region.nodes.iter().map(|node| &node.server);
            // What an older version wrote knows the first node only.
            let servers: BTreeSet<&String> = first.into_iter().chain(nodes).collect();
            for server in servers {
                let address = server.trim_start_matches("http://").parse();
                let address = address.map_err(|_| Failure::new("an address that is none"))?;
                let way = self.store.way_to(address).await?;
                ways.entry(region.name.clone()).or_default().push(way);
            }
        }
        let endpoint = |name: &str| {
            let ways = ways.get(name).into_iter().flatten();
            ways.map(|address| format!("http://{address}"))
                .collect::<Vec<_>>()
        };
        let client = self.client_of_one_that_stays(&removed)?;
        let wanted = declaration(new, endpoint);
        self.declare(&client, &self.with_leavers(&wanted, &removed, endpoint))
            .await?;

        let stay = |region: &&DevRegion| !removed.iter().any(|gone| gone.as_str() == region.name);
        for (name, nodes) in added.iter().zip(&addresses) {
            let others = new.regions.iter().map(|region| &region.name);
            let peers = others.filter(|peer| *peer != name);
            let peers = peers.filter_map(|peer| Some((peer, ways.get(peer.as_str())?.clone())));
            let peers: Vec<_> = peers.collect();
            self.store.add(new, self.data, name, nodes, &peers).await?;
            let region = DevRegion::new(name, nodes);
            let client = Client::new(&region.server)?;
            self.entry.regions.push(region);
            // Commands can ask it how far it is.
            control::rewrite(self.entry)?;
            within(name, joined(&client, name)).await?;
        }
        for name in &removed {
            let draining = client.drain_region(name.as_str()).await?;
            within(name, retired(&client, &draining)).await?;
            for region in self.entry.regions.iter().filter(stay) {
                let client = Client::new(&region.server)?;
                within(name, is_known_retired(&client, &draining.replica)).await?;
            }
            output::note(&format!("{name} is retired."));
            self.store.remove(self.data, name).await?;
            self.entry
                .regions
                .retain(|region| region.name != name.as_str());
        }
        if !removed.is_empty() {
            self.declare(&client, &wanted).await?;
        }
        Ok(told(&added, &removed))
    }

    fn client_of_one_that_stays(&self, removed: &[RegionName]) -> Result<Client, Failure> {
        let is_gone = |region: &&DevRegion| removed.iter().any(|r| r.as_str() == region.name);
        let stays = self.entry.regions.iter().find(|region| !is_gone(region));
        let stays = stays.ok_or_else(|| Failure::usage("no region stays"))?;
        Ok(Client::new(&stays.server)?)
    }

    /// The topology with those that leave still in it.
    fn with_leavers(
        &self,
        wanted: &TopologyDeclaration,
        removed: &[RegionName],
        endpoint: impl Fn(&str) -> Vec<String>,
    ) -> TopologyDeclaration {
        let mut all = wanted.clone();
        for name in removed {
            all.regions.push(TopologyRegion {
                name: name.clone(),
                role: Default::default(),
                endpoints: endpoint(name.as_str()),
            });
            match all.topology.kind {
                TopologyKind::AllToAll | TopologyKind::Star => {}
                TopologyKind::Ring => all
                    .topology
                    .order
                    .get_or_insert_default()
                    .push(name.clone()),
                TopologyKind::Custom => {
                    let old = match &self.manifest.topology {
                        Topology::Custom { links } => links.clone(),
                        Topology::AllToAll | Topology::Ring { .. } | Topology::Star { .. } => {
                            atoll_api::topology::links(self.manifest)
                                .into_iter()
                                .map(|link| atoll_api::manifest::LinkSpec {
                                    from: link.from,
                                    to: link.to,
                                })
                                .collect()
                        }
                    };
                    let links = all.topology.links.get_or_insert_default();
                    for link in old {
                        let leads_there = link.from == *name || link.to == *name;
                        if leads_there && !links.contains(&link) {
                            links.push(link);
                        }
                    }
                }
            }
        }
        all
    }

    /// Declares a topology, once every region has heard of the last one.
    async fn declare(
        &self,
        client: &Client,
        declaration: &TopologyDeclaration,
    ) -> Result<(), Failure> {
        let deadline = tokio::time::Instant::now() + DECLARED_WITHIN;
        while !client.topology().await?.unheard.is_empty() && tokio::time::Instant::now() < deadline
        {
            tokio::time::sleep(LOOKED_AT_EVERY).await;
        }
        for step in client.plan_topology(declaration).await?.steps {
            output::note(&step);
        }
        client.put_topology(declaration).await?;
        Ok(())
    }
}

/// Bounds what is waited for; what was begun goes on by itself.
async fn within<T>(
    name: &RegionName,
    wait: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let over = |_| {
        Failure::new(format!(
            "{name} is still on its way; `atoll region list` shows how far"
        ))
    };
    tokio::time::timeout(CHANGED_WITHIN, wait)
        .await
        .map_err(over)?
}

/// Waits until a region that joins is ready, and says how far it is.
async fn joined(client: &Client, name: &RegionName) -> Result<(), Failure> {
    let mut told = 0;
    loop {
        if client.readiness().await?.ready {
            output::note(&format!("{name} has joined."));
            return Ok(());
        }
        if let Some(join) = client.status().await?.join
            && join.applied > told
        {
            output::note(&format!(
                "{name} is joining: {} of {} entries",
                join.applied, join.known
            ));
            told = join.applied;
        }
        tokio::time::sleep(LOOKED_AT_EVERY).await;
    }
}

/// Waits until a region that stays knows that another one is retired: then it has its last entry.
async fn is_known_retired(client: &Client, replica: &str) -> Result<(), Failure> {
    loop {
        let members = client.members().await?.members;
        let member = members.iter().find(|member| member.replica == replica);
        if member.is_some_and(|member| member.state == MemberState::Retired) {
            return Ok(());
        }
        tokio::time::sleep(LOOKED_AT_EVERY).await;
    }
}

fn replicas(manifest: &StoreManifest, name: &RegionName) -> usize {
    let region = manifest.region(name.as_str());
    region.map_or(1, |region| usize::from(region.replicas.get()))
}

fn told(added: &[RegionName], removed: &[RegionName]) -> String {
    let names = |names: &[RegionName]| {
        let names: Vec<&str> = names.iter().map(RegionName::as_str).collect();
        names.join(", ")
    };
    match (added, removed) {
        ([], []) => "the topology is another one".to_owned(),
        (added, []) => format!("{} joined", names(added)),
        ([], removed) => format!("{} left", names(removed)),
        (added, removed) => format!("{} joined, {} left", names(added), names(removed)),
    }
}
