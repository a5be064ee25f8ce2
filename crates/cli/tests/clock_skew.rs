//! Clocks an hour ahead and an hour behind. They stop a region from writing, not from reading and
//! replicating; and where they are let write, they order concurrent writes only: what has seen another
//! write wins, whatever the clocks say. Clients cannot set times at all.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may print what it measured, and fail by panicking"
)]

mod support;

use std::collections::BTreeMap;
use std::time::Instant;

use atoll_api::http::{ClockState, Reason, Receipt};
use atoll_client::{Client, ClientError, Content, ReadOptions, WriteOptions};
use rand::{Rng as _, SeedableRng as _};
use reqwest::StatusCode;
use serde_json::json;
use support::store::{Plan, PlannedRegion, Store};
use support::{changes, equal, until};

const HOUR_MS: i64 = 3_600_000;
const REGIONS: [&str; 3] = ["ahead", "behind", "right"];

/// Three regions, one of whose clocks is an hour ahead, and one an hour behind.
async fn start(change: impl Fn(&mut PlannedRegion)) -> Store {
    let mut plan = Plan::new(&REGIONS, json!([{"name": "pages", "type": "Register"}]));
    for (name, shift_ms) in REGIONS.into_iter().zip([HOUR_MS, -HOUR_MS, 0]) {
        let region = plan.region(name);
        region.clock_shift_ms = shift_ms;
        change(region);
    }
    plan.start().await
}

async fn put(
    client: &Client,
    key: &str,
    value: &str,
    options: &WriteOptions,
) -> Result<Receipt, ClientError> {
    let value = format!("{value:?}");
    client
        .put("pages", key, "application/json", value, options)
        .await
}

async fn shown(client: &Client, key: &str, options: &ReadOptions) -> Option<String> {
    match client.get("pages", key, options).await.unwrap().content {
        Content::Value { bytes, .. } => serde_json::from_slice(&bytes).unwrap(),
        Content::Absent => None,
        Content::Siblings(siblings) => panic!("one value was asked for: {siblings:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_whose_clock_is_off_reads_and_replicates_and_does_not_write() {
    let store = start(|_| {}).await;
    let [ahead, behind, right] = REGIONS.map(|name| store.region(name).client());
    let started = Instant::now();
    // What is accepted before the peers' clocks are heard stands.
    let mut accepted = BTreeMap::new();
    for (name, client) in [("ahead", &ahead), ("behind", &behind)] {
        let mut count = 0;
        let (problem, after) = until("writes are refused", async || {
            let key = format!("{name}-{count}");
            count += 1;
            match put(client, &key, name, &WriteOptions::default()).await {
                Ok(receipt) => {
                    accepted.insert(key, receipt.dot);
                    None
                }
                Err(error) => Some((
                    error.problem().expect("a refusal").clone(),
                    started.elapsed(),
                )),
            }
        })
        .await;
        assert_eq!(problem.reason(), Some(Reason::ClockSkew), "{problem}");
        assert_eq!(problem.status, 503);
        println!("{name}: {problem}, {after:?} after all links streamed");
        let off_by_hours = problem.offset_seconds.unwrap() / 3600.0;
        let expected = if name == "ahead" { 1.0 } else { -1.0 };
        assert!((off_by_hours - expected).abs() < 0.01, "{problem:?}");
        let clock = client.status().await.unwrap().clock;
        assert_eq!(clock.state, ClockState::Skewed, "{clock:?}");
    }
    println!("accepted before that: {}", accepted.len());
    let clock = right.status().await.unwrap().clock;
    assert_eq!(clock.state, ClockState::Good, "{clock:?}");

    // They read and replicate: what is written elsewhere is shown there, and is confirmed by them.
    let options = WriteOptions {
        write_concern: "all".parse().unwrap(),
        timeout: Some(support::PATIENCE / 4),
        ..WriteOptions::default()
    };
    let receipt = put(&right, "k", "from right", &options).await.unwrap();
    assert_eq!(receipt.seen_by.map(|regions| regions.len()), Some(3));
    for client in [&ahead, &behind] {
        let options = ReadOptions {
            session: Some(receipt.session.clone()),
            ..ReadOptions::default()
        };
        assert_eq!(
            shown(client, "k", &options).await.as_deref(),
            Some("from right")
        );
        let error = put(client, "k", "refused", &WriteOptions::default())
            .await
            .unwrap_err();
        assert_eq!(error.reason(), Some(Reason::ClockSkew), "still");
    }
    store.settle().await;
    let items = equal::items(&store, "pages").await;
    let keys: Vec<&str> = items.iter().map(|item| item.key.as_str()).collect();
    let expected: Vec<&str> = accepted.keys().map(String::as_str).chain(["k"]).collect();
    assert_eq!(keys, expected, "what was refused changed nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_saw_another_wins_against_any_clock() {
    const ROUNDS: usize = 100;
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut dice = rand::rngs::StdRng::seed_from_u64(seed);
    let store = start(|region| region.max_clock_skew = Some("3h")).await;
    let clients = store.clients();
    let started = Instant::now();
    let mut holder = 0;
    let mut last = "0".to_owned();
    let receipt = put(&clients[holder], "baton", &last, &WriteOptions::default()).await;
    let mut session = receipt.unwrap().session;
    let mut hand_overs: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for round in 1..=ROUNDS {
        // The first hand-over is the hard one: from the clock that is ahead to the one that is behind.
        let next = if round == 1 {
            1
        } else {
            (holder + dice.random_range(1..=2)) % 3
        };
        *hand_overs
            .entry((REGIONS[holder], REGIONS[next]))
            .or_default() += 1;
        let options = ReadOptions {
            session: Some(session.clone()),
            timeout: Some(support::PATIENCE / 4),
            ..ReadOptions::default()
        };
        let read = clients[next].get("pages", "baton", &options).await.unwrap();
        let expected = Content::Value {
            media_type: "application/json".to_owned(),
            bytes: format!("{last:?}").into(),
        };
        assert_eq!(read.content, expected, "round {round} in {}", REGIONS[next]);
        last = format!("{round}");
        // Told by a context or not, the writer has seen what it read.
        let options = WriteOptions {
            context: read.context.filter(|_| round % 2 == 0),
            ..WriteOptions::default()
        };
        let receipt = put(&clients[next], "baton", &last, &options).await.unwrap();
        session = receipt.session;
        holder = next;
        for (client, name) in clients.iter().zip(REGIONS) {
            let options = ReadOptions {
                session: Some(session.clone()),
                timeout: Some(support::PATIENCE / 4),
                ..ReadOptions::default()
            };
            let shown = shown(client, "baton", &options).await;
            assert_eq!(
                shown.as_deref(),
                Some(last.as_str()),
                "round {round} in {name}"
            );
        }
    }
    println!(
        "{ROUNDS} hand-overs in {:?}: {hand_overs:?}",
        started.elapsed()
    );
    store.settle().await;
    for client in &clients {
        assert_eq!(
            shown(client, "baton", &ReadOptions::default())
                .await
                .as_deref(),
            Some(last.as_str())
        );
    }
    assert_eq!(equal::ledger(&store).await, [], "nothing was concurrent");
    check_times_follow_causality(&clients).await;
}

/// The one chain of writes has ascending times, in regions with three different clocks.
async fn check_times_follow_causality(clients: &[Client]) {
    for client in clients {
        let changes = changes(client).await;
        let times: Vec<String> = changes.into_iter().map(|change| change.time).collect();
        assert!(times.is_sorted(), "{times:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_cannot_set_times() {
    let store = Plan::new(&["eu"], json!([{"name": "pages", "type": "Register"}]))
        .start()
        .await;
    let client = store.regions[0].client();
    let server = client.server().to_owned();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = |key: &str| format!("{server}/v1/collections/pages/keys/{key}");
    let far = "Thu, 01 Jan 2099 00:00:00 GMT";

    // Headers that are not ours do nothing: the next write wins all the same.
    for (name, value) in [
        ("date", far),
        ("last-modified", far),
        ("x-timestamp", "4070908800000"),
        ("x-amz-meta-mtime", "4070908800000"),
        ("x-cassandra-timestamp", "4070908800000000"),
    ] {
        let request = http
            .put(url("k"))
            .header(name, value)
            .json("from the future");
        assert_eq!(
            request.send().await.unwrap().status(),
            StatusCode::OK,
            "{name}"
        );
        assert_eq!(
            shown(&client, "k", &ReadOptions::default())
                .await
                .as_deref(),
            Some("from the future")
        );
        put(&client, "k", "now", &WriteOptions::default())
            .await
            .unwrap();
        assert_eq!(
            shown(&client, "k", &ReadOptions::default())
                .await
                .as_deref(),
            Some("now"),
            "{name}"
        );
    }
    // What looks like ours and is not is refused.
    for name in ["atoll-time", "atoll-timestamp", "atoll-clock"] {
        let request = http
            .put(url("refused"))
            .header(name, "4070908800000")
            .json("x");
        assert_eq!(
            request.send().await.unwrap().status(),
            StatusCode::BAD_REQUEST,
            "{name}"
        );
    }
    for body in [
        json!({"operations": [{"collection": "pages", "key": "refused", "put": 1, "time": 4_070_908_800_000_u64}]}),
        json!({"operations": [{"collection": "pages", "key": "refused", "put": 1}], "timestamp": "2099-01-01T00:00:00Z"}),
    ] {
        let request = http.post(format!("{server}/v1/batch")).json(&body);
        assert_eq!(
            request.send().await.unwrap().status(),
            StatusCode::BAD_REQUEST,
            "{body}"
        );
    }
    let request = http
        .put(format!("{}?time=4070908800000", url("refused")))
        .json("x");
    assert_eq!(
        request.send().await.unwrap().status(),
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        shown(&client, "refused", &ReadOptions::default()).await,
        None
    );

    let changes = changes(&client).await;
    let times: Vec<String> = changes.into_iter().map(|change| change.time).collect();
    assert_eq!(times.len(), 10, "nothing else was written");
    assert!(times.iter().all(|time| time.as_str() < "2098"), "{times:?}");
}
