//! The control file: how other commands find the dev store that is running.
//!
//! One file a user, at `$XDG_RUNTIME_DIR/atoll/dev.json` or `~/.cache/atoll/dev.json` (`ATOLL_DEV_FILE` names
//! another). The store started last owns it.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use atoll_api::manifest::{RegionName, StoreManifest};
use serde::{Deserialize, Serialize};

use super::plan::node_name;
use crate::failure::Failure;

/// Names another control file.
pub(crate) const FILE_VARIABLE: &str = "ATOLL_DEV_FILE";

/// A running dev store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DevStore {
    /// The store's name.
    pub(crate) store: String,
    /// The process.
    pub(crate) pid: u32,
    /// Its data directory.
    pub(crate) data: PathBuf,
    /// Its regions, in the manifest's order.
    pub(crate) regions: Vec<DevRegion>,
}

/// One region of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DevRegion {
    /// The region's name.
    pub(crate) name: String,
    /// The address of its first node.
    pub(crate) server: String,
    /// Its nodes, the first one included.
    #[serde(default)]
    pub(crate) nodes: Vec<DevNode>,
}

/// One node of a region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DevNode {
    /// The node's name.
    pub(crate) name: String,
    /// Its address.
    pub(crate) server: String,
}

impl DevStore {
    /// `addresses`: of each region, where its nodes listen.
    pub(crate) fn new(
        manifest: &StoreManifest,
        addresses: &[Vec<SocketAddr>],
        data: &Path,
    ) -> Self {
        let regions = manifest.regions.iter().zip(addresses);
        DevStore {
            store: manifest.name.to_string(),
            pid: std::process::id(),
            data: data.to_owned(),
            regions: regions
                .map(|(region, nodes)| DevRegion::new(&region.name, nodes))
                .collect(),
        }
    }
}

impl DevRegion {
    /// `addresses`: where its nodes listen; at least one.
    pub(crate) fn new(region: &RegionName, addresses: &[SocketAddr]) -> Self {
        let node = |(place, address): (usize, &SocketAddr)| DevNode {
            name: node_name(region, place),
            server: format!("http://{address}"),
        };
        DevRegion {
            name: region.to_string(),
            server: format!("http://{}", addresses[0]),
            nodes: addresses.iter().enumerate().map(node).collect(),
        }
    }
}

/// The published file; removed on drop unless another store has taken it over.
#[derive(Debug)]
pub(crate) struct Published {
    file: PathBuf,
    pid: u32,
}

impl Drop for Published {
    fn drop(&mut self) {
        if read(&self.file)
            .ok()
            .flatten()
            .is_some_and(|store| store.pid == self.pid)
        {
            let _ = fs::remove_file(&self.file);
        }
    }
}

/// Tells other commands where the store is.
pub(crate) fn publish(store: &DevStore) -> Result<Published, Failure> {
    let file = rewrite(store)?;
    Ok(Published {
        pid: store.pid,
        file,
    })
}

/// Tells them again, after its regions changed.
pub(crate) fn rewrite(store: &DevStore) -> Result<PathBuf, Failure> {
    let file = file()?;
    let unusable = |error: std::io::Error| {
        Failure::new(format!("{} cannot be written: {error}", file.display()))
    };
    if let Some(directory) = file.parent() {
        fs::create_dir_all(directory).map_err(unusable)?;
    }
    let aside = file.with_extension(format!("{}.new", store.pid));
    let text = serde_json::to_vec_pretty(store).map_err(|error| Failure::new(error.to_string()))?;
    fs::write(&aside, text).map_err(unusable)?;
    fs::rename(&aside, &file).map_err(unusable)?;
    Ok(file)
}

/// The dev store that is running, if there is one.
pub(crate) fn running() -> Result<Option<DevStore>, Failure> {
    let store = read(&file()?)?;
    Ok(store.filter(|store| is_alive(store.pid)))
}

fn read(file: &Path) -> Result<Option<DevStore>, Failure> {
    let shown = file.display();
    match fs::read_to_string(file) {
        Ok(text) => serde_json::from_str(&text).map(Some).map_err(|error| {
            Failure::new(format!("{shown} is damaged: {error}")).help("remove it")
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::new(format!("{shown} cannot be read: {error}"))),
    }
}

/// Where there is no /proc, nothing is known: the connection will tell.
fn is_alive(pid: u32) -> bool {
    !Path::new("/proc/self").exists() || Path::new(&format!("/proc/{pid}")).exists()
}

fn file() -> Result<PathBuf, Failure> {
    let named = |variable| env::var_os(variable).filter(|value| !value.is_empty());
    if let Some(file) = named(FILE_VARIABLE) {
        return Ok(file.into());
    }
    if let Some(directory) = named("XDG_RUNTIME_DIR") {
        return Ok(PathBuf::from(directory).join("atoll/dev.json"));
    }
    match named("HOME") {
        Some(home) => Ok(PathBuf::from(home).join(".cache/atoll/dev.json")),
        None => Err(Failure::usage(
            "neither XDG_RUNTIME_DIR nor HOME is set, so there is no place for the dev store's control file",
        )
        .help(format!("name one with {FILE_VARIABLE}"))),
    }
}
