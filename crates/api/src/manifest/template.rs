//! What a region's nodes look like: the store's template, and a region's differences.
//!
//! Without Kubernetes only `storage` means something; the rest is carried along unread.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::byte_size::ByteSize;

/// Settings of a region's nodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "k8s", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct NodeTemplate {
    /// The nodes' disks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageTemplate>,
    /// The image in full; absent: the operator's, at the store's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "k8s", schemars(length(min = 1, max = 512)))]
    pub image: Option<String>,
    /// When the image is pulled: Always, IfNotPresent or Never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "k8s",
        schemars(extend("enum" = ["Always", "IfNotPresent", "Never"]))
    )]
    pub image_pull_policy: Option<String>,
    /// Secrets of the namespace that pull the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "k8s",
        schemars(with = "Option<Vec<k8s_openapi::api::core::v1::LocalObjectReference>>")
    )]
    pub image_pull_secrets: Option<Value>,
    /// Requests and limits of the node's container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "k8s",
        schemars(with = "Option<k8s_openapi::api::core::v1::ResourceRequirements>")
    )]
    pub resources: Option<Value>,
    /// Labels of the machines that pods may run on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<BTreeMap<String, String>>,
    /// Which pods go before others when machines are full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "k8s", schemars(length(min = 1, max = 253)))]
    pub priority_class_name: Option<String>,
    /// Where pods may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "k8s",
        schemars(with = "Option<k8s_openapi::api::core::v1::Affinity>")
    )]
    pub affinity: Option<Value>,
    /// Taints that pods tolerate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "k8s",
        schemars(with = "Option<Vec<k8s_openapi::api::core::v1::Toleration>>")
    )]
    pub tolerations: Option<Value>,
    /// How pods spread over zones and machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "k8s",
        schemars(with = "Option<Vec<k8s_openapi::api::core::v1::TopologySpreadConstraint>>")
    )]
    pub topology_spread: Option<Value>,
    /// Labels added to pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_labels: Option<BTreeMap<String, String>>,
    /// Annotations added to pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_annotations: Option<BTreeMap<String, String>>,
}

/// A node's disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "k8s", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StorageTemplate {
    /// How much a node may keep. Default: 10Gi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<ByteSize>,
    /// The storage class of the volume. Absent: the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "k8s", schemars(length(min = 1, max = 253)))]
    pub storage_class_name: Option<String>,
}

impl NodeTemplate {
    /// This template with `overrides` laid over it, field by field: `storage` by its own fields, labels
    /// and annotations by name, everything else as a whole.
    #[must_use]
    pub fn overridden_by(&self, overrides: &NodeTemplate) -> NodeTemplate {
        let NodeTemplate {
            storage,
            image,
            image_pull_policy,
            image_pull_secrets,
            resources,
            node_selector,
            priority_class_name,
            affinity,
            tolerations,
            topology_spread,
            pod_labels,
            pod_annotations,
        } = overrides;
        NodeTemplate {
            storage: merged(
                self.storage.as_ref(),
                storage.as_ref(),
                StorageTemplate::overridden_by,
            ),
            image: image.as_ref().or(self.image.as_ref()).cloned(),
            image_pull_policy: image_pull_policy
                .as_ref()
                .or(self.image_pull_policy.as_ref())
                .cloned(),
            image_pull_secrets: image_pull_secrets
                .as_ref()
                .or(self.image_pull_secrets.as_ref())
                .cloned(),
            resources: resources.as_ref().or(self.resources.as_ref()).cloned(),
            node_selector: merged(self.node_selector.as_ref(), node_selector.as_ref(), by_name),
            priority_class_name: priority_class_name
                .as_ref()
                .or(self.priority_class_name.as_ref())
                .cloned(),
            affinity: affinity.as_ref().or(self.affinity.as_ref()).cloned(),
            tolerations: tolerations.as_ref().or(self.tolerations.as_ref()).cloned(),
            topology_spread: topology_spread
                .as_ref()
                .or(self.topology_spread.as_ref())
                .cloned(),
            pod_labels: merged(self.pod_labels.as_ref(), pod_labels.as_ref(), by_name),
            pod_annotations: merged(
                self.pod_annotations.as_ref(),
                pod_annotations.as_ref(),
                by_name,
            ),
        }
    }
}

impl StorageTemplate {
    fn overridden_by(&self, overrides: &StorageTemplate) -> StorageTemplate {
        let StorageTemplate {
            size,
            storage_class_name,
        } = overrides;
        StorageTemplate {
            size: size.or(self.size),
            storage_class_name: storage_class_name
                .as_ref()
                .or(self.storage_class_name.as_ref())
                .cloned(),
        }
    }
}

fn by_name(
    base: &BTreeMap<String, String>,
    over: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    base.iter()
        .chain(over)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn merged<T: Clone>(base: Option<&T>, over: Option<&T>, merge: impl Fn(&T, &T) -> T) -> Option<T> {
    match (base, over) {
        (Some(base), Some(over)) => Some(merge(base, over)),
        (one, other) => other.or(one).cloned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn overrides_are_merged_field_by_field() {
        let read = |text: &str| serde_yaml_ng::from_str::<NodeTemplate>(text).unwrap();
        let base =
            read("{storage: {size: 10Gi, storageClassName: fast}, podLabels: {a: '1', b: '1'}}");
        let over =
            read("{storage: {size: 20Gi}, podLabels: {b: '2'}, resources: {limits: {cpu: '2'}}}");
        let expected = read(
            "{storage: {size: 20Gi, storageClassName: fast}, podLabels: {a: '1', b: '2'}, \
             resources: {limits: {cpu: '2'}}}",
        );
        assert_eq!(base.overridden_by(&over), expected);
        assert_eq!(base.overridden_by(&NodeTemplate::default()), base);
        assert_eq!(NodeTemplate::default().overridden_by(&over), over);
    }
}
