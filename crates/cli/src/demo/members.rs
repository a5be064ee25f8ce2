//! A region that joins the running store, and leaves it again: the manifest changes, the store follows.

use std::time::Duration;

use atoll_api::http::{JoinProgress, MemberState, MemberStatus};
use atoll_client::Client;
use tokio::time::{Instant, sleep};

use super::PATIENCE;
use super::claims::Claims;
use super::look::{keys, until};
use super::store::DemoStore;
use super::votes;
use crate::failure::Failure;
use crate::wording;

/// The region, and where the manifest names the others.
const NAME: &str = "sa";
const LAST_REGION: &str = "    - name: ap\n";
const VOTES: u64 = 100;
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(5);

/// `manifest`: what the store was started with.
pub(crate) async fn tell(
    store: &mut DemoStore,
    manifest: &str,
    claims: &mut Claims,
) -> Result<(), Failure> {
    joins(store, manifest, claims).await?;
    leaves(store, manifest, claims).await
}

async fn joins(store: &mut DemoStore, manifest: &str, claims: &mut Claims) -> Result<(), Failure> {
    claims.chapter(&format!(
        "{NAME} is added to the manifest, and joins the running store (kill -HUP)"
    ));
    let there = keys(store.region("eu")?, "countries", None).await?;
    let with_it = manifest.replace(LAST_REGION, &format!("{LAST_REGION}    - name: {NAME}\n"));
    let declared = Instant::now();
    store.declare(&with_it).await?;
    store
        .wait_for_regions(|names| names.iter().any(|name| name == NAME))
        .await?;
    let client = store.region(NAME)?.clone();
    let steps = joined(&client).await?;
    for JoinProgress { applied, known, .. } in &steps {
        let (applied, known) = (wording::count(*applied), wording::count(*known));
        claims.told(&format!("readyz: joining, {applied} of {known} entries"));
    }
    let took = wording::duration(declared.elapsed());
    store.settle().await?;
    let held = client.status().await?.vector.values().sum();
    let entries = wording::counted(held, "entry", "entries");
    claims.held(&format!(
        "it took in {entries} and is ready {took} after it was declared"
    ));
    claims.equal(
        &format!(
            "it has all {} countries and subdivisions",
            wording::count(there)
        ),
        &there,
        &keys(&client, "countries", None).await?,
    );
    let mut seen = Vec::new();
    for place in &store.places {
        let known = until(&format!("{} knows {NAME}", place.name()), async || {
            let state = member(&place.client).await?.state;
            (state != MemberState::Joining).then_some(state)
        })
        .await?;
        seen.push((place.name(), known));
    }
    claims.everywhere(
        "it is a member like any other, everywhere",
        &MemberState::Active,
        &seen,
    );
    votes::count(store, VOTES, claims).await
}

/// Waits until it is ready; what it said of its progress meanwhile, each once.
async fn joined(client: &Client) -> Result<Vec<JoinProgress>, Failure> {
    let mut steps: Vec<JoinProgress> = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let readiness = client.readiness().await?;
        if readiness.ready {
            return Ok(steps);
        }
        if let Some(join) = readiness.join
            && steps.last().is_none_or(|last| last.applied != join.applied)
        {
            steps.push(join);
        }
        sleep(LOOK_AGAIN_AFTER).await;
    }
    Err(Failure::new(format!("{NAME} does not get ready")))
}

async fn leaves(store: &mut DemoStore, manifest: &str, claims: &mut Claims) -> Result<(), Failure> {
    claims.chapter(&format!("{NAME} is taken out of the manifest, and leaves"));
    let before = store.read("votes", "atoll").await?;
    let votes = before.first().map(|(_, value)| value.clone());
    let declared = Instant::now();
    store.declare(manifest).await?;
    store
        .wait_for_regions(|names| !names.iter().any(|name| name == NAME))
        .await?;
    let mut proof = Vec::new();
    let mut wrote = None;
    for place in &store.places {
        let left = member(&place.client).await;
        let left = left.ok_or_else(|| Failure::new(format!("{NAME} is forgotten")))?;
        proof.push((place.name(), (left.state, left.last, left.held)));
        wrote = left.last;
    }
    let wrote = wrote.unwrap_or_default();
    claims.everywhere(
        &format!(
            "drained and retired in {}: every region that stays has all {} that it wrote",
            wording::duration(declared.elapsed()),
            wording::counted(wrote, "entry", "entries"),
        ),
        &(MemberState::Retired, Some(wrote), wrote),
        &proof,
    );
    let mut seen = Vec::new();
    for (region, value) in store.read("votes", "atoll").await? {
        seen.push((region, Some(value)));
    }
    claims.everywhere("its votes still count", &votes, &seen);
    Ok(())
}

/// The region as another one knows it.
async fn member(client: &Client) -> Option<MemberStatus> {
    let members = client.members().await.ok()?.members;
    members.into_iter().find(|member| member.name == NAME)
}
