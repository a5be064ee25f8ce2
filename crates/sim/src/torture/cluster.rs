//! The store under torture: its nodes' configuration files, processes and addresses, and a proxy on the way
//! from every node to every other one.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use atoll_client::{Client, Settings};
use atoll_core::StoreId;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::collections;
use super::ports::Port;
use super::process::Process;
use super::shape::{Link, NodeId, Shape, region_name};
use crate::proxy::Proxy;

/// The id of the store.
pub(crate) const STORE: StoreId = StoreId(0xa7011);
/// How long a client waits for an answer, on top of what it asks the server to wait.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
/// How long a node may take until it welcomes requests.
const READY_WITHIN: Duration = Duration::from_secs(120);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);
/// Few, so that flushes happen and kills hit them.
const BUFFER_BYTES: usize = 256 << 10;

/// All nodes, all links.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) shape: Shape,
    pub(crate) nodes: Vec<Node>,
    pub(crate) links: Vec<(Link, Proxy)>,
}

/// One node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) client: Client,
    /// Sends its session along: once it has one, this node answers itself and hands nothing on.
    pub(crate) reader: Client,
    /// Held by whatever fault is being done to it.
    pub(crate) process: Mutex<Process>,
    _port: Port,
}

impl Cluster {
    /// Writes the configuration files into `directory` and starts all nodes of `program`.
    pub(crate) async fn start(
        shape: Shape,
        program: &Path,
        directory: &Path,
    ) -> anyhow::Result<Cluster> {
        let ids = shape.node_ids();
        let mut ports = Vec::new();
        for _ in &ids {
            ports.push(Port::take()?);
        }
        let address_of = |id: NodeId| ports[id.region * shape.nodes + id.place].address;
        let mut links = Vec::new();
        for link in shape.links() {
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let to: Vec<SocketAddr> = match link {
                Link::Between { region, .. } => {
                    let places = 0..shape.nodes;
                    places
                        .map(|place| address_of(NodeId { region, place }))
                        .collect()
                }
                Link::Within { dialled } => vec![address_of(dialled)],
            };
            let proxy = Proxy::start(any, &to).await?;
            links.push((link, proxy));
        }
        let configs: Vec<Value> = ids
            .iter()
            .map(|id| config(shape, *id, address_of(*id), &links, directory))
            .collect();
        let mut nodes = Vec::new();
        for ((id, port), config) in ids.into_iter().zip(ports).zip(configs) {
            nodes.push(Node::new(id, port, &config, program, directory)?);
        }
        let cluster = Cluster {
            shape,
            nodes,
            links,
        };
        for node in &cluster.nodes {
            node.process.lock().await.start()?;
        }
        for node in &cluster.nodes {
            node.ready().await?;
        }
        Ok(cluster)
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.region * self.shape.nodes + id.place]
    }

    /// The nodes of a region.
    pub(crate) fn nodes_of(&self, region: usize) -> &[Node] {
        let first = region * self.shape.nodes;
        &self.nodes[first..first + self.shape.nodes]
    }

    /// Whichever node leads a region, if one of its nodes knows. Nodes know each other by their proxies.
    pub(crate) async fn leader_of(&self, region: usize) -> Option<NodeId> {
        for node in self.nodes_of(region) {
            let Ok(status) = node.client.status().await else {
                continue;
            };
            let Some(leader) = status.leader else {
                continue;
            };
            let found = self.links.iter().find_map(|(link, proxy)| match link {
                Link::Within { dialled } if leader == url(proxy) => Some(*dialled),
                Link::Within { .. } | Link::Between { .. } => None,
            });
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Fails when a process has ended that nobody told to.
    pub(crate) async fn all_alive(&self) -> anyhow::Result<()> {
        for node in &self.nodes {
            // One that a fault holds is looked at when the fault is over.
            let Ok(mut process) = node.process.try_lock() else {
                continue;
            };
            if let Some(status) = process.ended()? {
                bail!("{} ended by itself with {status}", node.id.name());
            }
        }
        Ok(())
    }

    /// Heals everything, and waits until all nodes welcome requests.
    pub(crate) async fn heal(&self) -> anyhow::Result<()> {
        self.links.iter().for_each(|(_, proxy)| proxy.heal());
        for node in &self.nodes {
            let mut process = node.process.lock().await;
            process.start()?;
            process.thaw()?;
        }
        for node in &self.nodes {
            node.ready().await?;
        }
        self.all_alive().await
    }
}

impl Node {
    fn new(
        id: NodeId,
        port: Port,
        config: &Value,
        program: &Path,
        directory: &Path,
    ) -> anyhow::Result<Node> {
        let file = |end: &str| directory.join(format!("{}.{end}", id.name()));
        // JSON is YAML.
        fs::write(file("yaml"), serde_json::to_string_pretty(config)?)?;
        let settings = Settings {
            attempts: 1,
            connect_timeout: Duration::from_secs(1),
            request_timeout: ANSWER_WITHIN,
            ..Settings::default()
        };
        let server = format!("http://{}", port.address);
        let reading = Settings {
            attempts: 3,
            request_timeout: READY_WITHIN,
            keeps_session: true,
            ..settings.clone()
        };
        Ok(Node {
            id,
            client: Client::with_settings(&server, settings)?,
            reader: Client::with_settings(&server, reading)?,
            process: Mutex::new(Process::new(program.to_owned(), file("yaml"), file("log"))),
            _port: port,
        })
    }

    /// Waits until it welcomes requests.
    pub(crate) async fn ready(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            if let Ok(readiness) = self.client.readiness().await
                && readiness.ready
            {
                return Ok(());
            }
            let ended = self.process.lock().await.ended();
            if let Some(status) = ended.context("looking after a process")? {
                bail!("{} ended with {status} instead of starting", self.id.name());
            }
            if started.elapsed() > READY_WITHIN {
                bail!("{} is not ready after {READY_WITHIN:?}", self.id.name());
            }
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        }
    }
}

/// A node's configuration: what `docs/nodes.md` shows.
fn config(
    shape: Shape,
    id: NodeId,
    listen: SocketAddr,
    links: &[(Link, Proxy)],
    directory: &Path,
) -> Value {
    let others = || (0..shape.regions).filter(|region| *region != id.region);
    let way = |wanted: Link| {
        let (_, proxy) = links
            .iter()
            .find(|(link, _)| *link == wanted)
            .expect("a proxy for every link");
        url(proxy)
    };
    let peer = |region: usize| {
        let endpoint = way(Link::Between {
            dialler: id,
            region,
        });
        json!({"region": region_name(region), "endpoint": endpoint})
    };
    let link = |region: usize| json!({"from": region_name(region), "carries": "OwnEntries"});
    let data: PathBuf = directory.join(format!("{}-data", id.name()));
    let mut config = json!({
        "store": {"name": "torture", "id": STORE.to_string()},
        "region": region_name(id.region),
        "listen": listen.to_string(),
        "data": data,
        "peers": others().map(peer).collect::<Vec<_>>(),
        "links": others().map(link).collect::<Vec<_>>(),
        "collections": collections::declared(),
        "memory": {"bufferBytes": BUFFER_BYTES},
        // Everything runs on one machine and is stopped for seconds at a time.
        "objectives": {"maxClockSkew": "60s"},
    });
    if shape.nodes > 1 {
        let region = id.region;
        let neighbour = |place| {
            let dialled = NodeId { region, place };
            json!({"name": dialled.name(), "address": way(Link::Within { dialled })})
        };
        let nodes: Vec<Value> = (0..shape.nodes).map(neighbour).collect();
        config["node"] = nodes[id.place].clone();
        config["nodes"] = nodes.into();
    }
    config
}

fn url(proxy: &Proxy) -> String {
    format!("http://{}", proxy.address())
}
