//! All to all → ring → star → all to all, while every region is written to: what is printed beforehand is what
//! is done, new links are there before old ones go, and every entry comes to every region once.
//!
//! How late entries come in each phase is printed; ATOLL_LAG_BOUND=1, on a machine that has nothing else to do,
//! holds each change to twice the normal p99 plus a round trip.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may print what it measured, and fail by panicking"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use atoll_api::http::{ChangesQuery, LinkRole, LinkState};
use atoll_api::topology::Carries;
use atoll_client::Client;
use serde_json::{Value, json};
use support::pace::{Pace, Phase, Sample};
use support::process::program;
use support::proxy::Proxy;
use support::store::{Plan, Store};
use support::{PATIENCE, equal, number, until};

const REGIONS: [&str; 4] = ["a", "b", "c", "d"];
/// Between any two regions, each way.
const DELAY: Duration = Duration::from_millis(10);
/// Longer than anything here takes: no link is given up.
const FAILOVER_AFTER: &str = "60s";
const VALUE_BYTES: usize = 100;

/// Name → what it carries, of all links there are.
type Links = BTreeMap<String, Carries>;

/// When each entry came to each region, as told by its feed of changes.
#[derive(Clone, Default)]
struct Arrivals(Arc<Mutex<HashMap<(usize, String), Instant>>>);

impl Arrivals {
    /// Follows a region's changes for as long as the test lasts.
    fn follow(&self, region: usize, client: Client) {
        let arrivals = self.clone();
        tokio::spawn(async move {
            let query = ChangesQuery {
                follow: true,
                ..ChangesQuery::default()
            };
            let mut changes = client.changes(&query).await.unwrap();
            while let Some(Ok(line)) = changes.next().await {
                let mut all = arrivals.0.lock().unwrap_or_else(PoisonError::into_inner);
                let first = all.insert((region, line.dot.clone()), Instant::now());
                assert_eq!(
                    first, None,
                    "{} came twice to {}",
                    line.dot, REGIONS[region]
                );
            }
        });
    }

    /// How much later than they were acknowledged these came to the last of all regions.
    async fn lags(&self, samples: &[Sample]) -> Vec<Duration> {
        let lag = |sample: &Sample| {
            let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let mut last = Duration::ZERO;
            for region in 0..REGIONS.len() {
                let at = all.get(&(region, sample.dot.clone()))?;
                last = last.max(at.saturating_duration_since(sample.acknowledged()));
            }
            Some(last)
        };
        until("every entry comes to every region", async || {
            samples.iter().map(lag).collect()
        })
        .await
    }
}

/// The store, and how it is told what to be.
struct Changing {
    store: Store,
    arrivals: Arrivals,
    pace: Pace,
    writes: u64,
    phases: Vec<Phase>,
    _proxies: Vec<Proxy>,
}

async fn start() -> Changing {
    let mut plan = Plan::new(&REGIONS, json!([{"name": "pages", "type": "Register"}]));
    plan.topology = Some(json!({"type": "AllToAll", "regions": REGIONS}));
    plan.failover_after = Some(FAILOVER_AFTER);
    let mut proxies = Vec::new();
    for to in REGIONS {
        for from in REGIONS.into_iter().filter(|from| *from != to) {
            let proxy = Proxy::start(plan.address(from), DELAY).await;
            plan.region(to).finds.insert(from, proxy.address());
            proxies.push(proxy);
        }
    }
    let store = plan.start().await;
    store.settle().await;
    let arrivals = Arrivals::default();
    for (place, region) in store.regions.iter().enumerate() {
        arrivals.follow(place, region.client());
    }
    let rate = number("ATOLL_TOPOLOGY_RATE", 60);
    Changing {
        pace: Pace::start(&store.clients(), rate, VALUE_BYTES),
        writes: rate * number("ATOLL_TOPOLOGY_SECONDS", 3),
        arrivals,
        store,
        phases: Vec::new(),
        _proxies: proxies,
    }
}

impl Changing {
    /// Looks at the lag for a while.
    async fn stays(&mut self, name: &str) -> Phase {
        let since = Instant::now();
        self.pace.more(self.writes).await;
        self.note(name, since).await
    }

    async fn note(&mut self, name: &str, since: Instant) -> Phase {
        let lags = self.arrivals.lags(&self.pace.since(since)).await;
        let phase = Phase::new(name, since, lags);
        self.phases.push(phase.clone());
        phase
    }

    /// Plans, declares, and waits until it is done; then compares what was done with the plan.
    async fn becomes(&mut self, topology: &str) -> Phase {
        let manifest = self.write_manifest(topology);
        let before = self.links().await;
        let logged: Vec<usize> = self.store.regions.iter().map(|r| r.log().len()).collect();
        let planned = self.atoll(&["topology", "plan", "-f", &manifest, "-o", "json"]);
        let planned: Value = serde_json::from_str(&planned).unwrap();
        let steps: Vec<&str> = planned["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s.as_str().unwrap())
            .collect();
        println!("→ {topology}: {}", steps.join("; "));
        let since = Instant::now();
        self.atoll(&["topology", "apply", "-f", &manifest]);
        let expected = after(&before, &steps);
        until("the links are those of the plan", async || {
            (self.links().await == expected).then_some(())
        })
        .await;
        let took = since.elapsed();
        self.pace.more(self.writes / 3).await;
        println!("→ {topology}: done after {took:?}");
        assert_eq!(self.links().await, expected, "and nothing else");
        self.check_done(&before, &expected, &logged);
        self.note(&format!("→ {topology}"), since).await
    }

    fn write_manifest(&self, topology: &str) -> String {
        let path = self.store.directory().join("declared.yaml");
        let regions = REGIONS.map(|name| format!("{{name: {name}}}")).join(", ");
        let text = format!(
            "apiVersion: atoll.dev/v1alpha1\nkind: GeoStore\nmetadata: {{name: shop}}\n\
             spec: {{topology: {topology}, regions: [{regions}]}}\n"
        );
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// What the program prints; it is to succeed, once the last declaration is known everywhere.
    fn atoll(&self, arguments: &[&str]) -> String {
        let started = Instant::now();
        loop {
            let done = Command::new(program())
                .args(arguments)
                .args(["--server", &self.store.regions[0].url()])
                .output()
                .unwrap();
            if done.status.success() {
                return String::from_utf8(done.stdout).unwrap();
            }
            let said = String::from_utf8_lossy(&done.stderr);
            let is_early = said.contains("has not heard of the last topology yet");
            assert!(is_early && started.elapsed() < PATIENCE, "{said}");
        }
    }

    /// All links there are.
    async fn links(&self) -> Links {
        let mut all = Links::new();
        for client in self.store.clients() {
            for link in client.links().await.unwrap().links {
                let is_done =
                    link.role == Some(LinkRole::Declared) && link.state == LinkState::Streaming;
                let name = if is_done {
                    link.name
                } else {
                    format!("{} (not yet)", link.name)
                };
                all.insert(name, link.carries.unwrap());
            }
        }
        all
    }

    /// What the regions' logs say was opened and closed is the difference, and all was opened before anything
    /// was closed.
    fn check_done(&self, before: &Links, after: &Links, logged: &[usize]) {
        let (mut opened, mut closed) = (BTreeMap::new(), BTreeMap::new());
        for (region, seen) in self.store.regions.iter().zip(logged) {
            for line in region.log()[*seen..].lines() {
                let link = || line.rsplit('"').nth(1).unwrap().to_owned();
                let at = line.split_whitespace().next().unwrap().to_owned();
                if line.contains(": link declared") {
                    opened.insert(link(), at);
                } else if line.contains(": link ended") {
                    closed.insert(link(), at);
                }
            }
        }
        let names = |links: &BTreeMap<String, String>| links.keys().cloned().collect();
        let only_in = |one: &Links, other: &Links| -> BTreeSet<String> {
            let names = one.keys().filter(|name| !other.contains_key(*name));
            names.cloned().collect()
        };
        let (opened_names, closed_names): (BTreeSet<String>, BTreeSet<String>) =
            (names(&opened), names(&closed));
        assert_eq!(opened_names, only_in(after, before), "opened");
        assert_eq!(closed_names, only_in(before, after), "closed");
        let (last_opened, first_closed) = (opened.values().max(), closed.values().min());
        if let (Some(opened), Some(closed)) = (last_opened, first_closed) {
            assert!(opened < closed, "opened {opened}, closed {closed}");
        }
    }
}

/// What the links are when the printed steps are done.
fn after(before: &Links, steps: &[&str]) -> Links {
    let mut links = before.clone();
    let mut may_drop = false;
    for step in steps {
        let words: Vec<&str> = step
            .split([' ', ','])
            .filter(|word| !word.is_empty())
            .collect();
        match words.as_slice() {
            ["add", name, "which", "carries", what @ ..] => {
                let carries = match what {
                    ["everything"] => Carries::Everything,
                    ["own", "entries"] => Carries::OwnEntries,
                    other => panic!("{other:?}"),
                };
                assert_eq!(links.insert((*name).to_owned(), carries), None, "{step}");
            }
            ["let", name, "carry", "everything"] => {
                let was = links.insert((*name).to_owned(), Carries::Everything);
                assert_eq!(was, Some(Carries::OwnEntries), "{step}");
            }
            ["let", name, "carry", "own", "entries", "only"] => {
                let was = links.insert((*name).to_owned(), Carries::OwnEntries);
                assert_eq!(was, Some(Carries::Everything), "{step}");
            }
            ["wait", ..] => may_drop = true,
            ["drop", name] => {
                assert!(may_drop, "{step}, before the new links have caught up");
                assert!(links.remove(*name).is_some(), "{step}");
            }
            other => panic!("{other:?}"),
        }
    }
    links
}

/// Caught: links that are not wanted any more, ended at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topologies_change_under_load_as_planned_and_every_entry_comes_once() {
    let mut changing = start().await;
    let (ring, star) = ("{type: Ring, order: [a, b, c, d]}", "{type: Star, hub: b}");
    let mut normal = changing.stays("AllToAll").await;
    let mut changes = Vec::new();
    for (topology, name) in [
        (ring, "Ring"),
        (star, "Star"),
        ("{type: AllToAll}", "AllToAll"),
    ] {
        let change = changing.becomes(topology).await;
        let next = changing.stays(name).await;
        let usual = normal.percentile(99).max(next.percentile(99));
        changes.push((name, change, usual * 2 + 2 * DELAY));
        normal = next;
    }
    let written = changing.pace.end().await;
    changing
        .phases
        .iter()
        .for_each(|phase| println!("{}", phase.told()));
    for (name, change, bound) in &changes {
        let slowest = change.percentile(100);
        println!("→ {name}: slowest {slowest:?}, bound {bound:?}");
        if number("ATOLL_LAG_BOUND", 0) > 0 {
            assert!(slowest <= *bound, "→ {name}: {slowest:?} beyond {bound:?}");
        }
    }
    changing.store.settle().await;
    let items = equal::items(&changing.store, "pages").await;
    assert_eq!(
        items.len() as u64,
        written,
        "every write is there, everywhere"
    );
    let all = changing.arrivals.0.lock();
    let all = all.unwrap_or_else(PoisonError::into_inner);
    for (place, name) in REGIONS.iter().enumerate() {
        let came = all.keys().filter(|(region, _)| *region == place).count() as u64;
        assert_eq!(came, written, "entries of {name}");
    }
}
