//! One storage node: the region's state, its Raft group, its links, and the tasks that keep them going.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use atoll_api::http::{LinkStatus, Readiness, Status, WriteConcern};
use atoll_core::intent::Rejection;
use atoll_core::{CollectionSpec, Dot, ReplicaId, VersionVector};
use atoll_store::engine::{Engine, Memory, OpenError, RocksEngine, Settings};
use atoll_store::log::LogReader;
use atoll_store::{Catalog, Command, Identity, Outcome, Region, Request, StoreError, Written};

use crate::clock::Clock;
use crate::config::NodeConfig;
use crate::http;
use crate::link::inbound::Inbound;
use crate::link::overview::LinkBoard;
use crate::link::{Peers, dial, serve};
use crate::proposer::{self, Proposer};
use crate::published::Published;
use crate::raft::{self, Proposal, Raft};
use crate::telemetry::{Gauges, LinkGauge, LogGauge, Metrics, OriginLag};

/// How long an orderly stop waits for requests under way.
const STOP_WITHIN: Duration = Duration::from_secs(10);
const EVENTS_QUEUED: usize = 256;
const DISK_LOOKED_AT_EVERY: Duration = Duration::from_millis(500);

/// A running node, shared.
#[derive(Clone)]
pub struct Node(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) config: NodeConfig,
    pub(crate) identity: Identity,
    pub(crate) clock: Clock,
    pub(crate) published: Arc<Published>,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) log: LogReader,
    pub(crate) raft: Raft,
    pub(crate) peers: Peers,
    pub(crate) board: Arc<LinkBoard>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) tasks: Tasks,
    proposer: Proposer,
    disk: Mutex<Option<String>>,
    draining: watch::Sender<bool>,
    /// Cancelled first of all in an orderly stop: no new requests, no links served.
    pub(crate) closing: CancellationToken,
}

/// The node's tasks: each ends when the token is cancelled.
#[derive(Clone)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    token: CancellationToken,
}

impl Tasks {
    fn new() -> Self {
        Tasks { tracker: TaskTracker::new(), token: CancellationToken::new() }
    }

    pub(crate) fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    pub(crate) fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(task);
    }

    /// Spawns a task that is dropped when the node stops.
    fn spawn_until_stopped<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stopping = self.token();
        self.spawn(async move {
            tokio::select! { () = task => {}, () = stopping.cancelled() => {} }
        });
    }
}

/// Why a write was not accepted. Nothing of it was applied, except where said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It cannot be done.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// This region's clock is off.
    #[error("this region's clock is {} ms {}", offset.as_millis(), if *ahead { "ahead" } else { "behind" })]
    ClockSkew {
        /// By how much.
        offset: Duration,
        /// Whether it is ahead of its peers'.
        ahead: bool,
    },
    /// The disk is full.
    #[error("{0}")]
    DiskFull(String),
    /// The node is about to stop.
    #[error("this node is about to stop")]
    Draining,
    /// The region has no leader now.
    #[error("the region has no leader now")]
    NoLeader,
    /// Too much is waiting already.
    #[error("too many writes are waiting")]
    Overloaded,
    /// The node stopped before it could answer: the write may have been applied.
    #[error("the node stopped; the write may have been applied")]
    Stopped,
    /// The storage failed: the write may have been applied.
    #[error("{0}")]
    Failed(String),
}

/// Why a node did not start. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error("the configuration cannot be used: {0}")]
    Config(String),
    /// The data directory.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What is in it.
    #[error("{}: {problem}", data.display())]
    Data {
        /// The directory.
        data: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The address.
    #[error("cannot listen on {address}: {source}; is another node running there?")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The Raft group.
    #[error("the region's Raft group did not start: {0}")]
    Raft(String),
}

/// A node that was started, and how to stop it.
pub struct Running {
    node: Node,
    address: SocketAddr,
    serving: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The node.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Waits until the node has failed: its storage cannot be written any more. Never returns otherwise.
    pub async fn failed(&self) -> String {
        let mut progress = self.node.0.published.progress();
        match progress.wait_for(|p| p.failed.is_some()).await {
            Ok(progress) => progress.failed.as_deref().unwrap_or_default().to_owned(),
            Err(_) => "the node is gone".into(),
        }
    }

    /// Stops in order: no new requests, those under way are answered, the state is flushed.
    pub async fn stop(self) {
        let inner = &self.node.0;
        inner.draining.send_replace(true);
        inner.closing.cancel();
        let _ = tokio::time::timeout(STOP_WITHIN, self.serving).await;
        inner.tasks.token.cancel();
        inner.tasks.tracker.close();
        let _ = tokio::time::timeout(STOP_WITHIN, inner.tasks.tracker.wait()).await;
        if let Err(error) = inner.raft.shutdown().await {
            tracing::warn!(%error, "the Raft group did not stop in order");
        }
        let engine = Arc::clone(&inner.engine);
        match tokio::task::spawn_blocking(move || engine.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last flush failed; the log will be applied again"),
            Err(error) => tracing::warn!(%error, "the last flush did not end"),
        }
    }
}

impl Node {
    /// Starts a node: opens its data, applies what was logged and not flushed, serves.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: NodeConfig) -> Result<Running, StartError> {
        config.check().map_err(StartError::Config)?;
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|source| StartError::Listen { address: config.listen, source })?;
        Node::start_on(config, listener).await
    }

    /// Starts a node on a socket that listens already.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start_on(config: NodeConfig, listener: TcpListener) -> Result<Running, StartError> {
        config.check().map_err(StartError::Config)?;
        let listen = |source| StartError::Listen { address: config.listen, source };
        let address = listener.local_addr().map_err(listen)?;
        let region = open(&config)?;
        let identity = region.identity().clone();
        let engine = Arc::clone(region.engine());
        let shift_ms = config.testing.as_ref().map_or(0, |testing| testing.clock_shift_ms);
        let clock = Clock::new(shift_ms);
        let metrics = Arc::new(Metrics::new());
        let counted = Arc::clone(&metrics);
        let published = Arc::new(Published::new(
            &region,
            Box::new(move |conflicts| conflicts.iter().for_each(|c| counted.conflict(c))),
        ));
        let raft = raft::start(region, Arc::clone(&published)).await.map_err(StartError::Raft)?;
        let (proposer, waiting) = Proposer::new(config.limits.pending_writes);
        let inner = Arc::new(Inner {
            board: Arc::new(LinkBoard::new(&config.region, &config.links)),
            peers: Peers::new(identity.replica),
            log: LogReader::new(Arc::clone(&engine)),
            clock,
            identity,
            published,
            engine,
            raft: raft.clone(),
            metrics,
            tasks: Tasks::new(),
            proposer,
            disk: Mutex::new(None),
            draining: watch::channel(false).0,
            closing: CancellationToken::new(),
            config,
        });
        let node = Node(Arc::clone(&inner));
        node.observe();
        node.tell_the_log().await.map_err(StartError::Raft)?;
        inner.tasks.spawn_until_stopped(proposer::run(raft, clock, waiting));
        inner.tasks.spawn_until_stopped(watch_disk(Arc::clone(&inner)));
        node.open_links();
        let stopping = inner.closing.clone();
        let serving = tokio::spawn(http::serve(node.clone(), listener, async move {
            stopping.cancelled().await;
        }));
        Ok(Running { node, address, serving })
    }

    /// Announces the replica id, once in its life, and the collections as configured.
    async fn tell_the_log(&self) -> Result<(), String> {
        let inner = &self.0;
        let announce = Command::Announce { now: inner.clock.timestamp() };
        inner.raft.client_write(Proposal::new(announce)).await.map_err(|e| e.to_string())?;
        if let Some(declared) = inner.config.declared_collections()? {
            let specs = declared.into_iter().map(Into::into).collect();
            self.configure(specs).await.map_err(|refusal| refusal.to_string())?;
        }
        Ok(())
    }

    fn open_links(&self) {
        let inner = &self.0;
        let (events, received) = mpsc::channel(EVENTS_QUEUED);
        let endpoints: BTreeMap<&str, &str> =
            inner.config.peers.iter().map(|peer| (peer.region.as_str(), peer.endpoint.as_str())).collect();
        for (slot, link) in inner.config.links.iter().enumerate() {
            let endpoint = endpoints.get(link.from.as_str()).copied().unwrap_or_default().to_owned();
            inner.tasks.spawn_until_stopped(dial::keep_dialing(
                slot,
                endpoint,
                Arc::clone(&inner.board),
                events.clone(),
                inner.board.wanted(slot),
                rand::random(),
            ));
        }
        let inbound = Inbound::new(Arc::clone(inner));
        // The sender kept here keeps the task alive in a region without incoming links: it has housekeeping.
        inner.tasks.spawn_until_stopped(async move {
            inbound.run(received).await;
            drop(events);
        });
    }

    fn observe(&self) {
        let weak = Arc::downgrade(&self.0);
        self.0.metrics.set_observer(Arc::new(move || {
            weak.upgrade().map(|inner| inner.gauges()).unwrap_or_default()
        }));
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> &NodeConfig {
        &self.0.config
    }

    /// Whose node it is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// The collections and regions.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        self.0.published.catalog()
    }

    /// The storage.
    #[must_use]
    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.0.engine
    }

    /// Entries in order of arrival.
    #[must_use]
    pub fn log(&self) -> &LogReader {
        &self.0.log
    }

    /// All that the region has applied.
    #[must_use]
    pub fn vector(&self) -> Arc<VersionVector> {
        self.0.published.vector()
    }

    /// The last arrival index; changes after every commit that added entries.
    #[must_use]
    pub fn arrivals(&self) -> watch::Receiver<u64> {
        self.0.published.arrivals()
    }

    /// The metrics.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Proposes one atomic write and waits until it is committed.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn write(&self, request: Request) -> Result<Written, Refusal> {
        let inner = &self.0;
        inner.may_originate()?;
        inner.proposer.write(request).await
    }

    /// Waits until the region covers `vector`.
    ///
    /// # Errors
    /// What is missing when the time is over.
    pub async fn reach(&self, vector: &VersionVector, timeout: Duration) -> Result<(), VersionVector> {
        let covered = |have: &VersionVector| have.covers_all(vector);
        if covered(&self.vector()) {
            return Ok(());
        }
        let mut progress = self.0.published.progress();
        let reached = progress.wait_for(|p| covered(&p.vector));
        if matches!(tokio::time::timeout(timeout, reached).await, Ok(Ok(_))) {
            return Ok(());
        }
        let have = self.vector();
        Err(vector.iter().filter(|&(replica, seq)| have.get(replica) < seq).collect())
    }

    /// Waits until the entry `dot` is durable in as many regions as `concern` wants. Answers with the regions
    /// known to have it, and whether they are enough.
    pub async fn confirm(&self, dot: Dot, concern: &WriteConcern, timeout: Duration) -> (Vec<ReplicaId>, bool) {
        let inner = &self.0;
        let needed = concern.regions_needed(inner.config.peers.len() + 1);
        let mut revision = inner.peers.revision();
        let enough = async {
            loop {
                revision.mark_unchanged();
                let mut seen_by = inner.peers.confirmed_by(dot);
                if !seen_by.contains(&inner.identity.replica) {
                    seen_by.push(inner.identity.replica);
                }
                if seen_by.len() >= needed {
                    return seen_by;
                }
                if revision.changed().await.is_err() {
                    return seen_by;
                }
            }
        };
        match tokio::time::timeout(timeout, enough).await {
            Ok(seen_by) => {
                let met = seen_by.len() >= needed;
                (seen_by, met)
            }
            Err(_) => {
                let mut seen_by = inner.peers.confirmed_by(dot);
                if !seen_by.contains(&inner.identity.replica) {
                    seen_by.push(inner.identity.replica);
                }
                let met = seen_by.len() >= needed;
                (seen_by, met)
            }
        }
    }

    /// Declares the collections, all of them.
    ///
    /// # Errors
    /// [`Refusal`]; the collections are as they were then.
    pub async fn configure(&self, collections: Vec<CollectionSpec>) -> Result<(), Refusal> {
        let command = Proposal::new(Command::Configure { collections });
        let answer = self.0.raft.client_write(command).await;
        match answer.map_err(|e| Refusal::Failed(e.to_string()))?.data {
            Outcome::Configured(Err(problem)) => Err(Rejection::TypeMismatch(problem).into()),
            Outcome::Configured(Ok(())) | Outcome::Done | Outcome::Written(_) | Outcome::Merged(_) => Ok(()),
        }
    }

    /// The links into this region.
    #[must_use]
    pub fn links(&self) -> Vec<LinkStatus> {
        self.0.board.list()
    }

    /// Pauses or resumes a link by name; `None` when there is none of that name.
    #[must_use]
    pub fn set_link_paused(&self, name: &str, paused: bool) -> Option<LinkStatus> {
        self.0.board.set_paused(name, paused)
    }

    /// The node's view of its region and of the others.
    #[must_use]
    pub fn status(&self) -> Status {
        crate::status::of(&self.0)
    }

    /// Whether requests are welcome.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        crate::status::readiness(&self.0)
    }

    /// Serves a link: the answer's frames for the puller whose frames come in `upstream`.
    pub(crate) fn serve_link(&self, upstream: axum::body::Body) -> axum::body::Body {
        serve::serve(Arc::clone(&self.0), upstream)
    }
}

impl Inner {
    /// Whether the region may originate entries now.
    fn may_originate(&self) -> Result<(), Refusal> {
        if *self.draining.borrow() {
            return Err(Refusal::Draining);
        }
        if let Some(why) = self.published.failed() {
            return Err(Refusal::Failed(why.to_string()));
        }
        if let Some(full) = self.disk.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return Err(Refusal::DiskFull(full));
        }
        let max = self.config.objectives.max_clock_skew.as_duration();
        match self.peers.clock_off_by(max, self.clock.elapsed()) {
            None => Ok(()),
            Some(by_ms) => Err(Refusal::ClockSkew {
                offset: Duration::from_millis(by_ms.unsigned_abs()),
                ahead: by_ms > 0,
            }),
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Below this no concurrent version can arrive any more; `None` until every configured region has
    /// announced itself.
    pub(crate) fn stable(&self) -> Option<VersionVector> {
        let catalog = self.published.catalog();
        let members: Vec<ReplicaId> = catalog.regions.iter().map(|(replica, _)| replica).collect();
        let announced = |name: &str| catalog.regions.iter().any(|(_, region)| region.as_str() == name);
        let complete = self.config.peers.iter().all(|peer| announced(&peer.region));
        complete.then(|| self.peers.knowledge().stable(&members))
    }

    /// Proposes housekeeping; if it fails, the next round does it.
    pub(crate) fn propose_quietly(&self, command: Command) {
        let raft = self.raft.clone();
        self.tasks.spawn_until_stopped(async move {
            if let Err(error) = raft.client_write(Proposal::new(command)).await {
                tracing::debug!(%error, "housekeeping was not committed");
            }
        });
    }

    fn gauges(&self) -> Gauges {
        let catalog = self.published.catalog();
        let link = |(from, gauge): (String, crate::link::overview::Gauge)| LinkGauge {
            from: from.clone(),
            to: self.config.region.clone(),
            origins: if gauge.origins.is_empty() {
                let (seconds, entries) = (gauge.lag_seconds, gauge.lag_entries);
                vec![OriginLag { origin: from, seconds, entries }]
            } else {
                let seconds = gauge.lag_seconds;
                let lag = |(origin, entries)| OriginLag { origin, seconds, entries };
                gauge.origins.into_iter().map(lag).collect()
            },
            queue_entries: gauge.queue_entries,
            queue_bytes: gauge.queue_bytes,
        };
        let offsets = self.peers.offsets(self.clock.elapsed()).into_iter();
        let seconds = |ms: i64| {
            let whole = Duration::from_millis(ms.unsigned_abs()).as_secs_f64();
            if ms < 0 { -whole } else { whole }
        };
        Gauges {
            links: self.board.gauges().into_iter().map(link).collect(),
            // Measured is the peer's clock minus this one's; shown is how far this one is ahead.
            clock_offsets: offsets.map(|(r, ms)| (catalog.regions.shown(r), seconds(-ms))).collect(),
            log: LogGauge {
                entries: self.published.arrival(),
                bytes: self.engine.disk().map_or(0, |disk| disk.used_bytes),
                blocked_by: None,
            },
            converged_ages: Vec::new(),
        }
    }
}

/// Looks at the disk now and then: writes are refused before it is full.
async fn watch_disk(inner: Arc<Inner>) {
    loop {
        let full = inner.engine.writable().err().map(|error| error.to_string());
        *inner.disk.lock().unwrap_or_else(PoisonError::into_inner) = full;
        tokio::time::sleep(DISK_LOOKED_AT_EVERY).await;
    }
}

/// Opens the data directory, forming the region when it is empty.
fn open(config: &NodeConfig) -> Result<Region, StartError> {
    let settings = Settings {
        memory: Memory::new(config.memory.cache_bytes, config.memory.buffer_bytes),
        ..Settings::default()
    };
    let engine: Arc<dyn Engine> = Arc::new(RocksEngine::open(&config.data, &settings)?);
    let data = |problem: String| StartError::Data { data: config.data.clone(), problem };
    let store_error = |error: StoreError| data(error.to_string());
    let store = config.store_id().map_err(StartError::Config)?;
    let name = config.region_name().map_err(StartError::Config)?;
    match Region::identity_in(&*engine).map_err(store_error)? {
        Some(found) if found.store != store => {
            let problem = format!(
                "holds data of store {}, and the configuration says {store}; check store.id and data",
                found.store
            );
            return Err(data(problem));
        }
        Some(found) if found.region != name => {
            let problem = format!(
                "holds data of region {}, and the configuration says {name}; check region and data",
                found.region
            );
            return Err(data(problem));
        }
        Some(_) => {}
        None => {
            let replica = ReplicaId(rand::random::<u64>().max(1));
            let identity = Identity { store, region: name, replica };
            Region::form(&*engine, &identity).map_err(store_error)?;
        }
    }
    let region = Region::open(engine).map_err(store_error)?;
    region.ok_or_else(|| data("was formed and is empty again; is something else writing there?".into()))
}
