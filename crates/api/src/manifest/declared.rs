//! Manifests as declared: checked, with defaults filled in. What the rest of Atoll works from.

use super::byte_size::ByteSize;
use super::collection::{DataType, UpdateDelete};
use super::geostore::{LinkSpec, Location, Replicas, Role, TelemetrySpec};
use super::names::{CollectionName, RegionName, StoreName};
use super::template::NodeTemplate;
use super::time_span::TimeSpan;

/// One store with its collections.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreManifest {
    /// The store's name.
    pub name: StoreName,
    /// The Kubernetes namespace, when one is written.
    pub namespace: Option<String>,
    /// Which regions pull from which.
    pub topology: Topology,
    /// Silence after which another way is taken.
    pub failover_after: TimeSpan,
    /// The regions in the order written; at least one, at least one of them a leader.
    pub regions: Vec<DeclaredRegion>,
    /// What the store is expected to keep to.
    pub objectives: Objectives,
    /// How much log is kept for silent regions.
    pub log_retention: LogRetention,
    /// How much of the ledger is kept.
    pub conflict_retention: ConflictRetention,
    /// Where metrics, traces and logs are sent, if anywhere.
    pub telemetry: TelemetrySpec,
    /// The collections in the order written.
    pub collections: Vec<DeclaredCollection>,
}

impl StoreManifest {
    /// The region of that name.
    #[must_use]
    pub fn region(&self, name: &str) -> Option<&DeclaredRegion> {
        self.regions
            .iter()
            .find(|region| region.name.as_str() == name)
    }

    /// The collection of that name.
    #[must_use]
    pub fn collection(&self, name: &str) -> Option<&DeclaredCollection> {
        self.collections
            .iter()
            .find(|collection| collection.name.as_str() == name)
    }
}

/// Which regions pull from which; every region reaches every other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    /// Every region from every other.
    AllToAll,
    /// Every region from the one before it.
    Ring {
        /// All regions, each once; at least three.
        order: Vec<RegionName>,
    },
    /// Every region from the hub, the hub from every region.
    Star {
        /// The region in the middle.
        hub: RegionName,
    },
    /// As listed.
    Custom {
        /// The links, each once.
        links: Vec<LinkSpec>,
    },
}

/// One region.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclaredRegion {
    /// Its name.
    pub name: RegionName,
    /// Its number of nodes.
    pub replicas: Replicas,
    /// Whether it accepts writes.
    pub role: Role,
    /// Where it runs; absent: at hand.
    pub location: Option<Location>,
    /// The store's template with the region's differences laid over it.
    pub template: NodeTemplate,
}

/// What the store is expected to keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Objectives {
    /// Lag beyond which a link is reported.
    pub max_lag: TimeSpan,
    /// Clock offset beyond which a region stops originating writes.
    pub max_clock_skew: TimeSpan,
}

/// How much log is kept for a silent region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRetention {
    /// For how long.
    pub max_age: TimeSpan,
    /// How much.
    pub max_size: ByteSize,
}

/// How much of the ledger is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConflictRetention {
    /// For how long.
    pub max_age: TimeSpan,
    /// How many rows.
    pub max_rows: u64,
}

/// One collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredCollection {
    /// Its name.
    pub name: CollectionName,
    /// What its keys hold.
    pub data_type: DataType,
    /// What is shown of concurrent writes. For types that merge it is the default and never asked.
    pub conflicts: DeclaredConflicts,
}

/// What is shown of concurrent writes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DeclaredConflicts {
    /// Which of several concurrent values.
    pub policy: DeclaredPolicy,
    /// What of a delete and an update.
    pub update_delete: UpdateDelete,
}

/// Which of several concurrent values is shown.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum DeclaredPolicy {
    /// The one with the latest time.
    #[default]
    LastWriterWins,
    /// The one from the region listed first.
    OriginPriority {
        /// Regions of the store, each once, highest first; at least one.
        origins: Vec<RegionName>,
    },
    /// All of them.
    KeepSiblings,
}

impl Objectives {
    pub(crate) const DEFAULT: Objectives = Objectives {
        max_lag: TimeSpan::from_secs(2),
        max_clock_skew: TimeSpan::from_millis(500),
    };
}

impl LogRetention {
    pub(crate) const DEFAULT: LogRetention = LogRetention {
        max_age: TimeSpan::from_hours(72),
        max_size: ByteSize::from_gibibytes(8),
    };
}

impl ConflictRetention {
    pub(crate) const DEFAULT: ConflictRetention = ConflictRetention {
        max_age: TimeSpan::from_hours(720),
        max_rows: 1_000_000,
    };
}

/// Links are looked at every 250 ms, and have to be steady for half of it.
pub(crate) const FAILOVER_AFTER_MIN: TimeSpan = TimeSpan::from_secs(1);
pub(crate) const FAILOVER_AFTER_DEFAULT: TimeSpan = TimeSpan::from_secs(5);
pub(crate) const STORAGE_SIZE_DEFAULT: ByteSize = ByteSize::from_gibibytes(10);
