//! Validate: from objects as people wrote them to a store that makes sense as a whole, or to all that is wrong.

use atoll_api::certificate::StoreId;
use atoll_api::manifest::{
    ClientTls, Collection, CollectionSettings, DeclaredRegion, DeletionPolicy, Endpoint, GeoStore,
    ManifestError, RegionName, SecretRef, StoreManifest, TimeSpan, TlsMode, TlsSpec,
    UpdateStrategySpec, declare_collections, declare_store,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;

use crate::kept::Kept;
use crate::names;
use crate::settings::Settings;

/// How long certificates are valid.
const LIFETIME_DEFAULT: TimeSpan = TimeSpan::from_hours(2160);
const LIFETIME_MAX: TimeSpan = TimeSpan::from_hours(10 * 365 * 24);

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
    /// The certificates; absent: everybody talks plainly.
    pub tls: Option<DeclaredTls>,
}

/// The certificates of a store that has some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredTls {
    /// How clients talk to nodes.
    pub clients: ClientTls,
    /// The Secret with the CAs of clients, which must then show a certificate.
    pub client_ca: Option<String>,
    /// The Secret with the user's own CA.
    pub ca: Option<String>,
    /// The Secrets with CAs of other clusters.
    pub trusted: Vec<String>,
    /// Rises when the operator's CA is to be replaced.
    pub ca_revision: u32,
    /// How long certificates are valid.
    pub lifetime_seconds: i64,
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
        vec![invalid("metadata.name".to_owned(), error.to_string())]
    };
    let manifest = declare_store(
        name.parse().map_err(unnamed)?,
        Some(namespace.clone()),
        &store.spec,
    )?;
    let tls = declare_tls(store.spec.tls.as_ref());
    check_endpoints(&manifest, tls.is_some())?;
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
        tls,
    };
    Ok((declared, told))
}

fn invalid(field: String, message: String) -> ManifestError {
    ManifestError {
        place: Default::default(),
        field,
        fault: atoll_api::manifest::DecodeFault::Invalid { message }.into(),
    }
}

fn declare_tls(spec: Option<&TlsSpec>) -> Option<DeclaredTls> {
    if TlsSpec::mode_of(spec) == TlsMode::Plain {
        return None;
    }
    let TlsSpec {
        mode: _,
        clients,
        client_ca_secret_ref,
        ca_secret_ref,
        trusted_ca_secret_refs,
        ca_revision,
        certificate_lifetime,
    } = spec.cloned().unwrap_or_default();
    let name = |secret: SecretRef| secret.name;
    let lifetime = certificate_lifetime.unwrap_or(LIFETIME_DEFAULT);
    let lifetime = lifetime.clamp(TimeSpan::from_hours(1), LIFETIME_MAX);
    Some(DeclaredTls {
        clients: clients.unwrap_or_default(),
        client_ca: client_ca_secret_ref.map(name),
        ca: ca_secret_ref.map(name),
        trusted: trusted_ca_secret_refs
            .unwrap_or_default()
            .into_iter()
            .map(name)
            .collect(),
        ca_revision: ca_revision.unwrap_or_default(),
        lifetime_seconds: i64::try_from(lifetime.as_duration().as_secs()).unwrap_or(i64::MAX),
    })
}

/// Nodes with certificates do not talk to nodes without.
fn check_endpoints(manifest: &StoreManifest, has_tls: bool) -> Result<(), Vec<ManifestError>> {
    let scheme = if has_tls { "https://" } else { "http://" };
    let mut wrong = Vec::new();
    for (at, region) in manifest.regions.iter().enumerate() {
        let Some(location) = &region.location else {
            continue;
        };
        let several = location.endpoints.iter().flatten();
        let fits = |endpoint: &&Endpoint| !endpoint.as_str().starts_with(scheme);
        if let Some(endpoint) = location.endpoint.iter().chain(several).find(fits) {
            let field = format!("spec.regions[{at}].location");
            wrong.push(invalid(
                field,
                format!("{endpoint} does not begin with {scheme}, as spec.tls.mode demands"),
            ));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
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
    /// Whether an object was made for this store.
    pub(crate) fn owns(&self, object: &ObjectMeta) -> bool {
        let mut owners = object.owner_references.iter().flatten();
        owners.any(|owner| owner.uid == self.uid)
    }

    /// The same of one that is kept.
    pub(crate) fn made(&self, object: &Kept) -> bool {
        object.owners.iter().any(|owner| **owner == *self.uid)
    }

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

    /// Where a region's nodes are reached by other regions. Several clusters have to say the same of each, so that of
    /// one that is reached from elsewhere, it is what is declared.
    #[must_use]
    pub fn endpoints(&self, region: &DeclaredRegion) -> Vec<String> {
        if let Some(location) = region.location.as_ref().filter(|_| self.cluster.is_some()) {
            let all = location.endpoints.iter().flatten();
            let all: Vec<_> = location.endpoint.iter().chain(all).collect();
            if !all.is_empty() || !self.is_here(region) {
                return all.into_iter().map(ToString::to_string).collect();
            }
        }
        let names = self.names(&region.name);
        (0..region.replicas.get())
            .map(|ordinal| names.endpoint(ordinal))
            .collect()
    }

    pub(crate) fn names<'a>(&'a self, region: &'a RegionName) -> names::RegionNames<'a> {
        names::RegionNames {
            namespace: &self.namespace,
            store: &self.name,
            region,
            has_tls: self.tls.is_some(),
        }
    }

    /// The store's id, as certificates name it.
    pub(crate) fn store(&self) -> StoreId {
        // The API server checked it, or it was made here.
        self.store_id.parse().unwrap_or(StoreId(0))
    }
}
