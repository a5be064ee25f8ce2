//! Validate: from objects as people wrote them to a store that makes sense as a whole, or to all that is wrong.

use atoll_api::manifest::{
    Collection, CollectionSettings, DeclaredRegion, DeletionPolicy, GeoStore, ManifestError,
    RegionName, StoreManifest, UpdateStrategySpec, declare_collections, declare_store,
};
use kube::ResourceExt as _;

use crate::names;
use crate::settings::Settings;

/// A store that makes sense.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The GeoStore's uid: what it makes is deleted with it.
    pub uid: String,
    /// What is declared, defaults filled in.
    pub manifest: StoreManifest,
    /// The store's id.
    pub store_id: String,
    /// The image of nodes, unless a template names another.
    pub image: String,
    /// What becomes of volumes.
    pub deletion_policy: DeletionPolicy,
    /// How changes reach nodes.
    pub update: UpdateStrategySpec,
    /// The collections that make sense.
    pub collections: Vec<CollectionSettings>,
    /// The name of this cluster.
    pub cluster: Option<String>,
}

/// Whether a collection makes sense.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) name: String,
    /// What is wrong, in words.
    pub(crate) fault: Option<String>,
}

/// A store, its collections, and what is wrong with those that are left out.
///
/// # Errors
/// All that is wrong with the store.
pub(crate) fn validate(
    store: &GeoStore,
    collections: &[impl AsRef<Collection>],
    settings: &Settings,
) -> Result<(Declared, Vec<Verdict>), Vec<ManifestError>> {
    let namespace = store.namespace().unwrap_or_default();
    let name = store.name_any();
    let unnamed = |error: atoll_api::manifest::InvalidName| {
        vec![ManifestError {
            place: Default::default(),
            field: "metadata.name".to_owned(),
            fault: atoll_api::manifest::DecodeFault::Invalid {
                message: error.to_string(),
            }
            .into(),
        }]
    };
    let manifest = declare_store(
        name.parse().map_err(unnamed)?,
        Some(namespace.clone()),
        &store.spec,
    )?;
    let regions: Vec<RegionName> = manifest.regions.iter().map(|r| r.name.clone()).collect();
    let verdicts = collections
        .iter()
        .map(|collection| judge(collection.as_ref(), &regions));
    let (mut good, mut told) = (Vec::new(), Vec::new());
    for (name, verdict) in verdicts {
        let fault = match verdict {
            Ok(settings) => {
                good.push(settings);
                None
            }
            Err(fault) => Some(fault),
        };
        told.push(Verdict { name, fault });
    }
    good.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
    let version = store.spec.version.as_ref().unwrap_or(&settings.version);
    let declared = Declared {
        store_id: store
            .spec
            .store_id
            .clone()
            .unwrap_or_else(|| names::store_id(&namespace, &name)),
        image: format!("{}:{version}", settings.image),
        deletion_policy: store.spec.deletion_policy.unwrap_or_default(),
        update: store.spec.update_strategy.clone().unwrap_or_default(),
        uid: store.uid().unwrap_or_default(),
        collections: good,
        cluster: settings.cluster.clone(),
        namespace,
        name,
        manifest,
    };
    Ok((declared, told))
}

fn judge(
    collection: &Collection,
    regions: &[RegionName],
) -> (String, Result<CollectionSettings, String>) {
    let name = collection.name_any();
    let settings = || {
        let settings = CollectionSettings {
            name: collection
                .name_any()
                .parse()
                .map_err(|e: atoll_api::manifest::InvalidName| e.to_string())?,
            data_type: collection.spec.data_type,
            conflicts: collection.spec.conflicts.clone(),
        };
        match declare_collections(std::slice::from_ref(&settings), regions) {
            // With its defaults, as nodes say it back.
            Ok(declared) => declared
                .into_iter()
                .next()
                .map(CollectionSettings::from)
                .ok_or_else(String::new),
            Err(faults) => {
                let told = faults.iter().map(|fault| {
                    let field = fault.field.trim_start_matches("collections[0].");
                    format!("spec.{field}: {}", fault.fault)
                });
                Err(told.collect::<Vec<_>>().join("; "))
            }
        }
    };
    (name, settings())
}

impl Declared {
    /// Whether a region runs in this cluster.
    #[must_use]
    pub fn is_here(&self, region: &DeclaredRegion) -> bool {
        match (&region.location, &self.cluster) {
            (Some(location), Some(cluster)) => location.cluster == *cluster,
            // Somebody who names no clusters has one.
            (None, _) | (_, None) => true,
        }
    }

    /// The regions that run in this cluster.
    pub fn here(&self) -> impl Iterator<Item = &DeclaredRegion> {
        let regions = self.manifest.regions.iter();
        regions.filter(|region| self.is_here(region))
    }

    /// Where a region's nodes are reached by other regions.
    #[must_use]
    pub fn endpoints(&self, region: &DeclaredRegion) -> Vec<String> {
        if let Some(location) = region.location.as_ref().filter(|_| !self.is_here(region)) {
            let all = location.endpoints.iter().flatten();
            let all = location.endpoint.iter().chain(all);
            return all.map(ToString::to_string).collect();
        }
        let names = self.names(&region.name);
        (0..region.replicas.get())
            .map(|ordinal| names.address(ordinal, names::PORT))
            .collect()
    }

    pub(crate) fn names<'a>(&'a self, region: &'a RegionName) -> names::RegionNames<'a> {
        names::RegionNames {
            namespace: &self.namespace,
            store: &self.name,
            region,
        }
    }
}
