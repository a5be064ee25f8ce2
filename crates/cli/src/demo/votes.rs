//! One counter, raised in every region at the same time.

use std::time::Instant;

use atoll_api::http::{Increment, Operations};
use atoll_client::{Client, WriteOptions};
use futures_util::{StreamExt as _, TryStreamExt as _, future, stream};
use indicatif::ProgressBar;
use serde_json::json;

use super::claims::Claims;
use super::store::DemoStore;
use crate::failure::Failure;
use crate::progress;
use crate::wording;

/// Increments on their way in one region.
const IN_FLIGHT: usize = 32;

/// With a chapter of its own.
pub(crate) async fn tell(
    store: &DemoStore,
    per_region: u64,
    claims: &mut Claims,
) -> Result<(), Failure> {
    claims.chapter(&format!(
        "One counter is raised {} times in each region at once",
        wording::count(per_region)
    ));
    count(store, per_region, claims).await
}

/// Raises and checks.
pub(crate) async fn count(
    store: &DemoStore,
    per_region: u64,
    claims: &mut Claims,
) -> Result<(), Failure> {
    let before = store.read("votes", "atoll").await?;
    let before = before.first().and_then(|(_, value)| value.as_u64());
    let more = per_region * store.places.len() as u64;
    let total = before.unwrap_or_default() + more;
    let bar = progress::over_items(more);
    bar.set_message("voting");
    let began = Instant::now();
    let voters = store
        .places
        .iter()
        .map(|place| vote(&place.client, per_region, &bar));
    future::try_join_all(voters).await?;
    bar.finish_and_clear();
    store.settle().await?;
    let seen = store.read("votes", "atoll").await?;
    claims.everywhere(
        &format!(
            "{} {}increments give {} in every region ({})",
            wording::count(more),
            before.map_or("", |_| "more "),
            wording::count(total),
            wording::duration(began.elapsed())
        ),
        &json!(total),
        &seen,
    );
    Ok(())
}

async fn vote(client: &Client, times: u64, bar: &ProgressBar) -> Result<(), Failure> {
    let operations = Operations {
        increment: Some(Increment::Whole(1)),
        ..Operations::default()
    };
    let options = WriteOptions::default();
    let votes = (0..times).map(|_| client.operate("votes", "atoll", &operations, &options));
    stream::iter(votes)
        .buffer_unordered(IN_FLIGHT)
        .try_for_each(|_| {
            bar.inc(1);
            future::ok(())
        })
        .await?;
    Ok(())
}
