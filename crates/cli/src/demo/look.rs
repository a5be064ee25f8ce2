//! Looking at a store from outside, again and again if need be.

use std::time::Duration;

use atoll_api::http::KeyQuery;
use atoll_client::{Client, ReadOptions};
use tokio::time::{Instant, sleep};

use super::PATIENCE;
use crate::failure::Failure;
use crate::wording;

const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);
const PAGE: usize = 10_000;

/// Looks until there is something to see.
pub(crate) async fn until<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> Result<T, Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await {
            return Ok(seen);
        }
        if Instant::now() >= deadline {
            let patience = wording::duration(PATIENCE);
            return Err(Failure::new(format!("not within {patience}: {what}")));
        }
        sleep(LOOK_AGAIN_AFTER).await;
    }
}

/// How many keys a collection has. With a session, the very node that is asked answers, once it has what the
/// session has seen.
pub(crate) async fn keys(
    client: &Client,
    collection: &str,
    session: Option<String>,
) -> Result<u64, Failure> {
    let options = ReadOptions {
        session,
        ..ReadOptions::default()
    };
    let mut query = KeyQuery {
        limit: Some(PAGE),
        ..KeyQuery::default()
    };
    let mut count = 0;
    loop {
        let page = client.page(collection, &query, &options).await?;
        count += page.items.len() as u64;
        if page.next.is_none() {
            return Ok(count);
        }
        query.start = page.next;
    }
}
