//! Links' statuses: what people watch.

use atoll_api::http::LinkState;
use atoll_api::manifest::conditions::{ConditionKind, ConditionReason};
use atoll_api::manifest::{ReplicationLink, ReplicationLinkStatus};

use super::conditions::{Holds, dated};
use super::{Found, Standing};
use crate::rate;

/// A link's status, by what the region says in which it ends.
pub(crate) fn of_link(link: &ReplicationLink, found: &Found<'_>) -> ReplicationLinkStatus {
    let before = link.status.clone().unwrap_or_default();
    let generation = link.metadata.generation;
    let (from, to) = (&link.spec.from, &link.spec.to);
    let name = format!("{from}:{to}");
    let said = found.observed.said(to);
    let seen = said.and_then(|said| said.links.iter().find(|seen| seen.name == name));
    let dated = |standings| dated(standings, &before.conditions, generation, found.now);
    let Some(seen) = seen else {
        let why = match said {
            Some(_) => format!("region {to} has no such link yet"),
            None => format!("region {to} does not answer"),
        };
        let conditions = dated(vec![
            Standing::new(
                ConditionKind::Ready,
                Holds::Unknown,
                ConditionReason::NotKnown,
                &*why,
            ),
            Standing::new(
                ConditionKind::Reconciling,
                Holds::True,
                ConditionReason::NotKnown,
                &*why,
            ),
        ]);
        let stale = before.state.is_some().then_some(true);
        return ReplicationLinkStatus {
            observed_generation: generation,
            conditions,
            state: before.state.as_ref().map(|_| "Unknown".to_owned()),
            stale,
            detail: Some(why),
            ..before
        };
    };
    let conflicts = found.conflicts.get(to.as_str()).copied();
    ReplicationLinkStatus {
        observed_generation: generation,
        conditions: dated(standings(seen.state, seen.detail.as_deref())),
        state: Some(format!("{:?}", seen.state)),
        role: seen.role.map(|role| format!("{role:?}")),
        lag: Some(rate::span(seen.lag_seconds)),
        backlog: Some(rate::count(seen.lag_entries)),
        conflicts_per_minute: conflicts.map(rate::shown).or(before.conflicts_per_minute),
        round_trip: seen.rtt_seconds.map(rate::milliseconds),
        stale: None,
        detail: seen.detail.as_deref().map(super::shortened),
    }
}

fn standings(state: LinkState, detail: Option<&str>) -> Vec<Standing> {
    let ready = |reason, words: &str| {
        vec![Standing::new(
            ConditionKind::Ready,
            Holds::True,
            reason,
            words,
        )]
    };
    let not = |kind, reason, words: &str| {
        let words = detail.unwrap_or(words);
        vec![
            Standing::new(ConditionKind::Ready, Holds::False, reason, words),
            Standing::new(kind, Holds::True, reason, words),
        ]
    };
    let (reconciling, stalled) = (ConditionKind::Reconciling, ConditionKind::Stalled);
    match state {
        LinkState::Streaming => ready(
            ConditionReason::Streaming,
            "entries arrive as they are committed",
        ),
        LinkState::Standby => ready(
            ConditionReason::StandingBy,
            "ready to take over from a silent one",
        ),
        LinkState::Connecting => not(reconciling, ConditionReason::Interrupted, "connecting"),
        LinkState::BackingOff => not(
            reconciling,
            ConditionReason::Interrupted,
            "waiting before the next try",
        ),
        LinkState::CatchingUp => not(
            reconciling,
            ConditionReason::CatchingUp,
            "fetching what was missed",
        ),
        LinkState::Paused => not(
            stalled,
            ConditionReason::Paused,
            "an administrator paused it: resume it when it is time",
        ),
        LinkState::Stopped => not(
            stalled,
            ConditionReason::Interrupted,
            "stopped at an entry that cannot be applied",
        ),
    }
}
