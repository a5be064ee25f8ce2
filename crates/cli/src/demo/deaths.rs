//! What dies and comes back: the leader of a region of three nodes, and a member of a ring.
//!
//! Every node is a process of its own, so it can be killed for real.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use atoll_api::http::{LinkRole, LinkStatus, NodeRole, RawJson};
use atoll_client::{Client, Content, ReadOptions, Settings, WriteOptions};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::PATIENCE;
use super::claims::Claims;
use super::look::{keys, until};
use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::target::Place;
use crate::verify::verify;
use crate::wording;

const WRITERS: usize = 8;
/// Writes acknowledged before the leader is killed, and after.
const WRITES_BETWEEN: usize = 200;

/// A write that was acknowledged.
struct Acknowledged {
    dot: String,
    session: String,
    sent: Instant,
    at: Instant,
}

/// Both stories, one after the other.
pub(crate) async fn tell(cluster: &mut Cluster, claims: &mut Claims) -> Result<(), Failure> {
    leader(cluster, claims).await?;
    member(cluster, claims).await
}

async fn leader(cluster: &mut Cluster, claims: &mut Claims) -> Result<(), Failure> {
    claims.chapter(&format!(
        "The leader of eu is killed (kill -9) while {WRITERS} clients write"
    ));
    let servers = cluster.servers_of("eu");
    let eu = Client::of_region(&servers, patient())?;
    let load = Load::start(&servers)?;
    load.more(WRITES_BETWEEN).await?;
    let old = leader_of(&eu).await?;
    let killed = Instant::now();
    cluster.kill(&old).await?;
    load.more(WRITES_BETWEEN).await?;
    let written = load.end().await?;
    let new = leader_of(&eu).await?;
    claims.equal(
        &format!("{new} leads in place of {old}"),
        &true,
        &(new != old),
    );
    let answered = |write: &&Acknowledged| write.sent >= killed;
    let next = written.iter().filter(answered).map(|write| write.at).min();
    let longest = written.iter().map(|write| write.at - write.sent).max();
    claims.equal(
        &format!(
            "no write failed: the next one was acknowledged {} after the kill, the slowest took {}",
            next.map_or_else(String::new, |at| wording::duration(at - killed)),
            longest.map_or_else(String::new, wording::duration),
        ),
        &true,
        &next.is_some(),
    );
    cluster.start_again(&old).await?;
    cluster.settle().await?;
    let dots: BTreeSet<&String> = written.iter().map(|write| &write.dot).collect();
    let all = written.len() as u64;
    let count = wording::count(all);
    claims.equal(
        &format!("{count} acknowledged writes have {count} names"),
        &written.len(),
        &dots.len(),
    );
    let mut seen = Vec::new();
    // With a session, each node answers for itself, once it has what the session has seen.
    let last = written.iter().max_by_key(|write| write.at);
    let session = last.map(|write| write.session.clone());
    for server in &servers {
        let held = keys(&Client::new(server)?, "pages", session.clone()).await?;
        seen.push((server.clone(), held));
    }
    claims.everywhere(
        &format!("all {count} are on every node of eu, on {old} too, which was started again"),
        &all,
        &seen,
    );
    let mut seen = Vec::new();
    for place in &cluster.places {
        seen.push((place.name(), keys(&place.client, "pages", None).await?));
    }
    claims.everywhere("and in every region", &all, &seen);
    Ok(())
}

async fn member(cluster: &mut Cluster, claims: &mut Claims) -> Result<(), Failure> {
    claims.chapter("us, through which ap hears of eu, is killed");
    let place = |name: &str| {
        let mut places = cluster.places.iter();
        let found = places.find(|place| place.region.as_deref() == Some(name));
        found
            .cloned()
            .ok_or_else(|| Failure::new(format!("there is no region {name}")))
    };
    let (eu, us, ap, sa) = (place("eu")?, place("us")?, place("ap")?, place("sa")?);
    let killed = Instant::now();
    cluster.kill("us-0").await?;
    let live = [&eu, &ap, &sa];
    for from in live {
        put(&from.client, &format!("from-{}", from.name())).await?;
    }
    for from in live {
        for to in live {
            shows(&to.client, &format!("from-{}", from.name())).await?;
        }
    }
    claims.held(&format!(
        "eu, ap and sa write on, and each shows what the others wrote, {} after the kill",
        wording::duration(killed.elapsed())
    ));
    // What us said last may be that eu is silent, whose leader was killed a moment ago: then sa:ap comes first, and
    // gives way when sa says that eu is there.
    until("eu:ap stands in for us:ap", async || {
        let links = ap.client.links().await.ok()?.links;
        let mut stand_ins = links
            .iter()
            .filter(|link| link.role == Some(LinkRole::StandsIn));
        let closes = |link: &LinkStatus| link.name == "eu:ap" && link.stands_in_for == ["us:ap"];
        stand_ins.any(closes).then_some(())
    })
    .await?;
    claims.held("the ring has closed: atoll status says that eu:ap stands in for us:ap");
    let started = Instant::now();
    cluster.start_again("us-0").await?;
    for from in live {
        shows(&us.client, &format!("from-{}", from.name())).await?;
    }
    claims.held(&format!(
        "us is started again, and has what it missed {} later",
        wording::duration(started.elapsed())
    ));
    until("all links are the declared ones", async || {
        for place in &cluster.places {
            let links = place.client.links().await.ok()?.links;
            let is_as_declared = links
                .iter()
                .all(|link| link.role == Some(LinkRole::Declared) && link.silent_seconds.is_none());
            if !is_as_declared {
                return None;
            }
        }
        Some(())
    })
    .await?;
    claims.held(&format!(
        "all links are as declared {} after it was started",
        wording::duration(started.elapsed())
    ));
    equal(&cluster.places, claims).await
}

async fn equal(places: &[Place], claims: &mut Claims) -> Result<(), Failure> {
    let verdict = verify(places, None, PATIENCE).await?;
    claims.equal(
        &format!("all {} regions are equal, key by key", places.len()),
        &0,
        &verdict.different,
    );
    Ok(())
}

/// Clients that put one new key after the other, each by way of all nodes of the region.
struct Load {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    writers: Vec<JoinHandle<Result<Vec<Acknowledged>, Failure>>>,
}

impl Load {
    fn start(servers: &[String]) -> Result<Load, Failure> {
        let (stop, count) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut writers = Vec::new();
        for writer in 0..WRITERS {
            let mut servers = servers.to_vec();
            let preferred = writer % servers.len();
            servers.rotate_left(preferred);
            let client = Client::of_region(&servers, patient())?;
            let (stop, count) = (Arc::clone(&stop), Arc::clone(&count));
            writers.push(tokio::spawn(async move {
                let mut written = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let key = format!("{writer}-{}", written.len());
                    written.push(put(&client, &key).await?);
                    count.fetch_add(1, Ordering::Relaxed);
                }
                Ok(written)
            }));
        }
        Ok(Load {
            stop,
            count,
            writers,
        })
    }

    async fn more(&self, writes: usize) -> Result<(), Failure> {
        let wanted = self.count.load(Ordering::Relaxed) + writes;
        until("writes go on", async || {
            (self.count.load(Ordering::Relaxed) >= wanted).then_some(())
        })
        .await
    }

    /// All that was acknowledged; fails when a write did.
    async fn end(self) -> Result<Vec<Acknowledged>, Failure> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for writer in self.writers {
            let written = writer.await;
            all.extend(written.map_err(|error| Failure::new(error.to_string()))??);
        }
        Ok(all)
    }
}

/// An election takes longer on a machine that has other things to do.
fn patient() -> Settings {
    Settings {
        retry_for: PATIENCE,
        ..Settings::default()
    }
}

async fn leader_of(client: &Client) -> Result<String, Failure> {
    until("a node leads eu", async || {
        let nodes = client.nodes().await.ok()?.nodes;
        let mut nodes = nodes.into_iter();
        let leader = nodes.find(|node| node.role == NodeRole::Leader)?;
        Some(leader.name)
    })
    .await
}

async fn put(client: &Client, key: &str) -> Result<Acknowledged, Failure> {
    let value = RawJson::from_text("true").map_err(|error| Failure::new(error.to_string()))?;
    let sent = Instant::now();
    let receipt = client
        .put_json("pages", key, &value, &WriteOptions::default())
        .await?;
    Ok(Acknowledged {
        dot: receipt.dot,
        session: receipt.session,
        sent,
        at: Instant::now(),
    })
}

async fn shows(client: &Client, key: &str) -> Result<(), Failure> {
    until(&format!("{key} is shown"), async || {
        let read = client.get("pages", key, &ReadOptions::default()).await.ok();
        read.filter(|read| read.content != Content::Absent)
    })
    .await
    .map(drop)
}
