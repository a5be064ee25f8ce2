//! From the API server's objects to what plans are made of.

use std::collections::BTreeMap;

use atoll_api::manifest::{ByteSize, RegionName};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt as _;

use crate::caches::Children;
use crate::kept::KeptSet;
use crate::kinds::Kind;
use crate::names;
use crate::observe::{ClaimSeen, Observed, PodSeen, RegionObjects, RegionSeen};
use crate::validate::Declared;

/// The label that a StatefulSet gives its pods.
const REVISION: &str = "controller-revision-hash";

/// What there is of a store's regions; nobody was asked anything yet.
pub(crate) fn objects(declared: &Declared, children: &Children) -> Observed {
    let mut regions = BTreeMap::<RegionName, RegionSeen>::new();
    for region in &declared.manifest.regions {
        regions.entry(region.name.clone()).or_default();
    }
    let claims = children.claims.iter();
    for region in claims.filter_map(|(_, claim)| claim.region.as_ref()) {
        // Of a region that is not declared, volumes alone say nothing.
        if let Some(seen) = regions.get_mut(region) {
            (seen.was_made, seen.has_volumes) = (true, true);
        }
    }
    for ((kind, _), kept) in &children.made {
        let region = kept.region.as_ref();
        let region = region.and_then(|region| region.parse::<RegionName>().ok());
        let seen = region.and_then(|region| regions.get_mut(&region));
        if let Some(seen) = seen.filter(|_| *kind == Kind::ConfigMap) {
            (seen.was_made, seen.joined) = (true, kept.joined);
        }
    }
    let begins = format!("{}-", declared.name);
    let all = children.stateful_sets.iter();
    for (name, set) in all.filter(|(_, set)| declared.made(&set.kept)) {
        // By its name, which stays; somebody may have changed its labels.
        let region = name.strip_prefix(&begins).and_then(|r| r.parse().ok());
        let Some(region): Option<RegionName> = region else {
            continue;
        };
        let seen = regions.entry(region.clone()).or_default();
        seen.joined = seen.joined.or(set.kept.joined);
        let objects = of_region(name, set, &region, children);
        seen.has_volumes |= !objects.claims.is_empty();
        seen.objects = Some(objects);
    }
    Observed { regions }
}

fn of_region(name: &str, set: &KeptSet, region: &RegionName, children: &Children) -> RegionObjects {
    let of_set = |pod: &str| pod.rsplit_once('-').is_some_and(|(set, _)| set == name);
    let pods = children.pods.iter();
    let pods = pods.filter(|(name, pod)| pod.region.as_ref() == Some(region) && of_set(name));
    let mut pods: Vec<PodSeen> = pods.filter_map(|(_, pod)| pod.seen.clone()).collect();
    pods.sort_by_key(|pod| pod.ordinal);
    let claims = children.claims.iter();
    let claims = claims.filter(|(_, claim)| claim.region.as_ref() == Some(region));
    RegionObjects {
        pods,
        // By name, as they are kept.
        claims: claims.map(|(_, claim)| claim.seen.clone()).collect(),
        ..set.objects.clone()
    }
}

/// What a StatefulSet is, without its pods and claims.
pub(crate) fn of_set(set: &StatefulSet) -> RegionObjects {
    let spec = set.spec.as_ref();
    let status = set.status.as_ref();
    // Until the StatefulSet's controller has seen the last change, its revisions are of the one before.
    let is_current =
        status.and_then(|status| status.observed_generation) >= set.metadata.generation;
    let template = spec.and_then(|spec| spec.volume_claim_templates.as_ref()?.first());
    RegionObjects {
        replicas: spec
            .and_then(|spec| u8::try_from(spec.replicas?).ok())
            .unwrap_or_default(),
        claim_size: template.and_then(wanted),
        update_revision: status
            .filter(|_| is_current)
            .and_then(|status| status.update_revision.clone()),
        ..RegionObjects::default()
    }
}

/// A pod; `None` when its name is not one that a StatefulSet gives.
pub(crate) fn of_pod(pod: &Pod) -> Option<PodSeen> {
    let status = pod.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let holds = |kind: &str| {
        let mut all = conditions.into_iter().flatten();
        all.any(|condition| condition.type_ == kind && condition.status == "True")
    };
    let is_ready = holds("Ready");
    Some(PodSeen {
        ordinal: names::ordinal(&pod.name_any())?,
        uid: pod.uid().unwrap_or_default(),
        ip: status.and_then(|status| status.pod_ip.clone()),
        is_ready,
        is_leaving: pod.metadata.deletion_timestamp.is_some(),
        revision: pod.labels().get(REVISION).cloned().unwrap_or_default(),
        trouble: if is_ready { None } else { trouble(pod) },
    })
}

/// Why a pod does not run: what its container waits for, or why it cannot be placed.
fn trouble(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let containers = status.container_statuses.iter().flatten();
    let waiting = containers
        .filter_map(|container| container.state.as_ref()?.waiting.as_ref())
        .filter_map(|waiting| {
            let reason = waiting.reason.clone()?;
            // What every start goes through.
            if matches!(reason.as_str(), "ContainerCreating" | "PodInitializing") {
                return None;
            }
            Some(match &waiting.message {
                Some(message) => format!("{reason}: {message}"),
                None => reason,
            })
        })
        .next();
    waiting.or_else(|| {
        let mut conditions = status.conditions.iter().flatten();
        let placed = conditions
            .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
        placed.message.clone()
    })
}

/// A volume claim.
pub(crate) fn of_claim(claim: &PersistentVolumeClaim) -> ClaimSeen {
    let status = claim.status.as_ref();
    let has = status.and_then(|status| size(status.capacity.as_ref()?.get("storage")?));
    ClaimSeen {
        name: claim.name_any(),
        wanted: wanted(claim),
        has,
        is_bound: status.and_then(|status| status.phase.as_deref()) == Some("Bound"),
    }
}

fn wanted(claim: &PersistentVolumeClaim) -> Option<ByteSize> {
    let resources = claim.spec.as_ref()?.resources.as_ref()?;
    size(resources.requests.as_ref()?.get("storage")?)
}

fn size(quantity: &Quantity) -> Option<ByteSize> {
    quantity.0.parse().ok()
}
