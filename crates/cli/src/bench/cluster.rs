//! Regions as real `atoll node` processes on this machine, with configuration files.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use atoll_api::http::LinkState;
use atoll_api::manifest::{StoreManifest, parse};
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

/// Which regions pull from which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Mesh,
    Ring,
}

/// Running nodes; they end, and their data goes, when this is dropped.
pub(crate) struct Cluster {
    pub(crate) places: Vec<Place>,
    pub(crate) directory: TempDir,
    children: Vec<(String, Child)>,
    _proxies: Vec<Proxy>,
}

impl Cluster {
    /// Starts so many regions of so many nodes below `parent`, `wan` round trip apart.
    pub(crate) async fn start(
        parent: &Path,
        (regions, nodes): (usize, usize),
        shape: Shape,
        wan: Option<Duration>,
    ) -> Result<Self, Failure> {
        let manifest = manifest(regions, shape)?;
        let directory = tempfile::Builder::new()
            .prefix("atoll-bench-")
            .tempdir_in(parent)?;
        let addresses = ports::choose(0, regions * nodes)?;
        let addresses: Vec<&[SocketAddr]> = addresses.chunks(nodes).collect();
        let mut cluster = Cluster {
            places: Vec::new(),
            directory,
            children: Vec::new(),
            _proxies: Vec::new(),
        };
        for index in 0..regions {
            cluster
                .start_region(&manifest, &addresses, index, wan)
                .await?;
        }
        cluster.wait_until_linked().await?;
        Ok(cluster)
    }

    async fn start_region(
        &mut self,
        manifest: &StoreManifest,
        addresses: &[&[SocketAddr]],
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
            for address in *addresses {
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
                nodes: addresses[index],
            };
            let config = self.directory.path().join(format!("{name}.yaml"));
            fs::write(&config, plan.text())?;
            self.children.push((name, spawn(&config)?));
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
            for (name, child) in &mut self.children {
                if child.try_wait()?.is_some() {
                    let log = self.directory.path().join(format!("{name}.log"));
                    let last_words = fs::read_to_string(log).unwrap_or_default();
                    return Err(
                        Failure::new(format!("the node {name} ended by itself")).help(last_words)
                    );
                }
            }
            if Instant::now() >= deadline {
                return Err(Failure::new("the regions did not find each other"));
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until all regions have the same entries.
    pub(crate) async fn settle(&self) -> Result<(), Failure> {
        agree(&self.places, PATIENCE).await.map(drop)
    }

    /// The processes.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.children
            .iter()
            .filter_map(|(_, child)| child.id())
            .collect()
    }

    /// All addresses.
    pub(crate) fn servers(&self) -> Vec<String> {
        self.places
            .iter()
            .map(|place| place.client.server().to_owned())
            .collect()
    }
}

fn spawn(config: &Path) -> Result<Child, Failure> {
    let log: PathBuf = config.with_extension("log");
    let output = File::create(log)?;
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

fn manifest(regions: usize, shape: Shape) -> Result<StoreManifest, Failure> {
    let names: Vec<_> = (1..=regions)
        .map(|number| format!("{{name: r{number}}}"))
        .collect();
    let shape = match shape {
        Shape::Mesh => "AllToAll",
        Shape::Ring => "Ring",
    };
    let mut text = format!(
        "apiVersion: atoll.dev/v1alpha1\nkind: GeoStore\nmetadata: {{name: bench}}\n\
         spec: {{topology: {{type: {shape}}}, regions: [{}]}}\n",
        names.join(", ")
    );
    for (name, data_type) in [("values", "Register"), ("counts", "Counter")] {
        text.push_str(&format!(
            "---\napiVersion: atoll.dev/v1alpha1\nkind: Collection\nmetadata: {{name: {name}}}\n\
             spec: {{storeRef: {{name: bench}}, type: {data_type}}}\n"
        ));
    }
    parse(&[("bench", text)]).map_err(|errors| {
        let told: Vec<_> = errors.iter().map(ToString::to_string).collect();
        Failure::new(told.join("; "))
    })
}
