//! A store of several regions, each a real process.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use atoll_api::http::LinkState;
use atoll_client::{Client, Settings};
use atoll_core::StoreId;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::ports::Port;
use super::{LOOK_AGAIN_AFTER, PATIENCE, until};

/// The id of every store here.
pub(crate) const STORE: StoreId = StoreId(0xaa);

const LOG_LINES_SHOWN: usize = 40;

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
    pub(crate) regions: Vec<Region>,
    _directory: TempDir,
}

/// One region: one node.
pub(crate) struct Region {
    pub(crate) name: String,
    pub(crate) data: PathBuf,
    config: PathBuf,
    log: PathBuf,
    port: Port,
    child: Option<Child>,
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
        store.regions.iter_mut().for_each(Region::start);
        for region in &mut store.regions {
            region.ready().await;
        }
        for region in &store.regions {
            region.streams().await;
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
            let file = |end: &str| directory.path().join(format!("{}.{end}", planned.name));
            let region = Region {
                data: data_of(directory.path(), &planned.name),
                config: file("yaml"),
                log: file("log"),
                name: planned.name,
                port: planned.port,
                child: None,
            };
            // JSON is YAML.
            fs::write(&region.config, config.to_string()).unwrap();
            regions.push(region);
        }
        Store {
            regions,
            _directory: directory,
        }
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
            "data": data_of(self.directory.path(), &region.name),
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

fn data_of(directory: &Path, region: &str) -> PathBuf {
    directory.join(format!("{region}-data"))
}

impl Store {
    pub(crate) fn region(&self, name: &str) -> &Region {
        self.regions.iter().find(|r| r.name == name).unwrap()
    }

    pub(crate) fn clients(&self) -> Vec<Client> {
        self.regions.iter().map(Region::client).collect()
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

impl Region {
    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address
    }

    /// A client that sends everything once.
    pub(crate) fn client(&self) -> Client {
        let settings = Settings {
            attempts: 1,
            request_timeout: PATIENCE,
            ..Settings::default()
        };
        Client::with_settings(&format!("http://{}", self.address()), settings).unwrap()
    }

    /// Starts its process, on the port and data that it always had.
    pub(crate) fn start(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        self.child = Some(spawn(&self.config, &self.log));
    }

    /// Waits until it answers.
    pub(crate) async fn ready(&mut self) {
        let client = self.client();
        let (name, log) = (self.name.clone(), self.log.clone());
        let child = self.child.as_mut().expect("a started node");
        until(&format!("{name} is ready"), async || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{name} ended with {status}:\n{}", last_lines(&log));
            }
            client.readiness().await.ok().filter(|r| r.ready)
        })
        .await;
    }

    /// Waits until all links into it have caught up.
    pub(crate) async fn streams(&self) {
        let client = self.client();
        until(&format!("links into {} stream", self.name), async || {
            let links = client.links().await.ok()?.links;
            let all = links.iter().all(|l| l.state == LinkState::Streaming);
            all.then_some(())
        })
        .await;
    }

    /// Ends its process as a crash would.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("a started node");
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
    }

    /// What it has logged last.
    pub(crate) fn last_lines(&self) -> String {
        last_lines(&self.log)
    }

    /// All that it has logged.
    pub(crate) fn all_lines(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Starts a second process with this region's configuration, changed; answers with how it ended and
    /// what it said.
    pub(crate) async fn refuse(&self, change: impl FnOnce(&mut Value)) -> (ExitStatus, String) {
        let text = fs::read_to_string(&self.config).unwrap();
        let mut config: Value = serde_json::from_str(&text).unwrap();
        change(&mut config);
        let file = self.config.with_extension("changed.yaml");
        let log = self.config.with_extension("changed.log");
        let _ = fs::remove_file(&log);
        fs::write(&file, config.to_string()).unwrap();
        let mut child = Stopped(spawn(&file, &log));
        let status = until("the node ends by itself", async || {
            child.0.try_wait().unwrap()
        })
        .await;
        (status, fs::read_to_string(&log).unwrap())
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- {} at the end ---\n{}", self.name, self.last_lines());
        }
    }
}

/// A process that does not outlive the test.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn spawn(config: &Path, log: &Path) -> Child {
    let log = OpenOptions::new().create(true).append(true).open(log);
    let log: File = log.unwrap();
    Command::new(env!("CARGO_BIN_EXE_atoll"))
        .arg("node")
        .arg("--config")
        .arg(config)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

pub(crate) fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
}
