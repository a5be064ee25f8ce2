//! Comparing every key's answer: all regions' pages are walked in step.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::time::Duration;

use atoll_api::http::{KeyItem, KeyPage, KeyQuery, KeyRef, ReadItem, ReadRequest};
use atoll_client::{Client, ReadOptions};
use futures_util::future;

use super::{Difference, agree};
use crate::failure::Failure;
use crate::progress;
use crate::target::Place;

const PAGE_KEYS: usize = 1000;
/// Keys that looked different are looked at again in portions of this size.
const RECHECK_KEYS: usize = 100;

/// How many keys there are, and those that differ.
pub(crate) async fn compare(
    places: &[Place],
    collection: &str,
    patience: Duration,
) -> Result<(u64, Vec<Difference>), Failure> {
    let bar = progress::open_ended();
    bar.set_message(format!("comparing {collection}"));
    let mut walks: Vec<_> = places
        .iter()
        .map(|place| Walk::new(&place.client, collection))
        .collect();
    let (mut keys, mut suspects) = (0, Vec::new());
    loop {
        future::try_join_all(walks.iter_mut().map(Walk::fill)).await?;
        let smallest = walks
            .iter()
            .filter_map(Walk::key)
            .min()
            .map(ToOwned::to_owned);
        let Some(key) = smallest else { break };
        let items: Vec<_> = walks.iter_mut().map(|walk| walk.take(&key)).collect();
        if items.windows(2).any(|pair| pair[0] != pair[1]) {
            suspects.push(key);
        }
        keys += 1;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let mut differences = Vec::new();
    for suspects in suspects.chunks(RECHECK_KEYS) {
        differences.extend(recheck(places, collection, suspects, patience).await?);
    }
    Ok((keys, differences))
}

/// The keys of one region, page by page.
struct Walk<'a> {
    client: &'a Client,
    collection: &'a str,
    items: VecDeque<KeyItem>,
    query: KeyQuery,
    is_at_end: bool,
}

impl<'a> Walk<'a> {
    fn new(client: &'a Client, collection: &'a str) -> Self {
        Walk {
            client,
            collection,
            items: VecDeque::new(),
            query: KeyQuery {
                limit: Some(PAGE_KEYS),
                values: true,
                ..KeyQuery::default()
            },
            is_at_end: false,
        }
    }

    async fn fill(&mut self) -> Result<(), Failure> {
        while self.items.is_empty() && !self.is_at_end {
            let options = ReadOptions::default();
            let page = self
                .client
                .page(self.collection, &self.query, &options)
                .await?;
            let KeyPage { items, next } = page;
            self.items = items.into();
            self.is_at_end = next.is_none();
            self.query.start = next;
        }
        Ok(())
    }

    fn key(&self) -> Option<&str> {
        self.items.front().map(|item| item.key.as_str())
    }

    fn take(&mut self, key: &str) -> Option<KeyItem> {
        match self.key()?.cmp(key) {
            Ordering::Equal => self.items.pop_front(),
            Ordering::Less | Ordering::Greater => None,
        }
    }
}

/// Looks at keys again, now that the regions agree; what differs still does.
async fn recheck(
    places: &[Place],
    collection: &str,
    keys: &[String],
    patience: Duration,
) -> Result<Vec<Difference>, Failure> {
    agree(places, patience).await?;
    let request = ReadRequest {
        keys: keys
            .iter()
            .map(|key| KeyRef {
                collection: collection.to_owned(),
                key: key.clone(),
            })
            .collect(),
    };
    let options = ReadOptions::default();
    let reads = places
        .iter()
        .map(|place| place.client.read(&request, &options));
    let answers = future::try_join_all(reads).await?;
    let mut differences = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let items: Vec<_> = answers
            .iter()
            .map(|answer| answer.items.get(index))
            .collect();
        if items.windows(2).any(|pair| pair[0] != pair[1]) {
            let seen = places.iter().zip(&items);
            differences.push(Difference {
                place: collection.to_owned(),
                name: key.clone(),
                seen: seen
                    .map(|(place, item)| (place.name(), shown(*item)))
                    .collect(),
            });
        }
    }
    Ok(differences)
}

fn shown(item: Option<&ReadItem>) -> String {
    match item {
        Some(item) if item.found => serde_json::to_string(item).unwrap_or_default(),
        _ => "nothing".to_owned(),
    }
}
