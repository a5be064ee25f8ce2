//! Whether the running store is linked as declared, and whether all who are linked have joined.
//!
//! One cluster declares: that of the first region of the topology that runs, so that clusters with differing
//! manifests do not declare against each other for ever. The others say that they differ.

use atoll_api::http::{MemberState, TopologyDeclaration, TopologyRegion, TopologyStatus};
use atoll_api::manifest::conditions::ConditionReason;
use atoll_api::manifest::{LinkSpec, RegionName, Topology, TopologyKind, TopologySpec};

use super::{Action, Next, World};

/// The next change of how regions are linked.
pub(super) fn next(world: &World<'_>) -> Next {
    if let Some(joining) = joining(world) {
        return joining;
    }
    let Some(by) = world.speaker() else {
        return Next::Nothing;
    };
    let Some(is) = world
        .observed
        .said(by)
        .and_then(|said| said.topology.as_ref())
    else {
        return Next::Nothing;
    };
    let wanted = with_leavers(world, is);
    if agrees(world, is, &wanted) {
        return if is.unheard.is_empty() || is.revision <= 1 {
            Next::Nothing
        } else {
            let unheard = is.unheard.join(", ");
            Next::wait(
                ConditionReason::ChangingTopology,
                format!("revision {} is to be heard of by {unheard}", is.revision),
            )
        };
    }
    if !declares(world, is) {
        return Next::Nothing;
    }
    if !is.unheard.is_empty() {
        let unheard = is.unheard.join(", ");
        return Next::wait(
            ConditionReason::ChangingTopology,
            format!("the next change waits until {unheard} has heard of the last one"),
        );
    }
    let message = told(is, &wanted);
    Next::act(
        Action::DeclareTopology {
            by: by.clone(),
            declaration: wanted,
        },
        ConditionReason::ChangingTopology,
        message,
    )
}

/// Who takes in what the others have, or is linked and not there yet.
fn joining(world: &World<'_>) -> Option<Next> {
    world.declared.here().find_map(|region| {
        let name = &region.name;
        let member = world.observed.member(name);
        let state = member.map(|member| member.state);
        let said = world.observed.said(name);
        let is_joining = said.and_then(|said| said.state) == Some(MemberState::Joining)
            || state == Some(MemberState::Joining);
        let is_awaited = world.is_linked(name)
            && matches!(state, None | Some(MemberState::Retired))
            && said.is_none();
        if !is_joining && !is_awaited {
            return None;
        }
        let progress = said.and_then(|said| said.join.as_ref());
        let far = progress.map_or_else(
            || super::trouble(world, name),
            |join| {
                let (applied, known) = (join.applied, join.known);
                format!(": {applied} of {known} entries{}", join.waits())
            },
        );
        Some(Next::wait(
            ConditionReason::RegionJoining,
            format!("region {name} joins{far}"),
        ))
    })
}

/// Whether this cluster is the one to declare: the first region that runs is here.
fn declares(world: &World<'_>, is: &TopologyStatus) -> bool {
    let manifest = &world.declared.manifest;
    let first = match is.revision {
        0 => manifest.regions.first(),
        _ => is
            .regions
            .iter()
            .find_map(|region| manifest.region(region.name.as_str())),
    };
    first.is_some_and(|region| world.declared.is_here(region))
}

/// Whether the store is linked as wanted. Where nodes of other clusters are, those know better.
pub(super) fn agrees(world: &World<'_>, is: &TopologyStatus, wanted: &TopologyDeclaration) -> bool {
    let Some(topology) = &is.topology else {
        return false;
    };
    let manifest = &world.declared.manifest;
    let same = |has: &TopologyRegion, wanted: &TopologyRegion| {
        let is_here = manifest
            .region(wanted.name.as_str())
            .is_some_and(|region| world.declared.is_here(region));
        has.name == wanted.name
            && has.role == wanted.role
            && (!is_here || sorted(&has.endpoints) == sorted(&wanted.endpoints))
    };
    let spec = |spec: &TopologySpec| TopologySpec {
        failover_after: None,
        ..spec.clone()
    };
    spec(topology) == spec(&wanted.topology)
        && is.regions.len() == wanted.regions.len()
        && wanted
            .regions
            .iter()
            .all(|wanted| is.regions.iter().any(|has| same(has, wanted)))
}

fn sorted(endpoints: &[String]) -> Vec<&String> {
    let mut endpoints: Vec<_> = endpoints.iter().collect();
    endpoints.sort();
    endpoints
}

/// What the manifest declares, as the admin API takes it.
pub(crate) fn declaration(world: &World<'_>) -> TopologyDeclaration {
    let manifest = &world.declared.manifest;
    let mut topology = TopologySpec {
        kind: TopologyKind::AllToAll,
        order: None,
        hub: None,
        links: None,
        failover_after: None,
    };
    match &manifest.topology {
        Topology::AllToAll => {}
        Topology::Ring { order } => {
            topology.kind = TopologyKind::Ring;
            topology.order = Some(order.clone());
        }
        Topology::Star { hub } => {
            topology.kind = TopologyKind::Star;
            topology.hub = Some(hub.clone());
        }
        Topology::Custom { links } => {
            topology.kind = TopologyKind::Custom;
            topology.links = Some(links.clone());
        }
    }
    let regions = manifest.regions.iter().map(|region| TopologyRegion {
        name: region.name.clone(),
        role: region.role,
        endpoints: world.declared.endpoints(region),
    });
    TopologyDeclaration {
        revision: None,
        topology,
        regions: regions.collect(),
    }
}

/// The same with those still in it that have not left yet: they hand over what they wrote over links.
fn with_leavers(world: &World<'_>, is: &TopologyStatus) -> TopologyDeclaration {
    let mut all = declaration(world);
    all.revision = Some(is.revision);
    let stays = |name: &RegionName| {
        let state = world.observed.member(name).map(|member| member.state);
        state.is_some_and(|state| state != MemberState::Retired)
    };
    let here = world.leavers();
    let leavers = is
        .regions
        .iter()
        .filter(|region| here.contains(&region.name) && stays(&region.name));
    for leaver in leavers {
        let name = &leaver.name;
        all.regions.push(leaver.clone());
        match all.topology.kind {
            TopologyKind::AllToAll | TopologyKind::Star => {}
            TopologyKind::Ring => {
                let order = all.topology.order.get_or_insert_default();
                order.push(name.clone());
            }
            TopologyKind::Custom => {
                let links = all.topology.links.get_or_insert_default();
                let old = is.topology.as_ref().and_then(|old| old.links.as_ref());
                let old = old.into_iter().flatten();
                let ends = old.filter(|link| link.from == *name || link.to == *name);
                let ends: Vec<LinkSpec> = ends.cloned().collect();
                links.extend(ends);
            }
        }
    }
    all
}

/// What changes, in words.
fn told(is: &TopologyStatus, wanted: &TopologyDeclaration) -> String {
    let names = |regions: &[TopologyRegion]| -> Vec<String> {
        regions
            .iter()
            .map(|region| region.name.to_string())
            .collect()
    };
    let (has, wants) = (names(&is.regions), names(&wanted.regions));
    let come: Vec<_> = wants.iter().filter(|name| !has.contains(name)).collect();
    let go: Vec<_> = has.iter().filter(|name| !wants.contains(name)).collect();
    let list = |names: &[&String]| {
        let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
        names.join(", ")
    };
    let kind = serde_json::to_value(wanted.topology.kind).unwrap_or_default();
    let kind = kind.as_str().unwrap_or_default();
    match (come.as_slice(), go.as_slice()) {
        ([], []) => format!("declaring the topology {kind}"),
        (come, []) => format!("declaring the topology {kind} with {}", list(come)),
        ([], go) => format!("declaring the topology {kind} without {}", list(go)),
        (come, go) => format!(
            "declaring the topology {kind} with {}, without {}",
            list(come),
            list(go)
        ),
    }
}
