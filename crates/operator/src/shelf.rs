//! A cache whose objects are found by the store that they are of, without looking at all others.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::Resource;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;

/// Of which store an object is: its namespace and the store's name; absent when it is of none.
pub(crate) type Whose<K> = fn(&K) -> (Option<String>, Option<String>);

/// Namespace and store.
type Of = (String, String);

/// A cache, and the names of its objects by store.
pub(crate) struct Shelf<K>
where
    K: Resource + 'static,
    K::DynamicType: Eq + Hash,
{
    pub(crate) objects: Store<K>,
    kind: K::DynamicType,
    whose: Whose<K>,
    index: Index,
}

/// The names of objects by store, kept up to date by their watch.
#[derive(Clone, Default)]
pub(crate) struct Index(Arc<Mutex<Names>>);

#[derive(Default)]
struct Names {
    by_store: HashMap<Of, BTreeSet<String>>,
    /// While everything is listed anew, what was listed so far: what was there before counts until the end.
    listed: Option<HashMap<Of, BTreeSet<String>>>,
}

impl Index {
    /// Takes a change that the cache has taken already.
    pub(crate) fn take<K: Resource>(&self, event: &Event<K>, whose: Whose<K>) {
        let mut names = self.names();
        match event {
            Event::Init => names.listed = Some(HashMap::new()),
            Event::InitApply(object) => {
                if let Some((of, name)) = place(object, whose) {
                    let listed = names.listed.get_or_insert_default();
                    listed.entry(of).or_default().insert(name);
                }
            }
            Event::InitDone => names.by_store = names.listed.take().unwrap_or_default(),
            Event::Apply(object) => {
                if let Some((of, name)) = place(object, whose) {
                    names.by_store.entry(of).or_default().insert(name);
                }
            }
            Event::Delete(object) => {
                if let Some((of, name)) = place(object, whose)
                    && let Some(left) = names.by_store.get_mut(&of)
                {
                    left.remove(&name);
                    if left.is_empty() {
                        names.by_store.remove(&of);
                    }
                }
            }
        }
    }

    fn of(&self, namespace: &str, store: &str) -> Vec<String> {
        let names = self.names();
        let of = (namespace.to_owned(), store.to_owned());
        names
            .by_store
            .get(&of)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        // A panic while it was held left whole entries.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place<K: Resource>(object: &K, whose: Whose<K>) -> Option<(Of, String)> {
    let (Some(namespace), Some(store)) = whose(object) else {
        return None;
    };
    Some(((namespace, store), object.meta().name.clone()?))
}

impl<K> Shelf<K>
where
    K: Resource + Clone + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    pub(crate) fn new(
        objects: Store<K>,
        kind: K::DynamicType,
        whose: Whose<K>,
        index: Index,
    ) -> Self {
        Shelf {
            objects,
            kind,
            whose,
            index,
        }
    }

    /// The objects of a store. One that became another store's is not among them.
    pub(crate) fn of(&self, namespace: &str, store: &str) -> Vec<Arc<K>> {
        let names = self.index.of(namespace, store).into_iter();
        names
            .filter_map(|name| {
                let place = ObjectRef::new_with(&name, self.kind.clone()).within(namespace);
                self.objects.get(&place)
            })
            .filter(|object| (self.whose)(object).1.as_deref() == Some(store))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use kube::ResourceExt as _;
    use kube::runtime::reflector::store::Writer;

    use super::*;

    fn whose(pod: &Pod) -> (Option<String>, Option<String>) {
        (pod.namespace(), pod.labels().get("store").cloned())
    }

    fn pod(name: &str, store: &str) -> Pod {
        let mut pod = Pod::default();
        pod.metadata.name = Some(name.to_owned());
        pod.metadata.namespace = Some("team".to_owned());
        pod.labels_mut()
            .insert("store".to_owned(), store.to_owned());
        pod
    }

    struct World {
        writer: Writer<Pod>,
        shelf: Shelf<Pod>,
    }

    impl World {
        fn new() -> Self {
            let writer = Writer::new(());
            let shelf = Shelf::new(writer.as_reader(), (), whose, Index::default());
            World { writer, shelf }
        }

        fn happen(&mut self, events: Vec<Event<Pod>>) {
            for event in events {
                self.writer.apply_watcher_event(&event);
                self.shelf.index.take(&event, whose);
            }
        }

        fn names(&self, store: &str) -> Vec<String> {
            let found = self.shelf.of("team", store);
            found.iter().map(|pod| pod.name_any()).collect()
        }
    }

    #[test]
    fn objects_are_found_by_their_store_alone() {
        let mut world = World::new();
        world.happen(vec![
            Event::Init,
            Event::InitApply(pod("a", "shop")),
            Event::InitApply(pod("b", "other")),
            Event::InitDone,
            Event::Apply(pod("c", "shop")),
        ]);
        assert_eq!(world.names("shop"), ["a", "c"]);
        world.happen(vec![
            Event::Apply(pod("c", "other")),
            Event::Delete(pod("a", "shop")),
        ]);
        assert!(world.names("shop").is_empty());
        assert_eq!(world.names("other"), ["b", "c"]);
        assert!(world.shelf.of("elsewhere", "other").is_empty());
    }

    /// Caught: an index emptied when listing begins, so that for a while a store seemed to have nothing.
    #[test]
    fn what_was_there_counts_until_all_is_listed_anew() {
        let mut world = World::new();
        world.happen(vec![
            Event::Init,
            Event::InitApply(pod("a", "shop")),
            Event::InitApply(pod("b", "shop")),
            Event::InitDone,
        ]);
        world.happen(vec![Event::Init, Event::InitApply(pod("b", "shop"))]);
        assert_eq!(world.names("shop"), ["a", "b"]);
        world.happen(vec![Event::InitApply(pod("d", "shop")), Event::InitDone]);
        assert_eq!(world.names("shop"), ["b", "d"]);
    }
}
