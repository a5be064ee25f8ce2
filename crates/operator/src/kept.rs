//! What is kept of the API server's objects: what passes read of them, and no more.
//!
//! A store has about forty objects, and an operator may look after thousands of stores: whole objects, even their whole
//! metadata, would be most of its memory.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use atoll_api::manifest::{Collection, GeoStore, RegionName, ReplicationLink};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::DeserializeGuard;
use kube::{Resource, ResourceExt as _};

use crate::names::{JOINED, REGION};
use crate::observe::{ClaimSeen, PodSeen, RegionObjects};
use crate::seen;

/// Of any object that the operator makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// What it is besides its status, as [`fingerprint`] tells.
    pub(crate) print: u64,
    pub(crate) uid: Box<str>,
    pub(crate) version: Box<str>,
    /// The region that its label names, whatever is written there.
    pub(crate) region: Option<Box<str>>,
    /// Whether its label says that its region joined a store that was there.
    pub(crate) joined: Option<bool>,
    /// The uids of those whom it belongs to.
    pub(crate) owners: Box<[Box<str>]>,
    pub(crate) is_leaving: bool,
}

/// Of a StatefulSet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeptSet {
    pub(crate) kept: Kept,
    /// Without pods and claims, which have watches of their own.
    pub(crate) objects: RegionObjects,
}

/// Of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptPod {
    pub(crate) region: Option<RegionName>,
    /// Absent when its name is not one that a StatefulSet gives.
    pub(crate) seen: Option<PodSeen>,
}

/// Of a volume claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptClaim {
    pub(crate) region: Option<RegionName>,
    pub(crate) uid: String,
    pub(crate) is_leaving: bool,
    pub(crate) seen: ClaimSeen,
}

/// Of a link.
#[derive(Clone, Debug)]
pub(crate) struct KeptLink {
    pub(crate) kept: Kept,
    /// Absent when it cannot be read.
    pub(crate) link: Option<ReplicationLink>,
}

impl Kept {
    pub(crate) fn of(meta: &ObjectMeta) -> Self {
        let labels = meta.labels.as_ref();
        let label = |key: &str| labels.and_then(|labels| labels.get(key));
        let owners = meta.owner_references.iter().flatten();
        let short = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
        Kept {
            print: fingerprint(meta),
            uid: short(&meta.uid),
            version: short(&meta.resource_version),
            region: label(REGION).map(|region| region.as_str().into()),
            joined: label(JOINED).map(|joined| joined == "true"),
            owners: owners.map(|owner| owner.uid.as_str().into()).collect(),
            is_leaving: meta.deletion_timestamp.is_some(),
        }
    }
}

impl KeptSet {
    pub(crate) fn of(set: &StatefulSet) -> Self {
        KeptSet {
            kept: Kept::of(&set.metadata),
            objects: seen::of_set(set),
        }
    }
}

impl KeptPod {
    pub(crate) fn of(pod: &Pod) -> Self {
        KeptPod {
            region: region_of(pod.labels()),
            seen: seen::of_pod(pod),
        }
    }
}

impl KeptClaim {
    pub(crate) fn of(claim: &PersistentVolumeClaim) -> Self {
        KeptClaim {
            region: region_of(claim.labels()),
            uid: claim.uid().unwrap_or_default(),
            is_leaving: claim.metadata.deletion_timestamp.is_some(),
            seen: seen::of_claim(claim),
        }
    }
}

impl KeptLink {
    pub(crate) fn of(guarded: DeserializeGuard<ReplicationLink>) -> Self {
        let kept = Kept::of(guarded.meta());
        let link = guarded.0.ok().map(|mut link| {
            link.metadata = ObjectMeta {
                name: link.metadata.name,
                namespace: link.metadata.namespace,
                generation: link.metadata.generation,
                ..ObjectMeta::default()
            };
            if let Some(status) = &mut link.status {
                status.conditions.shrink_to_fit();
            }
            link
        });
        KeptLink { kept, link }
    }
}

/// Of a store: all but what people and other programs note at it.
pub(crate) fn without_notes(store: &mut DeserializeGuard<GeoStore>) {
    forget_notes(store.meta_mut());
    if let Ok(store) = &mut store.0
        && let Some(status) = &mut store.status
    {
        status.conditions.shrink_to_fit();
        status.regions.shrink_to_fit();
    }
}

/// The same of a collection.
pub(crate) fn collection(
    mut collection: DeserializeGuard<Collection>,
) -> DeserializeGuard<Collection> {
    forget_notes(collection.meta_mut());
    collection
}

fn forget_notes(meta: &mut ObjectMeta) {
    (meta.managed_fields, meta.annotations) = (None, None);
}

fn region_of(labels: &BTreeMap<String, String>) -> Option<RegionName> {
    labels.get(REGION)?.parse().ok()
}

/// What an object is besides its status. Where the API server counts generations, they stand for the content.
pub(crate) fn fingerprint(meta: &ObjectMeta) -> u64 {
    let mut hasher = DefaultHasher::new();
    match meta.generation {
        Some(generation) => generation.hash(&mut hasher),
        None => meta.resource_version.hash(&mut hasher),
    }
    meta.uid.hash(&mut hasher);
    meta.labels.hash(&mut hasher);
    meta.deletion_timestamp.is_some().hash(&mut hasher);
    let owners = meta.owner_references.iter().flatten();
    owners.for_each(|owner| owner.uid.hash(&mut hasher));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use serde_json::{Value, json};

    use super::*;

    fn meta() -> Value {
        json!({
            "name": "shop-eu", "namespace": "team", "uid": "a1", "resourceVersion": "7",
            "labels": { "atoll.dev/region": "eu", "atoll.dev/joined": "true" },
            "annotations": { "note": "long" },
            "ownerReferences": [
                { "apiVersion": "v1", "kind": "GeoStore", "name": "shop", "uid": "7c9e" },
                { "apiVersion": "v1", "kind": "Team", "name": "team", "uid": "b2" },
            ],
        })
    }

    fn kept(meta: Value) -> Kept {
        Kept::of(&serde_json::from_value(meta).unwrap())
    }

    /// Caught: a print without labels, by which an object that lost one seemed to be as it was made.
    #[test]
    fn every_change_but_a_status_is_another_print() {
        let before = kept(meta());
        assert_eq!((&*before.uid, &*before.version), ("a1", "7"));
        assert_eq!(
            (before.region.as_deref(), before.joined),
            (Some("eu"), Some(true))
        );
        assert_eq!(*before.owners, ["7c9e".into(), "b2".into()]);
        assert!(!before.is_leaving);
        for (field, value) in [
            ("uid", json!("a2")),
            ("resourceVersion", json!("8")),
            ("labels", json!({ "atoll.dev/region": "eu" })),
            ("ownerReferences", json!([])),
            ("deletionTimestamp", json!("2026-01-01T00:00:00Z")),
        ] {
            let mut changed = meta();
            changed[field] = value;
            assert_ne!(kept(changed).print, before.print, "{field}");
        }
        // Where generations are counted, a status changes the version alone.
        let (mut one, mut other) = (meta(), meta());
        (one["generation"], other["generation"]) = (json!(3), json!(3));
        other["resourceVersion"] = json!("8");
        assert_eq!(kept(one).print, kept(other).print);
    }

    #[test]
    fn of_a_link_its_labels_go_and_its_state_stays() {
        let link = |spec: Value| {
            let mut meta = meta();
            meta["generation"] = json!(2);
            let status = json!({ "state": "Streaming" });
            let link = json!({
                "apiVersion": "atoll.dev/v1alpha1", "kind": "ReplicationLink",
                "metadata": meta, "spec": spec, "status": status,
            });
            KeptLink::of(serde_json::from_value(link).unwrap())
        };
        let readable = link(json!({ "storeRef": { "name": "shop" }, "from": "eu", "to": "us" }));
        let found = readable.link.unwrap();
        assert_eq!(found.metadata.generation, Some(2));
        assert_eq!(found.metadata.name.as_deref(), Some("shop-eu"));
        assert!(found.metadata.labels.is_none() && found.metadata.owner_references.is_none());
        assert_eq!(found.status.unwrap().state.as_deref(), Some("Streaming"));
        let other = link(json!({ "from": 5 }));
        assert!(other.link.is_none());
        assert_eq!(other.kept, readable.kept);
    }

    /// Caught: a pod that somebody gave a region's label, taken for its first node.
    #[test]
    fn of_nodes_what_plans_are_made_of_stays() {
        let pod = |name: &str| {
            let pod = json!({
                "metadata": {
                    "name": name, "uid": "c3",
                    "labels": { "atoll.dev/region": "eu", "controller-revision-hash": "r2" },
                },
                "status": { "podIP": "10.0.0.1", "conditions": [{ "type": "Ready", "status": "True" }] },
            });
            KeptPod::of(&serde_json::from_value(pod).unwrap())
        };
        let region: Option<RegionName> = Some("eu".parse().unwrap());
        let seen = pod("shop-eu-1").seen.unwrap();
        assert_eq!((seen.ordinal, seen.revision.as_str()), (1, "r2"));
        assert!(seen.is_ready && seen.ip.as_deref() == Some("10.0.0.1"));
        let other = pod("debug");
        assert!(other.seen.is_none() && other.region == region);

        let template = json!({ "spec": { "resources": { "requests": { "storage": "5Gi" } } } });
        let set = json!({
            "metadata": meta(),
            "spec": {
                "replicas": 3, "serviceName": "shop-eu-nodes", "selector": {}, "template": {},
                "volumeClaimTemplates": [template],
            },
            "status": { "replicas": 3, "updateRevision": "r2" },
        });
        let set = KeptSet::of(&serde_json::from_value(set).unwrap());
        assert_eq!(set.kept, kept(meta()));
        assert_eq!(set.objects.replicas, 3);
        assert_eq!(set.objects.claim_size, Some("5Gi".parse().unwrap()));
        assert_eq!(set.objects.update_revision.as_deref(), Some("r2"));

        let claim = json!({
            "metadata": { "name": "data-shop-eu-0", "uid": "d4", "labels": { "atoll.dev/region": "eu" } },
            "spec": { "resources": { "requests": { "storage": "5Gi" } } },
            "status": { "phase": "Bound", "capacity": { "storage": "6Gi" } },
        });
        let claim = KeptClaim::of(&serde_json::from_value(claim).unwrap());
        assert_eq!(
            (claim.uid.as_str(), claim.is_leaving, &claim.region),
            ("d4", false, &region)
        );
        assert_eq!(claim.seen.has, Some("6Gi".parse().unwrap()));
        assert!(claim.seen.is_bound);
    }
}
