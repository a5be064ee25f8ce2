//! A leader that its clients reach and its followers do not.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use atoll_api::http::{Reason, Receipt};
use atoll_client::{Client, ClientError, Content, ReadOptions, WriteOptions};
use tokio::task::JoinSet;

use super::collections;
use super::load::{Load, Shared, check, patient};
use super::support::nodes::Nodes;
use super::support::proxy::Passage;
use super::support::{number, until};

/// Writers of the isolated leader.
const WRITERS: u64 = 4;
/// How long the isolated leader is asked after the new one's first write.
const ASKED_FOR: Duration = Duration::from_millis(1500);
/// The key that is read.
const KEY: &str = "k";

/// A write that one node acknowledged.
struct Acknowledged {
    sent: Instant,
    at: Instant,
}

/// What was seen at the isolated leader.
#[derive(Default)]
struct Seen {
    acknowledged: Vec<Acknowledged>,
    refused: BTreeMap<String, usize>,
    reads: usize,
    reads_refused: usize,
    /// Reads that showed less than was acknowledged before they were sent.
    old: Vec<(u64, u64)>,
}

#[derive(Clone, Default)]
struct Watch {
    seen: Arc<Mutex<Seen>>,
    /// The greatest number that a write of [`KEY`] was acknowledged.
    newest: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Watch {
    fn note(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// Writes at one node alone.
    async fn write(self, client: Client, writer: u64, round: u64, book: Shared) {
        for i in 0.. {
            if !self.goes_on() {
                return;
            }
            let (key, sent) = (format!("alone-{round}-{writer}-{i}"), Instant::now());
            match put(&client, &key, i).await {
                Ok(receipt) => {
                    let at = Instant::now();
                    book.acknowledged(key, i.to_string(), receipt.dot, sent);
                    self.note(|seen| seen.acknowledged.push(Acknowledged { sent, at }));
                }
                Err(error) => {
                    let reason = error.reason();
                    let told = reason.map_or_else(|| error.to_string(), |r| format!("{r:?}"));
                    self.note(|seen| *seen.refused.entry(told).or_default() += 1);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }

    /// Reads at one node alone, as current as can be.
    async fn read(self, client: Client) {
        while self.goes_on() {
            let floor = self.newest.load(Ordering::SeqCst);
            match client.get("pages", KEY, &ReadOptions::default()).await {
                Ok(read) => {
                    let Content::Value { bytes, .. } = read.content else {
                        panic!("the key is there");
                    };
                    let shown: u64 = serde_json::from_slice(&bytes).unwrap();
                    self.note(|seen| {
                        seen.reads += 1;
                        if shown < floor {
                            seen.old.push((floor, shown));
                        }
                    });
                }
                Err(_) => {
                    self.note(|seen| seen.reads_refused += 1);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
    }

    /// Counts up in [`KEY`], wherever there is a leader.
    async fn count_up(self, client: Client) {
        for number in self.newest.load(Ordering::SeqCst) + 1.. {
            if !self.goes_on() {
                return;
            }
            put(&client, KEY, number).await.unwrap();
            self.newest.store(number, Ordering::SeqCst);
        }
    }
}

async fn put(client: &Client, key: &str, number: u64) -> Result<Receipt, ClientError> {
    let (options, value) = (WriteOptions::default(), number.to_string());
    let put = client.put("pages", key, "application/json", value, &options);
    put.await
}

/// ATOLL_ISOLATIONS: how often. Connections are broken in one round and hang in the next.
///
/// Caught: reads with `leader` that ask nobody whether this node still leads; writes that wait for followers for
/// ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_cut_off_from_its_followers_acknowledges_nothing_and_shows_nothing_old() {
    let (nodes, ways) = Nodes::start_apart(3, collections()).await;
    let load = Load::start(std::slice::from_ref(&nodes));
    load.book.more().await;
    let mut newest = 0;
    for round in 0..number("ATOLL_ISOLATIONS", 4) {
        let old = nodes.leader().await;
        let others: Vec<usize> = (0..3).filter(|node| *node != old).collect();
        let watch = Watch::default();
        let mut tasks = JoinSet::new();
        let alone = nodes.nodes[old].client();
        let mut addresses = nodes.addresses();
        addresses.remove(old);
        let elsewhere = Client::of_region(&addresses, patient()).unwrap();
        newest += 1;
        put(&elsewhere, KEY, newest).await.unwrap();
        watch.newest.store(newest, Ordering::SeqCst);
        for writer in 0..WRITERS {
            tasks.spawn(
                watch
                    .clone()
                    .write(alone.clone(), writer, round, load.book.clone()),
            );
        }
        tasks.spawn(watch.clone().read(alone.clone()));
        tasks.spawn(watch.clone().count_up(elsewhere));
        until("writes and reads go on", async || {
            let seen = watch.seen.lock().unwrap_or_else(PoisonError::into_inner);
            (!seen.acknowledged.is_empty() && seen.reads > 0).then_some(())
        })
        .await;

        let passage = [Passage::Cut, Passage::Held][usize::try_from(round % 2).unwrap()];
        let cut = Instant::now();
        ways.round(old, passage);
        let new = until("another node leads", async || {
            let leader = nodes.leader_among(&others).await;
            (leader != old).then_some(leader)
        })
        .await;
        // Counted up by a client that knows the others alone: a leader of theirs acknowledges it.
        let before = watch.newest.load(Ordering::SeqCst);
        until("the new leader acknowledges", async || {
            (watch.newest.load(Ordering::SeqCst) > before + 1).then_some(())
        })
        .await;
        let first = Instant::now();
        tokio::time::sleep(ASKED_FOR).await;
        let no_leader = format!("{:?}", Reason::NoLeader);
        until("the old leader says that it leads no more", async || {
            let seen = watch.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.refused.contains_key(&no_leader).then_some(())
        })
        .await;
        let healed = Instant::now();
        ways.round(old, Passage::Open);
        load.book.more().await;
        watch.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
        newest = watch.newest.load(Ordering::SeqCst);
        let seen = watch.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let meanwhile = |write: &&Acknowledged| write.at > first && write.at < healed;
        let wrong: Vec<_> = seen.acknowledged.iter().filter(meanwhile).collect();
        println!(
            "{old} isolated ({passage:?}), {new} leads: first write there {:?} later; writes sent to {old} \
             after it and acknowledged meanwhile: {}, refused: {:?}; {} reads there answered, {} refused",
            first - cut,
            wrong.iter().filter(|write| write.sent > first).count(),
            seen.refused,
            seen.reads,
            seen.reads_refused
        );
        assert!(
            seen.old.is_empty(),
            "{} reads showed less than was acknowledged, at first {:?}",
            seen.old.len(),
            seen.old[0]
        );
        assert!(
            wrong.iter().all(|write| write.sent <= first),
            "acknowledged alone"
        );
    }
    let book = load.end().await;
    check(&nodes.all(), &book).await;
    let book = book.book();
    println!(
        "{} acknowledged to those who know all nodes, longest wait {:?}, failures {:?}",
        book.acknowledged.len(),
        book.slowest,
        book.failures
    );
}
