//! Regions that are not declared any more: proved to be safe to remove, one by one.
//!
//! drain (no new writes) → everything that it wrote is elsewhere, by vectors → retired → linked without it →
//! its objects go. The store itself makes the proof; a region that does not answer cannot be proved.

use atoll_api::http::MemberState;
use atoll_api::manifest::RegionName;
use atoll_api::manifest::conditions::ConditionReason;

use super::{Action, Next, World};

/// The next step of the region that leaves, or of one that was leaving and is declared again.
pub(super) fn next(world: &World<'_>) -> Next {
    let Some(by) = world.speaker() else {
        return Next::Nothing;
    };
    if let Some(region) = called_back(world) {
        let message = format!("region {region} is declared again, and stays");
        let by = by.clone();
        let action = Action::CancelDrain { by, region };
        return Next::act(action, ConditionReason::RegionDraining, message);
    }
    let leavers = world.leavers();
    let mut steps = leavers.iter().map(|region| of_region(world, by, region));
    steps
        .find(|next| *next != Next::Nothing)
        .unwrap_or(Next::Nothing)
}

fn called_back(world: &World<'_>) -> Option<RegionName> {
    let is_draining = |region: &RegionName| {
        let member = world.observed.member(region);
        member.is_some_and(|member| member.state == MemberState::Draining)
    };
    let mut here = world.declared.here().map(|region| &region.name);
    here.find(|region| is_draining(region)).cloned()
}

fn of_region(world: &World<'_>, by: &RegionName, region: &RegionName) -> Next {
    let Some(member) = world.observed.member(region) else {
        if !world.seen(region).is_some_and(|seen| seen.has_volumes) {
            // It never ran.
            return Next::Nothing;
        }
        return Next::wait(
            ConditionReason::RegionDraining,
            format!("region {region} leaves, and nobody who answers knows of it yet"),
        );
    };
    match member.state {
        MemberState::Joining | MemberState::Active if world.observed.said(region).is_none() => {
            Next::blocked(
                ConditionReason::RegionHoldsData,
                format!(
                    "region {region} is to leave and does not answer, so nobody can prove that what it wrote is \
                     elsewhere: bring it back, or give it up with `atoll region remove {region} --force`, which \
                     says what is lost"
                ),
            )
        }
        MemberState::Joining | MemberState::Active => Next::act(
            Action::DrainRegion {
                by: by.clone(),
                region: region.clone(),
            },
            ConditionReason::RegionDraining,
            format!("region {region} takes no writes any more, and hands over what it wrote"),
        ),
        MemberState::Draining => {
            let waits = member.drain.iter().flat_map(|drain| &drain.waiting_for);
            let waits: Vec<String> = waits
                .map(|wait| format!("{} lacks {} entries", wait.region, wait.missing))
                .collect();
            let far = if waits.is_empty() {
                "all it wrote is elsewhere".to_owned()
            } else {
                waits.join(", ")
            };
            Next::wait(
                ConditionReason::RegionDraining,
                format!("region {region} hands over what it wrote: {far}"),
            )
        }
        MemberState::Retired if world.has_left(region) => Next::Nothing,
        MemberState::Retired => Next::wait(
            ConditionReason::RegionDraining,
            format!("region {region} is retired, and the others are to hear of it"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use atoll_api::manifest::RegionName;

    use super::super::plan;
    use super::super::scenarios::{STORE, declared, links, region, told, world};

    /// Caught: two regions that left together, each of which was to hear from the other that it is retired: nobody tells
    /// a region anything any more that is retired itself, so both stayed for ever.
    #[test]
    fn regions_that_left_together_need_not_hear_of_each_other() {
        let without = declared(&STORE.replace("    - { name: us }\n", ""));
        let knows =
            |ap: &str, us: &str| links(&[("eu", 3)], &[("eu", "Active"), ("ap", ap), ("us", us)]);
        let with = |eu: &str| {
            let regions = [
                region("eu", 3, &[], eu),
                region("ap", 1, &[], &knows("Retired", "Draining")),
                region("us", 1, &[], &knows("Draining", "Retired")),
            ];
            plan(&without, &world(&format!("regions:\n{}", regions.concat())))
        };
        let both = with(&knows("Retired", "Retired"));
        let dropped = both.dropped.iter().map(RegionName::as_str);
        assert_eq!(dropped.collect::<Vec<_>>(), ["ap", "us"]);
        assert_eq!(told(&both.next), "nothing");
        // One that stays is to hear of it.
        assert!(with(&knows("Draining", "Draining")).dropped.is_empty());
    }
}
