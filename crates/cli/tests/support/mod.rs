//! Real `atoll node` processes on loopback, and what their tests share.
//!
//! - [`process`]: one node, started, killed and started again on the same port and data
//! - [`store`]: regions of one node each; [`nodes`]: regions of several
//! - [`ports`]: ports that no other test takes meanwhile
//! - [`proxy`]: delays or cuts what passes between two regions
//! - [`pace`]: writes at a fixed rate, and what they took
//! - [`equal`]: regions compared page by page
//! - [`history`]: which put had seen which, from the sessions that acknowledged them
//!
//! Nothing here sleeps to let something happen: it looks again until a deadline ([`until`]).
#![allow(
    dead_code,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "shared by several test files, each of which uses a part; a test may print, and fail by panicking"
)]

pub(crate) mod equal;
pub(crate) mod history;
pub(crate) mod nodes;
pub(crate) mod pace;
pub(crate) mod ports;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod store;

use std::time::{Duration, Instant};

use atoll_api::http::{ChangeLine, ChangesQuery};
use atoll_client::Client;

/// Long enough for a busy machine to do anything that it will ever do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// Looks until there is something to see.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "not within {PATIENCE:?}: {what}"
        );
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    }
}

/// A number that an environment variable may change: tests are short unless told otherwise.
pub(crate) fn number(variable: &str, otherwise: u64) -> u64 {
    let wanted = std::env::var(variable);
    wanted.map_or(otherwise, |text| match text.parse() {
        Ok(number) => number,
        Err(_) => panic!("{variable} is a number"),
    })
}

/// Every change of a region, in its order of arrival.
pub(crate) async fn changes(client: &Client) -> Vec<ChangeLine> {
    let mut query = ChangesQuery {
        limit: Some(5_000),
        ..ChangesQuery::default()
    };
    let mut lines: Vec<ChangeLine> = Vec::new();
    loop {
        let known = lines.len();
        let mut changes = client.changes(&query).await.unwrap();
        while let Some(line) = changes.next().await {
            lines.push(line.unwrap());
        }
        if lines.len() == known {
            return lines;
        }
        query.since = lines.last().map(|line| line.cursor.clone());
    }
}
