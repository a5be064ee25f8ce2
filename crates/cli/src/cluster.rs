//! A store whose nodes are real `atoll node` processes on this machine, with configuration files: what can be
//! killed and started again.

use std::fs::{self, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use atoll_api::http::LinkState;
use atoll_api::manifest::{RegionName, StoreManifest};
use atoll_client::{Client, Settings};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::dev::plan::{NodePlan, node_name};
use crate::dev::ports;
use crate::dev::proxy::Proxy;
use crate::failure::Failure;
use crate::target::Place;
use crate::verify::agree;

const PATIENCE: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
const STORE_ID: &str = "00000000000be7c4";

/// Running nodes; they end, and their data goes, when this is dropped.
pub(crate) struct Cluster {
    /// Each region by its first node, which is asked once.
    pub(crate) places: Vec<Place>,
    pub(crate) directory: TempDir,
    nodes: Vec<NodeProcess>,
    _proxies: Vec<Proxy>,
}

/// One node: its process, and what it takes to start it again.
struct NodeProcess {
    region: RegionName,
    name: String,
    server: String,
    config: PathBuf,
    child: Option<Child>,
}

impl Cluster {
    /// Starts every node of every region below `parent`, the regions `wan` round trip apart, and waits until
    /// all links stream.
    pub(crate) async fn start(
        parent: &Path,
        manifest: &StoreManifest,
        wan: Option<Duration>,
    ) -> Result<Self, Failure> {
        let directory = tempfile::Builder::new()
            .prefix("atoll-nodes-")
            .tempdir_in(parent)?;
        let addresses = ports::of_nodes(0, manifest)?;
        let mut cluster = Cluster {
            places: Vec::new(),
            directory,
            nodes: Vec::new(),
            _proxies: Vec::new(),
        };
        for index in 0..manifest.regions.len() {
            cluster
                .start_region(manifest, &addresses, index, wan)
                .await?;
        }
        cluster.wait_until_linked().await?;
        Ok(cluster)
    }

    async fn start_region(
        &mut self,
        manifest: &StoreManifest,
        addresses: &[Vec<SocketAddr>],
        index: usize,
        wan: Option<Duration>,
    ) -> Result<(), Failure> {
        let region = &manifest.regions[index].name;
        let mut peers = Vec::new();
        for (peer, addresses) in manifest.regions.iter().zip(addresses) {
            if peer.name == *region {
                continue;
            }
            let mut reached_at = Vec::new();
            for address in addresses {
                reached_at.push(match wan {
                    Some(wan) => {
                        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                        let proxy = Proxy::start(any, *address, wan / 2).await?;
                        let reached_at = proxy.address();
                        self._proxies.push(proxy);
                        reached_at
                    }
                    None => *address,
                });
            }
            peers.push((&peer.name, reached_at));
        }
        for (place, listen) in addresses[index].iter().enumerate() {
            let name = node_name(region, place);
            let plan = NodePlan {
                manifest,
                store_id: STORE_ID,
                region,
                listen: *listen,
                data: &self.directory.path().join(&name),
                joins: false,
                peers: peers.clone(),
                place,
                nodes: &addresses[index],
            };
            let config = self.directory.path().join(format!("{name}.yaml"));
            fs::write(&config, plan.text())?;
            self.nodes.push(NodeProcess {
                region: region.clone(),
                name,
                server: format!("http://{listen}"),
                child: Some(spawn(&config)?),
                config,
            });
        }
        let settings = Settings {
            attempts: 1,
            ..Settings::default()
        };
        let server = format!("http://{}", addresses[index][0]);
        self.places.push(Place {
            region: Some(region.to_string()),
            client: Client::with_settings(&server, settings)?,
        });
        Ok(())
    }

    async fn wait_until_linked(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut streaming = true;
            for place in &self.places {
                streaming &= place.client.links().await.is_ok_and(|list| {
                    list.links
                        .iter()
                        .all(|link| matches!(link.state, LinkState::Streaming | LinkState::Standby))
                });
            }
            if streaming {
                return self.settle().await;
            }
            self.check_alive()?;
            if Instant::now() >= deadline {
                return Err(Failure::new("the regions did not find each other"));
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    fn check_alive(&mut self) -> Result<(), Failure> {
        for node in &mut self.nodes {
            if let Some(child) = &mut node.child
                && child.try_wait()?.is_some()
            {
                let last_words = fs::read_to_string(log_of(&node.config)).unwrap_or_default();
                let told = format!("the node {} ended by itself", node.name);
                return Err(Failure::new(told).help(last_words));
            }
        }
        Ok(())
    }

    /// Waits until all regions have the same entries.
    pub(crate) async fn settle(&self) -> Result<(), Failure> {
        agree(&self.places, PATIENCE).await.map(drop)
    }

    /// Ends a node's process as a crash would (SIGKILL).
    pub(crate) async fn kill(&mut self, node: &str) -> Result<(), Failure> {
        let node = self.node(node)?;
        if let Some(mut child) = node.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// Starts a killed node again, where it was, and waits until it is ready.
    pub(crate) async fn start_again(&mut self, node: &str) -> Result<(), Failure> {
        let node = self.node(node)?;
        node.child = Some(spawn(&node.config)?);
        let client = Client::new(&node.server)?;
        let deadline = Instant::now() + PATIENCE;
        while !client.readiness().await.is_ok_and(|now| now.ready) {
            self.check_alive()?;
            if Instant::now() >= deadline {
                return Err(Failure::new("a node that was started again is not ready"));
            }
            sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    fn node(&mut self, name: &str) -> Result<&mut NodeProcess, Failure> {
        let mut nodes = self.nodes.iter_mut();
        let found = nodes.find(|node| node.name == name);
        found.ok_or_else(|| Failure::new(format!("there is no node {name}")))
    }

    /// The addresses of a region's nodes.
    pub(crate) fn servers_of(&self, region: &str) -> Vec<String> {
        let nodes = self.nodes.iter();
        let nodes = nodes.filter(|node| node.region.as_str() == region);
        nodes.map(|node| node.server.clone()).collect()
    }

    /// The processes.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let children = self.nodes.iter().filter_map(|node| node.child.as_ref());
        children.filter_map(Child::id).collect()
    }

    /// The address of each region's first node.
    pub(crate) fn servers(&self) -> Vec<String> {
        self.places
            .iter()
            .map(|place| place.client.server().to_owned())
            .collect()
    }
}

fn log_of(config: &Path) -> PathBuf {
    config.with_extension("log")
}

fn spawn(config: &Path) -> Result<Child, Failure> {
    let output = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log_of(config))?;
    let child = Command::new(std::env::current_exe()?)
        .arg("node")
        .arg("--config")
        .arg(config)
        .env("ATOLL_LOG", "warn")
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .kill_on_drop(true)
        .spawn()?;
    Ok(child)
}
