//! The pulling end's one task: takes in what all links bring, hands on what may be applied, acknowledges what
//! was. What comes and goes is up to [`super::pulls`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use atoll_core::{RegionName, ReplicaId, VersionVector};
use atoll_replication::Now;
use atoll_replication::clock::PeerClock;
use atoll_replication::delivery::{InboxLimits, LinkId};
use atoll_replication::frame::Encoder;
use atoll_replication::inbox::Inbox;
use atoll_replication::message::{Ack, Batch, Carries, Downstream, Heartbeat, Pong, Upstream};
use atoll_replication::proof::Proofs;

use super::dial::Event;
use super::measuring::{Meter, TICK};
use super::proposing::{NotApplied, UnderWay, end_of};
use super::pulls::Pulls;
use crate::config::AskAfter;
use crate::node::Inner;
use crate::telemetry::EntryResult;

const EVENTS_QUEUED: usize = 256;
/// When entries are proposed again, to a leader that is not sure of its followers yet, and after a failure.
const CONFIRMED_EVERY: Duration = Duration::from_millis(20);
const FAILED_AGAIN_AFTER: Duration = Duration::from_millis(200);

pub(super) struct Open {
    pub(super) link: LinkId,
    pub(super) upstream: mpsc::Sender<Bytes>,
    /// What it was greeted with.
    pub(super) carries: Carries,
    pub(super) pruned: Vec<ReplicaId>,
    pub(super) source: Option<ReplicaId>,
    pub(super) clock: PeerClock,
    pub(super) consumed: u64,
    pub(super) revision: u64,
}

#[derive(Default)]
pub(super) struct Link {
    pub(super) open: Option<Open>,
    pub(super) meter: Meter,
}

pub(crate) struct Inbound {
    pub(super) node: Arc<Inner>,
    pub(super) inbox: Inbox,
    encoder: Encoder,
    pub(super) pulls: Pulls,
    events: mpsc::Receiver<Event>,
    leads: watch::Receiver<bool>,
    pub(super) links: BTreeMap<RegionName, Link>,
    pub(super) under_way: Option<UnderWay>,
    pub(super) retry_at: Option<Duration>,
    pub(super) ticked_at: Duration,
    pub(super) stable_at: Duration,
    pub(super) trimmed_at: Duration,
    pub(super) stable: VersionVector,
    pub(super) proofs: Proofs,
}

impl Inbound {
    /// Pulls while `leads` says that this node leads its region.
    pub(crate) fn new(node: Arc<Inner>, leads: watch::Receiver<bool>) -> Self {
        let vector = node.published.vector();
        let me = (node.identity.replica, node.identity.region.clone());
        node.peers.learn(|knowledge| {
            knowledge.learn(me.0, &vector);
            knowledge.learn_regions([&me]);
        });
        let (to_here, events) = mpsc::channel(EVENTS_QUEUED);
        Inbound {
            inbox: inbox(&node),
            encoder: Encoder::new(),
            pulls: Pulls::new(Arc::clone(&node), to_here),
            events,
            leads,
            links: BTreeMap::new(),
            under_way: None,
            retry_at: None,
            ticked_at: Duration::ZERO,
            stable_at: Duration::ZERO,
            trimmed_at: Duration::ZERO,
            stable: VersionVector::new(),
            proofs: Proofs::default(),
            node,
        }
    }

    /// Runs until it is dropped.
    pub(crate) async fn run(mut self) {
        let mut progress = self.node.published.progress();
        let mut led = false;
        loop {
            let leads = *self.leads.borrow_and_update();
            if leads != led {
                led = leads;
                self.take_over(leads);
            }
            self.propose();
            self.speak();
            let sleep = self.until_next();
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(event) => {
                        self.take(event);
                        while let Ok(event) = self.events.try_recv() {
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
                    if let Err(why) = ended {
                        self.propose_again(&why);
                    }
                }
                changed = self.leads.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(sleep) => {}
            }
            self.tick();
        }
    }

    fn propose_again(&mut self, why: &NotApplied) {
        let after = match why {
            NotApplied::NotLeading => CONFIRMED_EVERY,
            NotApplied::Failed(_) => {
                tracing::warn!(%why, "entries of other regions were not applied; trying again");
                FAILED_AGAIN_AFTER
            }
            NotApplied::FromRemoved => return self.turn_away_removed(),
        };
        self.inbox.proposal_failed();
        self.retry_at = Some(self.now() + after);
    }

    /// A new leader starts from the region's vector; what an old one has proposed meets it in apply, where
    /// the vector drops the second copy.
    fn take_over(&mut self, leads: bool) {
        for from in self.pulls.end_all() {
            self.end(&from);
        }
        self.under_way = None;
        self.retry_at = None;
        self.inbox = inbox(&self.node);
        self.proofs = Proofs::default();
        self.node.peers.prove(BTreeMap::new());
        if leads {
            self.supervise();
        }
    }

    /// Has links come and go, if this node leads.
    pub(super) fn supervise(&mut self) {
        if !*self.leads.borrow() {
            return;
        }
        let changes = self.pulls.supervise();
        for from in &changes.ended {
            self.end(from);
        }
        for (from, carries) in changes.carry {
            let Some(link) = self.links.get_mut(&from) else {
                continue;
            };
            let Some(open) = link.open.as_ref() else {
                continue;
            };
            if let Some(source) = open.source {
                self.inbox.carry(open.link, carries);
                link.meter.is_of(source, carries);
            }
        }
    }

    fn end(&mut self, from: &RegionName) {
        if let Some(Link {
            open: Some(open), ..
        }) = self.links.remove(from)
        {
            self.inbox.close(open.link);
        }
    }

    pub(super) fn now(&self) -> Duration {
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
                from,
                link,
                upstream,
            } => self.greet(&from, link, upstream),
            Event::Said {
                from,
                link,
                message,
            } => self.hear(&from, link, *message),
            Event::Closed { from, link } => {
                self.inbox.close(link);
                if let Some(known) = self.links.get_mut(&from)
                    && known.open.as_ref().is_some_and(|open| open.link == link)
                {
                    known.open = None;
                }
            }
        }
    }

    /// Queues a frame; a connection that takes none is about to end, and its next Hello says it all again.
    pub(super) fn say(&mut self, from: &RegionName, message: &Upstream) -> bool {
        let frame = self.encoder.encode(message);
        let open = self.links.get(from).and_then(|link| link.open.as_ref());
        open.is_some_and(|open| open.upstream.try_send(frame).is_ok())
    }

    fn hear(&mut self, from: &RegionName, link: LinkId, message: Downstream) {
        let now = self.node.clock.now();
        let Some(known) = self.links.get(from) else {
            return;
        };
        let Some(open) = known.open.as_ref().filter(|open| open.link == link) else {
            return;
        };
        if let Some(source) = open.source {
            self.node.peers.heard(source, now.elapsed);
            self.pulls.heard(from, now.elapsed);
        }
        match message {
            Downstream::Welcome(welcome) => self.welcomed(from, welcome, now),
            Downstream::Batch(batch) => self.receive(from, link, &batch, now),
            Downstream::Heartbeat(heartbeat) => self.beaten(from, link, &heartbeat, now),
            Downstream::Pong(pong) => self.timed(from, &pong, now),
        }
    }

    fn receive(&mut self, from: &RegionName, link: LinkId, batch: &Batch, now: Now) {
        let name = self.node.board.name(from);
        match self.inbox.on_batch(link, batch, now.elapsed) {
            Ok(received) => {
                let count = received.duplicates as u64;
                self.node
                    .metrics
                    .entries(&name, EntryResult::Duplicate, count);
            }
            Err(poison) => {
                self.node
                    .metrics
                    .entries(&name, EntryResult::Quarantined, 1);
                let why =
                    format!("{poison}; upgrade this region or repair the source, then resume");
                self.stop(from, why);
            }
        }
    }

    fn beaten(&mut self, from: &RegionName, link: LinkId, heartbeat: &Heartbeat, now: Now) {
        self.inbox.on_heartbeat(link, heartbeat);
        let Some(known) = self.links.get_mut(from) else {
            return;
        };
        if let Some(lag) = &mut known.meter.lag {
            lag.on_heartbeat(heartbeat, now);
            lag.on_applied(&self.node.published.vector());
        }
        let Some(source) = known.open.as_ref().and_then(|open| open.source) else {
            return;
        };
        self.pulls.announced(from, source, &heartbeat.vector);
        self.proofs.heard(source, &heartbeat.vector, now.elapsed);
        self.node.peers.learn(|knowledge| {
            knowledge.learn(source, &heartbeat.vector);
            knowledge.learn_matrix(&heartbeat.known);
            knowledge.learn_regions(&heartbeat.regions);
            knowledge.learn_hearing(&heartbeat.hearing);
        });
        self.node.compare_with_the_past();
    }

    fn timed(&mut self, from: &RegionName, pong: &Pong, now: Now) {
        let Some(Link {
            open: Some(open),
            meter,
        }) = self.links.get_mut(from)
        else {
            return;
        };
        if open.clock.on_pong(pong, now)
            && let (Some(source), Some(offset)) = (open.source, open.clock.offset_ms())
        {
            self.node
                .peers
                .read_clock(source, offset, true, now.elapsed);
            meter.offset_ms = offset;
            meter.rtt = open.clock.rtt();
            if let Some(rtt) = open.clock.rtt_last() {
                self.node.metrics.rtt(&self.node.board.name(from), rtt);
            }
        }
    }

    fn applied(&mut self, vector: &VersionVector) {
        let now = self.now();
        self.inbox.applied(vector, now);
        let me = self.node.identity.replica;
        self.node
            .peers
            .learn(|knowledge| knowledge.learn(me, vector));
        for link in self.links.values_mut() {
            if let Some(lag) = &mut link.meter.lag {
                lag.on_applied(vector);
            }
        }
    }

    pub(super) fn source_of(&self, link: LinkId) -> Option<RegionName> {
        let mut links = self.links.iter();
        let its = links.find(|(_, known)| known.open.as_ref().is_some_and(|o| o.link == link));
        its.map(|(from, _)| from.clone())
    }

    /// Tells the sources what there is to tell.
    fn speak(&mut self) {
        let now = self.now();
        for (link, message) in self.inbox.say(now) {
            if let Some(from) = self.source_of(link) {
                self.say(&from, &message);
            }
        }
        self.acknowledge(false);
    }

    /// Acknowledges on every link that brought something since; with `gossip`, also where there is news of
    /// other regions.
    pub(super) fn acknowledge(&mut self, gossip: bool) {
        let greeted = |link: &Link| link.open.as_ref().is_some_and(|open| open.source.is_some());
        let links = self.links.iter().filter(|(_, link)| greeted(link));
        let links: Vec<RegionName> = links.map(|(from, _)| from.clone()).collect();
        for from in links {
            let Some(open) = self.links.get(&from).and_then(|link| link.open.as_ref()) else {
                continue;
            };
            let consumed = self.inbox.consumed(open.link);
            let knowledge = self.node.peers.knowledge();
            let revision = knowledge.revision();
            let news = gossip && revision != open.revision;
            if consumed == open.consumed && !news {
                continue;
            }
            let (known, hearing) = if news {
                (knowledge.matrix(), knowledge.hearing())
            } else {
                (Vec::new(), Vec::new())
            };
            drop(knowledge);
            let vector = (*self.node.published.vector()).clone();
            let ack = Upstream::Ack(Ack {
                vector,
                consumed_bytes: consumed,
                known,
                hearing,
            });
            if self.say(&from, &ack)
                && let Some(open) = self
                    .links
                    .get_mut(&from)
                    .and_then(|link| link.open.as_mut())
            {
                open.consumed = consumed;
                if news {
                    open.revision = revision;
                }
            }
        }
    }
}

fn inbox(node: &Inner) -> Inbox {
    let ask_after = match node.config.ask_after {
        AskAfter::Some(after) => Some(after),
        AskAfter::Never => None,
    };
    let limits = InboxLimits {
        ask_after,
        ..InboxLimits::default()
    };
    Inbox::new((*node.published.vector()).clone(), limits)
}
