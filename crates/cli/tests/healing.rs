//! Topologies of real processes that heal: a ring of six of which one member is killed and then another, not
//! next to it, and both come back; a star whose hub is killed; a ring with a link cut in one direction.
//!
//! In each phase every live region hears of every other without a hand, and at most 1.1 copies of an entry
//! come to a region.
//! Faults put in by hand are caught by the network of `atoll_replication`'s tests.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may print what it measured, and fail by panicking"
)]

mod support;

use std::time::{Duration, Instant};

use atoll_api::http::{ConnectivityState, LinkRole, LinkStatus, RawJson};
use atoll_client::{Client, Content, ReadOptions, WriteOptions};
use serde_json::{Value, json};
use support::proxy::Proxy;
use support::store::{Plan, Store};
use support::until;

const FAILOVER_AFTER: &str = "4s";
/// Entries that every live region writes while copies are counted.
const WRITES: usize = 60;
const COPIES_MAX: f64 = 1.1;

struct Healing {
    store: Store,
    live: Vec<String>,
    is_cut: bool,
    round: usize,
}

fn plan(regions: &[&str], topology: Value) -> Plan {
    let mut plan = Plan::new(regions, json!([{"name": "board", "type": "Register"}]));
    plan.topology = Some(topology);
    plan.failover_after = Some(FAILOVER_AFTER);
    plan
}

async fn start(plan: Plan) -> Healing {
    let store = plan.start().await;
    store.settle().await;
    let live = store.regions.iter().map(|r| r.name.clone()).collect();
    Healing {
        store,
        live,
        is_cut: false,
        round: 0,
    }
}

impl Healing {
    fn client(&self, region: &str) -> Client {
        self.store.region(region).client()
    }

    fn kill(&mut self, region: &str) {
        let mut regions = self.store.regions.iter_mut();
        regions.find(|r| r.name == region).unwrap().kill();
        self.live.retain(|name| name != region);
    }

    async fn revive(&mut self, region: &str) {
        let mut regions = self.store.regions.iter_mut();
        let region = regions.find(|r| r.name == region).unwrap();
        region.start();
        region.ready().await;
        self.live.push(region.name.clone());
        self.live.sort();
    }

    /// One write in every live region; for each pair, how long until the second shows it.
    async fn lags(&mut self) -> Vec<Duration> {
        self.round += 1;
        let mut lags = Vec::new();
        for from in &self.live {
            let key = format!("{from}-{}", self.round);
            put(&self.client(from), &key).await;
            let written = Instant::now();
            let mut waiting: Vec<&String> = self.live.iter().filter(|to| *to != from).collect();
            until(&format!("all live regions show {key}"), async || {
                let mut still = Vec::new();
                for to in std::mem::take(&mut waiting) {
                    if is_shown(&self.client(to), &key).await {
                        lags.push(written.elapsed());
                    } else {
                        still.push(to);
                    }
                }
                waiting = still;
                waiting.is_empty().then_some(())
            })
            .await;
        }
        lags.sort_unstable();
        lags
    }

    /// Entries that came to the live regions over links, and of those the ones that were known already.
    async fn came(&self) -> (f64, f64) {
        let (mut applied, mut duplicates) = (0.0, 0.0);
        for region in &self.live {
            let metrics = self.client(region).metrics().await.unwrap();
            let lines = metrics.lines();
            for line in lines.filter(|l| l.starts_with("atoll_replication_entries_total{")) {
                let count: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
                if line.contains(r#"result="applied""#) {
                    applied += count;
                } else if line.contains(r#"result="duplicate""#) {
                    duplicates += count;
                }
            }
        }
        (applied, duplicates)
    }

    /// Waits until the dead count as silent, and no link is left that is kept only for a while.
    async fn is_steady(&self) {
        for region in &self.live {
            until(&format!("{region} moves no links"), async || {
                let links = self.links(region).await;
                let is_steady = |link: &LinkStatus| match link.role {
                    Some(LinkRole::Declared) => {
                        self.live.contains(&link.from) || link.silent_seconds.is_some()
                    }
                    role => role != Some(LinkRole::Kept),
                };
                links.iter().all(is_steady).then_some(())
            })
            .await;
        }
    }

    /// Everyone hears of everyone again, soon; once that is by steady links, few copies travel.
    async fn check(&mut self, phase: &str, since: Instant) {
        let first = self.lags().await;
        println!(
            "{phase}: {} live; a way between all after {:?}, of which the slowest write took {:?}",
            self.live.len(),
            since.elapsed(),
            first.last().unwrap()
        );
        if self.live.len() == self.store.regions.len() && !self.is_cut {
            self.is_as_declared().await;
        } else {
            self.is_steady().await;
        }
        println!("{phase}: steady after {:?}", since.elapsed());
        let (applied, duplicates) = self.came().await;
        for _ in 0..WRITES {
            self.round += 1;
            for region in &self.live {
                put(&self.client(region), &format!("{region}-{}", self.round)).await;
            }
        }
        let lags = self.lags().await;
        let (median, slowest) = (lags[lags.len() / 2], lags[lags.len() - 1]);
        let after = self.came().await;
        let (applied, duplicates) = (after.0 - applied, after.1 - duplicates);
        let copies = (applied + duplicates) / applied;
        println!(
            "{phase}: lag of live pairs {median:?} (median), {slowest:?} (slowest); {copies:.3} copies an entry of {applied}"
        );
        let expected = WRITES * self.live.len() * (self.live.len() - 1);
        assert!(applied >= expected as f64, "{applied} of {expected}");
        assert!(copies <= COPIES_MAX, "{phase}: {copies} copies an entry");
    }

    async fn links(&self, region: &str) -> Vec<LinkStatus> {
        self.client(region).links().await.unwrap().links
    }

    /// Waits until every link is declared and heard, everywhere, and the topology is whole.
    async fn is_as_declared(&self) {
        for region in &self.live {
            until(
                &format!("{region} has its declared links only"),
                async || {
                    let links = self.links(region).await;
                    let is_well = |link: &LinkStatus| {
                        link.role == Some(LinkRole::Declared) && link.silent_seconds.is_none()
                    };
                    let status = self.client(region).status().await.unwrap();
                    let is_whole = status.topology?.state == ConnectivityState::Redundant;
                    (is_whole && links.iter().all(is_well)).then_some(())
                },
            )
            .await;
        }
    }

    /// Waits until `region` says that a link from `from` stands in for `down`, and that `down` is silent.
    async fn stands_in(&self, region: &str, from: &str, down: &str) {
        until(
            &format!("{from}:{region} stands in for {down}"),
            async || {
                let links = self.links(region).await;
                let stands_in = links.iter().any(|link| {
                    link.from == from
                        && link.role == Some(LinkRole::StandsIn)
                        && link.stands_in_for == [down.to_owned()]
                        && link.role_seconds.is_some()
                });
                let silent = links
                    .iter()
                    .any(|link| link.name == down && link.silent_seconds.is_some());
                (stands_in && silent).then_some(())
            },
        )
        .await;
    }

    /// Waits until `region` reports these sides.
    async fn is_partitioned(&self, region: &str, sides: &[&[&str]]) {
        until(&format!("{region} reports {sides:?}"), async || {
            let topology = self.client(region).status().await.unwrap().topology?;
            (topology.state == ConnectivityState::Partitioned && topology.sides == sides)
                .then_some(())
        })
        .await;
    }
}

async fn put(client: &Client, key: &str) {
    let value = RawJson::from_text("true").unwrap();
    let options = WriteOptions::default();
    client
        .put_json("board", key, &value, &options)
        .await
        .unwrap();
}

async fn is_shown(client: &Client, key: &str) -> bool {
    let read = client.get("board", key, &ReadOptions::default()).await;
    read.unwrap().content != Content::Absent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_of_six_heals_round_two_that_are_killed() {
    let regions = ["a", "b", "c", "d", "e", "f"];
    let topology = json!({"type": "Ring", "regions": regions});
    let mut ring = start(plan(&regions, topology)).await;
    ring.is_as_declared().await;
    ring.check("whole", Instant::now()).await;
    ring.kill("b");
    ring.check("b killed", Instant::now()).await;
    ring.stands_in("c", "a", "b:c").await;
    ring.is_partitioned("e", &[&["a", "c", "d", "e", "f"], &["b"]])
        .await;
    ring.kill("e");
    ring.check("b and e killed", Instant::now()).await;
    ring.stands_in("f", "d", "e:f").await;
    let back = Instant::now();
    ring.revive("b").await;
    ring.revive("e").await;
    ring.check("both back", back).await;
    ring.store.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_star_goes_on_without_its_hub() {
    let regions = ["a", "b", "c", "d"];
    let topology = json!({"type": "Star", "regions": regions, "hub": "b"});
    let mut star = start(plan(&regions, topology)).await;
    star.is_as_declared().await;
    star.check("whole", Instant::now()).await;
    star.kill("b");
    star.check("hub killed", Instant::now()).await;
    star.stands_in("c", "a", "b:c").await;
    star.stands_in("d", "a", "b:d").await;
    star.revive("b").await;
    star.check("hub back", Instant::now()).await;
    star.store.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_goes_round_a_cut_in_one_direction() {
    let regions = ["a", "b", "c", "d"];
    let topology = json!({"type": "Ring", "regions": regions});
    let mut plan = plan(&regions, topology);
    // What b pulls from a passes the proxy; what a would pull from b does not.
    let proxy = Proxy::start(plan.address("a"), Duration::ZERO).await;
    plan.region("b").finds.insert("a", proxy.address());
    let mut ring = start(plan).await;
    ring.is_as_declared().await;
    proxy.cut();
    ring.is_cut = true;
    ring.check("b does not hear a", Instant::now()).await;
    proxy.heal();
    ring.is_cut = false;
    ring.check("healed", Instant::now()).await;
}
