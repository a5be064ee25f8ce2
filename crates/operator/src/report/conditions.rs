//! Conditions: what holds and what does not, as API.

use atoll_api::http::{ClockState, ConnectivityState, MemberState};
use atoll_api::manifest::GeoStore;
use atoll_api::manifest::conditions::{ConditionKind, ConditionReason};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{Found, shortened};
use crate::error::Class;
use crate::observe::{Answer, RegionSeen};
use crate::plan::{Next, Told, agrees};

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    True,
    False,
    Unknown,
}

/// One condition, before it has times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) kind: ConditionKind,
    pub(crate) holds: Holds,
    pub(crate) reason: ConditionReason,
    pub(crate) message: String,
}

impl Standing {
    pub(crate) fn new(
        kind: ConditionKind,
        holds: Holds,
        reason: ConditionReason,
        message: impl Into<String>,
    ) -> Self {
        let message = message.into();
        Standing {
            kind,
            holds,
            reason,
            message,
        }
    }
}

/// With times: a condition keeps its own until it flips.
pub(crate) fn dated(
    standings: Vec<Standing>,
    before: &[Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let mut standings = standings;
    standings.sort_by_key(|standing| standing.kind);
    let dated = standings.into_iter().map(|standing| {
        let (kind, status) = (standing.kind.as_str(), word(standing.holds));
        let old = before
            .iter()
            .find(|old| old.type_ == kind && old.status == status);
        Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: standing.reason.as_str().to_owned(),
            message: shortened(&standing.message),
            observed_generation: generation,
            last_transition_time: old.map_or(Time(now), |old| old.last_transition_time.clone()),
        }
    });
    dated.collect()
}

const fn word(holds: Holds) -> &'static str {
    match holds {
        Holds::True => "True",
        Holds::False => "False",
        Holds::Unknown => "Unknown",
    }
}

/// Whether more than words differ.
pub(super) fn differ(a: &[Condition], b: &[Condition]) -> bool {
    let shape = |all: &[Condition]| -> Vec<(String, String, String)> {
        let all = all.iter();
        all.map(|c| (c.type_.clone(), c.status.clone(), c.reason.clone()))
            .collect()
    };
    shape(a) != shape(b)
}

/// Of a store that nothing can be done about as it is: what was known of the rest stays.
pub(super) fn unusable(
    before: &[Condition],
    generation: Option<i64>,
    told: &Told,
    now: Timestamp,
) -> Vec<Condition> {
    let standings = [
        (ConditionKind::Ready, Holds::False),
        (ConditionKind::Stalled, Holds::True),
    ]
    .map(|(kind, holds)| Standing::new(kind, holds, told.reason, told.message.clone()));
    let mut all = dated(standings.into(), before, generation, now);
    let ours = ["Ready", "Stalled", "Reconciling"];
    let rest = before
        .iter()
        .filter(|old| !ours.contains(&old.type_.as_str()));
    all.extend(rest.cloned());
    all
}

pub(super) fn of_store(
    found: &Found<'_>,
    store: &GeoStore,
    before: &[Condition],
) -> Vec<Condition> {
    let mut standings = progress(found);
    standings.extend([
        available(found),
        converged(found),
        clock_skew(found),
        spec_agreed(found),
        super::certificates::valid(found),
        storage(found),
    ]);
    standings.extend(connected(found));
    dated(standings, before, store.metadata.generation, found.now)
}

/// Ready, and Reconciling or Stalled while they are true.
fn progress(found: &Found<'_>) -> Vec<Standing> {
    let told = |reason, message: String| Told { reason, message };
    let mut failures = found.failures.iter();
    let users = failures
        .clone()
        .find(|failure| failure.class() == Class::User);
    let (is_stalled, why) = if let Some(failure) = users {
        let reason = match failure {
            crate::error::PassError::NameTaken { .. } => ConditionReason::NameTaken,
            crate::error::PassError::Certificates { .. } => ConditionReason::CaNotUsable,
            _ => ConditionReason::Refused,
        };
        (true, told(reason, failure.to_string()))
    } else if let Next::Blocked(why) = &found.plan.next {
        (true, why.clone())
    } else if let Some(failure) = failures.next() {
        (
            false,
            told(ConditionReason::TryingAgain, failure.to_string()),
        )
    } else if let Next::Wait(why) | Next::Act { told: why, .. } = &found.plan.next {
        (false, why.clone())
    } else if let Some(why) = unsettled(found) {
        (false, why)
    } else {
        let message = "everything is as declared";
        let reason = ConditionReason::AsDeclared;
        return vec![Standing::new(
            ConditionKind::Ready,
            Holds::True,
            reason,
            message,
        )];
    };
    let abnormal = if is_stalled {
        ConditionKind::Stalled
    } else {
        ConditionKind::Reconciling
    };
    [
        (ConditionKind::Ready, Holds::False),
        (abnormal, Holds::True),
    ]
    .map(|(kind, holds)| Standing::new(kind, holds, why.reason, why.message.clone()))
    .into()
}

/// What is being done besides the plan's one thing.
fn unsettled(found: &Found<'_>) -> Option<Told> {
    if let Some(message) = silent_here(found).first() {
        return Some(Told {
            reason: ConditionReason::RegionUnreachable,
            message: message.clone(),
        });
    }
    if let Some(changing) = found
        .arranged
        .and_then(|arranged| arranged.progress.clone())
    {
        return Some(changing);
    }
    let chore = found.plan.chores.first()?;
    let (reason, message) = match chore {
        crate::plan::Chore::PutCollections { region, .. } => (
            ConditionReason::DeclaringCollections,
            format!("declaring collections to region {region}"),
        ),
        crate::plan::Chore::GrowClaim { claim, size } => (
            ConditionReason::VolumesGrowing,
            format!("{claim} grows to {size}"),
        ),
    };
    Some(Told { reason, message })
}

/// Regions of this cluster that do not take requests, and why.
fn silent_here(found: &Found<'_>) -> Vec<String> {
    let here = found.declared.here();
    here.filter_map(|region| {
        let seen = found.observed.regions.get(&region.name);
        match seen.map(|seen| &seen.answer) {
            Some(Answer::Said(said)) if said.leader.is_none() => {
                Some(format!("region {} has no leader", region.name))
            }
            Some(Answer::Said(_)) => None,
            Some(Answer::Silent(why)) => {
                Some(format!("region {} does not answer: {why}", region.name))
            }
            Some(Answer::Nobody) | None => Some(format!("region {} has no node yet", region.name)),
        }
    })
    .collect()
}

/// Never depends on another cluster.
fn available(found: &Found<'_>) -> Standing {
    let kind = ConditionKind::Available;
    let silent = silent_here(found);
    if silent.is_empty() {
        let message = "every region of this cluster takes requests";
        return Standing::new(kind, Holds::True, ConditionReason::AsDeclared, message);
    }
    let reason = ConditionReason::RegionUnreachable;
    Standing::new(kind, Holds::False, reason, silent.join("; "))
}

fn converged(found: &Found<'_>) -> Standing {
    let kind = ConditionKind::Converged;
    let manifest = &found.declared.manifest;
    let silent: Vec<&str> = manifest
        .regions
        .iter()
        .filter(|region| found.observed.said(&region.name).is_none())
        .map(|region| region.name.as_str())
        .collect();
    if !silent.is_empty() {
        let message = format!(
            "nobody can tell while these do not answer: {}",
            silent.join(", ")
        );
        return Standing::new(kind, Holds::Unknown, ConditionReason::NotKnown, message);
    }
    let max = manifest.objectives.max_lag;
    let lag_max = max.as_duration().as_secs_f64();
    let behind: Vec<String> = found
        .observed
        .answering()
        .filter(|(_, said)| {
            let takes_part = said.state.is_none_or(|state| state == MemberState::Active);
            !takes_part || !said.is_in_step(lag_max)
        })
        .map(|(region, _)| region.to_string())
        .collect();
    if behind.is_empty() {
        let message = format!("no region lags by more than {max}");
        return Standing::new(kind, Holds::True, ConditionReason::InStep, message);
    }
    let message = format!("lagging by more than {max}: {}", behind.join(", "));
    Standing::new(kind, Holds::False, ConditionReason::Behind, message)
}

/// TopologyConnected and TopologyRedundant.
fn connected(found: &Found<'_>) -> [Standing; 2] {
    let both =
        |connected: (Holds, ConditionReason), redundant: (Holds, ConditionReason), words: &str| {
            [
                (ConditionKind::TopologyConnected, connected),
                (ConditionKind::TopologyRedundant, redundant),
            ]
            .map(|(kind, (holds, reason))| Standing::new(kind, holds, reason, words))
        };
    if found.declared.manifest.regions.len() == 1 {
        let one = (Holds::True, ConditionReason::Connected);
        return both(one, one, "there is one region");
    }
    let states: Vec<_> = found
        .observed
        .answering()
        .filter_map(|(_, said)| Some((said.connectivity?, &said.sides)))
        .collect();
    let cut = states
        .iter()
        .find(|(state, _)| *state == ConnectivityState::Partitioned);
    if let Some((_, sides)) = cut {
        let sides: Vec<String> = sides.iter().map(|side| side.join(", ")).collect();
        let words = format!("these do not hear of each other: {}", sides.join(" | "));
        let no = (Holds::False, ConditionReason::Partitioned);
        return both(no, no, &words);
    }
    let yes = (Holds::True, ConditionReason::Connected);
    if states.is_empty() {
        let unknown = (Holds::Unknown, ConditionReason::NotKnown);
        return both(unknown, unknown, "no region that answers knows");
    }
    let is_redundant = states
        .iter()
        .all(|(state, _)| *state == ConnectivityState::Redundant);
    if is_redundant {
        let words = "every region hears of every other, and would with any one link lost";
        return both(yes, (Holds::True, ConditionReason::SecondWay), words);
    }
    let words = "every region hears of every other; for some link there is no other way";
    both(yes, (Holds::False, ConditionReason::NoSecondWay), words)
}

fn clock_skew(found: &Found<'_>) -> Standing {
    let kind = ConditionKind::ClockSkew;
    let answering: Vec<_> = found.observed.answering().collect();
    let off: Vec<String> = answering
        .iter()
        .filter(|(_, said)| said.clock == Some(ClockState::Skewed))
        .map(|(region, _)| region.to_string())
        .collect();
    if !off.is_empty() {
        let max = found.declared.manifest.objectives.max_clock_skew;
        let message = format!(
            "the clock of {} is off by more than {max}, so that writes are refused there: set it",
            off.join(", ")
        );
        return Standing::new(kind, Holds::True, ConditionReason::ClockOff, message);
    }
    if answering.is_empty() {
        return Standing::new(
            kind,
            Holds::Unknown,
            ConditionReason::NotKnown,
            "no region answers",
        );
    }
    let message = "clocks agree as far as they were compared";
    Standing::new(kind, Holds::False, ConditionReason::ClocksAgree, message)
}

fn spec_agreed(found: &Found<'_>) -> Standing {
    let kind = ConditionKind::SpecAgreed;
    let declared = found.declared;
    let regions = &declared.manifest.regions;
    if regions.iter().all(|region| declared.is_here(region)) {
        let message = "all regions are in this cluster";
        return Standing::new(kind, Holds::True, ConditionReason::OneCluster, message);
    }
    let others = regions.iter().filter(|region| !declared.is_here(region));
    let mut told = others.filter_map(|region| {
        let topology = found.observed.said(&region.name)?.topology.as_ref()?;
        (topology.revision > 0).then_some((&region.name, topology))
    });
    let Some(first) = told.next() else {
        let message = "no region of another cluster tells how it is linked";
        return Standing::new(kind, Holds::Unknown, ConditionReason::NotKnown, message);
    };
    let mut all = std::iter::once(first).chain(told);
    match all.find(|(_, topology)| !agrees(declared, found.observed, topology)) {
        Some((region, _)) => {
            let message = format!(
                "region {region} is linked otherwise than declared here: apply the same manifest in every cluster"
            );
            Standing::new(kind, Holds::False, ConditionReason::SpecsDiffer, message)
        }
        None => {
            let message = "the regions of other clusters are linked as declared here";
            Standing::new(kind, Holds::True, ConditionReason::AsDeclared, message)
        }
    }
}

fn storage(found: &Found<'_>) -> Standing {
    let kind = ConditionKind::StorageHealthy;
    let here = found.declared.here();
    let objects = |seen: &RegionSeen| seen.objects.clone();
    for region in here {
        let seen = found.observed.regions.get(&region.name);
        let Some(objects) = seen.and_then(objects) else {
            continue;
        };
        let bound = objects.claims.iter().filter(|claim| claim.is_bound).count();
        if bound < usize::from(objects.replicas) {
            let message = format!(
                "region {}: {bound} of {} volumes are bound; `kubectl describe pvc` says why",
                region.name, objects.replicas
            );
            return Standing::new(kind, Holds::False, ConditionReason::VolumesPending, message);
        }
        let small = objects.claims.iter().find(|claim| claim.has < claim.wanted);
        if let (Some(claim), Some(wanted)) = (small, small.and_then(|claim| claim.wanted)) {
            let message = format!("{} grows to {wanted}", claim.name);
            return Standing::new(kind, Holds::False, ConditionReason::VolumesGrowing, message);
        }
    }
    let message = "all volumes are bound, and as large as declared";
    Standing::new(kind, Holds::True, ConditionReason::VolumesBound, message)
}
