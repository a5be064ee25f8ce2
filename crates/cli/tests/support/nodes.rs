//! Regions of several nodes, each a real process.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use atoll_api::http::{ChangeLine, NodeRole, NodeStatus};
use atoll_client::{Network, PeerClient};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::ports::Port;
use super::process::Process;
use super::proxy::{Passage, Proxy};
use super::store::STORE;
use super::until;

/// What a node that sleeps or is cut off may take before a client gives it up.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// The nodes of one region.
pub(crate) struct Nodes {
    pub(crate) region: String,
    pub(crate) nodes: Vec<Process>,
    /// Where each is reached by the others of its region.
    neighbours: Vec<Port>,
    directory: TempDir,
}

/// A proxy for each direction between any two nodes of a region: (from, to), by place.
pub(crate) struct Ways(BTreeMap<(usize, usize), Proxy>);

impl Nodes {
    /// Starts `count` nodes that form a region, and waits until each is ready.
    pub(crate) async fn start(count: usize, collections: Value, testing: Value) -> Nodes {
        let mut nodes = Nodes::lay_down("eu", count);
        nodes.configure(|_, config| {
            config["collections"] = collections.clone();
            config["testing"] = testing.clone();
        });
        nodes.run().await;
        nodes
    }

    /// As [`Nodes::start`], each pair of them with ways of its own.
    pub(crate) async fn start_apart(count: usize, collections: Value) -> (Nodes, Ways) {
        let mut nodes = Nodes::lay_down("eu", count);
        let mut ways = BTreeMap::new();
        for from in 0..count {
            for to in (0..count).filter(|to| *to != from) {
                let proxy = Proxy::start(nodes.neighbours[to].address, Duration::ZERO).await;
                ways.insert((from, to), proxy);
            }
        }
        nodes.configure(|at, config| {
            let own = ways.iter().filter(|((from, _), _)| *from == at);
            let reach = own.map(|((_, to), proxy)| {
                (node_name("eu", *to), format!("http://{}", proxy.address()))
            });
            config["collections"] = collections.clone();
            config["testing"] = json!({"reach": reach.collect::<BTreeMap<_, _>>()});
        });
        nodes.run().await;
        (nodes, Ways(ways))
    }

    /// Starts regions of `count` nodes each, with a link from each to each.
    pub(crate) async fn start_regions(
        names: &[&str],
        count: usize,
        collections: Value,
    ) -> Vec<Nodes> {
        let regions = names.iter().map(|name| Nodes::lay_down(name, count));
        let mut regions: Vec<Nodes> = regions.collect();
        let peers: Vec<Value> = regions
            .iter()
            .map(|region| json!({"region": region.region, "endpoints": region.addresses()}))
            .collect();
        for region in &mut regions {
            let others = peers.iter().filter(|peer| peer["region"] != region.region);
            let others: Vec<Value> = others.cloned().collect();
            region.configure(|_, config| {
                config["collections"] = collections.clone();
                config["peers"] = json!(others);
                config["topology"] = json!({"type": "AllToAll", "regions": names});
            });
            region.nodes.iter_mut().for_each(Process::start);
        }
        for node in regions.iter_mut().flat_map(|region| &mut region.nodes) {
            node.ready().await;
        }
        regions
    }

    fn lay_down(region: &str, count: usize) -> Nodes {
        let directory = tempfile::tempdir().unwrap();
        let node = |at| {
            let name = node_name(region, at);
            Process::new(directory.path(), &name, Port::take(), ANSWERS_WITHIN)
        };
        Nodes {
            region: region.to_owned(),
            nodes: (0..count).map(node).collect(),
            neighbours: (0..count).map(|_| Port::take()).collect(),
            directory,
        }
    }

    fn configure(&self, change: impl Fn(usize, &mut Value)) {
        let named: Vec<Value> = self
            .nodes
            .iter()
            .zip(&self.neighbours)
            .map(|(node, port)| {
                json!({"name": node.name, "address": format!("http://{}", port.address)})
            })
            .collect();
        for (at, node) in self.nodes.iter().enumerate() {
            let mut this = named[at].clone();
            this["listen"] = json!(self.neighbours[at].address.to_string());
            let mut config = json!({
                "store": {"name": "shop", "id": STORE.to_string()},
                "region": self.region,
                "listen": node.address().to_string(),
                "data": node.data,
                "node": this,
                "nodes": named,
            });
            change(at, &mut config);
            node.configure(&config);
        }
    }

    async fn run(&mut self) {
        self.nodes.iter_mut().for_each(Process::start);
        for node in &mut self.nodes {
            node.ready().await;
        }
    }

    /// Where all of it lies.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The nodes' addresses for clients.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(Process::url).collect()
    }

    /// The nodes as the region's leader sees them.
    pub(crate) async fn seen(&self) -> Vec<NodeStatus> {
        self.seen_from(&(0..self.nodes.len()).collect::<Vec<_>>())
            .await
    }

    async fn seen_from(&self, places: &[usize]) -> Vec<NodeStatus> {
        until("a leader tells who the nodes are", async || {
            let nodes = places.iter().map(|place| &self.nodes[*place]);
            for node in nodes.filter(|node| node.runs()) {
                if let Ok(list) = node.client().nodes().await
                    && list.nodes.iter().any(|n| n.role == NodeRole::Leader)
                {
                    return Some(list.nodes);
                }
            }
            None
        })
        .await
    }

    /// The leader's place among the nodes.
    pub(crate) async fn leader(&self) -> usize {
        let seen = self.seen().await;
        self.place_of_leader(&seen)
    }

    /// The leader's place as these of the nodes see it.
    pub(crate) async fn leader_among(&self, places: &[usize]) -> usize {
        let seen = self.seen_from(places).await;
        self.place_of_leader(&seen)
    }

    fn place_of_leader(&self, seen: &[NodeStatus]) -> usize {
        let leader = seen.iter().find(|n| n.role == NodeRole::Leader).unwrap();
        let place = self.nodes.iter().position(|n| n.name == leader.name);
        place.expect("the leader is one of ours")
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<&Process> {
        self.nodes.iter().collect()
    }
}

fn node_name(region: &str, at: usize) -> String {
    format!("{region}-{at}")
}

impl Ways {
    /// Changes every way between this node and the others, both directions.
    pub(crate) fn round(&self, node: usize, passage: Passage) {
        let its = |(from, to): &(usize, usize)| *from == node || *to == node;
        let ways = self.0.iter().filter(|(way, _)| its(way));
        ways.for_each(|(_, proxy)| proxy.let_pass(passage));
    }
}

impl Process {
    /// Every change that this very node has, in its order of arrival.
    pub(crate) async fn changes_here(&self) -> Vec<ChangeLine> {
        let here = HeaderMap::from_iter([(
            HeaderName::from_static("atoll-consistency"),
            HeaderValue::from_static("any"),
        )]);
        let peers = PeerClient::new(Network::Tcp, Duration::from_secs(5));
        let address = self.url();
        let mut lines: Vec<ChangeLine> = Vec::new();
        loop {
            let since = lines.last().map(|line| format!("&since={}", line.cursor));
            let path = format!("/v1/changes?limit=5000{}", since.unwrap_or_default());
            let answer = peers.hand_on(
                Method::GET,
                &address,
                &path,
                here.clone(),
                Bytes::new(),
                Duration::from_secs(60),
            );
            let mut answer = answer.await.unwrap();
            assert_eq!(answer.status, StatusCode::OK);
            let mut text = Vec::new();
            while let Some(chunk) = answer.next().await {
                text.extend_from_slice(&chunk.unwrap());
            }
            let known = lines.len();
            let read = text
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty());
            lines.extend(read.map(|line| serde_json::from_slice::<ChangeLine>(line).unwrap()));
            if lines.len() == known {
                return lines;
            }
        }
    }
}
