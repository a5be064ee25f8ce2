//! Manifests (`atoll.dev/v1alpha1`): GeoStore and Collection, as written and as declared.
//!
//! Two shapes of one thing. *Specs* ([`GeoStoreSpec`], [`CollectionSpec`]) are what people write: every
//! field optional that has a default, tolerant of fields that a newer version added. *Declarations*
//! ([`StoreManifest`]) are what [`parse()`] makes of them: checked, defaults filled in, impossible to get
//! wrong afterwards. The order of work in `parse`:
//!
//! text → documents → specs (`decode`: every unknown field, wrong type and bad value at once) →
//! declarations (`regions`, `shape`, `collections`: what only makes sense together)

mod byte_size;
mod collection;
mod collections;
#[cfg(feature = "k8s")]
pub mod conditions;
#[cfg(feature = "k8s")]
mod crds;
mod declared;
mod decode;
mod endpoint;
mod error;
mod geostore;
mod in_core;
mod names;
mod node;
mod node_error;
mod object;
mod parse;
mod regions;
#[cfg(feature = "k8s")]
mod replication_link;
#[cfg(feature = "k8s")]
mod rules;
#[cfg(feature = "k8s")]
mod schema;
mod shape;
mod share;
#[cfg(feature = "k8s")]
mod status;
mod template;
mod text;
mod time_span;
mod tls;

pub use byte_size::{ByteSize, InvalidByteSize};
#[cfg(feature = "k8s")]
pub use collection::Collection;
pub use collection::{CollectionSpec, ConflictsSpec, DataType, Policy, StoreRef, UpdateDelete};
pub use collections::{CollectionSettings, declare_collections};
#[cfg(feature = "k8s")]
pub use crds::crds;
pub use declared::{
    ConflictRetention, DeclaredCollection, DeclaredConflicts, DeclaredPolicy, DeclaredRegion,
    LogRetention, Objectives, StoreManifest, Topology,
};
pub use decode::DecodeFault;
pub use endpoint::{Endpoint, InvalidEndpoint};
pub use error::{Fault, ManifestError, Place};
#[cfg(feature = "k8s")]
pub use geostore::GeoStore;
pub use geostore::{
    ConflictRetentionSpec, DeletionPolicy, GeoStoreSpec, InvalidReplicas, LinkSpec, Location,
    ObjectivesSpec, OtlpSpec, RegionSpec, Replicas, RetentionSpec, Role, TelemetrySpec,
    TopologyKind, TopologySpec, UpdateStrategySpec,
};
pub use names::{CollectionName, InvalidName, RegionName, StoreName};
pub use parse::{declare_store, parse};
#[cfg(feature = "k8s")]
pub use replication_link::{ReplicationLink, ReplicationLinkSpec};
pub use shape::TopologyFault;
pub use share::{InvalidShare, Share};
#[cfg(feature = "k8s")]
pub use status::{
    CollectionStatus, GeoStoreStatus, RegionState, RegionStatus, ReplicationLinkStatus,
};
pub use template::{NodeTemplate, StorageTemplate};
pub use time_span::{InvalidTimeSpan, TimeSpan};
pub use tls::{ClientTls, SecretRef, TlsMode, TlsSpec};

/// The API group and version of every Atoll document.
pub const API_VERSION: &str = "atoll.dev/v1alpha1";
/// Most regions of one store.
pub const REGIONS_MAX: usize = 16;
