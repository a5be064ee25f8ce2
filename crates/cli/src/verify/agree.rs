//! Waiting until all regions have the same entries.

use std::time::Duration;

use atoll_api::http::{Status, Vector};
use futures_util::future;
use tokio::time::{Instant, sleep};

use crate::failure::Failure;
use crate::target::Place;
use crate::wording;

const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Waits until all regions have the same vector, and answers with their statuses.
pub(crate) async fn agree(places: &[Place], patience: Duration) -> Result<Vec<Status>, Failure> {
    let deadline = Instant::now() + patience;
    loop {
        let asked = places.iter().map(|place| place.client.status());
        let statuses = future::try_join_all(asked).await?;
        let first = statuses.first().map(|status| &status.vector);
        if statuses.iter().all(|status| Some(&status.vector) == first) {
            return Ok(statuses);
        }
        if Instant::now() >= deadline {
            let waited = wording::duration(patience);
            return Err(Failure::new(format!(
                "the regions did not get to the same entries within {waited}: {}",
                lacking(&statuses)
            ))
            .help("`atoll status` shows the links; are writes going on, or is a region cut off?"));
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// What each region lacks of each origin.
fn lacking(statuses: &[Status]) -> String {
    let mut most = Vector::new();
    for (origin, sequence) in statuses.iter().flat_map(|status| &status.vector) {
        let known = most.entry(origin.clone()).or_default();
        *known = (*known).max(*sequence);
    }
    let mut parts = Vec::new();
    for status in statuses {
        for (origin, most) in &most {
            let lacked = most - status.vector.get(origin).copied().unwrap_or_default();
            if lacked > 0 {
                let entries = wording::counted(lacked, "entry", "entries");
                parts.push(format!("{} lacks {entries} of {origin}", status.region));
            }
        }
    }
    parts.join(", ")
}
