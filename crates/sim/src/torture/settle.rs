//! The end of a run: waits until all nodes have the same entries, and reads all that each of them shows.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::bail;
use atoll_api::http::{ChangesQuery, ConflictQuery, KeyQuery};
use atoll_client::{Client, ReadOptions};
use tokio::time::Instant;

use super::clients::json_of;
use super::cluster::{Cluster, Node};
use super::collections;
use super::end::{Changed, End, Held, Row};
use super::history::Name;

/// How long regions may take to become equal once everything is healed.
const EQUAL_WITHIN: Duration = Duration::from_secs(300);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);
const PAGE: usize = 1000;
const CHANGES: usize = 5000;

/// Waits until all nodes have the same entries; nobody may write meanwhile. Answers with how long it took.
pub(crate) async fn settle(cluster: &Cluster) -> anyhow::Result<Duration> {
    let started = Instant::now();
    loop {
        let mut vectors = BTreeMap::new();
        for node in &cluster.nodes {
            let status = node.client.status().await;
            vectors.insert(node.id.name(), status.ok().map(|status| status.vector));
        }
        let mut known = vectors.values();
        let first = known.next().cloned().flatten();
        let is_whole = first.is_some_and(|first| first.len() == cluster.shape.regions);
        let first = vectors.values().next();
        if is_whole && vectors.values().all(|vector| Some(vector) == first) {
            return Ok(started.elapsed());
        }
        if started.elapsed() > EQUAL_WITHIN {
            bail!("nodes do not have the same entries after {EQUAL_WITHIN:?}: {vectors:#?}");
        }
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    }
}

/// All that a node shows.
pub(crate) async fn read(node: &Node) -> anyhow::Result<End> {
    let client = &node.reader;
    // The session that comes with it keeps what follows at this node.
    client
        .get(collections::ALL[0], "any", &ReadOptions::default())
        .await?;
    Ok(End {
        of: node.id.name(),
        vector: client.status().await?.vector.into_iter().collect(),
        keys: keys(client).await?,
        ledger: ledger(client).await?,
        changes: changes(client).await?,
    })
}

async fn keys(client: &Client) -> anyhow::Result<Vec<Held>> {
    let mut all = Vec::new();
    for collection in collections::ALL {
        let mut query = KeyQuery {
            limit: Some(PAGE),
            values: true,
            ..KeyQuery::default()
        };
        loop {
            let page = client
                .page(collection, &query, &ReadOptions::default())
                .await?;
            for item in page.items {
                let values = match item.siblings {
                    Some(siblings) => siblings
                        .into_iter()
                        .filter(|sibling| !sibling.deleted)
                        .map(|sibling| json_of(sibling.value.as_ref()))
                        .collect(),
                    None => vec![json_of(item.value.as_ref())],
                };
                let name = name(collection, item.key);
                all.push(Held { name, values });
            }
            query.start = page.next;
            if query.start.is_none() {
                break;
            }
        }
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

async fn ledger(client: &Client) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut query = ConflictQuery {
        limit: Some(PAGE),
        ..ConflictQuery::default()
    };
    loop {
        let page = client.conflicts(&query).await?;
        for mut conflict in page.conflicts {
            conflict.seen_here = None; // the only thing that may differ
            let text = serde_json::to_string(&conflict)?;
            rows.push(Row {
                name: name(&conflict.collection, conflict.key),
                field: conflict.field.unwrap_or_default(),
                dots: conflict.versions.into_iter().map(|v| v.dot).collect(),
                text,
            });
        }
        query.since = page.next;
        if query.since.is_none() {
            return Ok(rows);
        }
    }
}

/// In the order of dots: that of arrival differs from region to region.
async fn changes(client: &Client) -> anyhow::Result<Vec<Changed>> {
    let mut all = Vec::new();
    let mut query = ChangesQuery {
        limit: Some(CHANGES),
        ..ChangesQuery::default()
    };
    loop {
        let known = all.len();
        let mut changes = client.changes(&query).await?;
        while let Some(line) = changes.next().await {
            let line = line?;
            query.since = Some(line.cursor);
            all.push(Changed {
                dot: line.dot.parse().ok(),
                name: name(&line.collection, line.key),
            });
        }
        if all.len() == known {
            break;
        }
    }
    all.sort();
    Ok(all)
}

fn name(collection: &str, key: String) -> Name {
    Name {
        collection: collection.to_owned(),
        key,
    }
}
