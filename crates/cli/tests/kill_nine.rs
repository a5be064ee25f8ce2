//! kill -9 of each region in turn, under writers that never rest: what was acknowledged is there afterwards,
//! everywhere, and no dot is ever used twice.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may print what it measured, and fail by panicking"
)]

mod support;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use atoll_api::http::{KeyRef, RawJson, ReadRequest};
use atoll_client::{Client, ClientError, Content, ReadOptions, WriteOptions};
use atoll_core::{Dot, ReplicaId, VersionVector};
use serde_json::json;
use support::history::{self, Put};
use support::process::Process;
use support::store::{Plan, Store};
use support::{changes, equal, until};

const WRITERS: usize = 32;
const SHARED_KEYS: usize = 8;
/// One write in so many goes to a shared key.
const SHARED_EVERY: usize = 4;
/// Writes acknowledged before and after each kill.
const WRITES_BETWEEN: usize = 60;
const READ_KEYS: usize = 200;

/// All that the writers know.
#[derive(Default)]
struct Book {
    acknowledged: Vec<Put>,
    /// Sent and never answered: they may stand.
    unknown: Vec<(String, String)>,
    by_region: [usize; 3],
    failures: BTreeMap<String, usize>,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Book>>);

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn acknowledged(&self, region: usize, put: Put) {
        let mut book = self.book();
        book.acknowledged.push(put);
        book.by_region[region] += 1;
    }

    fn failed(&self, error: &ClientError, name: String, value: String) {
        let mut book = self.book();
        let kind = match error.reason() {
            _ if error.is_unsent() => "unreachable".to_owned(),
            Some(reason) => format!("{reason:?}"),
            None => "no answer".to_owned(),
        };
        *book.failures.entry(kind).or_default() += 1;
        if !error.is_unsent() {
            book.unknown.push((name, value));
        }
    }

    async fn more(&self, what: &str, count: impl Fn(&Book) -> usize) {
        let before = count(&self.book());
        until(what, async || {
            (count(&self.book()) >= before + WRITES_BETWEEN).then_some(())
        })
        .await;
    }
}

/// Writes until told to stop; a write that fails is not repeated.
async fn write(writer: usize, region: usize, client: Client, book: Shared, stop: Arc<AtomicBool>) {
    let options = WriteOptions::default();
    for i in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let value = format!("\"{writer}-{i}\"");
        let (collection, key) = match i % SHARED_EVERY {
            0 => (
                "shared",
                format!("{}", (writer + i / SHARED_EVERY) % SHARED_KEYS),
            ),
            _ => ("own", format!("{writer:02}-{i:06}")),
        };
        let put = client.put(
            collection,
            &key,
            "application/json",
            value.clone(),
            &options,
        );
        let name = format!("{collection}/{key}");
        match put.await {
            Ok(receipt) => book.acknowledged(region, Put::new(&name, &value, &receipt)),
            Err(error) => {
                book.failed(&error, name, value);
                // Back-off, as every client should.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

fn rounds() -> usize {
    let wanted = std::env::var("ATOLL_KILL_ROUNDS");
    wanted.map_or(6, |text| {
        text.parse().expect("ATOLL_KILL_ROUNDS is a number")
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kills() {
    let collections = json!([
        {"name": "own", "type": "Register"},
        {"name": "shared", "type": "Register"},
    ]);
    let mut plan = Plan::new(&["eu", "us", "ap"], collections);
    // One region flushes all the time, so that its kills hit flushes and what they leave to be applied again.
    plan.region("us").buffer_bytes = Some(64 << 10);
    let mut store = plan.start().await;
    let (book, stop) = (Shared::default(), Arc::new(AtomicBool::new(false)));
    let clients = store.clients();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let region = writer % 3;
            let client = clients[region].clone();
            tokio::spawn(write(
                writer,
                region,
                client,
                book.clone(),
                Arc::clone(&stop),
            ))
        })
        .collect();
    let started = Instant::now();
    for round in 0..rounds() {
        kill_and_restart(&mut store, round, &book).await;
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    println!(
        "{} rounds in {:?}; equal {:?} later",
        rounds(),
        started.elapsed(),
        store.settle().await
    );
    let book = std::mem::take(&mut *book.book());
    println!(
        "{} writes acknowledged, {} without an answer; failures {:?}",
        book.acknowledged.len(),
        book.unknown.len(),
        book.failures
    );
    check(&store, &book).await;

    store.regions.iter_mut().for_each(Process::kill);
    store.regions.iter_mut().for_each(Process::start);
    for region in &mut store.regions {
        region.ready().await;
    }
    store.settle().await;
    println!("all killed at once and started again");
    check(&store, &book).await;
}

async fn kill_and_restart(store: &mut Store, round: usize, book: &Shared) {
    let at = round % 3;
    let client = store.regions[at].client();
    let before = client.status().await.unwrap();
    book.more("the region takes writes", |b| b.by_region[at])
        .await;
    store.regions[at].kill();
    let of_others = |b: &Book| b.acknowledged.len() - b.by_region[at];
    book.more("the others take writes meanwhile", of_others)
        .await;

    let replica: ReplicaId = before.replica.parse().unwrap();
    let of_victim = |put: &&Put| put.dot.replica == replica;
    let last = book
        .book()
        .acknowledged
        .iter()
        .filter(of_victim)
        .map(|put| put.dot.seq)
        .max();
    if round / 3 % 2 == 1 {
        // Killed again on its way up, sooner or later.
        let after = Duration::from_millis(rand::random_range(0..150));
        store.regions[at].start();
        tokio::time::sleep(after).await;
        store.regions[at].kill();
    }
    let started = Instant::now();
    store.regions[at].start();
    store.regions[at].ready().await;
    let took = started.elapsed();
    let after = client.status().await.unwrap();
    assert_eq!(after.replica, before.replica, "the same life");
    let has = after.vector[&after.region];
    assert!(
        Some(has) >= last,
        "{} acknowledged {last:?} and has {has}",
        after.region
    );
    println!(
        "round {round}: {} killed and ready again in {took:?}, entry {has}",
        after.region
    );
    book.more("its writers come back", |b| b.by_region[at])
        .await;
}

async fn check(store: &Store, book: &Book) {
    let mut of_dot: HashMap<Dot, &Put> = HashMap::new();
    for put in &book.acknowledged {
        if let Some(twice) = of_dot.insert(put.dot, put) {
            panic!("one dot acknowledged twice: {twice:?} and {put:?}");
        }
    }
    let own = check_own(store, book).await;
    let rows = equal::ledger(store).await;
    let ledger: HashSet<Dot> = rows
        .iter()
        .flat_map(|row| &row.versions)
        .map(|version| version.dot.parse().unwrap())
        .collect();
    let unanswered = standing_unanswered(store, &of_dot, book).await;
    let mut shown = 0;
    for key in 0..SHARED_KEYS {
        shown += check_shared(store, book, &format!("{key}"), &ledger, &unanswered).await;
    }
    println!(
        "the same everywhere: {own} own keys, {SHARED_KEYS} shared keys with {shown} current versions, {} rows; \
         {} writes stand without an answer",
        rows.len(),
        unanswered.len()
    );
}

/// Every acknowledged write of a key of its own is read in every region, listed or by name.
async fn check_own(store: &Store, book: &Book) -> usize {
    let items = equal::items(store, "own").await;
    let listed = items.iter().map(|item| {
        let value = item.value.as_ref().map(|value| value.get().to_owned());
        (format!("own/{}", item.key), value.unwrap_or_default())
    });
    let listed: HashMap<String, String> = listed.collect();
    let own: Vec<&Put> = book
        .acknowledged
        .iter()
        .filter(|p| p.key.starts_with("own/"))
        .collect();
    for put in &own {
        assert_eq!(listed.get(&put.key), Some(&put.value), "{put:?}");
    }
    let unknown: HashMap<_, _> = book.unknown.iter().cloned().collect();
    let acknowledged: HashSet<&str> = own.iter().map(|put| put.key.as_str()).collect();
    for (key, value) in listed
        .iter()
        .filter(|(key, _)| !acknowledged.contains(key.as_str()))
    {
        assert_eq!(unknown.get(key), Some(value), "{key} was never sent");
    }
    for client in store.clients() {
        for puts in own.chunks(READ_KEYS) {
            let name = |put: &&Put| KeyRef {
                collection: "own".to_owned(),
                key: put.key["own/".len()..].to_owned(),
            };
            let request = ReadRequest {
                keys: puts.iter().map(name).collect(),
            };
            let answer = client
                .read(&request, &ReadOptions::default())
                .await
                .unwrap();
            for (put, item) in puts.iter().zip(answer.items) {
                let value = item.value.as_ref().map(RawJson::get);
                assert_eq!(
                    value,
                    Some(put.value.as_str()),
                    "{put:?} in {}",
                    client.server()
                );
            }
        }
    }
    items.len()
}

/// Entries that stand though nobody was told, by key; with a bound of what they had seen: what the next
/// acknowledged write of their region had.
async fn standing_unanswered(
    store: &Store,
    acknowledged: &HashMap<Dot, &Put>,
    book: &Book,
) -> Vec<Put> {
    let client = store.regions[0].client();
    let mut found = Vec::new();
    for change in changes(&client).await {
        let dot: Dot = change.dot.parse().unwrap();
        if acknowledged.contains_key(&dot) {
            continue;
        }
        let later = book
            .acknowledged
            .iter()
            .filter(|put| put.dot.replica == dot.replica && put.dot.seq > dot.seq);
        let next = later.min_by_key(|put| put.dot.seq);
        let every = || history::seen_before(&book.acknowledged);
        let seen: VersionVector = next.map_or_else(every, |put| put.seen.clone());
        found.push(Put {
            key: format!("{}/{}", change.collection, change.key),
            value: String::new(),
            dot,
            seen,
        });
    }
    found
}

/// Every acknowledged write of a shared key is current, in the ledger, or was seen by one that replaced it.
async fn check_shared(
    store: &Store,
    book: &Book,
    key: &str,
    ledger: &HashSet<Dot>,
    unanswered: &[Put],
) -> usize {
    let mut answers = Vec::new();
    for client in store.clients() {
        let options = ReadOptions {
            siblings: true,
            ..ReadOptions::default()
        };
        answers.push(client.get("shared", key, &options).await.unwrap().content);
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
    let Content::Siblings(siblings) = answers.swap_remove(0) else {
        panic!("siblings were asked for");
    };
    let current: HashSet<Dot> = siblings.iter().map(|s| s.dot.parse().unwrap()).collect();
    let name = format!("shared/{key}");
    let puts: Vec<&Put> = book
        .acknowledged
        .iter()
        .filter(|put| put.key == name)
        .collect();
    let mut lost = history::unexplained(&puts, &current, ledger);
    let seen = history::seen_before(unanswered.iter().filter(|put| put.key == name));
    lost.retain(|dot| !seen.covers(*dot));
    assert_eq!(lost, [], "unexplained at {name}, {} puts", puts.len());
    current.len()
}
