//! Comparing the ledger: the same rows with the same content everywhere, `seenHere` apart.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use atoll_api::http::{Conflict, ConflictList, ConflictQuery, Reason};
use atoll_client::Client;
use futures_util::future;

use super::{Difference, agree};
use crate::failure::Failure;
use crate::target::Place;

const PAGE_ROWS: usize = 1000;

/// How many rows the first region has, and those that differ.
pub(crate) async fn compare(
    places: &[Place],
    collection: Option<&str>,
    patience: Duration,
) -> Result<(u64, Vec<Difference>), Failure> {
    let walks = places
        .iter()
        .map(|place| digests(&place.client, collection));
    let ledgers = future::try_join_all(walks).await?;
    let Some(first) = ledgers.first() else {
        return Ok((0, Vec::new()));
    };
    let mut ids: Vec<_> = ledgers.iter().flat_map(BTreeMap::keys).collect();
    ids.sort_unstable();
    ids.dedup();
    let differs = |id: &str| ledgers.iter().any(|ledger| ledger.get(id) != first.get(id));
    let suspects: Vec<_> = ids.into_iter().filter(|id| differs(id)).collect();
    let mut differences = Vec::new();
    if !suspects.is_empty() {
        agree(places, patience).await?;
    }
    for id in suspects {
        differences.extend(recheck(places, id).await?);
    }
    Ok((first.len() as u64, differences))
}

/// Row id → a digest of the row.
async fn digests(
    client: &Client,
    collection: Option<&str>,
) -> Result<BTreeMap<String, u64>, Failure> {
    let mut digests = BTreeMap::new();
    let mut query = ConflictQuery {
        collection: collection.map(ToOwned::to_owned),
        limit: Some(PAGE_ROWS),
        ..ConflictQuery::default()
    };
    loop {
        let ConflictList { conflicts, next } = client.conflicts(&query).await?;
        for row in conflicts {
            let mut hasher = DefaultHasher::new();
            comparable(row.clone()).hash(&mut hasher);
            digests.insert(row.id, hasher.finish());
        }
        if next.is_none() {
            return Ok(digests);
        }
        query.since = next;
    }
}

/// All of a row that must be equal.
fn comparable(row: Conflict) -> String {
    let row = Conflict {
        seen_here: None,
        ..row
    };
    serde_json::to_string(&row).unwrap_or_default()
}

async fn recheck(places: &[Place], id: &str) -> Result<Option<Difference>, Failure> {
    let mut seen = Vec::new();
    for place in places {
        let row = match place.client.conflict(id).await {
            Ok(row) => comparable(row),
            Err(error) if error.reason() == Some(Reason::NotFound) => "no such row".to_owned(),
            Err(error) => return Err(error.into()),
        };
        seen.push((place.name(), row));
    }
    let differs = seen.windows(2).any(|pair| pair[0].1 != pair[1].1);
    Ok(differs.then(|| Difference {
        place: "ledger".to_owned(),
        name: id.to_owned(),
        seen,
    }))
}
