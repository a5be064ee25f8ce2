//! `atoll demo`: three leaders on one machine, told and checked step by step.
//!
//! - `claims`: every sentence with a ✓ or ✗; `store`: a running `atoll dev` of our own
//! - `countries`: the data set; `stories`: what happens in two regions that cannot hear each other
//! - `votes`: counters raised everywhere at once; `figures`: lag, visibility, conflicts
//! - `members`: a region that joins and leaves; `deaths`: what is killed and comes back
//! - `look`: how the demo looks at a store

mod claims;
mod countries;
mod deaths;
mod figures;
mod look;
mod members;
mod store;
mod stories;
mod votes;

use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::dev::{files, signals};
use crate::failure::Failure;
use crate::output;
use crate::verify::verify;
use crate::wording;
use claims::Claims;
use store::DemoStore;

const THREE: &str = include_str!("../../../../manifests/samples/three-regions.yaml");
const RING: &str = include_str!("../../../../manifests/samples/ring.yaml");
const RING_OF_NODES: &str = include_str!("../../../../manifests/samples/ring-of-nodes.yaml");
const STAR: &str = include_str!("../../../../manifests/samples/star.yaml");

/// How long regions may take to come to the same entries; on a loopback it is milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);
const VOTES_PER_REGION: u64 = 1000;

/// Tells and checks the whole; fails when one claim does.
pub(crate) async fn run(small: bool) -> Result<(), Failure> {
    tokio::select! {
        told = Box::pin(tell(small)) => told,
        ended = signals::wait_for_end() => {
            ended?;
            Err(Failure::new("interrupted"))
        }
    }
}

async fn tell(small: bool) -> Result<(), Failure> {
    let started = Instant::now();
    let mut claims = Claims::default();
    output::line(
        "Atoll: every region has its own leader, takes writes at once, and follows all others.",
    );
    let mut store = opening(&mut claims).await?;
    countries::tell(&store, small, &mut claims).await?;
    conflicts(&store, &mut claims).await?;
    votes::tell(&store, VOTES_PER_REGION, &mut claims).await?;
    equality(&store, &mut claims).await?;
    claims.chapter("What the metrics say");
    output::line(&claims::indented(&figures::table(&store.places).await?));
    members::tell(&mut store, THREE, &mut claims).await?;
    store.stop().await?;
    dying(&mut claims).await?;
    other_topology(
        "A ring of six: each region hears only the one before it",
        "ring.yaml",
        RING,
        &mut claims,
    )
    .await?;
    other_topology(
        "A star of five: eu in the middle",
        "star.yaml",
        STAR,
        &mut claims,
    )
    .await?;
    claims.conclude(started.elapsed())?;
    output::line(CLOSING);
    Ok(())
}

async fn opening(claims: &mut Claims) -> Result<DemoStore, Failure> {
    claims.chapter("Three regions start: atoll dev -f manifests/samples/three-regions.yaml");
    let began = Instant::now();
    let store = DemoStore::start("three-regions.yaml", THREE).await?;
    let rows: Vec<_> = store
        .places
        .iter()
        .map(|place| [place.name(), place.client.server().to_owned()])
        .collect();
    output::line(&claims::indented(&output::table(
        ["REGION", "ADDRESS"],
        &rows,
    )));
    let links = store.streaming_links().await?;
    claims.equal(
        &format!(
            "every region hears every other, after {}",
            wording::duration(began.elapsed())
        ),
        &6,
        &links,
    );
    Ok(store)
}

async fn conflicts(store: &DemoStore, claims: &mut Claims) -> Result<(), Failure> {
    claims.chapter("eu and us are cut off from everybody, and both go on writing");
    stories::prepare(store).await?;
    store.cut("eu").await?;
    store.cut("us").await?;
    let written = stories::write(store).await?;
    output::line(&claims::indented(&written.table()));
    stories::check_local(store, &written, claims).await?;
    claims.chapter("They are brought back");
    let began = Instant::now();
    store.heal().await?;
    store.settle().await?;
    claims.told(&format!(
        "all regions have all entries again after {}",
        wording::duration(began.elapsed())
    ));
    stories::check_all(store, &written, claims).await?;
    claims.chapter("Two siblings are read and resolved by a person");
    stories::resolve(store, claims).await
}

async fn equality(store: &DemoStore, claims: &mut Claims) -> Result<(), Failure> {
    claims.chapter("Proof: atoll verify");
    let verdict = verify(&store.places, None, PATIENCE).await?;
    let keys: u64 = verdict
        .collections
        .iter()
        .map(|compared| compared.keys)
        .sum();
    claims.equal(
        &format!(
            "{} and {} of the ledger are the same in {}",
            wording::counted(keys, "key", "keys"),
            wording::counted(verdict.ledger_rows, "row", "rows"),
            verdict.regions.join(", ")
        ),
        &0,
        &verdict.different,
    );
    Ok(())
}

/// Every node a process of its own.
async fn dying(claims: &mut Claims) -> Result<(), Failure> {
    claims.chapter("A ring of four, eu of three nodes: manifests/samples/ring-of-nodes.yaml");
    let manifest = files::parsed(&[("ring-of-nodes.yaml".to_owned(), RING_OF_NODES.to_owned())])?;
    let began = Instant::now();
    let mut cluster = Cluster::start(&std::env::temp_dir(), &manifest, None).await?;
    claims.told(&format!(
        "six nodes, each a process of its own, run after {}",
        wording::duration(began.elapsed())
    ));
    deaths::tell(&mut cluster, claims).await
}

/// The same workload, told in short.
async fn other_topology(
    title: &str,
    file: &str,
    manifest: &str,
    claims: &mut Claims,
) -> Result<(), Failure> {
    claims.chapter(title);
    let store = DemoStore::start(file, manifest).await?;
    stories::prepare(&store).await?;
    store.cut("eu").await?;
    store.cut("us").await?;
    let written = stories::write(&store).await?;
    stories::check_local(&store, &written, claims).await?;
    store.heal().await?;
    store.settle().await?;
    stories::check_all(&store, &written, claims).await?;
    stories::resolve(&store, claims).await?;
    votes::count(&store, VOTES_PER_REGION, claims).await?;
    let verdict = verify(&store.places, None, PATIENCE).await?;
    claims.equal(
        &format!(
            "all {} regions are equal, key by key and row by row",
            store.places.len()
        ),
        &0,
        &verdict.different,
    );
    store.stop().await
}

const CLOSING: &str = "
Keep playing:
  atoll dev -f manifests/samples/three-regions.yaml          # three regions at http://127.0.0.1:7400 and on
  atoll dev -f manifests/samples/three-regions.yaml --wan 80ms   # as far apart as continents
and in another terminal:
  atoll status --watch
  atoll put pages home '{\"title\": \"Home\"}' --region eu
  atoll dev partition us
  atoll conflicts list
  atoll verify";
