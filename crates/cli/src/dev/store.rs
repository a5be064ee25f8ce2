//! The nodes of a local store, running in this process.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use atoll_api::manifest::{RegionName, StoreManifest};
use atoll_node::{Node, NodeConfig, Running};
use futures_util::future;

use super::data::Data;
use super::plan::NodePlan;
use super::proxy::Proxy;
use crate::failure::Failure;

/// One running node a region; the delays between them end with it.
pub(crate) struct LocalStore {
    nodes: Vec<Running>,
    _proxies: Vec<Proxy>,
}

impl LocalStore {
    /// Starts every region. When one cannot start, none stays.
    pub(crate) async fn start(
        manifest: &StoreManifest,
        data: &Data,
        addresses: &[SocketAddr],
        wan: Option<Duration>,
    ) -> Result<Self, Failure> {
        let regions: Vec<(&RegionName, SocketAddr)> = manifest
            .regions
            .iter()
            .map(|region| &region.name)
            .zip(addresses.iter().copied())
            .collect();
        let (mut proxies, mut starting) = (Vec::new(), Vec::new());
        for (region, listen) in &regions {
            let mut peers = Vec::new();
            for (peer, address) in regions.iter().filter(|(peer, _)| peer != region) {
                let reached_at = match wan {
                    Some(wan) => {
                        let proxy = between(*address, wan).await?;
                        let reached_at = proxy.address();
                        proxies.push(proxy);
                        reached_at
                    }
                    None => *address,
                };
                peers.push((*peer, reached_at));
            }
            let plan = NodePlan {
                manifest,
                store_id: data.store_id(),
                region,
                listen: *listen,
                data: &data.region(region),
                peers,
            };
            starting.push(start(region, plan.text()));
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
            _proxies: proxies,
        };
        match failure {
            None => Ok(store),
            Some(failure) => {
                store.stop().await;
                Err(failure)
            }
        }
    }

    /// Stops all regions at once.
    pub(crate) async fn stop(self) {
        future::join_all(self.nodes.into_iter().map(Running::stop)).await;
    }
}

async fn start(region: &RegionName, config: String) -> Result<Running, Failure> {
    let config = NodeConfig::from_yaml(&format!("region {region}"), &config)
        .map_err(|error| Failure::new(error.to_string()))?;
    Box::pin(Node::start(config))
        .await
        .map_err(|error| Failure::new(error.to_string()).during(format!("region {region}")))
}

/// A way to `address` whose round trip takes `wan` longer.
async fn between(address: SocketAddr, wan: Duration) -> Result<Proxy, Failure> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Ok(Proxy::start(any, address, wan / 2).await?)
}
