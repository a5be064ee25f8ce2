//! One key written from everywhere at once: no increment is lost, and of a register every put is accounted
//! for, with the very rows in the ledger that the definition asks for.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may print what it measured, and fail by panicking"
)]

mod support;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use atoll_api::http::{Conflict, Increment, Operations, RawJson, Receipt};
use atoll_client::{Client, ClientError, Content, ReadOptions, WriteOptions};
use atoll_core::Dot;
use futures_util::future::try_join_all;
use serde_json::json;
use support::history::{self, Put};
use support::store::{Plan, Store};
use support::{changes, equal};

const WRITES_PER_REGION: usize = 5_000;
/// Each waits for its answer before it writes again.
const CONNECTIONS_PER_REGION: usize = 16;

async fn start() -> Store {
    let collections = json!([
        {"name": "votes", "type": "Counter"},
        {"name": "pages", "type": "Register"},
    ]);
    Plan::new(&["eu", "us", "ap"], collections).start().await
}

/// Writes in all regions at once, so many times in each; answers with what each write came to.
async fn write_everywhere<T: Send + 'static>(
    store: &Store,
    write: impl AsyncFn(&Client, String) -> Result<T, ClientError> + Copy,
) -> Vec<T> {
    let clients = store.clients();
    let of_connection = async |region: usize, connection: usize| {
        let mut done = Vec::new();
        for i in (connection..WRITES_PER_REGION).step_by(CONNECTIONS_PER_REGION) {
            let name = format!("{}-{i}", store.regions[region].name);
            done.push(write(&clients[region], name).await?);
        }
        Ok::<_, ClientError>(done)
    };
    let started = Instant::now();
    let connections = (0..clients.len())
        .flat_map(|region| (0..CONNECTIONS_PER_REGION).map(move |connection| (region, connection)));
    let running = connections.map(|(region, connection)| of_connection(region, connection));
    let done: Vec<T> = try_join_all(running)
        .await
        .unwrap()
        .into_iter()
        .flatten()
        .collect();
    println!("{} writes in {:?}", done.len(), started.elapsed());
    println!("all regions have them {:?} later", store.settle().await);
    done
}

/// What a key holds, the same in every region.
async fn value(store: &Store, collection: &str, key: &str) -> String {
    let mut values = Vec::new();
    for client in store.clients() {
        let options = ReadOptions::default();
        let read = client.get(collection, key, &options).await.unwrap();
        match read.content {
            Content::Value { bytes, .. } => values.push(String::from_utf8(bytes.into()).unwrap()),
            other => panic!("{collection}/{key} is {other:?}"),
        }
    }
    assert!(values.iter().all(|value| *value == values[0]), "{values:?}");
    values.swap_remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_increment_counts() {
    let store = start().await;
    let increment = Operations {
        increment: Some(Increment::Whole(1)),
        ..Operations::default()
    };
    let (increment, options) = (&increment, &WriteOptions::default());
    let receipts: Vec<Receipt> = write_everywhere(&store, async |client, _| {
        client.operate("votes", "k", increment, options).await
    })
    .await;
    let dots: HashSet<&str> = receipts
        .iter()
        .map(|receipt| receipt.dot.as_str())
        .collect();
    assert_eq!(
        dots.len(),
        3 * WRITES_PER_REGION,
        "each write has a dot of its own"
    );
    assert_eq!(value(&store, "votes", "k").await, "15000");
    assert_eq!(
        equal::ledger(&store).await,
        [],
        "what merges is no conflict"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_put_is_accounted_for() {
    let store = start().await;
    let options = &WriteOptions::default();
    let puts: Vec<Put> = write_everywhere(&store, async |client, name| {
        let value = format!("{name:?}");
        let receipt = client.put("pages", "k", "application/json", value.clone(), options);
        Ok(Put::new("k", &value, &receipt.await?))
    })
    .await;
    let shown = value(&store, "pages", "k").await;
    let started = Instant::now();
    let rows = equal::ledger(&store).await;
    println!(
        "{} rows, the same in all regions, read in {:?}",
        rows.len(),
        started.elapsed()
    );
    let current = current(&store).await;
    println!("{} versions stand, {shown} is shown", current.len());
    assert!(puts.iter().any(|put| put.value == shown));

    let ledger: HashSet<Dot> = rows.iter().flat_map(dots_of).collect();
    let all: Vec<&Put> = puts.iter().collect();
    assert_eq!(
        history::unexplained(&all, &current, &ledger),
        [],
        "unexplained"
    );
    let seen_later = history::seen_before(&puts);
    let lost = puts.iter().filter(|put| !current.contains(&put.dot));
    let by_causality = lost.clone().filter(|put| !ledger.contains(&put.dot));
    println!(
        "{} puts lost: {} only to puts that had seen them, {} have a row in the ledger",
        lost.clone().count(),
        by_causality.clone().count(),
        lost.filter(|put| ledger.contains(&put.dot)).count()
    );
    assert!(
        by_causality
            .into_iter()
            .all(|put| seen_later.covers(put.dot))
    );
    check_rows(&puts, &rows, &times(&store).await);
}

fn dots_of(row: &Conflict) -> [Dot; 2] {
    let dot = |i: usize| row.versions[i].dot.parse().unwrap();
    assert_eq!(row.versions.len(), 2, "{row:?}");
    [dot(0), dot(1)]
}

/// The dots of the versions that stand, the same in every region.
async fn current(store: &Store) -> HashSet<Dot> {
    let mut answers = Vec::new();
    for client in store.clients() {
        let options = ReadOptions {
            siblings: true,
            ..ReadOptions::default()
        };
        let Content::Siblings(siblings) = client.get("pages", "k", &options).await.unwrap().content
        else {
            panic!("siblings were asked for");
        };
        answers.push(siblings);
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
    answers[0]
        .iter()
        .map(|sibling| sibling.dot.parse().unwrap())
        .collect()
}

/// When each put was written: the same in every region.
async fn times(store: &Store) -> HashMap<Dot, String> {
    let mut times: HashMap<Dot, String> = HashMap::new();
    for client in store.clients() {
        let changes = changes(&client).await;
        let count = changes.len();
        for change in changes {
            let dot: Dot = change.dot.parse().unwrap();
            let known = times.entry(dot).or_insert_with(|| change.time.clone());
            assert_eq!(*known, change.time, "the time of {dot}");
        }
        assert_eq!(
            count,
            times.len(),
            "every put is a change in {}",
            client.server()
        );
    }
    times
}

/// The ledger against its definition: a put has a row if and only if some put is concurrent with it, and
/// the row names the smallest such.
fn check_rows(puts: &[Put], rows: &[Conflict], times: &HashMap<Dot, String>) {
    let partners = history::partners(puts, times);
    let values: BTreeMap<Dot, &str> = puts
        .iter()
        .map(|put| (put.dot, put.value.as_str()))
        .collect();
    let mut pairs: HashSet<[Dot; 2]> = HashSet::new();
    let may_name = |one: &Dot, other: &Dot| partners[one].contains(other);
    for row in rows {
        let [first, second] = dots_of(row);
        assert!(
            may_name(&first, &second) || may_name(&second, &first),
            "a row that nothing asks for: {row:?}, partners {:?} and {:?}",
            partners[&first],
            partners[&second]
        );
        for version in &row.versions {
            let dot = version.dot.parse().unwrap();
            assert_eq!(version.time, times[&dot]);
            assert_eq!(
                version.value.as_ref().map(RawJson::get),
                Some(values[&dot]),
                "{row:?}"
            );
        }
        assert!(
            pairs.insert([first.min(second), first.max(second)]),
            "twice: {row:?}"
        );
    }
    for (dot, partners) in &partners {
        let has_row = |partner: &Dot| pairs.contains(&[*dot.min(partner), *dot.max(partner)]);
        assert!(
            partners.is_empty() || partners.iter().any(has_row),
            "{dot} has no row with any of {partners:?}"
        );
    }
    let with_row = partners.values().filter(|partners| !partners.is_empty());
    println!(
        "the ledger is as defined: {} puts had a concurrent one",
        with_row.count()
    );
}
