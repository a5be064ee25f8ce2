//! The configuration of a region's nodes, as `atoll node --config FILE` reads it.

use std::net::SocketAddr;
use std::path::Path;

use atoll_api::manifest::{RegionName, StoreManifest};
use atoll_operator::build::node_config;
use serde_json::{Value, json};

use super::reload::settings_of;

/// One node of a region, and how it reaches the others.
pub(crate) struct NodePlan<'a> {
    pub(crate) manifest: &'a StoreManifest,
    pub(crate) store_id: &'a str,
    pub(crate) region: &'a RegionName,
    pub(crate) listen: SocketAddr,
    pub(crate) data: &'a Path,
    /// Whether the store is there already.
    pub(crate) joins: bool,
    /// Other regions with the addresses that this one uses for their nodes: whoever leads serves links.
    pub(crate) peers: Vec<(&'a RegionName, Vec<SocketAddr>)>,
    /// Which of `nodes` it is.
    pub(crate) place: usize,
    /// Where the region's nodes listen; empty when it is the only one.
    pub(crate) nodes: &'a [SocketAddr],
}

/// The name of a region's node.
pub(crate) fn node_name(region: &RegionName, place: usize) -> String {
    format!("{region}-{place}")
}

impl NodePlan<'_> {
    /// The file's text. JSON is YAML, too.
    pub(crate) fn text(&self) -> String {
        self.value().to_string()
    }

    fn value(&self) -> Value {
        let NodePlan {
            manifest,
            store_id,
            region,
            listen,
            data,
            joins,
            peers,
            place,
            nodes,
        } = self;
        let peers: Vec<_> = peers
            .iter()
            .map(|(name, addresses)| {
                let endpoints: Vec<_> = addresses.iter().map(|a| format!("http://{a}")).collect();
                json!({ "region": name, "endpoints": endpoints })
            })
            .collect();
        let mut config = json!({
            "store": { "name": manifest.name, "id": store_id },
            "region": region,
            "listen": listen,
            "data": data,
            "join": joins,
            "peers": peers,
            "topology": node_config::topology(manifest),
            "collections": settings_of(manifest),
        });
        // Secrets are Kubernetes' own: a collector's CA and headers come from the `OTEL_…` variables here.
        let settings = node_config::settings(manifest, None);
        if let (Some(config), Value::Object(settings)) = (config.as_object_mut(), settings) {
            config.extend(settings);
        }
        if nodes.len() > 1 {
            let node = |place: usize| {
                let address = format!("http://{}", nodes[place]);
                json!({ "name": node_name(region, place), "address": address })
            };
            let nodes: Vec<Value> = (0..nodes.len()).map(node).collect();
            config["node"] = nodes[*place].clone();
            config["nodes"] = nodes.into();
        }
        config
    }
}
