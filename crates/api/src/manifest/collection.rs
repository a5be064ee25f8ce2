//! Collection as written: a named set of keys with one data type and one conflict policy.

use serde::{Deserialize, Serialize};

use super::names::{RegionName, StoreName};

/// A set of keys with one data type and one conflict policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
        kind = "Collection",
        plural = "collections",
        shortname = "gcol",
        category = "atoll",
        namespaced,
        derive = "PartialEq",
        status = "super::status::CollectionStatus",
        doc = "A set of keys of a GeoStore with one data type and one conflict policy.",
        printcolumn(name = "Store", type_ = "string", json_path = ".spec.storeRef.name"),
        printcolumn(name = "Type", type_ = "string", json_path = ".spec.type"),
        printcolumn(
            name = "Policy",
            type_ = "string",
            json_path = ".spec.conflicts.policy"
        ),
        printcolumn(
            name = "Ready",
            type_ = "string",
            json_path = ".status.conditions[?(@.type==\"Ready\")].status"
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
pub struct CollectionSpec {
    /// The store that holds the collection.
    pub store_ref: StoreRef,
    /// What its keys hold. Never changes.
    #[serde(rename = "type")]
    pub data_type: DataType,
    /// What is shown of concurrent writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflicts: Option<ConflictsSpec>,
}

/// Names a GeoStore of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "k8s", derive(schemars::JsonSchema))]
pub struct StoreRef {
    /// The GeoStore's name.
    pub name: StoreName,
}

/// What the keys of a collection hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "k8s", derive(schemars::JsonSchema))]
pub enum DataType {
    /// Any JSON value or bytes, replaced as a whole.
    Register,
    /// A JSON object, merged field by field.
    Document,
    /// A number whose increments all survive.
    Counter,
    /// A set of JSON values; an add survives a concurrent remove.
    Set,
    /// Named fields, each a register, a counter or a set.
    Map,
}

impl DataType {
    /// All types.
    pub const ALL: [DataType; 5] = [
        DataType::Register,
        DataType::Document,
        DataType::Counter,
        DataType::Set,
        DataType::Map,
    ];

    /// The name as written in manifests.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            DataType::Register => "Register",
            DataType::Document => "Document",
            DataType::Counter => "Counter",
            DataType::Set => "Set",
            DataType::Map => "Map",
        }
    }

    /// Whether concurrent writes of the whole type always merge, so that no policy is ever asked.
    #[must_use]
    pub const fn merges(self) -> bool {
        match self {
            DataType::Counter | DataType::Set => true,
            DataType::Register | DataType::Document | DataType::Map => false,
        }
    }
}

/// What is shown of concurrent writes. Changing it changes the answers at once, and no stored version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "k8s", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConflictsSpec {
    /// Which of several concurrent values is shown. Default: LastWriterWins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// OriginPriority: regions, highest first. Regions not listed come last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "k8s",
        schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "set"))
    )]
    pub origins: Option<Vec<RegionName>>,
    /// What is shown of a delete and a concurrent update. Default: UpdateWins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_delete: Option<UpdateDelete>,
}

/// Which of several concurrent values is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "k8s", derive(schemars::JsonSchema))]
pub enum Policy {
    /// The one with the latest time.
    #[default]
    LastWriterWins,
    /// The one from the region that is named first in `origins`.
    OriginPriority,
    /// All of them.
    KeepSiblings,
}

/// What is shown of a delete and a concurrent update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "k8s", derive(schemars::JsonSchema))]
pub enum UpdateDelete {
    /// The update.
    #[default]
    UpdateWins,
    /// Nothing: the delete stands.
    DeleteWins,
    /// Both, as siblings.
    KeepBoth,
}
