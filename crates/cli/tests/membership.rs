//! Regions of real processes join, leave and are removed, under writers that never rest.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may print what it measured, and fail by panicking"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use atoll_api::http::{MemberState, MemberStatus, Reason};
use atoll_client::{Client, Content, ReadOptions, WriteOptions};
use futures_util::future;
use serde_json::json;
use support::store::{Plan, Store};
use support::until;
use tokio::task::JoinHandle;

/// Entries that are there before the fourth region starts.
const ENTRIES_BEFORE: u64 = 6_000;
const WRITERS: u64 = 16;
/// Enough for many batches on the way.
const VALUE_BYTES: usize = 2_000;

/// Writers of the first three regions, and how much they wrote.
struct Load {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(clients: &[Client]) -> Load {
        let (stop, written) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let writer = |writer: u64| {
            let client = clients[usize::try_from(writer).unwrap() % clients.len()].clone();
            let (stop, written) = (Arc::clone(&stop), Arc::clone(&written));
            tokio::spawn(async move {
                for i in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    put(&client, &format!("{writer:02}-{i:06}")).await.unwrap();
                    written.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        Load {
            tasks: (0..WRITERS).map(writer).collect(),
            stop,
            written,
        }
    }

    async fn more(&self, entries: u64) {
        let wanted = self.written.load(Ordering::Relaxed) + entries;
        until("the writers go on", async || {
            (self.written.load(Ordering::Relaxed) >= wanted).then_some(())
        })
        .await;
    }

    /// No write was refused.
    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for ended in future::join_all(self.tasks).await {
            ended.unwrap();
        }
    }
}

async fn put(client: &Client, key: &str) -> Result<(), atoll_client::ClientError> {
    let (options, value) = (
        WriteOptions::default(),
        format!("\"{}\"", "x".repeat(VALUE_BYTES)),
    );
    let put = client.put("pages", key, "application/json", value, &options);
    put.await.map(drop)
}

async fn has(client: &Client, key: &str) -> bool {
    let read = client.get("pages", key, &ReadOptions::default()).await;
    read.unwrap().content != Content::Absent
}

async fn member(client: &Client, name: &str) -> MemberStatus {
    let list = client.members().await.unwrap();
    let named = list.members.into_iter().find(|m| m.name == name);
    named.unwrap()
}

async fn reaches(client: &Client, name: &str, state: MemberState) {
    until(&format!("{name} is {state:?}"), async || {
        let list = client.members().await.ok()?;
        let member = list.members.into_iter().find(|m| m.name == name)?;
        (member.state == state).then_some(())
    })
    .await;
}

/// How many entries the fourth region has applied; it is not ready before it has caught up.
async fn joined_beyond(client: &Client, applied: u64) -> u64 {
    until("the joining region gets on", async || {
        let is_ready = client.readiness().await.ok()?.ready;
        let status = client.status().await.ok()?;
        assert_eq!(status.state, Some(MemberState::Joining), "admitted already");
        assert!(!is_ready, "ready while it joins");
        let join = status.join?;
        (join.applied > applied).then_some(join.applied)
    })
    .await
}

async fn four() -> Store {
    let mut plan = Plan::new(
        &["eu", "us", "ap", "af"],
        json!([{"name": "pages", "type": "Register"}]),
    );
    plan.region("af").joins = true;
    plan.start_founders().await
}

/// Caught: a joining region that is ready at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_joins_under_load_is_killed_on_the_way_and_leaves_with_proof() {
    let mut store = four().await;
    let clients = store.clients();
    let (three, af) = (&clients[..3], &clients[3]);
    let load = Load::start(three);
    load.more(ENTRIES_BEFORE).await;

    let started = Instant::now();
    store.regions[3].start();
    let mut applied = 0;
    for kill in 1..=2 {
        applied = joined_beyond(af, applied + ENTRIES_BEFORE / 10).await;
        store.regions[3].kill();
        println!("killed at {applied} entries, the {kill}. time");
        store.regions[3].start();
    }
    store.regions[3].ready().await;
    println!("joined after {:?}", started.elapsed());
    assert!(af.status().await.unwrap().vector.values().sum::<u64>() >= applied);
    for client in three {
        reaches(client, "af", MemberState::Active).await;
    }
    for i in 0..200 {
        put(af, &format!("af-{i}")).await.unwrap();
    }

    let draining = three[0].drain_region("af").await.unwrap();
    assert_eq!(draining.state, MemberState::Draining);
    reaches(&three[1], "af", MemberState::Retired).await;
    let refused = put(af, "late").await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::Draining), "{refused}");
    assert!(has(af, "af-7").await, "reads go on");
    for client in three {
        reaches(client, "af", MemberState::Retired).await;
        let retired = member(client, "af").await;
        assert_eq!(Some(retired.held), retired.last, "{retired:?}");
        for i in 0..200 {
            assert!(has(client, &format!("af-{i}")).await, "af-{i}");
        }
    }
    load.more(500).await;
    load.end().await;

    store.regions[3].kill();
    store.regions[3].start();
    let refused = "af is retired and pulls nothing any more";
    until("eu refuses the link of a retired replica id", async || {
        store.regions[0].log().contains(refused).then_some(())
    })
    .await;
    let refused = three[0].cancel_drain("af").await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::WrongState), "{refused}");
}

/// Caught: a region removed by force that counts for what is stable for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_region_is_removed_by_force_with_the_right_number() {
    let collections = json!([{"name": "pages", "type": "Register"}]);
    let mut store = Plan::new(&["eu", "us", "ap"], collections).start().await;
    let clients = store.clients();
    let (eu, us) = (&clients[0], &clients[1]);
    for client in &clients {
        put(client, "a").await.unwrap();
    }
    store.settle().await;
    let reason = async |client: &Client, name: &str, lost| {
        let refused = client.remove_region(name, lost).await.unwrap_err();
        (refused.reason().unwrap(), refused.problem().unwrap().lost)
    };
    assert_eq!(reason(eu, "eu", Some(0)).await.0, Reason::WrongState);
    assert_eq!(reason(eu, "af", Some(0)).await.0, Reason::NotFound);
    assert_eq!(reason(eu, "ap", Some(0)).await.0, Reason::RegionAlive);

    store.regions[2].kill();
    let lost = until("ap counts as dead", async || {
        match reason(eu, "ap", None).await {
            (Reason::RegionAlive, _) => None,
            (Reason::LostNotConfirmed, lost) => lost,
            other => panic!("{other:?}"),
        }
    })
    .await;
    assert_eq!(lost, 0, "all had everything");
    let wrong = reason(eu, "ap", Some(lost + 1)).await;
    assert_eq!(wrong, (Reason::LostNotConfirmed, Some(lost)));
    assert_eq!(
        member(us, "ap").await.state,
        MemberState::Active,
        "nothing moved"
    );

    let removed = eu.remove_region("ap", Some(lost)).await.unwrap();
    assert_eq!((removed.lost, removed.unheard), (lost, vec![]));
    reaches(us, "ap", MemberState::Retired).await;
    put(eu, "b").await.unwrap();
    let written = eu.status().await.unwrap().vector["eu"];
    until("what two regions have is stable", async || {
        let stable = us.status().await.unwrap().stable?;
        (stable.get("eu").copied()? >= written).then_some(())
    })
    .await;

    store.regions[2].start();
    store.regions[2].ready().await;
    until("the link of the removed region is refused", async || {
        let lines = store.regions[0].log();
        lines.contains("ap is retired").then_some(())
    })
    .await;
    let again = reason(eu, "ap", Some(0)).await.0;
    assert_eq!(again, Reason::WrongState, "retired is for ever");
}
