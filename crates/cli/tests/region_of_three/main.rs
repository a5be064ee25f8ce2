//! A region of three nodes: its leader killed again and again under writers, nodes restarted in turn, a disk
//! lost, a node that was away for too long, and a leader that does not know that it leads no more.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may print what it measured, and fail by panicking"
)]

mod isolation;
mod load;
mod rolling;
#[path = "../support/mod.rs"]
mod support;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use atoll_api::http::NodeRole;
use atoll_client::{Client, Content, ReadOptions, WriteOptions};
use load::{Load, WRITERS, check, settle};
use serde_json::json;
use support::nodes::Nodes;
use support::process::Process;
use support::{number, until};

fn collections() -> serde_json::Value {
    json!([{"name": "pages", "type": "Register"}, {"name": "hits", "type": "Counter"}])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_dies_is_replaced_and_nothing_is_lost() {
    let mut nodes = Nodes::start(3, collections(), json!({})).await;
    let load = Load::start(std::slice::from_ref(&nodes));
    let mut pauses = Vec::new();
    for _ in 0..number("ATOLL_LEADER_KILLS", 4) {
        load.book.more().await;
        let leader = nodes.leader().await;
        let killed = Instant::now();
        {
            let mut book = load.book.book();
            (book.since, book.after) = (None, None);
        }
        nodes.nodes[leader].kill();
        // What was on its way when the leader died does not count.
        load.book.book().since = Some(Instant::now() + Duration::from_millis(20));
        let next = until("a write is acknowledged again", async || {
            load.book.book().after
        })
        .await;
        pauses.push(next - killed);
        nodes.nodes[leader].start();
        nodes.nodes[leader].ready().await;
    }
    let book = load.end().await;
    check(&nodes.all(), &book).await;
    pauses.sort();
    let book = book.book();
    println!(
        "{} kills of the leader, {WRITERS} writers: next acknowledged write after {:?} (p50), {:?} (max); {} \
         acknowledged, 0 lost; failures {:?}",
        pauses.len(),
        pauses[pauses.len() / 2],
        pauses[pauses.len() - 1],
        book.acknowledged.len(),
        book.failures
    );
    assert!(book.failures.is_empty(), "callers wait at most");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_are_restarted_in_turn_under_load() {
    let mut nodes = Nodes::start(3, collections(), json!({})).await;
    let load = Load::start(std::slice::from_ref(&nodes));
    load.book.more().await;
    let leader = nodes.leader().await;
    let others = (0..3).filter(|node| *node != leader);
    for node in others.chain([leader]).collect::<Vec<_>>() {
        nodes.nodes[node].stop().await;
        nodes.nodes[node].start();
        nodes.nodes[node].ready().await;
        load.book.more().await;
    }
    let book = load.end().await;
    check(&nodes.all(), &book).await;
    let book = book.book();
    println!(
        "three nodes restarted in turn: {} acknowledged, longest wait {:?}, failures {:?}",
        book.acknowledged.len(),
        book.slowest,
        book.failures
    );
    assert!(book.failures.is_empty(), "callers wait at most");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_away_too_long_or_lost_its_disk_is_sent_the_state() {
    let mut nodes = Nodes::start(3, collections(), json!({"commandsKept": 40})).await;
    let leader = nodes.leader().await;
    let away = (leader + 1) % 3;
    let client = nodes.nodes[leader].client();
    // Old commands are dropped in the background: on a busy machine that may be after the node is back.
    let mut was_sent = false;
    for round in ["a", "aa", "aaa", "aaaa"] {
        nodes.nodes[away].kill();
        put_many(&client, round, 300).await;
        nodes.nodes[away].start();
        nodes.nodes[away].ready().await;
        settle(&nodes.all()).await;
        assert!(holds(&nodes.nodes[away], round, 300).await);
        was_sent = nodes.nodes[away].log().contains("state was taken over");
        if was_sent {
            break;
        }
    }
    assert!(was_sent, "it had to be sent the state");

    nodes.nodes[away].kill();
    nodes.nodes[away].lose_disk();
    put_many(&client, "b", 100).await;
    let before = nodes.seen().await;
    nodes.nodes[away].start();
    nodes.nodes[away].ready().await;
    let name = nodes.nodes[away].name.clone();
    let id_of = |list: &[atoll_api::http::NodeStatus]| {
        list.iter().find(|n| n.name == name).map(|n| n.id.clone())
    };
    until("the node with the new disk has a vote", async || {
        let seen = nodes.seen().await;
        let is_new = id_of(&seen) != id_of(&before);
        let votes = seen.iter().filter(|n| n.role != NodeRole::Learner).count();
        (is_new && votes == 3 && seen.len() == 3).then_some(())
    })
    .await;
    settle(&nodes.all()).await;
    assert!(holds(&nodes.nodes[away], "b", 100).await);
}

async fn put_many(client: &Client, prefix: &str, count: usize) {
    for i in 0..count {
        let (key, value) = (format!("{prefix}{i}"), format!("{i}"));
        let options = WriteOptions::default();
        client
            .put("pages", &key, "application/json", value, &options)
            .await
            .unwrap();
    }
}

/// Whether this very node has them all.
async fn holds(node: &Process, prefix: &str, count: usize) -> bool {
    let lines = node.changes_here().await;
    let keys: HashSet<&str> = lines.iter().map(|line| line.key.as_str()).collect();
    (0..count).all(|i| keys.contains(format!("{prefix}{i}").as_str()))
}

/// Caught: reads with `leader` that ask nobody whether this node still leads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_slept_answers_nothing_old() {
    let nodes = Nodes::start(3, collections(), json!({})).await;
    for round in 0..4 {
        let old = nodes.leader().await;
        let sleeping = nodes.nodes[old].client();
        let options = WriteOptions::default();
        let put = |client: &Client, value: String| {
            let client = client.clone();
            let options = options.clone();
            async move {
                client
                    .put("pages", "k", "application/json", value, &options)
                    .await
            }
        };
        put(&sleeping, format!("\"before {round}\"")).await.unwrap();
        nodes.nodes[old].signal("STOP");
        let other = nodes.nodes[(old + 1) % 3].client();
        let after = format!("\"after {round}\"");
        until("the others write", async || {
            put(&other, after.clone()).await.ok()
        })
        .await;
        nodes.nodes[old].signal("CONT");
        let mut answers = 0;
        let awake = Instant::now();
        while answers == 0 || awake.elapsed() < Duration::from_secs(1) {
            if let Ok(read) = sleeping.get("pages", "k", &ReadOptions::default()).await {
                let Content::Value { bytes, .. } = read.content else {
                    panic!("the key is there");
                };
                assert_eq!(bytes, after.as_bytes(), "an old value was shown as current");
                answers += 1;
            }
        }
    }
}
