//! Collections' statuses: whether what is declared is what the regions have.

use atoll_api::manifest::conditions::{ConditionKind, ConditionReason};
use atoll_api::manifest::{Collection, CollectionStatus};
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::conditions::{Holds, dated};
use super::{Found, Standing};
use crate::validate::Verdict;

/// Of a collection of a store that makes sense.
pub(crate) fn of_collection(
    collection: &Collection,
    verdict: &Verdict,
    found: &Found<'_>,
) -> CollectionStatus {
    let standings = match &verdict.fault {
        Some(fault) => stalled(ConditionReason::InvalidSpec, fault),
        None => progress(collection, found),
    };
    status(collection, standings, found.now)
}

/// Of a collection whose store is not there.
pub(crate) fn without_store(collection: &Collection, now: Timestamp) -> CollectionStatus {
    let store = &collection.spec.store_ref.name;
    let words =
        format!("there is no GeoStore {store} in this namespace: make it, or change storeRef");
    status(
        collection,
        stalled(ConditionReason::StoreNotFound, &words),
        now,
    )
}

fn status(collection: &Collection, standings: Vec<Standing>, now: Timestamp) -> CollectionStatus {
    let before = collection.status.clone().unwrap_or_default();
    let generation = collection.metadata.generation;
    CollectionStatus {
        observed_generation: generation,
        conditions: dated(standings, &before.conditions, generation, now),
    }
}

fn stalled(reason: ConditionReason, words: &str) -> Vec<Standing> {
    vec![
        Standing::new(ConditionKind::Ready, Holds::False, reason, words),
        Standing::new(ConditionKind::Stalled, Holds::True, reason, words),
    ]
}

fn progress(collection: &Collection, found: &Found<'_>) -> Vec<Standing> {
    let name = collection.name_any();
    let wanted = found
        .declared
        .collections
        .iter()
        .find(|wanted| wanted.name.as_str() == name);
    let lacks = found.declared.here().filter(|region| {
        let said = found.observed.said(&region.name);
        let has = said.and_then(|said| {
            said.collections
                .iter()
                .find(|has| has.name.as_str() == name)
        });
        has != wanted
    });
    let lacks: Vec<String> = lacks.map(|region| region.name.to_string()).collect();
    if lacks.is_empty() {
        let (reason, words) = (
            ConditionReason::AsDeclared,
            "every region of this cluster has it",
        );
        return vec![Standing::new(
            ConditionKind::Ready,
            Holds::True,
            reason,
            words,
        )];
    }
    let words = format!("not yet in {}", lacks.join(", "));
    let reason = ConditionReason::DeclaringCollections;
    vec![
        Standing::new(ConditionKind::Ready, Holds::False, reason, &*words),
        Standing::new(ConditionKind::Reconciling, Holds::True, reason, words),
    ]
}
