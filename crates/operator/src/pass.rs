//! One pass over one store: observe → validate → plan → build → apply → report.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use atoll_api::manifest::conditions::ConditionReason;
use atoll_api::manifest::{Collection, GeoStore, GeoStoreStatus};
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::core::error_boundary::InvalidObject;

use crate::apply::Hands;
use crate::ask::{self, Ways};
use crate::caches::{Caches, Children, GuardedStore};
use crate::certificates::{Arranged, Certificates};
use crate::error::{Class, PassError};
use crate::events::Events;
use crate::observe::Observed;
use crate::plan::{Next, Plan, Told, plan};
use crate::rate::Rates;
use crate::report::{self, Found, Pen, Written};
use crate::settings::Settings;
use crate::traces::PassSpan;
use crate::validate::{Declared, Verdict, validate};
use crate::{build, seen};

/// How soon a store is looked at again while something is under way.
const SOON: Duration = Duration::from_secs(2);

/// Stores at rest are looked at no faster than one in this time.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// All that passes need.
pub(crate) struct Tools {
    pub(crate) settings: Settings,
    pub(crate) caches: Caches,
    pub(crate) hands: Hands,
    pub(crate) pen: Pen,
    pub(crate) events: Events,
    pub(crate) rates: Mutex<Rates>,
    pub(crate) certificates: Certificates,
}

impl Tools {
    /// A pass over one store. Answers when to look again.
    ///
    /// # Errors
    /// What did not succeed, after everything else was tried and reported.
    pub(crate) async fn pass(
        &self,
        store: &GeoStore,
        span: &mut PassSpan,
    ) -> Result<Duration, PassError> {
        span.step("validate");
        let (namespace, name) = report::place(store);
        if store.metadata.deletion_timestamp.is_some() {
            self.forget(&namespace, &name);
            return Ok(self.settings.look_every);
        }
        let collections = self.caches.collections(&namespace, &name);
        let (declared, verdicts) = match validate(store, &collections, &self.settings) {
            Ok(valid) => valid,
            Err(errors) => {
                let words: Vec<String> = errors.iter().map(ToString::to_string).collect();
                let told = Told {
                    reason: ConditionReason::InvalidSpec,
                    message: words.join("; "),
                };
                self.tell_unusable(store, &told).await?;
                return Ok(self.settings.look_every);
            }
        };
        span.step("observe");
        let children = self.caches.children(&namespace, &name);
        if self.hands.label_strays(&declared, &children).await? {
            // Seen as soon as the API server tells of them.
            return Ok(SOON);
        }
        let mut observed = seen::objects(&declared, &children);
        let (opened, mut failures) = match self.open_certificates(&declared, &children).await {
            Ok(opened) => (opened, Vec::new()),
            Err(failure) => (None, vec![failure]),
        };
        let ways = Ways::of(&declared, opened.as_ref());
        // Without certificates nobody would answer, and no node could start.
        let may_go_on = declared.tls.is_none() || opened.is_some();
        if may_go_on {
            span.step("ask");
            ask::ask(&declared, &mut observed, &ways, self.settings.timeout).await;
        }
        span.step("plan");
        let (mut plan, mut arranged) = (plan(&declared, &observed), None);
        if may_go_on {
            let opened = opened.as_ref();
            let arranging = self.arrange_certificates(&declared, &observed, &plan, opened, &ways);
            match arranging.await {
                Ok(certificates) => {
                    let lacks = certificates.as_ref().and_then(|all| all.lacks.clone());
                    failures.extend(lacks.map(PassError::certificates));
                    arranged = certificates;
                }
                Err(failure) => failures.push(failure),
            }
            span.step("make");
            let made = self.make(&declared, &plan, arranged.as_ref(), &children);
            let Made {
                failures: failed,
                are_nodes_as_seen,
            } = made.await;
            failures.extend(failed);
            plan.next = plan.next.after_making(are_nodes_as_seen);
            let is_time = are_nodes_as_seen && failures.iter().all(|f| f.class() != Class::User);
            span.step("act");
            let acting = self.act(store, &declared, &observed, &ways, &plan, is_time);
            failures.extend(acting.await);
        }
        let world = World {
            declared: &declared,
            observed: &observed,
            plan: &plan,
            arranged: arranged.as_ref(),
            children: &children,
            collections: &collections,
            verdicts: &verdicts,
        };
        span.step("report");
        let failed = self.report(store, &world, &failures).await;
        match failures.into_iter().next().or(failed) {
            Some(failure) => Err(failure),
            None => Ok(self.again(&plan, arranged.as_ref(), &observed)),
        }
    }

    /// When to look again. Of nodes that answer nobody yet, the API server tells when they do.
    fn again(&self, plan: &Plan, arranged: Option<&Arranged>, observed: &Observed) -> Duration {
        let is_changing = arranged.is_some_and(|arranged| arranged.progress.is_some());
        let is_settled =
            matches!(plan.next, Next::Nothing) && plan.chores.is_empty() && !is_changing;
        if is_settled || observed.answering().next().is_none() {
            return self.at_rest();
        }
        SOON.min(self.settings.look_every)
    }

    /// When to look again at a store at which nothing happens: with many stores less often, so that looks at those at
    /// rest never keep one waiting that is new.
    fn at_rest(&self) -> Duration {
        look_again(self.settings.look_every, self.caches.stores.len())
    }

    /// Makes the objects. One that fails does not stop the others, except that no pod is made before all that
    /// it needs.
    async fn make(
        &self,
        declared: &Declared,
        plan: &Plan,
        arranged: Option<&Arranged>,
        children: &Children,
    ) -> Made {
        let mut wanted = arranged.map_or_else(Vec::new, |arranged| arranged.objects(declared));
        wanted.extend(build::build(declared, plan));
        wanted.sort_by_key(|built| built.kind);
        let mut failures = Vec::new();
        let mut are_nodes_as_seen = true;
        let mut failed_regions = Vec::new();
        // The regions that a store begins with begin together: one that came later would have to join.
        let is_new = children.stateful_sets.is_empty();
        for built in &wanted {
            let is_held = failed_regions.contains(&built.region) || is_new && !failures.is_empty();
            if built.kind == build::Kind::StatefulSet && is_held {
                continue;
            }
            match self.hands.apply(declared, built, children).await {
                Ok(is_written) => {
                    are_nodes_as_seen &= !is_written || built.kind != build::Kind::StatefulSet;
                }
                Err(failure) => {
                    failures.push(failure);
                    failed_regions.push(built.region.clone());
                    if built.region.is_none() {
                        // Everybody needs it.
                        return Made {
                            failures,
                            are_nodes_as_seen,
                        };
                    }
                }
            }
        }
        if declared.tls.is_some() && arranged.is_none() {
            // Nobody knows which Secrets are needed.
            return Made {
                failures,
                are_nodes_as_seen,
            };
        }
        let hands = &self.hands;
        let removing = hands.remove_orphans(declared, plan, &wanted, children);
        failures.extend(removing.await.err());
        Made {
            failures,
            are_nodes_as_seen,
        }
    }

    /// Does chores, and when it is time, the one thing that is next.
    async fn act(
        &self,
        store: &GeoStore,
        declared: &Declared,
        observed: &Observed,
        ways: &Ways,
        plan: &Plan,
        is_time: bool,
    ) -> Vec<PassError> {
        let mut failed = Vec::new();
        for chore in &plan.chores {
            let doing = self.hands.chore(declared, observed, ways, chore);
            failed.extend(doing.await.err());
        }
        let Next::Act { action, told } = &plan.next else {
            return failed;
        };
        if !is_time {
            return failed;
        }
        tracing::info!(
            store = declared.name,
            namespace = declared.namespace,
            "{}",
            told.message
        );
        let acting = self
            .hands
            .act(declared, observed, ways, action, &told.message);
        match acting.await {
            Ok(()) => {
                self.hands.metrics.acted(told.reason.as_str());
                self.events.done(store, told).await;
            }
            Err(failure) => failed.push(failure),
        }
        failed
    }

    async fn report(
        &self,
        store: &GeoStore,
        world: &World<'_>,
        failures: &[PassError],
    ) -> Option<PassError> {
        let World {
            declared,
            observed,
            plan,
            arranged,
            children,
            collections,
            verdicts,
        } = world;
        let now = std::time::Instant::now();
        let conflicts = report::conflict_rates(&self.rates, declared, observed, now);
        let found = Found {
            declared,
            observed,
            plan,
            arranged: *arranged,
            failures,
            conflicts: &conflicts,
            now: Timestamp::now(),
        };
        let mut failed = None;
        let status = report::of_store(store, &found);
        failed = failed.or(self.write_store(store, &status).await.err());
        for collection in *collections {
            let name = collection.name_any();
            let verdict = verdicts.iter().find(|verdict| verdict.name == name);
            let Some(verdict) = verdict else {
                continue;
            };
            let status = report::of_collection(collection, verdict, &found);
            let written = self.write_collection(collection, &status);
            failed = failed.or(written.await.err());
        }
        let links = children.links.iter().map(|(_, link)| link);
        let links = links.filter(|link| declared.made(&link.kept));
        for link in links.filter_map(|link| link.link.as_ref()) {
            let status = report::of_link(link, &found);
            let (namespace, name) = report::place(link);
            let object = Written {
                kind: "ReplicationLink",
                plural: "replicationlinks",
                namespace: &namespace,
                name: &name,
            };
            let is_news = link.status.as_ref().map(|old| &old.state) != Some(&status.state);
            let writing =
                self.pen
                    .write(&self.hands, &object, link.status.as_ref(), &status, is_news);
            failed = failed.or(writing.await.err());
        }
        failed
    }

    async fn write_store(
        &self,
        store: &GeoStore,
        status: &GeoStoreStatus,
    ) -> Result<(), PassError> {
        let (namespace, name) = report::place(store);
        let object = Written {
            kind: "GeoStore",
            plural: "geostores",
            namespace: &namespace,
            name: &name,
        };
        let is_news = report::is_news(store.status.as_ref(), status);
        self.tell_of_stalling(store, status).await;
        self.pen
            .write(&self.hands, &object, store.status.as_ref(), status, is_news)
            .await
    }

    /// An event when a store begins to stall.
    async fn tell_of_stalling(&self, store: &GeoStore, status: &GeoStoreStatus) {
        let stalled = |status: &GeoStoreStatus| {
            let mut all = status.conditions.iter();
            all.find(|condition| condition.type_ == "Stalled").cloned()
        };
        let before = store.status.as_ref().and_then(stalled);
        let Some(now) = stalled(status) else {
            return;
        };
        if before.is_some_and(|before| before.reason == now.reason) {
            return;
        }
        let mut reasons = ConditionReason::ALL.iter();
        let reason = reasons.find(|reason| reason.as_str() == now.reason);
        let told = Told {
            reason: reason.copied().unwrap_or(ConditionReason::Refused),
            message: now.message,
        };
        self.events.wrong(store, &told).await;
    }

    pub(crate) async fn write_collection(
        &self,
        collection: &Collection,
        status: &atoll_api::manifest::CollectionStatus,
    ) -> Result<(), PassError> {
        let (namespace, name) = report::place(collection);
        let object = Written {
            kind: "Collection",
            plural: "collections",
            namespace: &namespace,
            name: &name,
        };
        let before = collection.status.as_ref();
        self.pen
            .write(&self.hands, &object, before, status, true)
            .await
    }

    async fn tell_unusable(&self, store: &GeoStore, told: &Told) -> Result<(), PassError> {
        let before = store.status.clone();
        let generation = store.metadata.generation;
        let status = report::of_unusable(before, generation, told, Timestamp::now());
        self.write_store(store, &status).await
    }

    /// A store that cannot even be read: it alone stalls. Where the API server takes no status of it either, an event
    /// says so.
    pub(crate) async fn pass_unreadable(
        &self,
        store: &GuardedStore,
        object: &InvalidObject,
    ) -> Result<(), PassError> {
        let told = Told {
            reason: ConditionReason::Unreadable,
            message: format!(
                "this version of the operator cannot read the object ({}): correct it, or upgrade the operator",
                object.error
            ),
        };
        let meta = &object.metadata;
        let (namespace, name) = (
            meta.namespace.clone().unwrap_or_default(),
            meta.name.clone().unwrap_or_default(),
        );
        // Its status cannot be read either, so what was told is remembered here.
        let said = format!("{:?} {:?}: {}", meta.uid, meta.generation, told.message);
        if self.pen.has_told(&said) {
            return Ok(());
        }
        let status = report::of_unusable(None, meta.generation, &told, Timestamp::now());
        let object = Written {
            kind: "GeoStore",
            plural: "geostores",
            namespace: &namespace,
            name: &name,
        };
        let writing = self.pen.write(&self.hands, &object, None, &status, true);
        match writing.await {
            Err(error) if error.class() == Class::User => {
                tracing::warn!(%error, "an object that cannot be read");
                self.events.wrong(store, &told).await;
            }
            written => written?,
        }
        self.pen.tell(said);
        Ok(())
    }

    /// Collections of stores that are not there say so.
    pub(crate) async fn pass_over_collections_without_store(&self) {
        for object in self.caches.collections_without_store() {
            let Ok(collection) = &object.0 else {
                continue;
            };
            let status = report::without_store(collection, Timestamp::now());
            if let Err(error) = self.write_collection(collection, &status).await {
                tracing::warn!(%error, "a collection without a store is not told");
            }
        }
    }

    pub(crate) fn forget(&self, namespace: &str, name: &str) {
        self.hands.forget(namespace, name);
        let mut rates = self
            .rates
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        rates.forget(&format!("{namespace}/{name}/"));
    }
}

fn look_again(every: Duration, stores: usize) -> Duration {
    let stores = u32::try_from(stores).unwrap_or(u32::MAX);
    every.max(LOOK_PAUSE.saturating_mul(stores))
}

/// What came of making the objects.
struct Made {
    failures: Vec<PassError>,
    /// Whether no StatefulSet was written: one that was, gives its pods another revision than the plan knows of.
    are_nodes_as_seen: bool,
}

/// What a pass is about.
struct World<'a> {
    declared: &'a Declared,
    observed: &'a Observed,
    plan: &'a Plan,
    arranged: Option<&'a Arranged>,
    children: &'a Children,
    collections: &'a [Arc<Collection>],
    verdicts: &'a [Verdict],
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Caught: a thousand stores looked at every ten seconds each, which left no time for the last three hundred.
    #[test]
    fn many_stores_at_rest_are_looked_at_less_often() {
        let every = Duration::from_secs(10);
        assert_eq!(look_again(every, 3), every);
        assert_eq!(look_again(every, 1000), Duration::from_secs(50));
    }
}
