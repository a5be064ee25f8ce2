//! The pulling end's one task: takes in what all links bring, proposes what may be applied, acknowledges what
//! was, and keeps the region's housekeeping going.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use tokio::sync::mpsc;

use atoll_core::collection::Regions;
use atoll_core::{ReplicaId, Timestamp, VersionVector, wire};
use atoll_replication::clock::PeerClock;
use atoll_replication::delivery::{InboxLimits, LinkId, Ready};
use atoll_replication::frame::Encoder;
use atoll_replication::inbox::Inbox;
use atoll_replication::lag::LagMeter;
use atoll_replication::message::{Ack, Carries, Downstream, Hello, LINK_VERSION, Upstream};
use atoll_store::{Command, Outcome, query};

use super::dial::Event;
use super::overview::{Gauge, Phase};
use crate::config::AskAfter;
use crate::node::Inner;
use crate::raft::Proposal;
use crate::telemetry::EntryResult;

/// Bytes of entries under way on one link.
const CREDIT_BYTES: u64 = 16 << 20;
/// Bytes of entries proposed at once.
const PROPOSAL_BYTES: usize = 1 << 20;
/// Clock probes, gauges, gossip.
const TICK: Duration = Duration::from_millis(250);
const STABLE_EVERY: Duration = Duration::from_secs(1);
const TRIM_EVERY: Duration = Duration::from_secs(60);
/// A source unheard of for this long counts as silent.
const SILENT_AFTER: Duration = Duration::from_secs(3);

/// A proposal under way: what it holds, and its end.
type UnderWay = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

struct Open {
    link: LinkId,
    upstream: mpsc::Sender<Bytes>,
    source: Option<ReplicaId>,
    clock: PeerClock,
    consumed: u64,
    revision: u64,
}

/// What is measured of a link, also while it is down.
#[derive(Default)]
struct Meter {
    lag: Option<LagMeter>,
    source: Option<ReplicaId>,
    offset_ms: i64,
    rtt: Option<Duration>,
}

pub(crate) struct Inbound {
    node: Arc<Inner>,
    inbox: Inbox,
    encoder: Encoder,
    links: Vec<Option<Open>>,
    meters: Vec<Meter>,
    under_way: Option<UnderWay>,
    retry_at: Option<Duration>,
    ticked_at: Duration,
    stable_at: Duration,
    trimmed_at: Duration,
    stable: VersionVector,
}

impl Inbound {
    pub(crate) fn new(node: Arc<Inner>) -> Self {
        let ask_after = match node.config.ask_after {
            AskAfter::Some(after) => Some(after),
            AskAfter::Never => None,
        };
        let limits = InboxLimits {
            ask_after,
            ..InboxLimits::default()
        };
        let vector = node.published.vector();
        let me = (node.identity.replica, node.identity.region.clone());
        node.peers.learn(|knowledge| {
            knowledge.learn(me.0, &vector);
            knowledge.learn_regions([&me]);
        });
        Inbound {
            inbox: Inbox::new((*vector).clone(), limits),
            encoder: Encoder::new(),
            links: node.config.links.iter().map(|_| None).collect(),
            meters: node.config.links.iter().map(|_| Meter::default()).collect(),
            under_way: None,
            retry_at: None,
            ticked_at: Duration::ZERO,
            stable_at: Duration::ZERO,
            trimmed_at: Duration::ZERO,
            stable: VersionVector::new(),
            node,
        }
    }

    /// Runs until the links' tasks are gone.
    pub(crate) async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        let mut progress = self.node.published.progress();
        loop {
            self.propose();
            self.speak();
            let sleep = self.until_next();
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => {
                        self.take(event);
                        while let Ok(event) = events.try_recv() {
                            self.take(event);
                        }
                    }
                    None => return,
                },
                changed = progress.changed() => {
                    if changed.is_err() { return }
                    let vector = Arc::clone(&progress.borrow_and_update().vector);
                    self.applied(&vector);
                }
                ended = end_of(&mut self.under_way) => {
                    self.under_way = None;
                    let vector = self.node.published.vector();
                    self.applied(&vector);
                    if let Err(error) = ended {
                        tracing::warn!(%error, "entries of other regions were not applied; trying again");
                        self.inbox.proposal_failed();
                        self.retry_at = Some(self.now() + Duration::from_millis(200));
                    }
                }
                () = tokio::time::sleep(sleep) => {}
            }
            self.tick();
        }
    }

    fn now(&self) -> Duration {
        self.node.clock.elapsed()
    }

    fn until_next(&self) -> Duration {
        let now = self.now();
        let wakes = [
            Some(self.ticked_at + TICK),
            self.retry_at,
            self.inbox.wakeup(now),
        ];
        let next = wakes.into_iter().flatten().min().unwrap_or(now + TICK);
        next.saturating_sub(now)
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Opened {
                slot,
                link,
                upstream,
            } => self.greet(slot, link, upstream),
            Event::Said {
                slot,
                link,
                message,
            } => self.hear(slot, link, *message),
            Event::Closed { slot, link } => {
                self.inbox.close(link);
                if self.links[slot]
                    .as_ref()
                    .is_some_and(|open| open.link == link)
                {
                    self.links[slot] = None;
                }
            }
        }
    }

    fn greet(&mut self, slot: usize, link: LinkId, upstream: mpsc::Sender<Bytes>) {
        let identity = &self.node.identity;
        let hello = Upstream::Hello(Hello {
            version: u32::from(LINK_VERSION),
            store: identity.store,
            region: identity.region.clone(),
            replica: identity.replica,
            vector: self.inbox.vector().clone(),
            carries: carries(&self.node, slot),
            credit_bytes: CREDIT_BYTES,
            pruned: Vec::new(),
        });
        let open = Open {
            link,
            upstream,
            source: None,
            clock: PeerClock::new(),
            consumed: 0,
            revision: 0,
        };
        self.links[slot] = Some(open);
        self.say(slot, &hello);
    }

    /// Queues a frame; a connection that takes none is about to end, and its next Hello says it all again.
    fn say(&mut self, slot: usize, message: &Upstream) -> bool {
        let frame = self.encoder.encode(message);
        self.links[slot]
            .as_ref()
            .is_some_and(|open| open.upstream.try_send(frame).is_ok())
    }

    fn hear(&mut self, slot: usize, link: LinkId, message: Downstream) {
        let now = self.node.clock.now();
        let carries = carries(&self.node, slot);
        let Some(open) = self.links[slot].as_mut().filter(|open| open.link == link) else {
            return;
        };
        if let Some(source) = open.source {
            self.node.peers.heard(source, now.elapsed);
        }
        match message {
            Downstream::Welcome(welcome) => {
                if welcome.store != self.node.identity.store {
                    let why = format!(
                        "the source belongs to store {}; check the endpoint",
                        welcome.store
                    );
                    return self.stop(slot, why);
                }
                if welcome.region.as_str() != self.node.config.links[slot].from {
                    let why = format!("the endpoint is region {}'s; check it", welcome.region);
                    return self.stop(slot, why);
                }
                let catalog = self.node.published.catalog();
                if catalog.regions.is_retired(welcome.replica) {
                    let who = catalog.regions.shown(welcome.replica);
                    return self.stop(slot, format!("{who} is retired; take the link out"));
                }
                open.source = Some(welcome.replica);
                let meter = &mut self.meters[slot];
                if meter.source.replace(welcome.replica) != Some(welcome.replica) {
                    meter.lag = Some(LagMeter::new(welcome.replica, carries, SILENT_AFTER));
                }
                let named = (welcome.replica, welcome.region.clone());
                self.node
                    .peers
                    .learn(|knowledge| knowledge.learn_regions([&named]));
                self.inbox.open(link, welcome.replica, carries, &[]);
                self.node.board.phase(slot, Phase::CatchingUp, None);
                let ping = open.clock.ping(now);
                self.say(slot, &Upstream::Ping(ping));
            }
            Downstream::Batch(batch) => match self.inbox.on_batch(link, &batch, now.elapsed) {
                Ok(received) => {
                    let name = self.node.board.name(slot);
                    let metrics = &self.node.metrics;
                    metrics.entries(&name, EntryResult::Duplicate, received.duplicates as u64);
                }
                Err(poison) => {
                    self.node.metrics.entries(
                        &self.node.board.name(slot),
                        EntryResult::Quarantined,
                        1,
                    );
                    self.stop(
                        slot,
                        format!("{poison}; upgrade this region or repair the source, then resume"),
                    );
                }
            },
            Downstream::Heartbeat(heartbeat) => {
                self.inbox.on_heartbeat(link, &heartbeat);
                if let Some(lag) = &mut self.meters[slot].lag {
                    lag.on_heartbeat(&heartbeat, now);
                    lag.on_applied(&self.node.published.vector());
                }
                if let Some(source) = open.source {
                    self.node.peers.learn(|knowledge| {
                        knowledge.learn(source, &heartbeat.vector);
                        knowledge.learn_matrix(&heartbeat.known);
                        knowledge.learn_regions(&heartbeat.regions);
                    });
                }
            }
            Downstream::Pong(pong) => {
                if open.clock.on_pong(&pong, now)
                    && let (Some(source), Some(offset)) = (open.source, open.clock.offset_ms())
                {
                    self.node
                        .peers
                        .read_clock(source, offset, true, now.elapsed);
                    self.meters[slot].offset_ms = offset;
                    self.meters[slot].rtt = open.clock.rtt();
                    if let Some(rtt) = open.clock.rtt_last() {
                        self.node.metrics.rtt(&self.node.board.name(slot), rtt);
                    }
                }
            }
        }
    }

    /// Ends a link until a person resumes it. Other links go on.
    fn stop(&mut self, slot: usize, why: String) {
        tracing::error!(link = %self.node.board.name(slot), %why, "link stopped");
        if let Some(open) = self.links[slot].take() {
            self.inbox.close(open.link);
        }
        self.node.board.stop(slot, why);
    }

    fn applied(&mut self, vector: &VersionVector) {
        let now = self.now();
        self.inbox.applied(vector, now);
        let me = self.node.identity.replica;
        self.node
            .peers
            .learn(|knowledge| knowledge.learn(me, vector));
        for lag in self
            .meters
            .iter_mut()
            .filter_map(|meter| meter.lag.as_mut())
        {
            lag.on_applied(vector);
        }
    }

    /// Proposes what may be applied, one proposal at a time.
    fn propose(&mut self) {
        if self.under_way.is_some() || self.retry_at.is_some_and(|at| self.now() < at) {
            return;
        }
        self.retry_at = None;
        let ready = self.inbox.take_ready(PROPOSAL_BYTES);
        if ready.is_empty() {
            return;
        }
        self.count(&ready);
        let proposals = by_sender(ready, self.node.clock.timestamp());
        let raft = self.node.group.raft.clone();
        self.under_way = Some(Box::pin(async move {
            let answers = raft
                .client_write_many(proposals)
                .await
                .map_err(|e| e.to_string())?;
            let answers: Vec<_> = answers.try_collect().await.map_err(|e| e.to_string())?;
            for answer in answers {
                match answer.map_err(|e| e.to_string())?.response {
                    Outcome::Merged(merged) if merged.early > 0 => {
                        return Err(format!("{} entries came too early", merged.early));
                    }
                    Outcome::Merged(_)
                    | Outcome::Done
                    | Outcome::Written(_)
                    | Outcome::Changed(_)
                    | Outcome::Configured(_) => {}
                }
            }
            Ok(())
        }));
    }

    fn count(&self, ready: &[Ready]) {
        let now_ms = self.node.clock.wall_ms();
        let catalog = self.node.published.catalog();
        let metrics = &self.node.metrics;
        for run in ready.chunk_by(|a, b| a.dot.replica == b.dot.replica && a.link == b.link) {
            let origin = self.shown(&catalog.regions, run[0].dot.replica);
            for entry in run {
                metrics.causal_wait(&origin, entry.waited);
                if let Ok((_, time, _)) = wire::decode_header(&entry.frame) {
                    let age_ms = now_ms.saturating_sub(time.millis());
                    metrics.visibility(&origin, Duration::from_millis(age_ms));
                }
            }
            let is_its = |open: &Option<Open>| open.as_ref().is_some_and(|o| o.link == run[0].link);
            if let Some(slot) = self.links.iter().position(is_its) {
                let name = self.node.board.name(slot);
                metrics.entries(&name, EntryResult::Applied, run.len() as u64);
            }
        }
    }

    /// How people see a replica id, also before its announcement is applied here.
    fn shown(&self, regions: &Regions, replica: ReplicaId) -> String {
        match regions.name(replica) {
            Some(_) => regions.shown(replica),
            None => {
                let knowledge = self.node.peers.knowledge();
                knowledge
                    .region(replica)
                    .map_or_else(|| replica.to_string(), ToString::to_string)
            }
        }
    }

    /// Tells the sources what there is to tell.
    fn speak(&mut self) {
        let now = self.now();
        for (link, message) in self.inbox.say(now) {
            let slot = self
                .links
                .iter()
                .position(|open| open.as_ref().is_some_and(|open| open.link == link));
            if let Some(slot) = slot {
                self.say(slot, &message);
            }
        }
        self.acknowledge(false);
    }

    /// Acknowledges on every link that brought something since; with `gossip`, also where there is news of
    /// other regions.
    fn acknowledge(&mut self, gossip: bool) {
        for slot in 0..self.links.len() {
            let Some(open) = &self.links[slot] else {
                continue;
            };
            if open.source.is_none() {
                continue;
            }
            let consumed = self.inbox.consumed(open.link);
            let revision = self.node.peers.knowledge().revision();
            let news = gossip && revision != open.revision;
            if consumed == open.consumed && !news {
                continue;
            }
            let known = if news {
                self.node.peers.knowledge().matrix()
            } else {
                Vec::new()
            };
            let vector = (*self.node.published.vector()).clone();
            let ack = Upstream::Ack(Ack {
                vector,
                consumed_bytes: consumed,
                known,
                hearing: Vec::new(),
            });
            if self.say(slot, &ack)
                && let Some(open) = &mut self.links[slot]
            {
                open.consumed = consumed;
                if news {
                    open.revision = revision;
                }
            }
        }
    }

    fn tick(&mut self) {
        let now = self.node.clock.now();
        if now.elapsed < self.ticked_at + TICK {
            return;
        }
        self.ticked_at = now.elapsed;
        self.acknowledge(true);
        for slot in 0..self.links.len() {
            self.measure(slot);
            let greeted = self.links[slot]
                .as_mut()
                .filter(|open| open.source.is_some());
            if let Some(open) = greeted {
                let ping = open.clock.ping(now);
                self.say(slot, &Upstream::Ping(ping));
            }
        }
        self.housekeep(now.elapsed);
    }

    fn measure(&mut self, slot: usize) {
        let now = self.node.clock.now();
        let applied = self.node.published.vector();
        let Meter {
            lag,
            offset_ms,
            rtt,
            ..
        } = &self.meters[slot];
        let Some(meter) = lag else { return };
        let lag = meter.read(&applied, *offset_ms, *rtt, now);
        let rtt = *rtt;
        let (waiting, waiting_bytes) = self.inbox.waiting();
        let (ready, ready_bytes) = self.inbox.ready();
        let catalog = self.node.published.catalog();
        let origins = lag
            .by_origin
            .iter()
            .map(|(r, entries)| (catalog.regions.shown(*r), *entries));
        let gauge = Gauge {
            lag_seconds: lag.time.unwrap_or_default().as_secs_f64(),
            lag_entries: lag.entries,
            origins: origins.collect(),
            queue_entries: (waiting + ready) as u64,
            queue_bytes: (waiting_bytes + ready_bytes) as u64,
            rtt_seconds: rtt.map(|rtt| rtt.as_secs_f64()),
        };
        if self.links[slot].is_some() && lag.entries == 0 && lag.time.is_some() {
            self.node.board.phase(slot, Phase::Streaming, None);
        }
        self.node.board.measure(slot, gauge);
    }

    fn housekeep(&mut self, now: Duration) {
        if now >= self.stable_at + STABLE_EVERY {
            self.stable_at = now;
            if let Some(vector) = self.node.stable()
                && !self.stable.covers_all(&vector)
            {
                self.stable.merge(&vector);
                self.node.propose_quietly(Command::Stable { vector });
            }
        }
        if now >= self.trimmed_at + TRIM_EVERY {
            self.trimmed_at = now;
            let retention = &self.node.config.conflict_retention;
            let kept_ms =
                u64::try_from(retention.max_age.as_duration().as_millis()).unwrap_or(u64::MAX);
            let before = Timestamp::from_millis(self.node.clock.wall_ms().saturating_sub(kept_ms));
            self.node.propose_quietly(Command::Trim {
                before,
                rows_max: retention.max_rows,
            });
        }
        self.forget_keys();
    }

    /// Has idempotency keys forgotten that are too old or too many.
    fn forget_keys(&self) {
        let kept = &self.node.config.idempotency;
        let age_ms = u64::try_from(kept.max_age.as_duration().as_millis()).unwrap_or(u64::MAX);
        let before = Timestamp::from_millis(self.node.clock.wall_ms().saturating_sub(age_ms));
        let keys_max = kept.max_keys;
        // A disk that cannot be read stops the node where it applies.
        let engine = &*self.node.engine;
        if query::remembers_too_much(engine, before, keys_max).unwrap_or(false) {
            self.node
                .propose_quietly(Command::Forget { before, keys_max });
        }
    }
}

/// The end of what is under way; never, when nothing is.
async fn end_of(under_way: &mut Option<UnderWay>) -> Result<(), String> {
    match under_way {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

fn carries(node: &Inner, slot: usize) -> Carries {
    match node.config.links[slot].carries {
        atoll_api::topology::Carries::OwnEntries => Carries::OwnEntries,
        atoll_api::topology::Carries::Everything => Carries::Everything,
    }
}

/// One command a run of entries from one sender, in order.
fn by_sender(ready: Vec<Ready>, now: Timestamp) -> Vec<Proposal> {
    let mut runs: Vec<(ReplicaId, Vec<Bytes>)> = Vec::new();
    for entry in ready {
        match runs.last_mut() {
            Some((sender, frames)) if *sender == entry.sender => frames.push(entry.frame),
            _ => runs.push((entry.sender, vec![entry.frame])),
        }
    }
    let command = |(sender, frames)| {
        Proposal::new(Command::Remote {
            now,
            sender,
            frames,
        })
    };
    runs.into_iter().map(command).collect()
}
