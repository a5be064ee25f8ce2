//! What is kept of objects of one kind, found by the store that they are of, without looking at all others.
//!
//! Thousands of stores have tens of thousands of objects, so names are held once, and of an object is here only what its
//! watch keeps of it ([`crate::kept`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A name.
pub(crate) type Name = Arc<str>;

/// An object as its watch tells of it.
#[derive(Debug)]
pub(crate) struct Item<V> {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Of which store it is; absent when it is of none.
    pub(crate) store: Option<String>,
    /// What is kept of it.
    pub(crate) value: V,
}

/// Whether a change is news, by what was kept before and what is now.
pub(crate) type IsNews<V> = fn(&V, &V) -> bool;

/// What is kept of objects of one kind. Clones share it.
#[derive(Debug)]
pub(crate) struct Shelf<V>(Arc<Mutex<Books<V>>>);

#[derive(Debug)]
struct Books<V> {
    there: Rooms<V>,
    /// While everything is listed anew, what was listed so far: what was there before counts until the end.
    listed: Option<Rooms<V>>,
}

/// By namespace.
type Rooms<V> = HashMap<Name, Room<V>>;

/// Of one namespace.
#[derive(Debug)]
struct Room<V> {
    /// By store, in the order of their names. What is of no store is under a name that no store has.
    by_store: HashMap<Name, Vec<(Name, Arc<V>)>>,
    /// The store that each object is of.
    stores: HashMap<Name, Name>,
}

const OF_NONE: &str = "";

impl<V> Shelf<V> {
    /// All is listed anew from now on.
    pub(crate) fn begin(&self) {
        self.books().listed = Some(HashMap::new());
    }

    /// One that is listed. Answers whether it is news.
    pub(crate) fn list(&self, item: Item<V>, is_news: IsNews<V>) -> bool {
        let mut books = self.books();
        let before = books.there.get(item.namespace.as_str());
        let before = before.and_then(|room| room.get(&item.name));
        let is_news = before.is_none_or(|before| is_news(before, &item.value));
        put(books.listed.get_or_insert_default(), item);
        is_news
    }

    /// All was listed: nothing else is there.
    pub(crate) fn end(&self) {
        let mut books = self.books();
        books.there = books.listed.take().unwrap_or_default();
    }

    /// One that is new, or changed. Answers whether it is news.
    pub(crate) fn put(&self, item: Item<V>, is_news: IsNews<V>) -> bool {
        let (before, now) = put(&mut self.books().there, item);
        before.is_none_or(|before| is_news(&before, &now))
    }

    /// One that is gone.
    pub(crate) fn remove(&self, namespace: &str, name: &str) {
        let mut books = self.books();
        if let Some(room) = books.there.get_mut(namespace) {
            room.take(name);
            if room.stores.is_empty() {
                books.there.remove(namespace);
            }
        }
    }

    /// Those of a store, in the order of their names.
    pub(crate) fn of(&self, namespace: &str, store: &str) -> Vec<(Name, Arc<V>)> {
        let books = self.books();
        let room = books.there.get(namespace);
        let found = room.and_then(|room| room.by_store.get(store));
        found.cloned().unwrap_or_default()
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<V>> {
        let books = self.books();
        let rooms = books.there.values();
        let objects = rooms.flat_map(|room| room.by_store.values().flatten());
        objects.map(|(_, value)| Arc::clone(value)).collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.books()
            .there
            .values()
            .map(|room| room.stores.len())
            .sum()
    }

    fn books(&self) -> MutexGuard<'_, Books<V>> {
        // A panic while it was held left whole entries.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes an object; answers what was kept of it before, and what is now.
fn put<V>(rooms: &mut Rooms<V>, item: Item<V>) -> (Option<Arc<V>>, Arc<V>) {
    let Item {
        namespace,
        name,
        store,
        value,
    } = item;
    let room = rooms.entry(namespace.into()).or_default();
    let before = room.take(&name);
    let (name, value): (Name, _) = (name.into(), Arc::new(value));
    let store = store.as_deref().unwrap_or(OF_NONE);
    let store = match room.by_store.get_key_value(store) {
        Some((known, _)) => Arc::clone(known),
        None => store.into(),
    };
    room.stores.insert(Arc::clone(&name), Arc::clone(&store));
    let objects = room.by_store.entry(store).or_default();
    let at = objects.partition_point(|(other, _)| *other < name);
    objects.reserve_exact(1);
    objects.insert(at, (name, Arc::clone(&value)));
    (before, value)
}

impl<V> Room<V> {
    fn find(&self, name: &str) -> Option<(&Name, usize)> {
        let store = self.stores.get(name)?;
        let objects = self.by_store.get(store)?;
        let at = objects.binary_search_by(|(other, _)| (**other).cmp(name));
        Some((store, at.ok()?))
    }

    fn get(&self, name: &str) -> Option<&V> {
        let (store, at) = self.find(name)?;
        let (_, value) = self.by_store.get(store)?.get(at)?;
        Some(value)
    }

    fn take(&mut self, name: &str) -> Option<Arc<V>> {
        let (store, at) = self.find(name)?;
        let store = Arc::clone(store);
        self.stores.remove(name);
        let objects = self.by_store.get_mut(&store)?;
        let (_, value) = objects.remove(at);
        if objects.is_empty() {
            self.by_store.remove(&store);
        }
        Some(value)
    }
}

impl<V> Clone for Shelf<V> {
    fn clone(&self) -> Self {
        Shelf(Arc::clone(&self.0))
    }
}

impl<V> Default for Shelf<V> {
    fn default() -> Self {
        let (there, listed) = (HashMap::new(), None);
        Shelf(Arc::new(Mutex::new(Books { there, listed })))
    }
}

impl<V> Default for Room<V> {
    fn default() -> Self {
        let (by_store, stores) = (HashMap::new(), HashMap::new());
        Room { by_store, stores }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &str, store: &str, value: u32) -> Item<u32> {
        Item {
            namespace: "team".to_owned(),
            name: name.to_owned(),
            store: Some(store.to_owned()),
            value,
        }
    }

    fn put(shelf: &Shelf<u32>, item: Item<u32>) -> bool {
        shelf.put(item, |before, now| before != now)
    }

    fn list(shelf: &Shelf<u32>, item: Item<u32>) -> bool {
        shelf.list(item, |before, now| before != now)
    }

    fn names(shelf: &Shelf<u32>, store: &str) -> Vec<String> {
        let found = shelf.of("team", store).into_iter();
        found.map(|(name, _)| name.to_string()).collect()
    }

    /// Caught: an object that became another store's, found by both.
    #[test]
    fn objects_are_found_by_their_store_alone() {
        let shelf = Shelf::default();
        shelf.begin();
        list(&shelf, item("b", "other", 1));
        list(&shelf, item("a", "shop", 2));
        shelf.end();
        put(&shelf, item("c", "shop", 3));
        assert_eq!(names(&shelf, "shop"), ["a", "c"]);
        put(&shelf, item("c", "other", 3));
        shelf.remove("team", "a");
        assert!(names(&shelf, "shop").is_empty());
        assert_eq!(names(&shelf, "other"), ["b", "c"]);
        assert!(shelf.of("elsewhere", "other").is_empty());
        assert_eq!((shelf.len(), shelf.all().len()), (2, 2));
        for name in ["b", "c", "c"] {
            shelf.remove("team", name);
        }
        assert_eq!(shelf.len(), 0);
    }

    #[test]
    fn an_object_of_no_store_is_counted_and_found_by_none() {
        let shelf = Shelf::default();
        let (store, one) = (None, item("a", "", 1));
        put(&shelf, Item { store, ..one });
        assert_eq!(shelf.len(), 1);
        assert!(names(&shelf, "shop").is_empty());
        put(&shelf, item("a", "shop", 1));
        assert_eq!((shelf.len(), names(&shelf, "shop").len()), (1, 1));
    }

    /// Caught: all that is listed anew after a watch was cut, taken for news.
    #[test]
    fn news_is_what_was_not_so_before() {
        let shelf = Shelf::default();
        for is_first in [true, false] {
            shelf.begin();
            assert_eq!(list(&shelf, item("a", "shop", 1)), is_first);
            assert!(list(&shelf, item("b", "shop", u32::from(is_first))));
            shelf.end();
        }
        assert!(!put(&shelf, item("a", "shop", 1)));
        assert!(put(&shelf, item("a", "shop", 2)));
        assert!(put(&shelf, item("c", "shop", 2)));
        shelf.remove("team", "c");
        assert!(put(&shelf, item("c", "shop", 2)));
    }

    /// Caught: an index emptied when listing begins, so that for a while a store seemed to have nothing.
    #[test]
    fn what_was_there_counts_until_all_is_listed_anew() {
        let shelf = Shelf::default();
        shelf.begin();
        list(&shelf, item("a", "shop", 1));
        list(&shelf, item("b", "shop", 2));
        shelf.end();
        shelf.begin();
        list(&shelf, item("b", "shop", 3));
        assert_eq!(names(&shelf, "shop"), ["a", "b"]);
        list(&shelf, item("d", "shop", 4));
        shelf.end();
        assert_eq!(names(&shelf, "shop"), ["b", "d"]);
    }
}
