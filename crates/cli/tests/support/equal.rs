//! Regions compared as anybody could: page by page, over HTTP.

use std::fmt::Debug;

use atoll_api::http::{Conflict, ConflictQuery, KeyItem, KeyQuery};
use atoll_client::{Client, ReadOptions};

use super::store::Store;

const PAGE: usize = 500;

/// A page, and where the next one begins.
type Page<T> = (Vec<T>, Option<String>);

/// All keys and values of a collection, the same in every region.
pub(crate) async fn items(store: &Store, collection: &str) -> Vec<KeyItem> {
    let fetch = async |client: &Client, start: Option<String>| -> Page<KeyItem> {
        let query = KeyQuery {
            start,
            limit: Some(PAGE),
            values: true,
            ..KeyQuery::default()
        };
        let options = ReadOptions::default();
        let page = client.page(collection, &query, &options).await.unwrap();
        (page.items, page.next)
    };
    compared(store, collection, fetch).await
}

/// The whole ledger, the same in every region but for when it was noticed there.
pub(crate) async fn ledger(store: &Store) -> Vec<Conflict> {
    let fetch = async |client: &Client, since: Option<String>| -> Page<Conflict> {
        let query = ConflictQuery {
            since,
            limit: Some(PAGE),
            ..ConflictQuery::default()
        };
        let mut page = client.conflicts(&query).await.unwrap();
        for conflict in &mut page.conflicts {
            conflict.seen_here = None;
        }
        (page.conflicts, page.next)
    };
    compared(store, "the ledger", fetch).await
}

async fn compared<T: PartialEq + Debug>(
    store: &Store,
    what: &str,
    fetch: impl AsyncFn(&Client, Option<String>) -> Page<T>,
) -> Vec<T> {
    let clients = store.clients();
    let mut cursors: Vec<Option<String>> = vec![None; clients.len()];
    let mut all = Vec::new();
    loop {
        let mut pages = Vec::new();
        for (client, cursor) in clients.iter().zip(&cursors) {
            pages.push(fetch(client, cursor.clone()).await);
        }
        cursors = pages.iter().map(|(_, next)| next.clone()).collect();
        let mut pages = pages.into_iter().map(|(rows, _)| rows);
        let first = pages.next().unwrap();
        for (page, region) in pages.zip(&store.regions[1..]) {
            let at = all.len();
            for (i, (one, other)) in first.iter().zip(&page).enumerate() {
                let names = (&store.regions[0].name, &region.name);
                assert_eq!(
                    one,
                    other,
                    "{what}, row {}: {} and {}",
                    at + i,
                    names.0,
                    names.1
                );
            }
            let lengths = (first.len(), page.len());
            assert_eq!(
                lengths.0, lengths.1,
                "{what}: rows of a page of {}",
                region.name
            );
        }
        let is_last = cursors[0].is_none();
        assert!(
            cursors.iter().all(|next| next.is_none() == is_last),
            "{what} goes on in one region and ends in another"
        );
        all.extend(first);
        if is_last {
            return all;
        }
    }
}
