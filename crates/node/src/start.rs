//! Starting and stopping a node: data directory, Raft group, links, server; and back in the other order.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use atoll_api::manifest::RegionName;
use atoll_client::PeerClient;
use atoll_store::engine::{Engine, Memory, OpenError, RocksEngine, Settings};
use atoll_store::log::LogReader;
use atoll_store::{Command, Region, StoreError};

use crate::clock::Clock;
use crate::config::NodeConfig;
use crate::formation::{self, Entrances};
use crate::http::{self, Door};
use crate::link::Peers;
use crate::link::declared::Declared;
use crate::link::inbound::Inbound;
use crate::link::overview::LinkBoard;
use crate::members::{self, Joining};
use crate::node::{Inner, Node};
use crate::nodes;
use crate::past::{self, Past};
use crate::proposer::{self, Proposer};
use crate::published::Published;
use crate::raft::{self, network::Network};
use crate::raft::{Group, Proposal};
use crate::status;
use crate::surroundings::{Listener, Surroundings};
use crate::tasks::Tasks;
use crate::tls::{self, NodeTls};

/// How long an orderly stop waits for what the new leader makes of what this node has proposed.
const SETTLED_WITHIN: Duration = Duration::from_secs(3);
/// How long an orderly stop waits for requests under way.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// Nodes of a region are near each other.
const NEIGHBOUR_CONNECTS_WITHIN: Duration = Duration::from_secs(1);
/// How long a stop waits for a collector to take the last telemetry.
const TELEMETRY_ENDS_WITHIN: Duration = Duration::from_secs(2);
const DISK_LOOKED_AT_EVERY: Duration = Duration::from_millis(500);

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
        // While it still answers: what is under way ends, what comes is handed on.
        if inner.group.hand_over().await {
            // And what this node has proposed is known once it hears from the new leader, which calls this one.
            let _ = tokio::time::timeout(SETTLED_WITHIN, inner.proposer.settled()).await;
        }
        inner.draining.send_replace(true);
        inner.closing.cancel();
        let _ = tokio::time::timeout(STOP_WITHIN, self.serving).await;
        inner.tasks.token.cancel();
        inner.tasks.tracker.close();
        let _ = tokio::time::timeout(STOP_WITHIN, inner.tasks.tracker.wait()).await;
        if let Err(error) = inner.group.raft.shutdown().await {
            tracing::warn!(%error, "the Raft group did not stop in order");
        }
        let engine = Arc::clone(&inner.engine);
        match inner.surroundings.work.run(move || engine.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the last flush failed; the log will be applied again");
            }
            Err(error) => tracing::warn!(%error, "the last flush did not end"),
        }
        let metrics = Arc::clone(&inner.metrics);
        let ended = inner.surroundings.work.run(move || metrics.shutdown());
        let _ = tokio::time::timeout(TELEMETRY_ENDS_WITHIN, ended).await;
    }
}

impl Node {
    /// Starts a node: opens its data, applies what was logged and not flushed, serves.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: NodeConfig) -> Result<Running, StartError> {
        Node::start_in(config, Surroundings::default()).await
    }

    /// Starts a node in other surroundings than the machine's.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start_in(
        config: NodeConfig,
        surroundings: Surroundings,
    ) -> Result<Running, StartError> {
        config.check().map_err(StartError::Config)?;
        let listener = listen(&surroundings, config.listen).await?;
        Node::start_with(config, surroundings, listener).await
    }

    /// Starts a node on a socket that listens already.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start_on(
        config: NodeConfig,
        listener: TcpListener,
    ) -> Result<Running, StartError> {
        config.check().map_err(StartError::Config)?;
        Node::start_with(config, Surroundings::default(), Listener::Tcp(listener)).await
    }

    async fn start_with(
        config: NodeConfig,
        surroundings: Surroundings,
        listener: Listener,
    ) -> Result<Running, StartError> {
        let metrics = config.metrics(&surroundings, |name| std::env::var(name).ok());
        let metrics = Arc::new(metrics.map_err(|bad| StartError::Config(bad.to_string()))?);
        let tls = NodeTls::read(&config, &metrics).map_err(StartError::Config)?;
        let address = listener.address(config.listen);
        let address = address.map_err(|source| StartError::Listen {
            address: config.listen,
            source,
        })?;
        let engine = open_engine(&config, &surroundings)?;
        raft::snapshot::clear_spools(&config.data);
        let for_neighbours = match config.node.as_ref().and_then(|node| node.listen) {
            Some(address) => Some(listen(&surroundings, address).await?),
            None => None,
        };
        let region = RegionName::from(config.region_name().map_err(StartError::Config)?);
        let to_region = tls::dialer(tls.as_ref(), &surroundings.network, &region);
        let doors = doors(&config, tls.as_ref(), for_neighbours.is_none());
        let met_at = Entrances {
            clients: for_neighbours
                .is_some()
                .then_some((&listener, &doors.clients)),
            nodes: match &for_neighbours {
                Some(nodes) => (nodes, &doors.nodes),
                None => (&listener, &doors.clients),
            },
        };
        let formed = formation::form(&config, &engine, to_region.clone(), &met_at)
            .await
            .map_err(|problem| StartError::Data {
                data: config.data.clone(),
                problem,
            })?;
        let region = open_region(&config, engine)?;
        let identity = region.identity().clone();
        let engine = Arc::clone(region.engine());
        let shift_ms = config
            .testing
            .as_ref()
            .map_or(0, |testing| testing.clock_shift_ms);
        let clock = Clock::new(surroundings.wall_ms, shift_ms);
        let published = Arc::new(Published::new(&region, Arc::clone(&metrics)));
        let neighbours = PeerClient::new(to_region, NEIGHBOUR_CONNECTS_WITHIN);
        let group = Group::start(
            region,
            Arc::clone(&published),
            formed.record.id,
            formed.record.founders.clone(),
            Network::new(
                neighbours.clone(),
                identity.clone(),
                config.reach(),
                tls.clone(),
            ),
            config
                .testing
                .as_ref()
                .and_then(|testing| testing.commands_kept),
            surroundings.work,
        )
        .await
        .map_err(StartError::Raft)?;
        let (proposer, waiting) = Proposer::new(config.limits.pending_writes, Arc::clone(&metrics));
        let inner = Arc::new(Inner {
            board: Arc::new(LinkBoard::new(&config.region)),
            declared: Declared::by(&config).map_err(StartError::Config)?,
            peers: Peers::new(identity.replica),
            log: LogReader::new(Arc::clone(&engine)),
            clock,
            surroundings,
            identity,
            published,
            engine,
            group: group.clone(),
            neighbours,
            tls: tls.clone(),
            me: formed.me,
            membership: tokio::sync::Mutex::new(()),
            metrics,
            tasks: Tasks::new(),
            proposer,
            disk: Mutex::new(None),
            draining: watch::channel(false).0,
            past: Past::default(),
            open_conflicts: AtomicU64::new(0),
            joining: Joining::default(),
            closing: CancellationToken::new(),
            config,
        });
        let node = Node(Arc::clone(&inner));
        node.observe();
        if group.leads_alone() {
            node.tell_the_log().await.map_err(StartError::Raft)?;
        }
        inner.tasks.spawn_until_stopped(proposer::run(
            group,
            clock,
            Arc::clone(&inner.metrics),
            waiting,
        ));
        inner.tasks.spawn_until_stopped(lead(node.clone()));
        if !formed.ask.is_empty() {
            let joining = nodes::join(Arc::clone(&inner), formed.ask);
            inner.tasks.spawn_until_stopped(joining);
        }
        inner
            .tasks
            .spawn_until_stopped(watch_disk(Arc::clone(&inner)));
        inner
            .tasks
            .spawn_until_stopped(members::drive(Arc::clone(&inner)));
        inner
            .tasks
            .spawn_until_stopped(past::watch(Arc::clone(&inner)));
        inner
            .tasks
            .spawn_until_stopped(status::count_open_conflicts(Arc::clone(&inner)));
        if let Some(tls) = tls {
            inner.tasks.spawn_until_stopped(tls.watch());
        }
        node.open_links();
        let serving = serve(&node, doors, listener, for_neighbours);
        Ok(Running {
            node,
            address,
            serving,
        })
    }

    /// Announces the replica id, once in its life, and the collections as configured.
    async fn tell_the_log(&self) -> Result<(), String> {
        let inner = &self.0;
        let now = inner.clock.timestamp();
        let announce = Proposal::new(if inner.config.join {
            Command::Join { now }
        } else {
            Command::Announce { now }
        });
        let announced = inner.group.propose_as_leader(&announce).await;
        announced.map_err(|e| e.to_string())?;
        if let Some(declared) = inner.config.declared_collections()? {
            let specs = declared.into_iter().map(Into::into).collect();
            self.configure(specs)
                .await
                .map_err(|refusal| refusal.to_string())?;
        }
        Ok(())
    }

    fn open_links(&self) {
        let inner = &self.0;
        let inbound = Inbound::new(Arc::clone(inner), inner.group.leadership());
        inner.tasks.spawn_until_stopped(inbound.run());
    }

    fn observe(&self) {
        let weak = Arc::downgrade(&self.0);
        self.0.metrics.set_observer(Arc::new(move || {
            weak.upgrade()
                .map(|inner| inner.gauges())
                .unwrap_or_default()
        }));
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

async fn listen(surroundings: &Surroundings, address: SocketAddr) -> Result<Listener, StartError> {
    let bound = surroundings.bind(address).await;
    bound.map_err(|source| StartError::Listen { address, source })
}

/// What the listeners demand.
struct Doors {
    clients: Door,
    nodes: Door,
}

fn doors(config: &NodeConfig, tls: Option<&NodeTls>, is_shared: bool) -> Doors {
    let Some(tls) = tls else {
        return Doors {
            clients: Door::Open {
                takes_neighbours: is_shared,
            },
            nodes: Door::Open {
                takes_neighbours: true,
            },
        };
    };
    let is_plain = config.tls.as_ref().is_some_and(|tls| tls.plain_clients);
    Doors {
        clients: if is_plain {
            Door::PlainClients
        } else {
            Door::Clients(tls.clone())
        },
        nodes: Door::Nodes(tls.clone()),
    }
}

/// Serves clients, and nodes, on one listener or on two, until the node closes.
fn serve(
    node: &Node,
    doors: Doors,
    listener: Listener,
    for_neighbours: Option<Listener>,
) -> tokio::task::JoinHandle<()> {
    let closing = || node.0.closing.clone().cancelled_owned();
    let clients = http::serve(node.clone(), listener, doors.clients, closing());
    let neighbours =
        for_neighbours.map(|listener| http::serve(node.clone(), listener, doors.nodes, closing()));
    tokio::spawn(async move {
        match neighbours {
            Some(neighbours) => drop(tokio::join!(clients, neighbours)),
            None => clients.await,
        }
    })
}

/// Tells the log what a leader has to tell it, each time this node comes to lead.
async fn lead(node: Node) {
    let mut leadership = node.0.group.leadership();
    let mut led = node.0.group.leads_alone(); // told at the start
    loop {
        let leads = *leadership.borrow_and_update();
        if leads && !led {
            tracing::info!(node = %node.0.me.name, "this node leads the region");
            if let Err(why) = node.tell_the_log().await {
                tracing::warn!(%why, "the collections as configured were not committed");
            }
        }
        led = leads;
        if leadership.changed().await.is_err() {
            return;
        }
    }
}

fn open_engine(
    config: &NodeConfig,
    surroundings: &Surroundings,
) -> Result<Arc<dyn Engine>, StartError> {
    if let Some(engine) = &surroundings.engine {
        return Ok(Arc::clone(engine));
    }
    let settings = Settings {
        memory: Memory::new(config.memory.cache_bytes, config.memory.buffer_bytes),
        ..Settings::default()
    };
    Ok(Arc::new(RocksEngine::open(&config.data, &settings)?))
}

/// Opens the state of a formed directory, if it is the configuration's.
fn open_region(config: &NodeConfig, engine: Arc<dyn Engine>) -> Result<Region, StartError> {
    let data = |problem: String| StartError::Data {
        data: config.data.clone(),
        problem,
    };
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
        Some(_) | None => {}
    }
    let region = Region::open(engine).map_err(store_error)?;
    region.ok_or_else(|| {
        data("was formed and is empty again; is something else writing there?".into())
    })
}
