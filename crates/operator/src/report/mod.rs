//! Report: what people see of a store, its collections and its links.
//!
//! Statuses are functions of what was declared, planned and seen, and of the status before: a region that does
//! not answer keeps what was known of it, marked stale. They are written when they changed; figures alone, at
//! most every few seconds.

mod certificates;
mod collections;
mod conditions;
mod links;
mod regions;

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use atoll_api::manifest::{API_VERSION, GeoStore, GeoStoreStatus};
use jiff::Timestamp;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde::Serialize;
use serde_json::json;

use crate::apply::Hands;
use crate::certificates::Arranged;
use crate::error::PassError;
use crate::observe::Observed;
use crate::plan::{Next, Plan, Told};
use crate::rate::{self, Rates};
use crate::validate::Declared;

pub(crate) use collections::{of_collection, without_store};
pub(crate) use conditions::Standing;
pub(crate) use links::of_link;

/// Who we are to server-side apply of statuses.
const MANAGER: &str = "atoll-operator-status";
/// Figures alone are written at most this often.
const FIGURES_EVERY: Duration = Duration::from_secs(5);
/// Most characters of a message.
const MESSAGE_MAX: usize = 1000;

/// What a pass found, of a store that makes sense.
pub(crate) struct Found<'a> {
    pub(crate) declared: &'a Declared,
    pub(crate) observed: &'a Observed,
    pub(crate) plan: &'a Plan,
    /// The certificates; absent without TLS, and when they could not be arranged.
    pub(crate) arranged: Option<&'a Arranged>,
    /// What did not succeed.
    pub(crate) failures: &'a [PassError],
    /// Conflicts a minute, by region.
    pub(crate) conflicts: &'a HashMap<String, f64>,
    pub(crate) now: Timestamp,
}

/// The status of a store that makes sense.
pub(crate) fn of_store(store: &GeoStore, found: &Found<'_>) -> GeoStoreStatus {
    let before = store.status.clone().unwrap_or_default();
    let answering = || found.observed.answering();
    let lag = answering()
        .map(|(_, said)| said.lag_seconds)
        .reduce(f64::max);
    let conflicts = found.conflicts.values().copied().reduce(|a, b| a + b);
    let regions = regions::all(found, &before.regions);
    let revisions = answering().filter_map(|(_, said)| Some(said.topology.as_ref()?.revision));
    let revision = revisions.max().and_then(|n| i64::try_from(n).ok());
    let ready = regions::ready(found);
    GeoStoreStatus {
        observed_generation: store.metadata.generation,
        conditions: conditions::of_store(found, store, &before.conditions),
        store_id: Some(found.declared.store_id.clone()),
        regions_ready: Some(format!("{ready}/{}", found.declared.manifest.regions.len())),
        max_lag: lag.map(rate::span).or(before.max_lag),
        conflicts_per_minute: conflicts.map(rate::shown).or(before.conflicts_per_minute),
        topology_revision: revision.or(before.topology_revision),
        step: step(&found.plan.next),
        regions,
    }
}

/// The status of a store that makes no sense, or cannot be read: what was known stays.
pub(crate) fn of_unusable(
    before: Option<GeoStoreStatus>,
    generation: Option<i64>,
    told: &Told,
    now: Timestamp,
) -> GeoStoreStatus {
    let before = before.unwrap_or_default();
    GeoStoreStatus {
        observed_generation: generation,
        conditions: conditions::unusable(&before.conditions, generation, told, now),
        step: None,
        ..before
    }
}

fn step(next: &Next) -> Option<String> {
    match next {
        Next::Nothing => None,
        Next::Wait(told) | Next::Blocked(told) | Next::Act { told, action: _ } => {
            Some(shortened(&told.message))
        }
    }
}

pub(crate) fn shortened(message: &str) -> String {
    message.chars().take(MESSAGE_MAX).collect()
}

/// Takes the regions' counters of conflicts; answers the rates that are known.
pub(crate) fn conflict_rates(
    rates: &Mutex<Rates>,
    declared: &Declared,
    observed: &Observed,
    now: Instant,
) -> HashMap<String, f64> {
    let mut rates = rates
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let counters = observed
        .answering()
        .filter_map(|(region, said)| Some((region, said.conflicts?)));
    counters
        .filter_map(|(region, total)| {
            let name = format!("{}/{}/{region}", declared.namespace, declared.name);
            Some((region.to_string(), rates.take(&name, total, now)?))
        })
        .collect()
}

/// Most words remembered about objects that cannot be read; beyond, all is said once more.
const TOLD_MAX: usize = 1000;

/// Writes statuses.
#[derive(Default)]
pub(crate) struct Pen {
    written: Mutex<HashMap<String, Instant>>,
    /// What was said of objects whose status cannot be read back.
    told: Mutex<BTreeSet<String>>,
}

impl Pen {
    /// Writes a status if it changed. `is_news` when more than figures did: then at once.
    pub(crate) async fn write<S: Serialize + PartialEq>(
        &self,
        hands: &Hands,
        object: &Written<'_>,
        before: Option<&S>,
        status: &S,
        is_news: bool,
    ) -> Result<(), PassError> {
        let Written {
            kind,
            plural,
            namespace,
            name,
        } = object;
        if before == Some(status) {
            return Ok(());
        }
        let key = format!("{kind}/{namespace}/{name}");
        let now = Instant::now();
        let is_early = self
            .written()
            .get(&key)
            .is_some_and(|at| now.saturating_duration_since(*at) < FIGURES_EVERY);
        if is_early && !is_news {
            return Ok(());
        }
        let gvk = GroupVersionKind::gvk("atoll.dev", "v1alpha1", kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        let api: Api<DynamicObject> =
            Api::namespaced_with(hands.client.clone(), namespace, &resource);
        let body = json!({
            "apiVersion": API_VERSION,
            "kind": kind,
            "metadata": { "name": name },
            "status": status,
        });
        let parameters = PatchParams::apply(MANAGER).force();
        let what = format!("status of {kind} {name}");
        let patch = Patch::Apply(body);
        let patching = api.patch_status(name, &parameters, &patch);
        match hands.call(&what, patching).await {
            Ok(_) => {}
            // Gone meanwhile.
            Err(PassError::Kube { source, .. }) if matches!(&*source, kube::Error::Api(status) if status.code == 404) =>
                {}
            Err(error) => return Err(error),
        }
        hands.metrics.wrote("status");
        self.written().insert(key, now);
        Ok(())
    }

    fn written(&self) -> std::sync::MutexGuard<'_, HashMap<String, Instant>> {
        self.written
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Whether this was said already, of an object that cannot be read.
    pub(crate) fn has_told(&self, said: &str) -> bool {
        self.told().contains(said)
    }

    /// Remembers what was said of an object that cannot be read.
    pub(crate) fn tell(&self, said: String) {
        let mut told = self.told();
        if told.len() >= TOLD_MAX {
            told.clear();
        }
        told.insert(said);
    }

    fn told(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.told
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Forgets objects that were not written for long.
    pub(crate) fn forget_old(&self) {
        self.written().retain(|_, at| at.elapsed() < FIGURES_EVERY);
    }
}

/// Whose status is written.
pub(crate) struct Written<'a> {
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
}

/// Whether more than figures and words changed between two statuses of a store.
pub(crate) fn is_news(before: Option<&GeoStoreStatus>, now: &GeoStoreStatus) -> bool {
    let Some(before) = before else {
        return true;
    };
    let states = |status: &GeoStoreStatus| -> Vec<_> {
        let regions = status.regions.iter();
        regions
            .map(|region| (region.name.clone(), region.state, region.nodes.clone()))
            .collect()
    };
    before.observed_generation != now.observed_generation
        || conditions::differ(&before.conditions, &now.conditions)
        || before.regions_ready != now.regions_ready
        || states(before) != states(now)
}

/// The object's name and namespace.
pub(crate) fn place<K: kube::ResourceExt>(object: &K) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}
