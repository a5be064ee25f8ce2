//! `atoll dev`: a whole store on this machine, for trying things out.
//!
//! - `files`: the manifests; `data`: the directory and the store's id; `ports`: who listens where
//! - `plan`: the configuration of each region's node; `store`: the nodes, running
//! - `proxy`: the delay between regions; `cut`: partitions, through the admin API
//! - `control`: how other commands find the store; `reload`: what SIGHUP changes, `regions`: of its regions
//!
//! All of it stays on the loopback interface.

pub(crate) mod control;
pub(crate) mod cut;
mod data;
pub(crate) mod files;
pub(crate) mod plan;
pub(crate) mod ports;
pub(crate) mod proxy;
mod regions;
mod reload;
pub(crate) mod signals;
mod store;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use atoll_api::manifest::{DataType, Role, StoreManifest};

use crate::failure::Failure;
use crate::output;
use crate::wording;
use control::DevStore;
use data::Data;
use signals::{Signal, Signals};
use store::LocalStore;

/// What `atoll dev` was asked for.
pub(crate) struct Settings {
    /// Manifests, or directories of them.
    pub(crate) files: Vec<PathBuf>,
    /// Where to keep data; absent: nowhere.
    pub(crate) data: Option<PathBuf>,
    /// Round trip between any two regions.
    pub(crate) wan: Option<Duration>,
    /// First port; 0: any.
    pub(crate) port: u16,
}

/// Runs the store until a signal ends it.
pub(crate) async fn run(settings: Settings) -> Result<(), Failure> {
    let manifest = files::read(&settings.files)?;
    let data = Data::open(settings.data.as_deref(), &manifest)?;
    let addresses = ports::of_nodes(settings.port, &manifest)?;
    let mut signals = Signals::new()?;
    let mut store = LocalStore::start(&manifest, &data, &addresses, settings.wan).await?;
    let mut entry = DevStore::new(&manifest, &addresses, data.root());
    let published = control::publish(&entry)?;
    output::line(&welcome(&manifest, &entry, &settings));
    let mut manifest = manifest;
    while signals.next().await == Signal::Reload {
        let mut running = reload::Running {
            manifest: &mut manifest,
            entry: &mut entry,
            store: &mut store,
            data: &data,
        };
        running.reload(&settings.files).await;
        if let Err(failure) = control::rewrite(&entry) {
            failure.report();
        }
    }
    output::note("Stopping.");
    drop(published);
    store.stop().await;
    data.close()
}

fn welcome(manifest: &StoreManifest, entry: &DevStore, settings: &Settings) -> String {
    let rows: Vec<_> = entry
        .regions
        .iter()
        .map(|region| {
            let nodes: Vec<&str> = region.nodes.iter().map(|n| n.server.as_str()).collect();
            [region.name.clone(), nodes.join(" ")]
        })
        .collect();
    let kept = match &settings.data {
        Some(directory) => format!("kept in {}", directory.display()),
        None => "gone when it ends; keep it with --data DIR".to_owned(),
    };
    let wan = match settings.wan {
        Some(wan) => format!(", {} round trip between them", wording::duration(wan)),
        None => String::new(),
    };
    let nodes: usize = entry.regions.iter().map(|region| region.nodes.len()).sum();
    let mut regions = wording::counted(entry.regions.len() as u64, "region", "regions");
    if nodes > entry.regions.len() {
        regions = format!("{regions} of {nodes} nodes");
    }
    let remarks = remarks(manifest);
    format!(
        "Store {} runs here: {regions}{wan}. Its data is {kept}.\n\n{}\n{remarks}\nTry it:\n{}\nCtrl-C ends it.",
        manifest.name,
        output::table(["REGION", "ADDRESS"], &rows),
        first_steps(manifest, entry),
    )
}

/// Where a local store is less than what is declared.
fn remarks(manifest: &StoreManifest) -> String {
    let mut remarks = String::new();
    for region in &manifest.regions {
        let name = &region.name;
        if region.role == Role::ReadOnly {
            let _ = writeln!(remarks, "Note: {name} is ReadOnly, but takes writes here.");
        }
    }
    remarks
}

/// A first line to copy, for a collection that there is.
fn first_steps(manifest: &StoreManifest, entry: &DevStore) -> String {
    let server = entry.regions.first().map_or("", |region| &region.server);
    let find = |data_type| {
        let mut collections = manifest.collections.iter();
        collections.find(|collection| collection.data_type == data_type)
    };
    let other = entry.regions.get(1).or(entry.regions.first());
    let other = other.map_or("", |region| &region.name);
    if let Some(collection) = find(DataType::Register).or(find(DataType::Document)) {
        let name = &collection.name;
        return format!(
            "  curl -X PUT -H 'content-type: application/json' -d '{{\"title\": \"Home\"}}' {server}/v1/collections/{name}/keys/home\n  \
             atoll get {name} home --region {other}\n  atoll status"
        );
    }
    if let Some(collection) = find(DataType::Counter) {
        let name = &collection.name;
        return format!(
            "  curl -H 'content-type: application/json' -d '{{\"increment\": 1}}' {server}/v1/collections/{name}/keys/first/ops\n  \
             atoll get {name} first --region {other}\n  atoll status"
        );
    }
    format!("  curl {server}/v1/status\n  atoll status")
}
