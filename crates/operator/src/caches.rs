//! What the API server has, kept at hand: watches, and whom a change concerns.
//!
//! Children are found by label, most of them by their metadata alone. What the operator itself writes into
//! status does not wake it: of stores, collections and links only changes of everything else count.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;

use atoll_api::manifest::{Collection, GeoStore, RegionName, ReplicationLink};
use futures_util::stream::{self, Stream, StreamExt as _};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DynamicObject, PartialObjectMeta};
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::controller::ReconcileRequest;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Event};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::kinds::Kind;
use crate::names::{MANAGED_BY, OPERATOR, REGION, STORE};
use crate::shelf::{Index, Shelf, Whose};

/// A store, or what cannot be read of it.
pub(crate) type GuardedStore = DeserializeGuard<GeoStore>;
/// Whom to look at.
pub(crate) type Request = ReconcileRequest<GuardedStore>;
/// Requests as they come, merged from all watches.
pub(crate) type Requests = Pin<Box<dyn Stream<Item = Result<Request, watcher::Error>> + Send>>;

type Meta = PartialObjectMeta<DynamicObject>;

/// What the API server has of one namespace, or of all.
pub(crate) struct Caches {
    pub(crate) stores: Store<GuardedStore>,
    collections: Shelf<DeserializeGuard<Collection>>,
    links: Shelf<DeserializeGuard<ReplicationLink>>,
    stateful_sets: Shelf<StatefulSet>,
    pods: Shelf<Pod>,
    claims: Shelf<PersistentVolumeClaim>,
    others: BTreeMap<Kind, Shelf<Meta>>,
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
    pub(crate) stateful_sets: Vec<Arc<StatefulSet>>,
    pub(crate) pods: Vec<Arc<Pod>>,
    pub(crate) claims: Vec<Arc<PersistentVolumeClaim>>,
    pub(crate) links: Vec<Arc<DeserializeGuard<ReplicationLink>>>,
    /// All that the operator makes, by kind and name.
    pub(crate) metadata: BTreeMap<(Kind, String), ObjectMeta>,
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
    let plain = watcher::Config::default().page_size(500);
    let by_us = plain.clone().labels(&format!("{MANAGED_BY}={OPERATOR}"));
    let of_stores = plain.clone().labels(STORE);
    let stores = watches.keep(
        plain.clone(),
        |store: &GuardedStore| (store.namespace(), Some(store.name_any())),
        Wakes::Quiet,
        |_| {},
    );
    let collections = watches.keep(
        plain,
        |collection: &DeserializeGuard<Collection>| {
            let readable = collection.0.as_ref().ok();
            let store = readable.map(|collection| collection.spec.store_ref.name.to_string());
            (collection.namespace(), store)
        },
        Wakes::Quiet,
        |_| {},
    );
    let kinds = Kind::ALL
        .into_iter()
        .filter(|kind| !matches!(kind, Kind::StatefulSet | Kind::ReplicationLink));
    let others = kinds
        .map(|kind| (kind, watches.keep_metadata(kind, by_us.clone())))
        .collect();
    let caches = Caches {
        stores: stores.objects,
        collections,
        links: watches.keep(by_us.clone(), by_label, Wakes::Quiet, |_| {}),
        stateful_sets: watches.keep(by_us, by_label, Wakes::Loud, without_template),
        pods: watches.keep(of_stores.clone(), by_label, Wakes::Loud, without_spec),
        claims: watches.keep(of_stores, by_label, Wakes::Loud, |_| {}),
        others,
        listing,
    };
    (caches, Box::pin(stream::select_all(watches.requests)))
}

/// Which changes of an object concern its store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wakes {
    /// All.
    Loud,
    /// Those of more than its status.
    Quiet,
}

fn by_label<K: ResourceExt>(object: &K) -> (Option<String>, Option<String>) {
    (object.namespace(), object.labels().get(STORE).cloned())
}

/// What nodes are to be like is known by its revision.
fn without_template(set: &mut StatefulSet) {
    if let Some(spec) = &mut set.spec {
        spec.template = PodTemplateSpec::default();
    }
    set.annotations_mut().clear();
}

fn without_spec(pod: &mut Pod) {
    pod.spec = None;
    pod.annotations_mut().clear();
}

/// Whether a change is news, by what the object was before.
#[derive(Default)]
struct Known(HashMap<(Option<String>, String), u64>);

impl Known {
    fn take<K: ResourceExt>(&mut self, object: &K, is_gone: bool) -> bool {
        let name = (object.namespace(), object.name_any());
        if is_gone {
            self.0.remove(&name);
            return true;
        }
        let print = fingerprint(object.meta());
        self.0.insert(name, print) != Some(print)
    }
}

/// What an object is besides its status. Where the API server counts generations, they stand for the content.
pub(crate) fn fingerprint(meta: &ObjectMeta) -> u64 {
    let mut hasher = DefaultHasher::new();
    match meta.generation {
        Some(generation) => generation.hash(&mut hasher),
        None => meta.resource_version.hash(&mut hasher),
    }
    meta.uid.hash(&mut hasher);
    meta.labels.hash(&mut hasher);
    meta.deletion_timestamp.is_some().hash(&mut hasher);
    let owners = meta.owner_references.iter().flatten();
    owners.for_each(|owner| owner.uid.hash(&mut hasher));
    hasher.finish()
}

impl Watches<'_> {
    fn keep<K>(
        &mut self,
        config: watcher::Config,
        whose: Whose<K>,
        wakes: Wakes,
        shrink: fn(&mut K),
    ) -> Shelf<K>
    where
        K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
            + ResourceExt
            + Clone
            + DeserializeOwned
            + std::fmt::Debug
            + Send
            + Sync
            + 'static,
    {
        let api: Api<K> = match self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        };
        let (store, writer) = reflector::store();
        let events = watcher::watcher(api, config)
            .default_backoff()
            .modify(move |object| {
                object.managed_fields_mut().clear();
                shrink(object);
            });
        self.shelve(
            reflector::reflector(writer, events),
            store,
            (),
            whose,
            wakes,
        )
    }

    fn keep_metadata(&mut self, kind: Kind, config: watcher::Config) -> Shelf<Meta> {
        let resource = kind.resource();
        let api: Api<Meta> = match self.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        let writer = reflector::store::Writer::new(resource.clone());
        let store = writer.as_reader();
        let events = watcher::watcher(api, config)
            .default_backoff()
            .modify(|object| {
                object.managed_fields_mut().clear();
                object.annotations_mut().clear();
            });
        let events = reflector::reflector(writer, events);
        self.shelve(events, store, resource, by_label, Wakes::Loud)
    }

    /// From changes to requests; what was changed is found by its store from then on.
    fn shelve<K>(
        &mut self,
        events: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static,
        store: Store<K>,
        kind: K::DynamicType,
        whose: Whose<K>,
        wakes: Wakes,
    ) -> Shelf<K>
    where
        K: ResourceExt + Clone + Send + 'static,
        K::DynamicType: Eq + Hash + Clone,
    {
        let index = Index::default();
        let shelf = Shelf::new(store, kind, whose, index.clone());
        let listing = self.listing.clone();
        listing.begin();
        let mut is_listed = false;
        let mut known = Known::default();
        let requests = events.filter_map(move |event| {
            if let Ok(event) = &event {
                index.take(event, whose);
            }
            let request = match event {
                Ok(Event::Apply(object) | Event::InitApply(object)) => {
                    let is_news = wakes == Wakes::Loud || known.take(&object, false);
                    is_news.then(|| concerned(whose(&object))).flatten()
                }
                Ok(Event::Delete(object)) => {
                    known.take(&object, true);
                    concerned(whose(&object))
                }
                Ok(Event::Init) => None,
                Ok(Event::InitDone) => {
                    if !std::mem::replace(&mut is_listed, true) {
                        listing.done();
                    }
                    None
                }
                Err(error) => Some(Err(error)),
            };
            std::future::ready(request)
        });
        self.requests.push(Box::pin(requests));
        shelf
    }
}

fn concerned(whom: (Option<String>, Option<String>)) -> Option<Result<Request, watcher::Error>> {
    let (Some(namespace), Some(store)) = whom else {
        return None;
    };
    Some(Ok(ObjectRef::new(&store).within(&namespace).into()))
}

impl Children {
    /// Whether a region was made here, though its StatefulSet is not among those that carry our labels.
    pub(crate) fn leave_traces(&self, region: &RegionName, stateful_set: &str) -> bool {
        let is_known =
            |(kind, name): &(Kind, String)| *kind == Kind::StatefulSet && name == stateful_set;
        let is_of_region = |labels: &BTreeMap<String, String>| {
            labels.get(REGION).map(String::as_str) == Some(region.as_str())
        };
        !self.metadata.keys().any(is_known)
            && (self.claims.iter().any(|claim| is_of_region(claim.labels()))
                || self.pods.iter().any(|pod| is_of_region(pod.labels())))
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
        let mut objects: BTreeMap<Kind, usize> = others
            .map(|(kind, all)| (*kind, all.objects.len()))
            .collect();
        objects.insert(Kind::StatefulSet, self.stateful_sets.objects.len());
        objects.insert(Kind::ReplicationLink, self.links.objects.len());
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
        all.filter_map(|object| object.0.clone().ok())
            .filter(|collection| collection.meta().deletion_timestamp.is_none())
            .map(Arc::new)
            .collect()
    }

    /// Collections of stores that are not there.
    pub(crate) fn collections_without_store(&self) -> Vec<Arc<DeserializeGuard<Collection>>> {
        self.collections
            .objects
            .state_filter(|object| match &object.0 {
                Ok(collection) => {
                    let namespace = collection.namespace().unwrap_or_default();
                    let store = collection.spec.store_ref.name.as_str();
                    self.stores
                        .get(&ObjectRef::new(store).within(&namespace))
                        .is_none()
                }
                Err(_) => true,
            })
    }

    /// What there is of a store.
    pub(crate) fn children(&self, namespace: &str, store: &str) -> Children {
        let mut children = Children {
            stateful_sets: self.stateful_sets.of(namespace, store),
            pods: self.pods.of(namespace, store),
            claims: self.claims.of(namespace, store),
            links: self.links.of(namespace, store),
            metadata: BTreeMap::new(),
        };
        for (kind, others) in &self.others {
            for object in others.of(namespace, store) {
                children
                    .metadata
                    .insert((*kind, object.name_any()), object.metadata.clone());
            }
        }
        for set in &children.stateful_sets {
            let key = (Kind::StatefulSet, set.name_any());
            children.metadata.insert(key, set.metadata.clone());
        }
        for link in &children.links {
            let key = (Kind::ReplicationLink, link.name_any());
            children.metadata.insert(key, link.meta().clone());
        }
        children
    }
}
