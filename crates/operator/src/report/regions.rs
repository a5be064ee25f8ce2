//! The regions in a store's status.

use atoll_api::http::MemberState;
use atoll_api::manifest::{RegionName, RegionState, RegionStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Found;
use crate::names;
use crate::observe::{Answer, RegionSeen, Said};
use crate::rate;

/// Regions that take requests.
pub(super) fn ready(found: &Found<'_>) -> usize {
    let regions = found.declared.manifest.regions.iter();
    let takes = |seen: &&RegionSeen| {
        seen.is_active() && seen.said().is_some_and(|said| said.leader.is_some())
    };
    regions
        .filter_map(|region| found.observed.regions.get(&region.name))
        .filter(takes)
        .count()
}

/// All regions: those declared in their order, then those that leave.
pub(super) fn all(found: &Found<'_>, before: &[RegionStatus]) -> Vec<RegionStatus> {
    let declared = found.declared.manifest.regions.iter();
    let leaving = found.plan.kept.iter();
    let names = declared.map(|region| &region.name).chain(leaving);
    names
        .map(|name| {
            let old = before.iter().find(|old| old.name == *name);
            one(found, name, old)
        })
        .collect()
}

fn one(found: &Found<'_>, name: &RegionName, old: Option<&RegionStatus>) -> RegionStatus {
    let empty = RegionSeen::default();
    let seen = found.observed.regions.get(name).unwrap_or(&empty);
    let nodes = nodes(seen);
    let mut status = match &seen.answer {
        Answer::Said(said) => RegionStatus {
            name: name.clone(),
            state: state(seen, said),
            nodes,
            leader: leader(said),
            version: Some(said.version.clone()),
            lag: Some(rate::span(said.lag_seconds)),
            stale: None,
            stale_since: None,
            message: None,
        },
        Answer::Silent(why) => {
            let known = old.filter(|old| old.leader.is_some());
            RegionStatus {
                name: name.clone(),
                state: known.map_or(RegionState::Forming, |_| RegionState::Unreachable),
                nodes,
                leader: known.and_then(|old| old.leader.clone()),
                version: known.and_then(|old| old.version.clone()),
                lag: known.and_then(|old| old.lag.clone()),
                stale: known.map(|_| true),
                stale_since: known.map(|old| old.stale_since.clone().unwrap_or(Time(found.now))),
                message: Some(super::shortened(why)),
            }
        }
        Answer::Nobody => RegionStatus {
            name: name.clone(),
            state: RegionState::Forming,
            nodes,
            leader: None,
            version: None,
            lag: None,
            stale: None,
            stale_since: None,
            message: None,
        },
    };
    let pods = seen.objects.iter().flat_map(|objects| &objects.pods);
    let trouble = pods.filter_map(|pod| pod.trouble.clone()).next();
    status.message = trouble.or(status.message);
    status
}

fn state(seen: &RegionSeen, said: &Said) -> RegionState {
    match said.state {
        Some(MemberState::Joining) => RegionState::Joining,
        Some(MemberState::Draining) => RegionState::Draining,
        Some(MemberState::Retired) => RegionState::Retired,
        Some(MemberState::Active) | None => {
            let is_whole = seen.objects.as_ref().is_none_or(|objects| {
                let ready = objects.pods.iter().filter(|pod| pod.is_ready).count();
                ready >= usize::from(objects.replicas)
            });
            if is_whole && said.leader.is_some() {
                RegionState::Active
            } else {
                RegionState::Degraded
            }
        }
    }
}

fn nodes(seen: &RegionSeen) -> Option<String> {
    let objects = seen.objects.as_ref()?;
    let ready = objects.pods.iter().filter(|pod| pod.is_ready).count();
    Some(format!("{ready}/{}", objects.replicas))
}

/// The leading node's name, from where it is.
fn leader(said: &Said) -> Option<String> {
    let address = said.leader.as_ref()?;
    let known = said.nodes.iter().find(|node| node.address == *address);
    let name = known.map(|node| node.name.clone());
    name.or_else(|| {
        let host = address.split_once("://")?.1.split(['.', ':']).next()?;
        names::ordinal(host).map(|_| host.to_owned())
    })
}
