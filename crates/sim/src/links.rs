//! Links between regions: the real source, inbox and frames at the two ends of streams that take time.
//!
//! Messages of one stream arrive in order; streams do not wait for each other. A partition holds messages up
//! or breaks the stream, and the two ends find out at times of their own. A new connection resumes from a
//! vector.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use atoll_replication::backoff::Backoff;
use atoll_replication::delivery::LinkId;
use atoll_replication::frame::{Decoder, LinkMessage};
use atoll_replication::message::{
    Batch, Carries, Downstream, Hello, LINK_VERSION, Upstream, Welcome,
};
use atoll_replication::source::Source;

use crate::events::{End, Event, Life};
use crate::invariants::Violation;
use crate::schedule::FaultKind;
use crate::topology::Edge;
use crate::world::{STORE, World};

const REDIAL_FROM: Duration = Duration::from_millis(20);
const REDIAL_TO: Duration = Duration::from_millis(500);
/// A link, declared or standing in for one.
pub(crate) struct Link {
    pub(crate) edge: Edge,
    /// What it carries now.
    pub(crate) carries: Carries,
    pub(crate) is_declared: bool,
    /// Not wanted any more.
    pub(crate) is_retired: bool,
    pub(crate) connection: Option<usize>,
    backoff: Backoff,
    /// When the target last heard from it.
    pub(crate) heard_at: Duration,
    pub(crate) stand_in: Option<usize>,
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
    /// What it asked for when it dialled.
    carries: Carries,
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
    pub(crate) fn new(edge: Edge, is_declared: bool, seed: u64) -> Self {
        Link {
            edge,
            carries: edge.carries,
            is_declared,
            is_retired: false,
            connection: None,
            backoff: Backoff::new(REDIAL_FROM, REDIAL_TO, seed),
            heard_at: Duration::ZERO,
            stand_in: None,
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
    /// A target dials its source.
    pub(crate) fn dial(&mut self, link: usize) -> Result<(), Violation> {
        let Edge { from, to, .. } = self.links[link].edge;
        if self.links[link].connection.is_some()
            || self.links[link].is_retired
            || self.places[to].node.is_none()
        {
            return Ok(());
        }
        let reaches = self.reach.is_open(from, to) && self.places[from].serves();
        if !reaches || self.places[to].is_paused {
            let delay = self.links[link].backoff.failed();
            self.time.after(delay, Event::Dial(link));
            return Ok(());
        }
        let connection = self.connections.len();
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
                carries: self.links[link].carries,
                told_consumed: 0,
                told_revision: 0,
            }),
        });
        self.report.connections += 1;
        self.links[link].connection = Some(connection);
        let Some(node) = &self.places[to].node else {
            return Ok(());
        };
        let hello = Hello {
            version: u32::from(LINK_VERSION),
            store: STORE,
            region: self.schedule.regions[to].clone(),
            replica: self.places[to].replica,
            vector: node.inbox.vector().clone(),
            carries: self.links[link].carries,
            credit_bytes: self.schedule.credit_bytes,
            pruned: Vec::new(),
        };
        self.trace(|w| {
            format!(
                "connection {connection} of r{from}:r{to} from {}",
                w.shown(&hello.vector)
            )
        });
        self.transmit(connection, End::Source, &Upstream::Hello(hello));
        Ok(())
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
        let (here, there) = self.connections[connection].places(end);
        let passes = self.reach.is_open(here, there) && self.places[here].serves();
        let one = &mut self.connections[connection];
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
            region: self.schedule.regions[place].clone(),
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
        self.links[link].heard_at = self.time.now();
        let id = LinkId(connection as u64);
        let sender = self.places[from].replica;
        let carries = self.links[link].carries;
        let Some(node) = &mut self.places[to].node else {
            return Ok(());
        };
        match frame {
            Downstream::Welcome(welcome) => {
                let Some(end) = &mut self.connections[connection].target else {
                    return Ok(());
                };
                end.is_welcome = true;
                // What the link is to carry may have changed since the target dialled.
                node.inbox.open(id, welcome.replica, end.carries, &[]);
                node.inbox.carry(id, carries);
                let region = (welcome.replica, welcome.region);
                node.knowledge.learn_regions([&region]);
                self.links[link].backoff.succeeded();
            }
            Downstream::Heartbeat(heartbeat) => {
                node.inbox.on_heartbeat(id, &heartbeat);
                node.knowledge.learn(sender, &heartbeat.vector);
                node.knowledge.learn_matrix(&heartbeat.known);
                node.knowledge.learn_regions(&heartbeat.regions);
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
                let delay = self.links[link].backoff.failed();
                self.time.after(delay, Event::Dial(link));
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
            } else if !self.reach.is_open(from, to) {
                self.cut(connection, false);
            }
        }
    }

    /// Whether every link has a connection that both ends have agreed on.
    pub(crate) fn all_links_stand(&self) -> bool {
        self.links.iter().all(|link| {
            let connection = link.connection.map(|c| &self.connections[c]);
            let end = connection.and_then(|c| c.target.as_ref());
            end.is_some_and(|end| end.is_welcome)
        })
    }

    /// Connections that are not broken.
    pub(crate) fn live_connections(&self) -> Vec<usize> {
        let all = 0..self.connections.len();
        all.filter(|&c| !self.connections[c].is_cut).collect()
    }
}
