//! Links between regions: the real source, inbox and frames at the two ends of streams that take time.
//!
//! Messages of one stream arrive in order; streams do not wait for each other. A partition holds messages up
//! or breaks the stream, and the two ends find out at times of their own. A new connection resumes from a
//! vector.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use atoll_core::ReplicaId;
use atoll_replication::backoff::Backoff;
use atoll_replication::delivery::LinkId;
use atoll_replication::frame::{Decoder, LinkMessage};
use atoll_replication::healing::Pull;
use atoll_replication::message::{
    Batch, Carries, Downstream, Hello, LINK_VERSION, Upstream, Welcome,
};
use atoll_replication::source::Source;

use crate::events::{End, Event, Life};
use crate::invariants::Violation;
use crate::schedule::FaultKind;
use crate::world::{STORE, World};

const REDIAL_FROM: Duration = Duration::from_millis(20);
const REDIAL_TO: Duration = Duration::from_millis(500);

/// A link that its target's healer wants, or wanted once.
pub(crate) struct Link {
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// What is wanted of it now; `None`: nothing any more.
    pub(crate) wanted: Option<Pull>,
    /// How many times it came to be wanted: dials of earlier times are void.
    pub(crate) wants: u32,
    pub(crate) connection: Option<usize>,
    backoff: Backoff,
}

/// One connection of a link.
pub(crate) struct Connection {
    link: usize,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) is_cut: bool,
    up: Pipe,
    down: Pipe,
    pub(crate) source: Option<SourceEnd>,
    pub(crate) target: Option<TargetEnd>,
}

/// The sending end of a connection.
#[derive(Default)]
pub(crate) struct SourceEnd {
    pub(crate) source: Option<Source>,
    decoder: Decoder<Upstream>,
    /// When it is to look again whether there is more to send.
    pub(crate) pump_at: Option<Duration>,
}

/// The pulling end of a connection.
pub(crate) struct TargetEnd {
    decoder: Decoder<Downstream>,
    pub(crate) life: Life,
    pub(crate) is_welcome: bool,
    /// When it last heard from the source, or dialled.
    pub(crate) heard_at: Duration,
    /// What it asked for when it dialled.
    carries: Carries,
    pruned: Vec<ReplicaId>,
    /// What was acknowledged.
    pub(crate) told_consumed: u64,
    pub(crate) told_revision: u64,
}

/// Messages under way in one direction.
#[derive(Default)]
struct Pipe {
    messages: VecDeque<(Duration, Bytes)>,
    last_due: Duration,
    is_planned: bool,
}

impl Link {
    pub(crate) fn new(from: usize, to: usize, seed: u64) -> Self {
        Link {
            from,
            to,
            wanted: None,
            wants: 0,
            connection: None,
            backoff: Backoff::new(REDIAL_FROM, REDIAL_TO, seed),
        }
    }
}

impl Connection {
    fn pipe(&mut self, to: End) -> &mut Pipe {
        match to {
            End::Source => &mut self.up,
            End::Target => &mut self.down,
        }
    }

    /// The region at an end, and the other one.
    fn places(&self, end: End) -> (usize, usize) {
        match end {
            End::Source => (self.from, self.to),
            End::Target => (self.to, self.from),
        }
    }
}

impl World {
    /// A target dials its source, if the link is still wanted as it was when that was planned.
    pub(crate) fn dial(&mut self, link: usize, wants: u32) {
        let one = &mut self.links[link];
        let (from, to) = (one.from, one.to);
        let Some(pull) = one.wanted.as_ref().filter(|_| one.wants == wants) else {
            return;
        };
        let (carries, is_quiet) = (pull.carries, pull.is_quiet);
        let Some(node) = &self.places[to].node else {
            return;
        };
        if one.connection.is_some() {
            return;
        }
        let me = self.places[to].replica;
        let source = self.places[from].node.as_ref();
        let refuses = source.is_some_and(|n| n.region.catalog().regions.is_retired(me));
        let serves = self.places[from].serves() && !refuses;
        let reaches = self.reach.is_open(to, from) && serves;
        if !reaches || self.places[to].is_paused {
            let delay = one.backoff.failed();
            self.time.after(delay, Event::Dial(link, wants));
            return;
        }
        let pruned = if is_quiet && carries == Carries::Everything {
            let source = &self.places[from].region;
            let is_its = |origin: &ReplicaId| node.knowledge.region(*origin) == Some(source);
            let brought = node.inbox.brought().into_iter();
            brought.filter(|origin| !is_its(origin)).collect()
        } else {
            Vec::new()
        };
        let hello = Hello {
            version: u32::from(LINK_VERSION),
            store: STORE,
            region: self.places[to].region.clone(),
            replica: self.places[to].replica,
            vector: node.inbox.vector().clone(),
            carries,
            credit_bytes: self.schedule.credit_bytes,
            pruned: pruned.clone(),
        };
        let connection = self.connections.len();
        one.connection = Some(connection);
        self.connections.push(Connection {
            link,
            from,
            to,
            is_cut: false,
            up: Pipe::default(),
            down: Pipe::default(),
            source: Some(SourceEnd::default()),
            target: Some(TargetEnd {
                decoder: Decoder::new(),
                life: self.places[to].life,
                is_welcome: false,
                heard_at: self.time.now(),
                carries,
                pruned,
                told_consumed: 0,
                told_revision: 0,
            }),
        });
        self.report.connections += 1;
        self.trace(|w| {
            format!(
                "connection {connection} of r{from}:r{to} from {}",
                w.shown(&hello.vector)
            )
        });
        self.transmit(connection, End::Source, &Upstream::Hello(hello));
    }

    /// Puts a message on its way.
    pub(crate) fn transmit<M: LinkMessage>(&mut self, connection: usize, to: End, message: &M) {
        if self.connections[connection].is_cut {
            return;
        }
        let bytes = self.encoder.encode(message);
        let (here, there) = self.connections[connection].places(to);
        let (least, most) = self.schedule.latency_ms[there][here];
        let usual = self.dice.ms(least, most);
        let due = self.time.now() + self.reach.delay(there, here, usual);
        let pipe = self.connections[connection].pipe(to);
        pipe.last_due = due.max(pipe.last_due);
        pipe.messages.push_back((pipe.last_due, bytes));
        self.expect(connection, to);
    }

    /// Plans the arrival of the next message.
    fn expect(&mut self, connection: usize, end: End) {
        let pipe = self.connections[connection].pipe(end);
        if let Some((due, _)) = pipe.messages.front()
            && !pipe.is_planned
        {
            pipe.is_planned = true;
            let due = *due;
            self.time.at(due, Event::Arrive(connection, end));
        }
    }

    /// What was held up towards or from a region may go on.
    pub(crate) fn let_through(&mut self, place: usize) {
        for connection in 0..self.connections.len() {
            let one = &self.connections[connection];
            if !one.is_cut && (one.from == place || one.to == place) {
                self.expect(connection, End::Source);
                self.expect(connection, End::Target);
            }
        }
    }

    pub(crate) fn arrive(&mut self, connection: usize, end: End) -> Result<(), Violation> {
        let (here, _) = self.connections[connection].places(end);
        let one = &mut self.connections[connection];
        let is_open = self.reach.is_open(one.to, one.from);
        let passes = is_open && self.places[here].serves();
        let is_cut = one.is_cut;
        let pipe = one.pipe(end);
        pipe.is_planned = false;
        if is_cut || !passes {
            return Ok(()); // held up until something changes
        }
        let Some((_, bytes)) = pipe.messages.pop_front() else {
            return Ok(());
        };
        match end {
            End::Source => self.heard_upstream(connection, &bytes)?,
            End::Target => self.heard_downstream(connection, &bytes)?,
        }
        self.expect(connection, end);
        Ok(())
    }

    fn heard_upstream(&mut self, connection: usize, bytes: &Bytes) -> Result<(), Violation> {
        let Some(end) = &mut self.connections[connection].source else {
            return Ok(());
        };
        end.decoder.push(bytes);
        while let Some(end) = &mut self.connections[connection].source
            && let Some(frame) = end.decoder.next().map_err(Violation::broken)?
        {
            self.on_upstream(connection, frame)?;
        }
        self.pump(connection)
    }

    fn on_upstream(&mut self, connection: usize, frame: Upstream) -> Result<(), Violation> {
        let place = self.connections[connection].from;
        let now = self.now_at(place);
        let me = Welcome {
            store: STORE,
            region: self.places[place].region.clone(),
            replica: self.places[place].replica,
        };
        let limits = self.schedule.source.clone();
        let Some(end) = &mut self.connections[connection].source else {
            return Ok(());
        };
        match (&mut end.source, frame) {
            (none @ None, Upstream::Hello(hello)) => {
                *none = Some(Source::new(hello, me, limits).map_err(Violation::broken)?);
            }
            (None, other) => {
                return Err(Violation::broken(format!("{other:?} before Hello")));
            }
            (Some(source), frame) => {
                let ack = source.on_frame(frame, now).map_err(Violation::broken)?;
                let target = source.target();
                if let (Some(ack), Some(node)) = (ack, &mut self.places[place].node) {
                    node.knowledge.learn(target, &ack.vector);
                    node.knowledge.learn_matrix(&ack.known);
                    node.knowledge.learn_hearing(&ack.hearing);
                }
            }
        }
        Ok(())
    }

    fn heard_downstream(&mut self, connection: usize, bytes: &Bytes) -> Result<(), Violation> {
        let Some(end) = &mut self.connections[connection].target else {
            return Ok(());
        };
        // Bytes come in pieces of any size.
        let cut = if self.dice.one_in(8) {
            self.dice.index(bytes.len())
        } else {
            bytes.len()
        };
        for piece in [&bytes[..cut], &bytes[cut..]] {
            end.decoder.push(piece);
        }
        while let Some(end) = &mut self.connections[connection].target
            && let Some(frame) = end.decoder.next().map_err(Violation::broken)?
        {
            self.on_downstream(connection, frame)?;
        }
        Ok(())
    }

    fn on_downstream(&mut self, connection: usize, frame: Downstream) -> Result<(), Violation> {
        let Connection { link, from, to, .. } = self.connections[connection];
        let now = self.time.now();
        let id = LinkId(connection as u64);
        let (sender, source) = (self.places[from].replica, self.places[from].region.clone());
        let wanted = self.links[link].wanted.as_ref();
        let (Some(carries), Some(end)) = (
            wanted.map(|pull| pull.carries),
            &mut self.connections[connection].target,
        ) else {
            return Ok(());
        };
        end.heard_at = now;
        let is_welcome = end.is_welcome;
        let Some(node) = &mut self.places[to].node else {
            return Ok(());
        };
        if is_welcome {
            node.healing.healer.heard(&source, now);
        }
        match frame {
            Downstream::Welcome(welcome)
                if node.region.catalog().regions.is_retired(welcome.replica) =>
            {
                self.cut(connection, true);
            }
            Downstream::Welcome(welcome) => {
                end.is_welcome = true;
                // What the link is to carry may have changed since the target dialled.
                node.inbox
                    .open(id, welcome.replica, end.carries, &end.pruned);
                node.inbox.carry(id, carries);
                let region = (welcome.replica, welcome.region);
                node.knowledge.learn_regions([&region]);
                self.links[link].backoff.succeeded();
            }
            Downstream::Heartbeat(heartbeat) => {
                node.inbox.on_heartbeat(id, &heartbeat);
                let applied = &node.region.applied().vector;
                let healer = &mut node.healing.healer;
                healer.announced(&source, sender, &heartbeat.vector, applied, now);
                node.knowledge.learn(sender, &heartbeat.vector);
                node.knowledge.learn_matrix(&heartbeat.known);
                node.knowledge.learn_regions(&heartbeat.regions);
                node.knowledge.learn_hearing(&heartbeat.hearing);
            }
            Downstream::Batch(batch) => {
                let doubles = !self.is_calm
                    && self.schedule.faults.contains(&FaultKind::Duplicate)
                    && self.dice.one_in(3);
                for _ in 0..=usize::from(doubles) {
                    self.on_batch(connection, &batch)?;
                }
                self.commit(to);
            }
            Downstream::Pong(_) => {}
        }
        Ok(())
    }

    fn on_batch(&mut self, connection: usize, batch: &Batch) -> Result<(), Violation> {
        let Connection { from, to, .. } = self.connections[connection];
        let now = self.time.now();
        let here = &mut self.places[to];
        here.copies.count(batch);
        self.report.copies += u64::from(batch.count);
        let Some(node) = &mut here.node else {
            return Ok(());
        };
        let received = node
            .inbox
            .on_batch(LinkId(connection as u64), batch, now)
            .map_err(Violation::broken)?;
        let ((_, bytes), limit) = (node.inbox.waiting(), self.schedule.inbox.waiting_bytes);
        if bytes > limit {
            let what = format!("{bytes} bytes wait in r{to}, where {limit} may");
            return Err(Violation::broken(what));
        }
        self.trace(|_| {
            format!(
                "r{to} gets {} entries from r{from}: {received:?}",
                batch.count
            )
        });
        Ok(())
    }

    /// Breaks a connection. Its ends notice at once or in their own time.
    pub(crate) fn cut(&mut self, connection: usize, at_once: bool) {
        let one = &mut self.connections[connection];
        if one.is_cut {
            return;
        }
        one.is_cut = true;
        one.up.messages.clear();
        one.down.messages.clear();
        for end in [End::Source, End::Target] {
            if at_once {
                self.lost(connection, end);
            } else {
                let delay = self.dice.ms(0, 200);
                self.time.after(delay, Event::Lost(connection, end));
            }
        }
    }

    /// An end of a connection finds it dead.
    pub(crate) fn lost(&mut self, connection: usize, end: End) {
        let Connection { link, to, .. } = self.connections[connection];
        match end {
            End::Source => self.connections[connection].source = None,
            End::Target => {
                let Some(target) = self.connections[connection].target.take() else {
                    return;
                };
                self.links[link].connection = None;
                let place = &mut self.places[to];
                if let Some(node) = &mut place.node
                    && place.life == target.life
                {
                    node.inbox.close(LinkId(connection as u64));
                }
                let one = &mut self.links[link];
                let (delay, wants) = (one.backoff.failed(), one.wants);
                self.time.after(delay, Event::Dial(link, wants));
            }
        }
    }

    /// Connections of a region that it does not reach, or all of them when it is gone.
    pub(crate) fn cut_all(&mut self, place: usize, is_gone: bool) {
        for connection in 0..self.connections.len() {
            let Connection {
                from, to, is_cut, ..
            } = self.connections[connection];
            if is_cut || (from != place && to != place) {
                continue;
            }
            if is_gone {
                self.cut(connection, false);
                let end = if from == place {
                    End::Source
                } else {
                    End::Target
                };
                self.lost(connection, end);
            } else if !self.reach.is_open(to, from) {
                self.cut(connection, false);
            }
        }
    }

    /// Whether the target of a connection was welcomed.
    pub(crate) fn is_welcome(&self, connection: usize) -> bool {
        let end = self.connections[connection].target.as_ref();
        end.is_some_and(|end| end.is_welcome)
    }

    /// Whether every link that is wanted has a connection that both ends have agreed on.
    pub(crate) fn all_links_stand(&self) -> bool {
        let mut wanted = self.links.iter().filter(|link| link.wanted.is_some());
        wanted.all(|link| link.connection.is_some_and(|c| self.is_welcome(c)))
    }

    /// A target takes a source that says nothing for too long for dead, and dials again.
    pub(crate) fn end_silent(&mut self, place: usize) {
        let before = self.time.now().checked_sub(self.schedule.silence_max);
        for link in 0..self.links.len() {
            let Link { to, connection, .. } = self.links[link];
            let Some(connection) = connection.filter(|_| to == place) else {
                continue;
            };
            let target = self.connections[connection].target.as_ref();
            if target.is_some_and(|end| before.is_some_and(|before| end.heard_at < before)) {
                self.trace(|_| format!("connection {connection} is silent"));
                self.cut(connection, false);
                self.lost(connection, End::Target);
            }
        }
    }

    /// Connections that are not broken.
    pub(crate) fn live_connections(&self) -> Vec<usize> {
        let all = 0..self.connections.len();
        all.filter(|&c| !self.connections[c].is_cut).collect()
    }
}
