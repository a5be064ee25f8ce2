//! What the API server has, kept at hand: watches, and whom a change concerns.
//!
//! Children are found by label, most of them by their metadata alone, and kept as [`crate::kept`] says. What the operator
//! itself writes into status does not wake it: of stores, collections and links only changes of everything else count.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;

use atoll_api::manifest::{Collection, GeoStore, RegionName};
use futures_util::stream::{self, Stream, StreamExt as _};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::{Api, DynamicObject, PartialObjectMeta};
use kube::core::{DeserializeGuard, NamespaceResourceScope};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::controller::ReconcileRequest;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Event};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::kept::{self, Kept, KeptClaim, KeptLink, KeptPod, KeptSet, fingerprint};
use crate::kinds::Kind;
use crate::names::{MANAGED_BY, OPERATOR, STORE};
use crate::shelf::{IsNews, Item, Name, Shelf};

/// A store, or what cannot be read of it.
pub(crate) type GuardedStore = DeserializeGuard<GeoStore>;
/// Whom to look at.
pub(crate) type Request = ReconcileRequest<GuardedStore>;
/// Requests as they come, merged from all watches.
pub(crate) type Requests = Pin<Box<dyn Stream<Item = Result<Request, watcher::Error>> + Send>>;

/// What the API server has of one namespace, or of all.
pub(crate) struct Caches {
    pub(crate) stores: Store<GuardedStore>,
    collections: Shelf<DeserializeGuard<Collection>>,
    links: Shelf<KeptLink>,
    stateful_sets: Shelf<KeptSet>,
    pods: Shelf<KeptPod>,
    claims: Shelf<KeptClaim>,
    others: BTreeMap<Kind, Shelf<Kept>>,
    listing: watch::Receiver<usize>,
}

/// Counts the watches that have not listed everything yet.
///
/// The caches' own waiting wakes one waiter only, whoever asked last; here passes wait, several at once.
#[derive(Clone)]
struct Listing(watch::Sender<usize>);

impl Listing {
    fn begin(&self) {
        self.0.send_modify(|missing| *missing += 1);
    }

    fn done(&self) {
        self.0
            .send_modify(|missing| *missing = missing.saturating_sub(1));
    }
}

/// Where watches are begun.
struct Watches<'a> {
    client: &'a Client,
    namespace: Option<&'a str>,
    listing: Listing,
    requests: Vec<Requests>,
}

/// Of one store.
#[derive(Default)]
pub(crate) struct Children {
    pub(crate) stateful_sets: Vec<(Name, Arc<KeptSet>)>,
    pub(crate) pods: Vec<(Name, Arc<KeptPod>)>,
    pub(crate) claims: Vec<(Name, Arc<KeptClaim>)>,
    pub(crate) links: Vec<(Name, Arc<KeptLink>)>,
    /// All that the operator makes, by kind and name.
    pub(crate) made: BTreeMap<(Kind, Name), Kept>,
}

/// Begins to watch.
pub(crate) fn watch_all(client: &Client, namespace: Option<&str>) -> (Caches, Requests) {
    let (missing, listing) = watch::channel(0);
    let mut watches = Watches {
        client,
        namespace,
        listing: Listing(missing),
        requests: Vec::new(),
    };
    let plain = watcher::Config::default().page_size(PAGE);
    let by_us = plain.clone().labels(&format!("{MANAGED_BY}={OPERATOR}"));
    let of_stores = plain.clone().labels(STORE);
    let kinds = Kind::ALL
        .into_iter()
        .filter(|kind| !matches!(kind, Kind::StatefulSet | Kind::ReplicationLink));
    let caches = Caches {
        stores: watches.keep_stores(plain.clone()),
        collections: watches.keep(plain, of_its_spec, |before, now| {
            fingerprint(before.meta()) != fingerprint(now.meta())
        }),
        links: watches.keep(
            by_us.clone(),
            |link| by_label(link, KeptLink::of),
            |before, now| before.kept.print != now.kept.print,
        ),
        others: kinds
            .map(|kind| (kind, watches.keep_metadata(kind, by_us.clone())))
            .collect(),
        stateful_sets: watches.keep(
            by_us,
            |set| by_label(set, |set: StatefulSet| KeptSet::of(&set)),
            |_, _| true,
        ),
        pods: watches.keep(
            of_stores.clone(),
            |pod| by_label(pod, |pod: Pod| KeptPod::of(&pod)),
            |_, _| true,
        ),
        claims: watches.keep(
            of_stores,
            |claim| by_label(claim, |claim: PersistentVolumeClaim| KeptClaim::of(&claim)),
            |_, _| true,
        ),
        listing,
    };
    (caches, Box::pin(stream::select_all(watches.requests)))
}

/// Objects that are asked for at once, when all are listed: as they come, they are whole.
const PAGE: u32 = 500;

/// An object of the store that its label names.
fn by_label<K: ResourceExt, V>(object: K, keep: impl FnOnce(K) -> V) -> Item<V> {
    Item {
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        store: object.labels().get(STORE).cloned(),
        value: keep(object),
    }
}

/// A collection of the store that it names itself.
fn of_its_spec(object: DeserializeGuard<Collection>) -> Item<DeserializeGuard<Collection>> {
    let readable = object.0.as_ref().ok();
    Item {
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        store: readable.map(|collection| collection.spec.store_ref.name.to_string()),
        value: kept::collection(object),
    }
}

impl Watches<'_> {
    /// Stores themselves: the loop of passes wants them whole.
    fn keep_stores(&mut self, config: watcher::Config) -> Store<GuardedStore> {
        let (store, writer) = reflector::store();
        let events = watcher::watcher(self.typed::<GuardedStore>(), config)
            .default_backoff()
            .modify(kept::without_notes);
        let read = |store: GuardedStore| Item {
            namespace: store.namespace().unwrap_or_default(),
            name: store.name_any(),
            store: Some(store.name_any()),
            value: fingerprint(store.meta()),
        };
        self.shelve(reflector::reflector(writer, events), read, |before, now| {
            before != now
        });
        store
    }

    fn keep<K, V>(
        &mut self,
        config: watcher::Config,
        read: fn(K) -> Item<V>,
        is_news: IsNews<V>,
    ) -> Shelf<V>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + 'static,
        V: Send + Sync + 'static,
    {
        let events = watcher::watcher(self.typed::<K>(), config).default_backoff();
        self.shelve(events, read, is_news)
    }

    fn keep_metadata(&mut self, kind: Kind, config: watcher::Config) -> Shelf<Kept> {
        type Meta = PartialObjectMeta<DynamicObject>;
        let read = |object: Meta| by_label(object, |object| Kept::of(&object.metadata));
        let resource = kind.resource();
        let api: Api<Meta> = match self.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        let events = watcher::watcher(api, config).default_backoff();
        self.shelve(events, read, |_, _| true)
    }

    fn typed<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        match self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    /// From changes to requests; what was changed is found by its store from then on.
    fn shelve<K: 'static, V: Send + Sync + 'static>(
        &mut self,
        events: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static,
        read: fn(K) -> Item<V>,
        is_news: IsNews<V>,
    ) -> Shelf<V> {
        let shelf = Shelf::default();
        let kept = shelf.clone();
        let listing = self.listing.clone();
        listing.begin();
        let mut is_listed = false;
        let requests = events.filter_map(move |event| {
            let is_end = matches!(event, Ok(Event::InitDone));
            let request = event.map(|event| take(&kept, event, read, is_news));
            if is_end && !std::mem::replace(&mut is_listed, true) {
                listing.done();
            }
            std::future::ready(request.transpose())
        });
        self.requests.push(Box::pin(requests));
        shelf
    }
}

/// Takes a change; answers whom it concerns.
fn take<K, V>(
    shelf: &Shelf<V>,
    event: Event<K>,
    read: fn(K) -> Item<V>,
    is_news: IsNews<V>,
) -> Option<Request> {
    match event {
        Event::Init => {
            shelf.begin();
            None
        }
        Event::InitApply(object) => {
            let item = read(object);
            let whom = concerned(&item);
            shelf.list(item, is_news).then_some(whom?)
        }
        Event::Apply(object) => {
            let item = read(object);
            let whom = concerned(&item);
            shelf.put(item, is_news).then_some(whom?)
        }
        Event::Delete(object) => {
            let gone = read(object);
            shelf.remove(&gone.namespace, &gone.name);
            concerned(&gone)
        }
        Event::InitDone => {
            shelf.end();
            None
        }
    }
}

fn concerned<V>(item: &Item<V>) -> Option<Request> {
    let store = item.store.as_deref()?;
    Some(ObjectRef::new(store).within(&item.namespace).into())
}

impl Children {
    /// Whether a region was made here, though its StatefulSet is not among those that carry our labels.
    pub(crate) fn leave_traces(&self, region: &RegionName, stateful_set: &str) -> bool {
        let mut made = self.made.keys();
        let is_known =
            made.any(|(kind, name)| *kind == Kind::StatefulSet && **name == *stateful_set);
        let is_of_region = |of: &Option<RegionName>| of.as_ref() == Some(region);
        !is_known
            && (self
                .claims
                .iter()
                .any(|(_, claim)| is_of_region(&claim.region))
                || self.pods.iter().any(|(_, pod)| is_of_region(&pod.region)))
    }
}

/// How many of what there are.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) stores: usize,
    /// Of what was made for stores.
    pub(crate) objects: BTreeMap<Kind, usize>,
}

impl Caches {
    /// How many of what there are now.
    pub(crate) fn counts(&self) -> Counts {
        let others = self.others.iter();
        let mut objects: BTreeMap<Kind, usize> =
            others.map(|(kind, all)| (*kind, all.len())).collect();
        objects.insert(Kind::StatefulSet, self.stateful_sets.len());
        objects.insert(Kind::ReplicationLink, self.links.len());
        Counts {
            stores: self.stores.len(),
            objects,
        }
    }

    /// Returns when everything was listed once.
    pub(crate) async fn wait_until_ready(&self) {
        // When the watches have ended, nothing is waited for any more.
        let _ = self.listing.clone().wait_for(|missing| *missing == 0).await;
    }

    /// The collections of a store that can be read.
    pub(crate) fn collections(&self, namespace: &str, store: &str) -> Vec<Arc<Collection>> {
        let all = self.collections.of(namespace, store).into_iter();
        all.filter_map(|(_, object)| object.0.clone().ok())
            .filter(|collection| collection.meta().deletion_timestamp.is_none())
            .map(Arc::new)
            .collect()
    }

    /// Collections of stores that are not there.
    pub(crate) fn collections_without_store(&self) -> Vec<Arc<DeserializeGuard<Collection>>> {
        let mut all = self.collections.all();
        all.retain(|object| match &object.0 {
            Ok(collection) => {
                let namespace = collection.namespace().unwrap_or_default();
                let store = collection.spec.store_ref.name.as_str();
                let place = ObjectRef::new(store).within(&namespace);
                self.stores.get(&place).is_none()
            }
            Err(_) => true,
        });
        all
    }

    /// What there is of a store.
    pub(crate) fn children(&self, namespace: &str, store: &str) -> Children {
        let mut children = Children {
            stateful_sets: self.stateful_sets.of(namespace, store),
            pods: self.pods.of(namespace, store),
            claims: self.claims.of(namespace, store),
            links: self.links.of(namespace, store),
            made: BTreeMap::new(),
        };
        for (kind, others) in &self.others {
            let of_kind = others.of(namespace, store).into_iter();
            let of_kind = of_kind.map(|(name, kept)| ((*kind, name), Kept::clone(&kept)));
            children.made.extend(of_kind);
        }
        let sets = children.stateful_sets.iter();
        let sets =
            sets.map(|(name, set)| ((Kind::StatefulSet, Name::clone(name)), set.kept.clone()));
        let links = children.links.iter();
        let links = links.map(|(name, link)| {
            (
                (Kind::ReplicationLink, Name::clone(name)),
                link.kept.clone(),
            )
        });
        children.made.extend(sets.chain(links));
        children
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, store: Option<&str>) -> StatefulSet {
        let mut set = StatefulSet::default();
        set.metadata.name = Some(name.to_owned());
        set.metadata.namespace = Some("team".to_owned());
        set.metadata.labels = store.map(|store| [(STORE.to_owned(), store.to_owned())].into());
        set
    }

    /// Whom changes concern, and what a store has afterwards.
    fn happen(
        shelf: &Shelf<KeptSet>,
        events: Vec<Event<StatefulSet>>,
    ) -> (Vec<String>, Vec<String>) {
        let read = |set| by_label(set, |set: StatefulSet| KeptSet::of(&set));
        let requests = events
            .into_iter()
            .filter_map(|event| take(shelf, event, read, |_, _| true));
        let whom = requests.map(|request| request.obj_ref.name).collect();
        let there = shelf.of("team", "shop").into_iter();
        (whom, there.map(|(name, _)| name.to_string()).collect())
    }

    /// Caught: a StatefulSet that lost its label was kept as it had been, so that nobody gave it the label back.
    #[test]
    fn what_loses_its_label_is_its_stores_no_more() {
        let shelf = Shelf::default();
        let (whom, there) = happen(
            &shelf,
            vec![
                Event::Init,
                Event::InitApply(set("shop-eu", Some("shop"))),
                Event::InitApply(set("other", None)),
                Event::InitDone,
                Event::Apply(set("shop-us", Some("shop"))),
            ],
        );
        assert_eq!(whom, ["shop", "shop"]);
        assert_eq!(there, ["shop-eu", "shop-us"]);
        let (whom, there) = happen(&shelf, vec![Event::Apply(set("shop-eu", None))]);
        assert!(whom.is_empty());
        assert_eq!(there, ["shop-us"]);
        let (whom, there) = happen(&shelf, vec![Event::Delete(set("shop-us", Some("shop")))]);
        assert_eq!((whom, there), (vec!["shop".to_owned()], Vec::new()));
        assert_eq!(shelf.len(), 2);
    }
}
