//! One storage node: what the HTTP routes, the links and the commands for people ask of it.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use atoll_api::http::{LinkStatus, Readiness, Status, WriteConcern};
use atoll_client::{Dialer, PeerClient};
use atoll_core::intent::Rejection;
use atoll_core::{CollectionSpec, Dot, MemberState, RegionName, ReplicaId, VersionVector};
use atoll_replication::topology::Topology;
use atoll_store::engine::Engine;
use atoll_store::log::LogReader;
use atoll_store::{Catalog, Command, Identity, Outcome, Request, Written};

use crate::clock::Clock;
use crate::config::{NodeConfig, PeerConfig};
use crate::link::declared::Declared;
use crate::link::overview::LinkBoard;
use crate::link::{Peers, serve};
use crate::members::Joining;
use crate::past::Past;
use crate::proposer::Proposer;
use crate::published::Published;
use crate::raft::member::RegionNode;
use crate::raft::{Group, Proposal};
use crate::refusal::Refusal;
use crate::surroundings::Surroundings;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use crate::tls::{self, NodeTls};

/// A running node, shared.
#[derive(Clone)]
pub struct Node(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) config: NodeConfig,
    pub(crate) identity: Identity,
    pub(crate) clock: Clock,
    pub(crate) surroundings: Surroundings,
    pub(crate) published: Arc<Published>,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) log: LogReader,
    pub(crate) group: Group,
    /// Calls to the region's other nodes.
    pub(crate) neighbours: PeerClient,
    /// The certificates; `None` where everything is plain.
    pub(crate) tls: Option<NodeTls>,
    /// This node as the others know it.
    pub(crate) me: RegionNode,
    /// Held while the region's nodes are being changed: one change at a time.
    pub(crate) membership: tokio::sync::Mutex<()>,
    pub(crate) peers: Peers,
    pub(crate) board: Arc<LinkBoard>,
    /// The topology of the configuration file.
    pub(crate) declared: Declared,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) tasks: Tasks,
    pub(crate) proposer: Proposer,
    pub(crate) disk: Mutex<Option<String>>,
    pub(crate) draining: watch::Sender<bool>,
    pub(crate) past: Past,
    /// Ledger rows that nobody has resolved, as counted a moment ago.
    pub(crate) open_conflicts: AtomicU64,
    /// What was known while this region joins.
    pub(crate) joining: Joining,
    /// Cancelled first of all in an orderly stop: no new requests, no links served.
    pub(crate) closing: CancellationToken,
}

impl Node {
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
        inner.ask_for_the_past().await;
        inner.may_originate()?;
        inner.proposer.write(request).await
    }

    /// Waits until the region covers `vector`.
    ///
    /// # Errors
    /// What is missing when the time is over.
    pub async fn reach(
        &self,
        vector: &VersionVector,
        timeout: Duration,
    ) -> Result<(), VersionVector> {
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
        Err(vector
            .iter()
            .filter(|&(replica, seq)| have.get(replica) < seq)
            .collect())
    }

    /// Waits until the entry `dot` is durable in as many regions as `concern` wants. Answers with the regions
    /// known to have it, and whether they are enough.
    pub async fn confirm(
        &self,
        dot: Dot,
        concern: &WriteConcern,
        timeout: Duration,
    ) -> (Vec<ReplicaId>, bool) {
        let inner = &self.0;
        let needed = concern.regions_needed(inner.config.peers.len() + 1);
        let holders = || {
            let mut holders = inner.peers.confirmed_by(dot);
            if !holders.contains(&inner.identity.replica) {
                holders.push(inner.identity.replica);
            }
            holders
        };
        let mut revision = inner.peers.revision();
        let enough = async {
            loop {
                revision.mark_unchanged();
                if holders().len() >= needed || revision.changed().await.is_err() {
                    return;
                }
            }
        };
        // Whether the time was enough is seen from who has it by now.
        let _ = tokio::time::timeout(timeout, enough).await;
        let seen_by = holders();
        let is_met = seen_by.len() >= needed;
        (seen_by, is_met)
    }

    /// Declares the collections, all of them.
    ///
    /// # Errors
    /// [`Refusal`]; the collections are as they were then.
    pub async fn configure(&self, collections: Vec<CollectionSpec>) -> Result<(), Refusal> {
        let command = Proposal::new(Command::Configure { collections });
        match self.0.group.propose_as_leader(&command).await? {
            Outcome::Configured(Err(problem)) => Err(Rejection::TypeMismatch(problem).into()),
            Outcome::Configured(Ok(()))
            | Outcome::Done
            | Outcome::Written(_)
            | Outcome::Changed(_)
            | Outcome::Merged(_) => Ok(()),
        }
    }

    /// The links into this region.
    #[must_use]
    pub fn links(&self) -> Vec<LinkStatus> {
        self.0.board.list(self.0.clock.elapsed())
    }

    /// Pauses or resumes a link by name, also one that only might stand in; `None` when its source is no
    /// region that is known, or its target another than this one.
    #[must_use]
    pub fn set_link_paused(&self, name: &str, paused: bool) -> Option<LinkStatus> {
        let (from, to) = name.split_once(':')?;
        let from: RegionName = from.parse().ok()?;
        if self.0.addresses_of(&from).is_empty() || to != self.0.config.region {
            return None;
        }
        let now = self.0.clock.elapsed();
        Some(self.0.board.set_paused(&from, paused, now))
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
        let state = self
            .published
            .catalog()
            .regions
            .state(self.identity.replica);
        match state {
            Some(MemberState::Draining) => return Err(Rejection::Leaving.into()),
            Some(MemberState::Retired) => return Err(Rejection::Retired.into()),
            Some(MemberState::Joining) => return Err(Rejection::Joining.into()),
            Some(MemberState::Active) | None => {}
        }
        self.past.check()?;
        if let Some(why) = self.published.failed() {
            return Err(Refusal::Failed(why.to_string()));
        }
        if let Some(full) = self
            .disk
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
        {
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

    /// The topology to go by: the log's, once it has one that knows this region; the file's until then.
    pub(crate) fn declared(&self) -> Declared {
        let catalog = self.published.catalog();
        let layout = catalog.layout.as_ref().map(|agreed| &agreed.layout);
        let mine = layout.filter(|layout| layout.region(&self.identity.region).is_some());
        match mine.map(Topology::try_from) {
            Some(Ok(topology)) => Declared::Topology(topology),
            Some(Err(_)) | None => self.declared.clone(),
        }
    }

    /// Where a region's nodes are: first as the file says, then as the log's layout does.
    pub(crate) fn addresses_of(&self, region: &RegionName) -> Vec<String> {
        let catalog = self.published.catalog();
        let layout = catalog.layout.as_ref().map(|agreed| &agreed.layout);
        let known = layout.and_then(|layout| layout.region(region));
        let mut peers = self.config.peers.iter();
        let peer = peers.find(|peer| peer.region == region.as_str());
        let mut endpoints = peer.map_or_else(Vec::new, PeerConfig::addresses);
        for endpoint in known.iter().flat_map(|known| &known.endpoints) {
            if !endpoints.contains(endpoint) {
                endpoints.push(endpoint.clone());
            }
        }
        endpoints
    }

    /// How this node connects to those of a region.
    pub(crate) fn dialer_to(&self, region: &RegionName) -> Dialer {
        let region = region.clone().into();
        tls::dialer(self.tls.as_ref(), &self.surroundings.network, &region)
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Below this no concurrent version can arrive any more; `None` until every configured region has
    /// announced itself, and while this one joins.
    pub(crate) fn stable(&self) -> Option<VersionVector> {
        #[allow(
            clippy::redundant_closure_for_method_calls,
            reason = "the method itself is not general over the standing's lifetime"
        )]
        let writers = self.standing(|standing| standing.writers())?;
        Some(self.peers.knowledge().stable(&writers))
    }

    /// Proposes housekeeping; if it fails, the next round does it.
    pub(crate) fn propose_quietly(&self, command: Command) {
        if !self.group.leads() {
            return;
        }
        let group = self.group.clone();
        self.tasks.spawn_until_stopped(async move {
            if let Err(error) = group.propose(Proposal::new(command)).await {
                tracing::debug!(%error, "housekeeping was not committed");
            }
        });
    }
}
