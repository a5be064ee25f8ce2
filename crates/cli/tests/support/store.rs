//! A store of several regions, each a real process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use atoll_api::http::LinkState;
use atoll_client::Client;
use atoll_core::StoreId;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::ports::Port;
use super::process::Process;
use super::{LOOK_AGAIN_AFTER, PATIENCE, until};

/// The id of every store here.
pub(crate) const STORE: StoreId = StoreId(0xaa);

/// What regions are to be like, before they are started.
pub(crate) struct Plan {
    directory: TempDir,
    collections: Value,
    /// As in a node's configuration; absent: all to all.
    pub(crate) topology: Option<Value>,
    pub(crate) failover_after: Option<&'static str>,
    regions: Vec<PlannedRegion>,
}

/// One region of a [`Plan`]; what is absent is left to the node's defaults.
pub(crate) struct PlannedRegion {
    pub(crate) name: String,
    pub(crate) ask_after: Option<&'static str>,
    pub(crate) max_clock_skew: Option<&'static str>,
    pub(crate) clock_shift_ms: i64,
    /// Bytes of write buffers; few make it flush often.
    pub(crate) buffer_bytes: Option<usize>,
    /// Whether it joins a store that is there already.
    pub(crate) joins: bool,
    /// Where it finds other regions, when not where they are.
    pub(crate) finds: BTreeMap<&'static str, SocketAddr>,
    port: Port,
}

/// Regions that run, or were told to.
pub(crate) struct Store {
    /// Each of one node, under the region's name.
    pub(crate) regions: Vec<Process>,
    directory: TempDir,
}

impl Plan {
    /// Regions with a link from each to each, and `collections` as in a node's configuration.
    pub(crate) fn new(regions: &[&str], collections: Value) -> Plan {
        let planned = |name: &&str| PlannedRegion {
            name: (*name).to_owned(),
            ask_after: None,
            max_clock_skew: None,
            clock_shift_ms: 0,
            buffer_bytes: None,
            joins: false,
            finds: BTreeMap::new(),
            port: Port::take(),
        };
        Plan {
            directory: tempfile::tempdir().unwrap(),
            collections,
            topology: None,
            failover_after: None,
            regions: regions.iter().map(planned).collect(),
        }
    }

    pub(crate) fn region(&mut self, name: &str) -> &mut PlannedRegion {
        self.regions.iter_mut().find(|r| r.name == name).unwrap()
    }

    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        let region = self.regions.iter().find(|r| r.name == name);
        region.unwrap().port.address
    }

    /// Starts all regions and waits until they answer and all links stream.
    pub(crate) async fn start(self) -> Store {
        let mut store = self.lay_down();
        store.regions.iter_mut().for_each(Process::start);
        for region in &mut store.regions {
            region.ready().await;
        }
        for region in &store.regions {
            streams(region).await;
        }
        store
    }

    /// Writes all configurations and starts those that do not join.
    pub(crate) async fn start_founders(self) -> Store {
        let joins: Vec<bool> = self.regions.iter().map(|region| region.joins).collect();
        let mut store = self.lay_down();
        let founders = || joins.iter().map(|joins| !joins);
        for (region, founds) in store.regions.iter_mut().zip(founders()) {
            if founds {
                region.start();
            }
        }
        for (region, founds) in store.regions.iter_mut().zip(founders()) {
            if founds {
                region.ready().await;
            }
        }
        store
    }

    fn lay_down(self) -> Store {
        let configs: Vec<Value> = self.regions.iter().map(|r| self.config_of(r)).collect();
        let directory = self.directory;
        let mut regions = Vec::new();
        for (planned, config) in self.regions.into_iter().zip(configs) {
            let (directory, name) = (directory.path(), &planned.name);
            let region = Process::new(directory, name, planned.port, PATIENCE);
            region.configure(&config);
            regions.push(region);
        }
        Store { regions, directory }
    }

    fn config_of(&self, region: &PlannedRegion) -> Value {
        let others = || {
            self.regions
                .iter()
                .filter(|other| other.name != region.name)
        };
        let peer = |other: &PlannedRegion| {
            let address = region.finds.get(other.name.as_str());
            let address = address.unwrap_or(&other.port.address);
            json!({"region": other.name, "endpoint": format!("http://{address}")})
        };
        let link = |other: &PlannedRegion| json!({"from": other.name, "carries": "OwnEntries"});
        let mut config = json!({
            "store": {"name": "shop", "id": STORE.to_string()},
            "region": region.name,
            "listen": region.port.address.to_string(),
            "data": self.directory.path().join(format!("{}-data", region.name)),
            "peers": others().map(peer).collect::<Vec<_>>(),
            "collections": self.collections,
        });
        match &self.topology {
            Some(topology) => config["topology"] = topology.clone(),
            None => config["links"] = json!(others().map(link).collect::<Vec<_>>()),
        }
        if let Some(after) = self.failover_after {
            config["failoverAfter"] = json!(after);
        }
        if let Some(ask_after) = region.ask_after {
            config["askAfter"] = json!(ask_after);
        }
        if let Some(skew) = region.max_clock_skew {
            config["objectives"] = json!({"maxClockSkew": skew});
        }
        if let Some(bytes) = region.buffer_bytes {
            config["memory"] = json!({"bufferBytes": bytes});
        }
        if region.joins {
            config["join"] = json!(true);
        }
        if region.clock_shift_ms != 0 {
            config["testing"] = json!({"clockShiftMs": region.clock_shift_ms});
        }
        config
    }
}

impl Store {
    /// Where all of it lies.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn region(&self, name: &str) -> &Process {
        self.regions.iter().find(|r| r.name == name).unwrap()
    }

    pub(crate) fn clients(&self) -> Vec<Client> {
        self.regions.iter().map(Process::client).collect()
    }

    /// Waits until all regions have the same entries, and says how long that took. Nobody may write
    /// meanwhile: a region has its own entries from the start, so equal vectors have everything.
    pub(crate) async fn settle(&self) -> Duration {
        let started = Instant::now();
        let clients = self.clients();
        loop {
            let mut vectors = Vec::new();
            for client in &clients {
                vectors.push(client.status().await.unwrap().vector);
            }
            let is_whole = vectors[0].len() == self.regions.len();
            if is_whole && vectors.iter().all(|vector| *vector == vectors[0]) {
                break;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "never the same entries: {vectors:?}"
            );
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        }
        started.elapsed()
    }
}

/// Waits until all links into a region have caught up.
pub(crate) async fn streams(region: &Process) {
    let client = region.client();
    until(&format!("links into {} stream", region.name), async || {
        let links = client.links().await.ok()?.links;
        let all = links.iter().all(|l| l.state == LinkState::Streaming);
        all.then_some(())
    })
    .await;
}
