//! The data directory of a local store, and the store's id, which is drawn once and kept.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use atoll_api::manifest::{RegionName, StoreManifest};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::plan::node_name;
use crate::failure::Failure;

const STORE_FILE: &str = "store.json";
/// Where the nodes of a region lie, but for its first one.
const NODES: &str = "nodes";

/// A local store's directory.
#[derive(Debug)]
pub(crate) struct Data {
    root: PathBuf,
    store: StoreFile,
    temporary: Option<TempDir>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct StoreFile {
    name: String,
    id: String,
}

impl Data {
    /// Opens the directory, or makes a temporary one.
    pub(crate) fn open(
        directory: Option<&Path>,
        manifest: &StoreManifest,
    ) -> Result<Self, Failure> {
        let Some(root) = directory else {
            let temporary = tempfile::Builder::new()
                .prefix("atoll-dev-")
                .tempdir()
                .map_err(|error| {
                    Failure::new(format!("no temporary directory can be made: {error}"))
                })?;
            return Ok(Data {
                root: temporary.path().to_owned(),
                store: StoreFile::draw(manifest),
                temporary: Some(temporary),
            });
        };
        let unusable = |error: std::io::Error| {
            Failure::new(format!("{} cannot be used: {error}", root.display()))
        };
        fs::create_dir_all(root).map_err(unusable)?;
        let root = root.canonicalize().map_err(unusable)?;
        let file = root.join(STORE_FILE);
        let store = match fs::read_to_string(&file) {
            Ok(text) => StoreFile::read(&file, &text, manifest)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let store = StoreFile::draw(manifest);
                store.write(&file).map_err(unusable)?;
                store
            }
            Err(error) => return Err(unusable(error)),
        };
        let data = Data {
            root,
            store,
            temporary: None,
        };
        data.check_replicas(manifest)?;
        Ok(data)
    }

    /// The directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of a region's node. The first one has the region's name, as if it were alone.
    pub(crate) fn node(&self, region: &RegionName, place: usize) -> PathBuf {
        match place {
            0 => self.root.join(region.as_str()),
            _ => self.root.join(NODES).join(node_name(region, place)),
        }
    }

    /// Fails when a region was formed by more nodes than are declared: those that are left could not agree
    /// on a leader.
    fn check_replicas(&self, manifest: &StoreManifest) -> Result<(), Failure> {
        for region in &manifest.regions {
            let declared = usize::from(region.replicas.get());
            if self.node(&region.name, declared).exists() {
                let name = &region.name;
                return Err(Failure::usage(format!(
                    "region {name} has more nodes in {} than the {declared} that the manifests declare",
                    self.root.display()
                ))
                .help(format!(
                    "declare as many replicas of {name} as before, or name another directory with --data"
                )));
            }
        }
        Ok(())
    }

    /// Removes the directory of a node whose region has left the store.
    pub(crate) fn forget(&self, region: &RegionName, place: usize) -> Result<(), Failure> {
        match fs::remove_dir_all(self.node(region, place)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The store's id: 16 hexadecimal digits.
    pub(crate) fn store_id(&self) -> &str {
        &self.store.id
    }

    /// Removes the directory if it was a temporary one.
    pub(crate) fn close(self) -> Result<(), Failure> {
        match self.temporary {
            Some(directory) => Ok(directory.close()?),
            None => Ok(()),
        }
    }
}

impl StoreFile {
    fn draw(manifest: &StoreManifest) -> Self {
        StoreFile {
            name: manifest.name.to_string(),
            id: store_id(),
        }
    }

    fn read(file: &Path, text: &str, manifest: &StoreManifest) -> Result<Self, Failure> {
        let file = file.display();
        let store: StoreFile = serde_json::from_str(text)
            .map_err(|error| Failure::new(format!("{file} is damaged: {error}")))?;
        if store.name != manifest.name.as_str() {
            return Err(Failure::usage(format!(
                "{file} is of store {}, the manifests declare {}",
                store.name, manifest.name
            ))
            .help("name another directory with --data"));
        }
        Ok(store)
    }

    /// Written aside and renamed: a torn file would orphan the data beside it.
    fn write(&self, file: &Path) -> std::io::Result<()> {
        let aside = file.with_extension("json.new");
        fs::write(&aside, serde_json::to_vec(self)?)?;
        fs::File::open(&aside)?.sync_all()?;
        fs::rename(&aside, file)
    }
}

/// A new store's id.
pub(crate) fn store_id() -> String {
    format!("{:016x}", rand::random::<u64>())
}
