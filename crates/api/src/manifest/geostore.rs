//! GeoStore as written: one multi-leader store, its regions and how they are linked.
//!
//! Fields with a default are optional here; [`super::StoreManifest`] has the defaults filled in. Doc
//! comments are what `kubectl explain` shows.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::byte_size::ByteSize;
use super::endpoint::Endpoint;
use super::names::RegionName;
use super::share::Share;
use super::template::NodeTemplate;
use super::time_span::TimeSpan;
use super::tls::{SecretRef, TlsSpec};

/// A geo-distributed, multi-leader store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "k8s", derive(kube::CustomResource, schemars::JsonSchema))]
#[cfg_attr(
    feature = "k8s",
    allow(clippy::duplicated_attributes, reason = "every column names its type")
)]
#[cfg_attr(
    feature = "k8s",
    kube(
        group = "atoll.dev",
        version = "v1alpha1",
        kind = "GeoStore",
        plural = "geostores",
        shortname = "gs",
        category = "atoll",
        namespaced,
        derive = "PartialEq",
        status = "super::status::GeoStoreStatus",
        doc = "A geo-distributed, multi-leader store: its regions and the links between them.",
        printcolumn(name = "Topology", type_ = "string", json_path = ".spec.topology.type"),
        printcolumn(name = "Regions", type_ = "string", json_path = ".status.regionsReady"),
        printcolumn(
            name = "Ready",
            type_ = "string",
            json_path = ".status.conditions[?(@.type==\"Ready\")].status"
        ),
        printcolumn(
            name = "Converged",
            type_ = "string",
            json_path = ".status.conditions[?(@.type==\"Converged\")].status"
        ),
        printcolumn(name = "Max Lag", type_ = "string", json_path = ".status.maxLag"),
        printcolumn(
            name = "Conflicts/min",
            type_ = "string",
            json_path = ".status.conflictsPerMinute"
        ),
        printcolumn(
            name = "Reason",
            type_ = "string",
            priority = 1,
            json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
        ),
        printcolumn(
            name = "Message",
            type_ = "string",
            priority = 1,
            json_path = ".status.conditions[?(@.type==\"Ready\")].message"
        ),
        printcolumn(
            name = "Age",
            type_ = "date",
            json_path = ".metadata.creationTimestamp"
        )
    )
)]
#[serde(rename_all = "camelCase")]
pub struct GeoStoreSpec {
    /// Which regions pull from which.
    pub topology: TopologySpec,
    /// The regions, each with its own leader.
    #[cfg_attr(
        feature = "k8s",
        schemars(
            length(min = 1, max = 16),
            extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
        )
    )]
    pub regions: Vec<RegionSpec>,
    /// The version of Atoll that runs the nodes. Default: the operator's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "k8s",
        schemars(
            length(min = 1, max = 128),
            regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")
        )
    )]
    pub version: Option<String>,
    /// The store's id, 16 hexadecimal digits, equal in every cluster. Default: made from namespace and name.
    /// Never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "k8s",
        schemars(length(max = 16), regex(pattern = r"^[0-9a-f]{16}$"))
    )]
    pub store_id: Option<String>,
    /// What becomes of the volumes when the store is deleted. Default: Retain. A region that leaves a store has
    /// handed over all that it wrote, so its volumes go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// How changes reach nodes that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_strategy: Option<UpdateStrategySpec>,
    /// What holds for every region's nodes unless the region says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<NodeTemplate>,
    /// How nodes, clients and the operator talk. Default: by TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// What the store is expected to keep to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objectives: Option<ObjectivesSpec>,
    /// How much is kept for regions that are silent, and of past conflicts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<RetentionSpec>,
    /// Where metrics, traces and logs go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<TelemetrySpec>,
}

/// Which regions pull from which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "k8s", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TopologySpec {
    /// The shape of the links.
    #[serde(rename = "type")]
    pub kind: TopologyKind,
    /// Ring: the regions in ring order. Default: the order of `regions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "k8s",
        schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"))
    )]
    pub order: Option<Vec<RegionName>>,
    /// Star: the region in the middle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub: Option<RegionName>,
    /// Custom: the links, each in one direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "k8s",
        schemars(
            length(max = 240),
            extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["from", "to"])
        )
    )]
    pub links: Option<Vec<LinkSpec>>,
    /// Silence after which another way is taken. Default: 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failover_after: Option<TimeSpan>,
}

/// The shape of the links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "k8s", derive(schemars::JsonSchema))]
pub enum TopologyKind {
    /// Every region pulls from every other.
    AllToAll,
    /// Every region pulls from the one before it.
    Ring,
    /// Every region pulls from the hub, and the hub from every region.
    Star,
    /// The links as listed.
    Custom,
}

/// One link, in one direction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "k8s", derive(schemars::JsonSchema))]
pub struct LinkSpec {
    /// The region that entries are pulled from.
    pub from: RegionName,
    /// The region that pulls.
    pub to: RegionName,
}

/// A failure domain with one leader and its followers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "k8s", derive(schemars::JsonSchema))]
pub struct RegionSpec {
    /// The region's name, unique in the store.
    pub name: RegionName,
    /// How many nodes hold the region's data: 1, 3 or 5. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Replicas>,
    /// Whether the region accepts writes. Default: Leader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Where the region runs. Absent: in the cluster at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// What differs from the store's template, merged field by field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<NodeTemplate>,
}

/// How many nodes hold a region's data: 1, 3 or 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Replicas(u8);

/// A number of nodes that makes no Raft group worth having.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given} replicas cannot form a region: write 1, 3 or 5")]
pub struct InvalidReplicas {
    /// The number as given.
    pub given: u64,
}

impl Replicas {
    /// A region of a single node.
    pub const ONE: Replicas = Replicas(1);

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u64> for Replicas {
    type Error = InvalidReplicas;

    fn try_from(given: u64) -> Result<Self, InvalidReplicas> {
        match given {
            1 => Ok(Replicas(1)),
            3 => Ok(Replicas(3)),
            5 => Ok(Replicas(5)),
            _ => Err(InvalidReplicas { given }),
        }
    }
}

impl<'de> Deserialize<'de> for Replicas {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl serde::de::Visitor<'_> for Number {
            type Value = Replicas;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("1, 3 or 5")
            }

            fn visit_u64<E: serde::de::Error>(self, given: u64) -> Result<Replicas, E> {
                given.try_into().map_err(E::custom)
            }
        }
        deserializer.deserialize_u64(Number)
    }
}

#[cfg(feature = "k8s")]
impl schemars::JsonSchema for Replicas {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Replicas".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "integer", "enum": [1, 3, 5] })
    }
}

/// Whether a region accepts writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "k8s", derive(schemars::JsonSchema))]
pub enum Role {
    /// Accepts writes and reads.
    #[default]
    Leader,
    /// Accepts reads; passes on what others wrote.
    ReadOnly,
}

/// Where a region runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "k8s", derive(schemars::JsonSchema))]
pub struct Location {
    /// The Kubernetes cluster that runs the region.
    #[cfg_attr(feature = "k8s", schemars(length(min = 1, max = 253)))]
    pub cluster: String,
    /// Where the other clusters reach one of the region's nodes, such as `https://eu.example.org:7401`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// Where they reach several of them, tried in turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "k8s", schemars(length(max = 16)))]
    pub endpoints: Option<Vec<Endpoint>>,
}

/// What becomes of volumes that are not needed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "k8s", derive(schemars::JsonSchema))]
pub enum DeletionPolicy {
    /// They stay: a store of the same name takes them up again.
    #[default]
    Retain,
    /// They are deleted with the nodes.
    Delete,
}

/// How changes reach nodes that run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "k8s", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct UpdateStrategySpec {
    /// The region that is changed first. Default: the first one that takes no writes, else the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<RegionName>,
    /// Whether nodes that run are left alone for now; what is new is made all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
}

/// What the store is expected to keep to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "k8s", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ObjectivesSpec {
    /// Replication lag beyond which a link is reported. Default: 2s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_lag: Option<TimeSpan>,
    /// Clock offset beyond which a region stops originating writes. Default: 500ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_clock_skew: Option<TimeSpan>,
}

/// How much is kept for regions that are silent, and of past conflicts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "k8s", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RetentionSpec {
    /// How long log is kept for a silent region. Default: 72h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<TimeSpan>,
    /// How much log is kept for a silent region. Default: 8Gi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<ByteSize>,
    /// How much of the conflict ledger is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflicts: Option<ConflictRetentionSpec>,
}

/// How much of the conflict ledger is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "k8s", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConflictRetentionSpec {
    /// How long a row and its losing values are kept. Default: 720h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<TimeSpan>,
    /// How many rows are kept. Default: 1000000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "k8s", schemars(range(min = 1), extend("format" = "int64")))]
    pub max_rows: Option<u64>,
}

/// Where metrics, traces and logs go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "k8s", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TelemetrySpec {
    /// An OpenTelemetry collector. Absent: only `/metrics` is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otlp: Option<OtlpSpec>,
    /// Which share of the traces that begin at nodes is kept, from 0 to 1. Default: 0.01.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_ratio: Option<Share>,
}

/// An OpenTelemetry collector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "k8s", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OtlpSpec {
    /// The collector's OTLP/HTTP address.
    pub endpoint: Endpoint,
    /// A Secret with the CAs (`ca.crt`) that the collector's certificate is checked against, where the address is
    /// `https`. Nodes read it when they start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretRef>,
    /// A Secret with what is sent along in HTTP headers: `headers`, as OTEL_EXPORTER_OTLP_HEADERS has them, such as
    /// `authorization=Bearer%20…`. Nodes read it when they start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers_secret_ref: Option<SecretRef>,
    /// Whether nodes' logs go there, too. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<bool>,
}
