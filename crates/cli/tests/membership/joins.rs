//! A region joins while the others are written to, is killed twice on the way, and leaves with proof.

use std::sync::Arc;
use std::time::Instant;

use atoll_api::http::{MemberState, Reason};
use atoll_client::Client;
use futures_util::{StreamExt, stream};
use serde_json::json;

use super::support::pace::{Pace, put};
use super::support::store::{Plan, Store};
use super::support::{number, until};
use super::{has, member, reaches, try_put};

/// Enough for many batches on the way when there are few keys.
const BYTES_IN_ALL: u64 = 20_000_000;
const VALUE_BYTES_MAX: u64 = 4_000;
const WRITERS: usize = 64;
/// What the fourth region writes itself.
const OWN_WRITES: usize = 50;

/// What is there, and what is added each second.
struct Scale {
    keys: u64,
    rate: u64,
    value_bytes: usize,
}

impl Scale {
    /// ATOLL_JOIN_KEYS and ATOLL_JOIN_RATE: 200000 and 500 for the whole of it.
    fn wanted() -> Scale {
        let keys = number("ATOLL_JOIN_KEYS", 2_000);
        let value_bytes = (BYTES_IN_ALL / keys).clamp(100, VALUE_BYTES_MAX);
        Scale {
            keys,
            rate: number("ATOLL_JOIN_RATE", 100),
            value_bytes: usize::try_from(value_bytes).unwrap(),
        }
    }

    /// Writes for a figure worth printing.
    fn phase(&self) -> u64 {
        self.rate * 3 + self.keys / 50
    }
}

async fn four() -> Store {
    let mut plan = Plan::new(
        &["eu", "us", "ap", "af"],
        json!([{"name": "pages", "type": "Register"}]),
    );
    plan.region("af").joins = true;
    plan.start_founders().await
}

async fn fill(clients: &[Client], scale: &Scale) {
    let started = Instant::now();
    let clients: Arc<[Client]> = clients.into();
    stream::iter(0..scale.keys)
        .for_each_concurrent(WRITERS, |i| {
            let clients = Arc::clone(&clients);
            let bytes = scale.value_bytes;
            async move {
                let client = &clients[usize::try_from(i).unwrap() % clients.len()];
                put(client, &format!("old-{i:08}"), bytes).await;
            }
        })
        .await;
    println!(
        "{} keys of {} bytes written in {:.1} s",
        scale.keys,
        scale.value_bytes,
        started.elapsed().as_secs_f64()
    );
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

/// Caught: a joining region that is ready at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_joins_under_load_is_killed_on_the_way_and_leaves_with_proof() {
    let scale = Scale::wanted();
    let mut store = four().await;
    let clients = store.clients();
    let (three, af) = (&clients[..3], &clients[3]);
    fill(three, &scale).await;
    let pace = Pace::start(three, scale.rate, scale.value_bytes);
    let mut phases = Vec::new();
    let before = Instant::now();
    pace.more(scale.phase()).await;
    phases.push(pace.phase("before", before));

    let started = Instant::now();
    store.regions[3].start();
    let mut applied = 0;
    for kill in 1..=2 {
        applied = joined_beyond(af, scale.keys * kill / 4).await;
        store.regions[3].kill();
        println!(
            "killed at {applied} entries, {:.1} s after it was started, the {kill}. time",
            started.elapsed().as_secs_f64()
        );
        store.regions[3].start();
    }
    store.regions[3].ready().await;
    let took = started.elapsed();
    phases.push(pace.phase("af joins", started));
    let has_now: u64 = af.status().await.unwrap().vector.values().sum();
    assert!(has_now >= applied.max(scale.keys));
    println!(
        "joined in {:.1} s, killed twice on the way: {has_now} entries, {:.0} a second",
        took.as_secs_f64(),
        has_now as f64 / took.as_secs_f64()
    );
    let joined = Instant::now();
    for client in three {
        reaches(client, "af", MemberState::Active).await;
    }
    pace.more(scale.phase()).await;
    phases.push(pace.phase("of four", joined));

    for i in 0..OWN_WRITES {
        put(af, &format!("af-{i}"), scale.value_bytes).await;
    }
    let leaving = Instant::now();
    let draining = three[0].drain_region("af").await.unwrap();
    assert_eq!(draining.state, MemberState::Draining);
    for client in three {
        reaches(client, "af", MemberState::Retired).await;
    }
    println!(
        "drained and retired, known everywhere, in {:.1} s",
        leaving.elapsed().as_secs_f64()
    );
    pace.more(scale.phase()).await;
    phases.push(pace.phase("af leaves, and after", leaving));
    let written = pace.end().await;
    phases.iter().for_each(|phase| println!("{}", phase.told()));
    let refused = try_put(af, "late").await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::Draining), "{refused}");
    assert!(has(af, "af-7").await, "reads go on");
    for client in three {
        let retired = member(client, "af").await;
        assert_eq!(Some(retired.held), retired.last, "{retired:?}");
        for i in 0..OWN_WRITES {
            assert!(has(client, &format!("af-{i}")).await, "af-{i}");
        }
    }
    for client in three {
        for i in [0, written / 2, written - 1] {
            let key = format!("paced-{i:08}");
            until("what was written meanwhile is everywhere", async || {
                has(client, &key).await.then_some(())
            })
            .await;
        }
    }

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

/// Caught: nobody named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_joins_names_the_one_that_has_not_heard_of_it() {
    let mut store = four().await;
    let clients = store.clients();
    let (eu, af) = (&clients[0], &clients[3]);
    put(&clients[2], "a", 1).await;
    for client in &clients[..2] {
        // One that nobody has heard of would not be known by name.
        until("what ap wrote is there", async || {
            has(client, "a").await.then_some(())
        })
        .await;
    }
    store.regions[2].kill();
    store.regions[3].start();
    until("af waits for ap", async || {
        let join = af.status().await.ok()?.join?;
        (join.waiting_for == ["ap"]).then_some(())
    })
    .await;
    store.regions[2].start();
    reaches(eu, "af", MemberState::Active).await;
    assert!(af.status().await.unwrap().join.is_none());
}
