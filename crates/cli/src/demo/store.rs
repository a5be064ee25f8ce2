//! A store of the demo's own: `atoll dev` as a child process, found by its control file.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use atoll_api::http::LinkState;
use atoll_client::{Client, Content, ReadOptions};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::PATIENCE;
use crate::dev::control::{self, DevStore};
use crate::dev::cut;
use crate::failure::Failure;
use crate::target::Place;
use crate::verify::agree;

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A running store. Dropped, the process is killed and its directory removed.
pub(crate) struct DemoStore {
    pub(crate) places: Vec<Place>,
    child: Child,
    manifest: PathBuf,
    log: PathBuf,
    control: PathBuf,
    directory: TempDir,
}

impl DemoStore {
    /// Starts `atoll dev` with one manifest, and waits until all links stream.
    pub(crate) async fn start(file: &str, manifest: &str) -> Result<Self, Failure> {
        let directory = tempfile::Builder::new().prefix("atoll-demo-").tempdir()?;
        let path = directory.path().join(file);
        fs::write(&path, manifest)?;
        let (log, control) = (
            directory.path().join("log"),
            directory.path().join("dev.json"),
        );
        let output = File::create(&log)?;
        let child = Command::new(std::env::current_exe()?)
            .args(["dev", "--port", "0"])
            .arg("--data")
            .arg(directory.path().join("data"))
            .arg("--file")
            .arg(&path)
            .env(control::FILE_VARIABLE, &control)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()?;
        let mut store = DemoStore {
            places: Vec::new(),
            child,
            manifest: path,
            log,
            control,
            directory,
        };
        store.wait_for_regions(|_| true).await?;
        store.wait_for_links().await?;
        Ok(store)
    }

    /// Has the running store reread another manifest.
    pub(crate) async fn declare(&self, manifest: &str) -> Result<(), Failure> {
        fs::write(&self.manifest, manifest)?;
        self.signal("HUP").await
    }

    /// Waits until the store says that it has such regions, by their names; then these are its places.
    pub(crate) async fn wait_for_regions(
        &mut self,
        are_there: impl Fn(&[String]) -> bool,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(text) = fs::read_to_string(&self.control) {
                let store: DevStore =
                    serde_json::from_str(&text).map_err(|error| Failure::new(error.to_string()))?;
                self.places = places(&store)?;
                let names: Vec<String> = self.places.iter().map(Place::name).collect();
                if are_there(&names) {
                    return Ok(());
                }
            }
            if self.child.try_wait()?.is_some() || Instant::now() >= deadline {
                return Err(self.failure("the store did not come to the declared regions"));
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    async fn wait_for_links(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut all_stream = true;
            for place in &self.places {
                let links = place.client.links().await?.links;
                let is_waiting = |state| {
                    matches!(
                        state,
                        LinkState::Connecting | LinkState::CatchingUp | LinkState::BackingOff
                    )
                };
                all_stream &= !links.iter().any(|link| is_waiting(link.state));
            }
            if all_stream {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(self.failure("the regions did not find each other"));
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// How many links stream.
    pub(crate) async fn streaming_links(&self) -> Result<usize, Failure> {
        let mut count = 0;
        for place in &self.places {
            let links = place.client.links().await?.links;
            count += links
                .iter()
                .filter(|link| link.state == LinkState::Streaming)
                .count();
        }
        Ok(count)
    }

    /// The client of a region.
    pub(crate) fn region(&self, name: &str) -> Result<&Client, Failure> {
        let mut places = self.places.iter();
        let found = places.find(|place| place.region.as_deref() == Some(name));
        found
            .map(|place| &place.client)
            .ok_or_else(|| Failure::new(format!("there is no region {name}")))
    }

    /// Cuts a region off from all others.
    pub(crate) async fn cut(&self, region: &str) -> Result<(), Failure> {
        cut::pause(&self.places, region).await.map(drop)
    }

    /// Brings all regions back.
    pub(crate) async fn heal(&self) -> Result<(), Failure> {
        cut::resume(&self.places, None).await.map(drop)
    }

    /// Waits until all regions have the same entries.
    pub(crate) async fn settle(&self) -> Result<(), Failure> {
        agree(&self.places, PATIENCE).await.map(drop)
    }

    /// What every region answers for a key; nothing is `null`.
    pub(crate) async fn read(
        &self,
        collection: &str,
        key: &str,
    ) -> Result<Vec<(String, Value)>, Failure> {
        let mut seen = Vec::new();
        for place in &self.places {
            seen.push((place.name(), value(&place.client, collection, key).await?));
        }
        Ok(seen)
    }

    /// Ends the store in good order.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        self.signal("TERM").await?;
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        match ended {
            Ok(Ok(status)) if status.success() => Ok(self.directory.close()?),
            _ => Err(self.failure("the store did not end in good order")),
        }
    }

    async fn signal(&self, signal: &str) -> Result<(), Failure> {
        let Some(pid) = self.child.id() else {
            return Err(self.failure("the store ended by itself"));
        };
        let sent = Command::new("kill")
            .args([format!("-{signal}"), pid.to_string()])
            .status()
            .await?;
        if sent.success() {
            Ok(())
        } else {
            Err(self.failure("the store cannot be sent a signal"))
        }
    }

    fn failure(&self, what: &str) -> Failure {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(20)..].join("\n");
        Failure::new(what).help(format!("its last words:\n{tail}"))
    }
}

/// A region's answer for a key, as JSON; siblings as a sorted list of their values.
pub(crate) async fn value(client: &Client, collection: &str, key: &str) -> Result<Value, Failure> {
    let read = client.get(collection, key, &ReadOptions::default()).await?;
    match read.content {
        Content::Absent => Ok(Value::Null),
        Content::Value { bytes, .. } => {
            serde_json::from_slice(&bytes).map_err(|error| Failure::new(error.to_string()))
        }
        Content::Siblings(siblings) => {
            let values = siblings.iter().filter_map(|sibling| sibling.value.as_ref());
            let mut texts: Vec<_> = values.map(|value| value.get().to_owned()).collect();
            texts.sort();
            let values = texts
                .iter()
                .filter_map(|text| serde_json::from_str(text).ok());
            Ok(Value::Array(values.collect()))
        }
    }
}

fn places(store: &DevStore) -> Result<Vec<Place>, Failure> {
    let place = |region: &control::DevRegion| {
        Ok(Place {
            region: Some(region.name.clone()),
            client: Client::new(&region.server)?,
        })
    };
    store.regions.iter().map(place).collect()
}
