//! Whether every region has the nodes that are declared; and how many it is to have meanwhile.
//!
//! Nodes that come ask to join by themselves. A node that goes is removed from its region first, the highest
//! ordinal first, and its pod goes when the region does not count on it any more.

use atoll_api::http::NodeRole;
use atoll_api::manifest::DeclaredRegion;
use atoll_api::manifest::conditions::ConditionReason;

use super::{Action, Next, World};
use crate::names;

/// A node this close behind may be counted on.
const COMMANDS_BEHIND_MAX: u64 = 1000;

/// Nodes that a region's StatefulSet is to have now.
pub(super) fn nodes(world: &World<'_>, region: &DeclaredRegion) -> u8 {
    let declared = region.replicas.get();
    let Some(seen) = world.seen(&region.name) else {
        return declared;
    };
    let has = seen.objects.as_ref().map_or(0, |objects| objects.replicas);
    if has <= declared {
        return declared;
    }
    match seen.said() {
        Some(said) if !said.nodes.is_empty() => {
            let ordinals = said.nodes.iter().filter_map(|n| names::ordinal(&n.name));
            let counted_on = ordinals.max().map_or(0, |highest| highest + 1);
            counted_on.clamp(declared, has)
        }
        // Nobody says who is counted on: all stay.
        _ => has,
    }
}

/// The next change of a region's nodes.
pub(super) fn next(world: &World<'_>) -> Next {
    let here = world.declared.here();
    let mut steps = here.map(|region| of_region(world, region));
    steps
        .find(|next| *next != Next::Nothing)
        .unwrap_or(Next::Nothing)
}

fn of_region(world: &World<'_>, region: &DeclaredRegion) -> Next {
    let Some(said) = world.observed.said(&region.name) else {
        return Next::Nothing;
    };
    if said.nodes.is_empty() {
        return Next::Nothing;
    }
    let (name, declared) = (&region.name, region.replicas.get());
    let names = world.declared.names(name);
    let is_missing = |ordinal: &u8| {
        let node = names.node(*ordinal);
        let known = said.nodes.iter().find(|known| known.name == node);
        known.is_none_or(|known| {
            known.role == NodeRole::Learner
                || known.commands_behind.unwrap_or(0) > COMMANDS_BEHIND_MAX
        })
    };
    if let Some(ordinal) = (0..declared).find(is_missing) {
        let node = names.node(ordinal);
        return Next::wait(
            ConditionReason::ScalingRegion,
            format!("region {name}: node {node} is to join and to catch up"),
        );
    }
    let above = said
        .nodes
        .iter()
        .filter_map(|node| Some((names::ordinal(&node.name)?, &node.name)))
        .filter(|(ordinal, _)| *ordinal >= declared);
    match above.max() {
        Some((_, node)) => Next::act(
            Action::RemoveNode {
                region: name.clone(),
                node: node.clone(),
            },
            ConditionReason::ScalingRegion,
            format!("region {name}: node {node} leaves, {declared} are declared"),
        ),
        None => Next::Nothing,
    }
}
