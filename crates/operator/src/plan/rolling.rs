//! Nodes that run are restarted when their configuration or version changed: one at a time.
//!
//! A region's leader comes last, after handing over. Regions follow one another: the canary first, the next
//! one only when all regions answer and lag is within what is declared. A node that is down already and not
//! up to date goes first: the change may be what it needs.

use atoll_api::manifest::conditions::ConditionReason;
use atoll_api::manifest::{RegionName, Role};

use super::{Action, Next, World};
use crate::observe::{PodSeen, RegionObjects};

/// The next pod to restart.
pub(super) fn next(world: &World<'_>) -> Next {
    let order = order(world);
    if let Some(region) = order.iter().find(|region| is_unknown(world, region)) {
        return Next::wait(
            ConditionReason::Applying,
            format!(
                "region {region}: what its nodes are to be was changed, and is yet to be taken in"
            ),
        );
    }
    let Some(at) = order.iter().position(|region| is_outdated(world, region)) else {
        return unready(world, &order);
    };
    if world.declared.update.paused == Some(true) {
        return Next::wait(
            ConditionReason::UpdatesPaused,
            format!(
                "region {} runs what was declared before; remove updateStrategy.paused to go on",
                order[at]
            ),
        );
    }
    let region = order[at];
    let Some(objects) = world.seen(region).and_then(|seen| seen.objects.as_ref()) else {
        return Next::Nothing;
    };
    let has_begun = objects.pods.iter().any(|pod| !is_old(objects, pod));
    if at > 0
        && !has_begun
        && let Some(held) = held(world)
    {
        return held;
    }
    in_region(world, region, objects)
}

/// The regions of this cluster in the order of changes.
fn order<'a>(world: &'a World<'_>) -> Vec<&'a RegionName> {
    let declared = world.declared;
    let mut regions: Vec<_> = declared.here().collect();
    let canary = match &declared.update.canary {
        Some(name) => regions.iter().position(|region| region.name == *name),
        None => regions
            .iter()
            .position(|region| region.role == Role::ReadOnly)
            .or(regions.len().checked_sub(1)),
    };
    if let Some(at) = canary {
        let canary = regions.remove(at);
        regions.insert(0, canary);
    }
    regions.into_iter().map(|region| &region.name).collect()
}

/// Whether nobody can tell which nodes are up to date: the StatefulSet's controller has not seen the last change.
fn is_unknown(world: &World<'_>, region: &RegionName) -> bool {
    let objects = world.seen(region).and_then(|seen| seen.objects.as_ref());
    objects.is_some_and(|objects| objects.update_revision.is_none())
}

fn is_outdated(world: &World<'_>, region: &RegionName) -> bool {
    let objects = world.seen(region).and_then(|seen| seen.objects.as_ref());
    objects.is_some_and(|objects| objects.pods.iter().any(|pod| is_old(objects, pod)))
}

fn is_old(objects: &RegionObjects, pod: &PodSeen) -> bool {
    let newest = objects.update_revision.as_ref();
    newest.is_some_and(|newest| pod.revision != *newest)
}

/// Nodes that are down, when none is out of date.
fn unready(world: &World<'_>, order: &[&RegionName]) -> Next {
    let down = order.iter().find_map(|region| {
        let objects = world.seen(region)?.objects.as_ref()?;
        let ready = objects.pods.iter().filter(|pod| pod.is_ready).count();
        let all = usize::from(objects.replicas);
        (ready < all).then(|| {
            let why = super::trouble(world, region);
            format!("region {region}: {ready} of {all} nodes are ready{why}")
        })
    });
    down.map_or(Next::Nothing, |message| {
        Next::wait(ConditionReason::NodesNotReady, message)
    })
}

/// Why the next region has to wait.
fn held(world: &World<'_>) -> Option<Next> {
    let manifest = &world.declared.manifest;
    let lag_max = manifest.objectives.max_lag;
    let lag_seconds_max = lag_max.as_duration().as_secs_f64();
    let silent = manifest
        .regions
        .iter()
        .find(|region| world.observed.said(&region.name).is_none());
    let message = if let Some(region) = silent {
        format!("the next region waits: {} does not answer", region.name)
    } else {
        let behind =
            |(_, said): &(&RegionName, &crate::observe::Said)| !said.is_in_step(lag_seconds_max);
        let (region, _) = world.observed.answering().find(behind)?;
        format!("the next region waits: {region} lags by more than {lag_max}")
    };
    Some(Next::wait(ConditionReason::WaitingForConvergence, message))
}

fn in_region(world: &World<'_>, region: &RegionName, objects: &RegionObjects) -> Next {
    let names = world.declared.names(region);
    let wait = |message: String| {
        Next::wait(
            ConditionReason::RollingUpdate,
            format!("region {region}: {message}"),
        )
    };
    let restart = |pod: &PodSeen| {
        let done = objects.pods.iter().filter(|p| !is_old(objects, p)).count();
        let (pod, uid) = (names.pod(pod.ordinal), pod.uid.clone());
        let all = objects.pods.len();
        let message = format!("region {region}: restarting {pod}, {done} of {all} are done");
        let action = Action::RestartPod { pod, uid };
        Next::act(action, ConditionReason::RollingUpdate, message)
    };
    let mut leaving = objects.pods.iter().filter(|pod| pod.is_leaving);
    if let Some(pod) = leaving.next() {
        return wait(format!("{} is stopping", names.pod(pod.ordinal)));
    }
    if objects.pods.len() < usize::from(objects.replicas) {
        return wait("a pod is to be made again".to_owned());
    }
    let down: Vec<&PodSeen> = objects.pods.iter().filter(|pod| !pod.is_ready).collect();
    match down.as_slice() {
        [] => {}
        [pod] if is_old(objects, pod) => return restart(pod),
        // More than one is down: a restart of those that are old takes nothing away.
        several if several.len() > 1 => {
            if let Some(pod) = several.iter().find(|pod| is_old(objects, pod)) {
                return restart(pod);
            }
            return wait(format!(
                "its nodes are down{}",
                super::trouble(world, region)
            ));
        }
        [pod, ..] => {
            let pod = names.pod(pod.ordinal);
            let why = super::trouble(world, region);
            return wait(format!("{pod} is to take requests again{why}"));
        }
    }
    let Some(said) = world.observed.said(region) else {
        return wait("it does not answer".to_owned());
    };
    let leader = said.leader.as_deref().unwrap_or_default();
    let leads = |pod: &PodSeen| {
        let node = names.node(pod.ordinal);
        let mut nodes = said.nodes.iter();
        nodes.any(|known| known.name == node && known.address == leader)
    };
    let old: Vec<_> = objects.pods.iter().filter(|p| is_old(objects, p)).collect();
    let followers = old.iter().rev().find(|pod| !leads(pod));
    followers
        .or(old.first())
        .map_or(Next::Nothing, |pod| restart(pod))
}
