//! The nodes of a local store, running in this process.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use atoll_api::manifest::{RegionName, StoreManifest};
use atoll_node::{Node, NodeConfig, Running};
use futures_util::future;

use super::data::Data;
use super::plan::{NodePlan, node_name};
use super::proxy::Proxy;
use crate::failure::Failure;

/// All nodes of all regions; the delays between regions end with them.
pub(crate) struct LocalStore {
    nodes: Vec<(RegionName, Running)>,
    proxies: Vec<Proxy>,
    wan: Option<Duration>,
}

impl LocalStore {
    /// Starts every node of every region; `addresses`: of each region, where its nodes listen. When one
    /// cannot start, none stays.
    pub(crate) async fn start(
        manifest: &StoreManifest,
        data: &Data,
        addresses: &[Vec<SocketAddr>],
        wan: Option<Duration>,
    ) -> Result<Self, Failure> {
        let names = manifest.regions.iter().map(|region| &region.name);
        let regions: Vec<(&RegionName, &[SocketAddr])> =
            names.zip(addresses.iter().map(Vec::as_slice)).collect();
        let (mut proxies, mut starting) = (Vec::new(), Vec::new());
        for (region, nodes) in &regions {
            for (place, listen) in nodes.iter().enumerate() {
                let mut peers = Vec::new();
                for (peer, theirs) in regions.iter().filter(|(peer, _)| peer != region) {
                    let mut reached_at = Vec::new();
                    for address in *theirs {
                        reached_at.push(match wan {
                            Some(wan) => {
                                let proxy = between(*address, wan).await?;
                                let reached_at = proxy.address();
                                proxies.push(proxy);
                                reached_at
                            }
                            None => *address,
                        });
                    }
                    peers.push((*peer, reached_at));
                }
                let plan = NodePlan {
                    manifest,
                    store_id: data.store_id(),
                    region,
                    listen: *listen,
                    data: &data.node(region, place),
                    joins: false,
                    peers,
                    place,
                    nodes,
                };
                starting.push(start(region, place, plan.text()));
            }
        }
        let mut nodes = Vec::new();
        let mut failure = None;
        for started in future::join_all(starting).await {
            match started {
                Ok(node) => nodes.push(node),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        let store = LocalStore {
            nodes,
            proxies,
            wan,
        };
        match failure {
            None => Ok(store),
            Some(failure) => {
                store.stop().await;
                Err(failure)
            }
        }
    }

    /// Where the others are to reach a node that listens at `address`.
    pub(crate) async fn way_to(&mut self, address: SocketAddr) -> Result<SocketAddr, Failure> {
        let Some(wan) = self.wan else {
            return Ok(address);
        };
        let proxy = between(address, wan).await?;
        let reached_at = proxy.address();
        self.proxies.push(proxy);
        Ok(reached_at)
    }

    /// Starts the nodes of a region that joins.
    pub(crate) async fn add(
        &mut self,
        manifest: &StoreManifest,
        data: &Data,
        region: &RegionName,
        nodes: &[SocketAddr],
        peers: &[(&RegionName, Vec<SocketAddr>)],
    ) -> Result<(), Failure> {
        let starting = nodes.iter().enumerate().map(|(place, listen)| {
            let plan = NodePlan {
                manifest,
                store_id: data.store_id(),
                region,
                listen: *listen,
                data: &data.node(region, place),
                joins: true,
                peers: peers.to_vec(),
                place,
                nodes,
            };
            start(region, place, plan.text())
        });
        for started in future::join_all(starting).await {
            self.nodes.push(started?);
        }
        Ok(())
    }

    /// Stops a region that has left, and removes its data: its replica id is never used again.
    pub(crate) async fn remove(&mut self, data: &Data, region: &RegionName) -> Result<(), Failure> {
        let nodes = std::mem::take(&mut self.nodes).into_iter();
        let (gone, stay): (Vec<_>, _) = nodes.partition(|(name, _)| name == region);
        self.nodes = stay;
        for (place, (_, node)) in gone.into_iter().enumerate() {
            node.stop().await;
            data.forget(region, place)?;
        }
        Ok(())
    }

    /// Stops all nodes at once.
    pub(crate) async fn stop(self) {
        let nodes = self.nodes.into_iter().map(|(_, node)| node.stop());
        future::join_all(nodes).await;
    }
}

async fn start(
    region: &RegionName,
    place: usize,
    config: String,
) -> Result<(RegionName, Running), Failure> {
    let name = node_name(region, place);
    let config = NodeConfig::from_yaml(&format!("node {name}"), &config)
        .map_err(|error| Failure::new(error.to_string()))?;
    match Box::pin(Node::start(config)).await {
        Ok(node) => Ok((region.clone(), node)),
        Err(error) => Err(Failure::new(error.to_string()).during(format!("node {name}"))),
    }
}

/// A way to `address` whose round trip takes `wan` longer.
async fn between(address: SocketAddr, wan: Duration) -> Result<Proxy, Failure> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Ok(Proxy::start(any, address, wan / 2).await?)
}
