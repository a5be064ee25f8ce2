//! How a node that has no data becomes one of its region.
//!
//! ```text
//! alone in its configuration ──────────────────────────────▶ forms the region
//! another node has the region's data ──────────────────────▶ takes over its identity, asks to join
//! all others answer that they have none, and this is first ▶ forms the region, with all of them
//! otherwise ───────────────────────────────────────────────▶ waits
//! ```
//!
//! A node whose disk was lost comes with an empty directory, too. It never founds a second region: the
//! others still have the first, and as long as one of them cannot be asked, it waits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Extension, Json, Router};
use http::StatusCode;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use atoll_api::http::{Health, Problem, Progress, Readiness};
use atoll_client::{Dialer, PeerClient};
use atoll_core::ReplicaId;
use atoll_store::engine::Engine;
use atoll_store::raft_log::RaftLog;
use atoll_store::{Identity, Region, StoreError, transfer};

use crate::config::NodeConfig;
use crate::http::{Caller, Door, Matter};
use crate::raft::member::{NodeRecord, RegionNode, RegionNodes};
use crate::surroundings::Listener;
use crate::tls::NodeTls;

/// Where nodes ask each other who they are.
pub(crate) const PATH: &str = "/internal/v1/formation";
const ASK_TIMEOUT: Duration = Duration::from_secs(2);
const ADMIT_WITHIN: Duration = Duration::from_secs(2);
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// How often a person reading the log is told what is waited for, in rounds.
const TELL_EVERY: u32 = 25;

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Introduction {
    /// As text, in hexadecimal digits.
    pub(crate) store: String,
    pub(crate) region: String,
    /// Absent while it has no data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replica: Option<String>,
    pub(crate) id: u64,
    pub(crate) member: RegionNode,
}

/// A data directory that belongs to a region.
pub(crate) struct Formed {
    pub(crate) record: NodeRecord,
    pub(crate) me: RegionNode,
    /// Nodes to ask for admission; empty for those that began the region.
    pub(crate) ask: Vec<String>,
}

/// How this node is reached by the others of its region.
pub(crate) fn me(config: &NodeConfig) -> RegionNode {
    let address = config.node.as_ref().map(|node| node.address.clone());
    RegionNode {
        name: config.node_name(),
        address: address.unwrap_or_else(|| format!("{}://{}", config.scheme(), config.listen)),
    }
}

/// Gives an engine its region, unless it has one. Waits for other nodes as long as it takes.
///
/// # Errors
/// What is wrong and how to fix it; the directory is as it was then.
pub(crate) async fn form(
    config: &NodeConfig,
    engine: &Arc<dyn Engine>,
    to_region: Dialer,
    entrances: &Entrances<'_>,
) -> Result<Formed, String> {
    let me = me(config);
    begin_anew_after_half_a_state(engine)?;
    let log = RaftLog::open(Arc::clone(engine)).map_err(|e| e.to_string())?;
    let is_formed = Region::identity_in(&**engine)
        .map_err(|e| e.to_string())?
        .is_some();
    let mut record = match NodeRecord::read(&log)? {
        Some(record) => record,
        None if is_formed => NodeRecord::of_old(),
        None => {
            let drawn = NodeRecord::draw();
            drawn.write(&log)?;
            drawn
        }
    };
    let others: Vec<String> = config
        .nodes
        .iter()
        .filter(|node| node.name != me.name)
        .map(|node| node.address.clone())
        .collect();
    if is_formed {
        // Asked again at every start: a stop between forming and joining is made good.
        let ask = if record.founders.is_empty() {
            others
        } else {
            Vec::new()
        };
        return Ok(Formed { record, me, ask });
    }
    let store = config.store_id()?;
    let region = config.region_name()?;
    let founding = if others.is_empty() {
        Founding::Begin(BTreeMap::from([(record.id, me.clone())]))
    } else {
        let introduction = Introduction {
            store: store.to_string(),
            region: region.to_string(),
            replica: None,
            id: record.id,
            member: me.clone(),
        };
        let peers = PeerClient::new(to_region, ASK_TIMEOUT);
        meet(config, &introduction, &others, &peers, entrances).await?
    };
    let (replica, ask) = match founding {
        Founding::Begin(founders) => {
            record.founders = founders;
            record.write(&log)?;
            (ReplicaId(rand::random::<u64>().max(1)), Vec::new())
        }
        Founding::Join(replica) => (replica, others),
    };
    let identity = Identity {
        store,
        region,
        replica,
    };
    Region::form(&**engine, &identity).map_err(|e| e.to_string())?;
    Ok(Formed { record, me, ask })
}

/// A node that was stopped while its state was being replaced has nothing left that it could stand for: it
/// comes back as a new one, under its old name.
fn begin_anew_after_half_a_state(engine: &Arc<dyn Engine>) -> Result<(), String> {
    let Err(StoreError::BeingReplaced) = Region::open(Arc::clone(engine)) else {
        return Ok(());
    };
    tracing::warn!(
        "this node stopped while its state was being replaced; it joins its region as a new node"
    );
    transfer::abandon(&**engine).map_err(|e| e.to_string())?;
    let log = RaftLog::open(Arc::clone(engine)).map_err(|e| e.to_string())?;
    NodeRecord::draw().write(&log)?;
    transfer::begin_anew(&**engine).map_err(|e| e.to_string())
}

enum Founding {
    /// This node begins, with these.
    Begin(RegionNodes),
    /// The region is there.
    Join(ReplicaId),
}

/// Answers others' questions, and asks them, until it is known what to do.
async fn meet(
    config: &NodeConfig,
    introduction: &Introduction,
    others: &[String],
    peers: &PeerClient,
    entrances: &Entrances<'_>,
) -> Result<Founding, String> {
    tokio::select! {
        biased;
        () = entrances.answer(introduction.clone()) => Err("the listener is gone".into()),
        founding = ask(config, introduction, others, peers) => founding,
    }
}

async fn ask(
    config: &NodeConfig,
    me: &Introduction,
    others: &[String],
    peers: &PeerClient,
) -> Result<Founding, String> {
    let mut round = 0;
    loop {
        let mut empty = BTreeMap::from([(me.id, me.member.clone())]);
        let mut silent = Vec::new();
        for address in others {
            match introduce(peers, address).await {
                Err(why) => silent.push(format!("{address}: {why}")),
                Ok(other) => {
                    check_relation(me, &other, address)?;
                    match other.replica {
                        Some(replica) => {
                            let replica = replica.parse();
                            let replica =
                                replica.map_err(|_| format!("{address}: no replica id"))?;
                            return Ok(Founding::Join(replica));
                        }
                        None => {
                            empty.insert(other.id, other.member);
                        }
                    }
                }
            }
        }
        let all_are_here = silent.is_empty() && empty.len() == config.nodes.len();
        let first = config.nodes.iter().map(|node| &node.name).min();
        if all_are_here && first == Some(&me.member.name) {
            return Ok(Founding::Begin(empty));
        }
        if round % TELL_EVERY == 0 {
            tracing::info!(
                ?silent,
                ?first,
                "the region is not formed yet; waiting for its other nodes"
            );
        }
        round += 1;
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

fn check_relation(me: &Introduction, other: &Introduction, address: &str) -> Result<(), String> {
    let Introduction { store, region, .. } = other;
    if *store != me.store || *region != me.region {
        return Err(format!(
            "the node at {address} belongs to region {region} of store {store}, this one to region {} of \
             store {}; check nodes",
            me.region, me.store
        ));
    }
    if other.id == me.id {
        return Err(format!(
            "the node at {address} has this node's id: is one address named for two nodes, or a data \
             directory copied? each node needs its own"
        ));
    }
    Ok(())
}

/// Asks a node who it is.
pub(crate) async fn introduce(peers: &PeerClient, address: &str) -> Result<Introduction, String> {
    let answer = peers.fetch(address, PATH, ASK_TIMEOUT).await;
    let answer = answer.map_err(|e| e.to_string())?;
    serde_json::from_slice(&answer)
        .map_err(|e| format!("{address} is no node of this version: {e}"))
}

/// Where a node can be asked before it has a region.
pub(crate) struct Entrances<'a> {
    /// Where only clients come, if there is such a listener: they are told that the node is not ready.
    pub(crate) clients: Option<(&'a Listener, &'a Door)>,
    /// Where nodes come: they are told who this one is.
    pub(crate) nodes: (&'a Listener, &'a Door),
}

impl Entrances<'_> {
    /// Answers on connections that end when the future is dropped: the node proper takes over.
    async fn answer(&self, introduction: Introduction) {
        let (listener, door) = self.nodes;
        let among_nodes = probes().route(PATH, get(introduce_to).with_state(introduction));
        let nodes = answer(listener, door, among_nodes);
        match self.clients {
            Some((listener, door)) => {
                tokio::join!(nodes, answer(listener, door, probes()));
            }
            None => nodes.await,
        }
    }
}

fn probes() -> Router {
    Router::new()
        .route("/healthz", get(async || Json(Health { alive: true })))
        .route("/readyz", get(not_ready))
}

/// A certificate of another region or store is told nothing.
async fn introduce_to(
    State(me): State<Introduction>,
    caller: Option<Extension<Caller>>,
    belonging: Option<Extension<NodeTls>>,
) -> Result<Json<Introduction>, (StatusCode, Json<Problem>)> {
    if let (Some(Extension(caller)), Some(Extension(tls))) = (caller, belonging) {
        let may = caller.may(Matter::Region, &tls.belonging());
        may.map_err(|denied| (StatusCode::FORBIDDEN, Json(*denied.told(&caller, &tls).0)))?;
    }
    Ok(Json(me))
}

async fn answer(listener: &Listener, door: &Door, router: Router) {
    let mut connections = JoinSet::new();
    loop {
        let Ok(stream) = listener.accept().await else {
            tokio::time::sleep(ASK_AGAIN).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        let (door, router) = (door.clone(), router.clone());
        connections.spawn(async move {
            let admitted = tokio::time::timeout(ADMIT_WITHIN, door.admit(stream)).await;
            let Ok(Some(guest)) = admitted else {
                return;
            };
            let mut router = router;
            if let (Some(caller), Some(tls)) = (guest.caller, door.tls()) {
                router = router
                    .layer(Extension(caller))
                    .layer(Extension(tls.clone()));
            }
            let builder = Builder::new(TokioExecutor::new());
            let service = TowerToHyperService::new(router);
            let _ = builder
                .serve_connection(TokioIo::new(guest.stream), service)
                .await;
        });
    }
}

async fn not_ready() -> (StatusCode, Json<Readiness>) {
    let readiness = Readiness {
        ready: false,
        progress: Progress::Starting,
        join: None,
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(readiness))
}
