//! Regions joined by links that take time, are cut and are dialled again. One step is one millisecond.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use atoll_core::{ReplicaId, StoreId, VersionVector};
use atoll_replication::Now;
use atoll_replication::delivery::{InboxLimits, LinkId};
use atoll_replication::frame::{Decoder, Encoder};
use atoll_replication::message::{
    Ack, Carries, Downstream, Hello, LINK_VERSION, Upstream, Welcome,
};
use atoll_replication::source::{Source, SourceLimits};

use crate::region::{Fate, Region};
use crate::topology::{Random, Topology, pairs};

const STORE: StoreId = StoreId(7);

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) topology: Topology,
    pub(crate) regions: usize,
    pub(crate) faults: bool,
    pub(crate) limits: InboxLimits,
    pub(crate) latency_ms: (u64, u64),
}

/// Bytes under way in one direction.
#[derive(Default)]
struct Pipe(VecDeque<(u64, Bytes)>);

impl Pipe {
    fn put(&mut self, at: u64, bytes: Bytes) {
        let at = self.0.back().map_or(at, |(last, _)| at.max(*last));
        self.0.push_back((at, bytes));
    }

    fn due(&mut self, now: u64) -> Option<Bytes> {
        let due = self.0.front().is_some_and(|(at, _)| *at <= now);
        due.then(|| self.0.pop_front().unwrap().1)
    }
}

/// A link and its connection, if it has one.
struct Link {
    carries: Carries,
    latency: u64,
    jitter: u64,
    /// When to dial; `u64::MAX`: never again.
    dial_at: u64,
    /// Dialled as one that comes when others bring everything already.
    is_quiet: bool,
    connection: Option<Connection>,
}

struct Connection {
    id: LinkId,
    source: Option<Source>,
    up: Pipe,
    down: Pipe,
    up_decoder: Decoder<Upstream>,
    down_decoder: Decoder<Downstream>,
    encoder: Encoder,
    acked: Option<Ack>,
    greeted: (Carries, Vec<ReplicaId>),
    welcomed: bool,
}

/// What a target heard from a source.
pub(crate) struct Said {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) announced: Option<VersionVector>,
}

pub(crate) struct Net {
    plan: Plan,
    pub(crate) regions: Vec<Region>,
    links: BTreeMap<(usize, usize), Link>,
    pub(crate) now: u64,
    pub(crate) said: Vec<Said>,
    /// Nothing gets from the first to the second.
    pub(crate) blocked: BTreeSet<(usize, usize)>,
    pub(crate) dead: BTreeSet<usize>,
    connections: u64,
    copies: u64,
    wants: u64,
    random: Random,
}

impl Net {
    pub(crate) fn new(plan: Plan) -> Self {
        let mut random = Random(plan.seed);
        let regions = (0..plan.regions)
            .map(|i| Region::new(i, plan.limits.clone()))
            .collect();
        let carries = match plan.topology {
            Topology::AllToAll => Carries::OwnEntries,
            Topology::Ring | Topology::Star | Topology::Custom | Topology::None => {
                Carries::Everything
            }
        };
        let link = |ends, random: &mut Random| {
            let link = Link {
                carries,
                latency: random.within(plan.latency_ms),
                jitter: if plan.faults { 30 } else { 2 },
                dial_at: random.within((0, 30)),
                is_quiet: false,
                connection: None,
            };
            (ends, link)
        };
        let pairs = pairs(plan.topology, plan.regions, &mut random);
        let links = pairs
            .into_iter()
            .map(|ends| link(ends, &mut random))
            .collect();
        Net {
            plan,
            regions,
            links,
            now: 0,
            said: Vec::new(),
            blocked: BTreeSet::new(),
            dead: BTreeSet::new(),
            connections: 0,
            copies: 0,
            wants: 0,
            random,
        }
    }

    /// Goes on for so many milliseconds; every region writes with this probability in each.
    pub(crate) fn run(&mut self, ms: u64, write: f64) {
        for _ in 0..ms {
            self.now += 1;
            for region in 0..self.regions.len() {
                if self.random.chance(write) && !self.dead.contains(&region) {
                    self.write(region);
                }
            }
            self.faults();
            let ends: Vec<_> = self.links.keys().copied().collect();
            for (from, to) in ends {
                if self.is_open(from, to) {
                    self.drive(from, to);
                } else if self.links[&(from, to)].connection.is_some() {
                    self.cut(from, to, self.now);
                }
            }
            for region in 0..self.regions.len() {
                if !self.dead.contains(&region) {
                    self.commit(region);
                }
            }
        }
    }

    pub(crate) fn write(&mut self, region: usize) {
        let size = usize::try_from(self.random.within((0, 300))).unwrap();
        self.regions[region].write(self.now, size);
    }

    /// No more faults.
    pub(crate) fn calm(&mut self) {
        self.plan.faults = false;
    }

    pub(crate) fn slow_down(&mut self, from: usize, to: usize, latency: u64) {
        self.links.get_mut(&(from, to)).unwrap().latency = latency;
    }

    pub(crate) fn cut_for_good(&mut self, from: usize, to: usize) {
        self.cut(from, to, u64::MAX);
    }

    fn is_open(&self, from: usize, to: usize) -> bool {
        let is_dead = self.dead.contains(&from) || self.dead.contains(&to);
        !is_dead && !self.blocked.contains(&(from, to))
    }

    /// A link that is there, or is from now on, carries this.
    pub(crate) fn have_link(&mut self, from: usize, to: usize, carries: Carries, is_quiet: bool) {
        if !self.links.contains_key(&(from, to)) {
            let link = Link {
                carries,
                latency: self.random.within(self.plan.latency_ms),
                jitter: 2,
                dial_at: self.now,
                is_quiet,
                connection: None,
            };
            self.links.insert((from, to), link);
        }
        let link = self.links.get_mut(&(from, to)).unwrap();
        (link.carries, link.is_quiet) = (carries, is_quiet);
        if let Some(connection) = link.connection.as_ref().filter(|c| c.welcomed) {
            self.regions[to].inbox.carry(connection.id, carries);
        }
    }

    pub(crate) fn drop_link(&mut self, from: usize, to: usize) {
        self.cut(from, to, u64::MAX);
        self.links.remove(&(from, to));
    }

    pub(crate) fn links_into(&self, region: usize) -> Vec<usize> {
        let into = self.links.keys().filter(|(_, to)| *to == region);
        into.map(|(from, _)| *from).collect()
    }

    pub(crate) fn carry(&mut self, from: usize, to: usize, carries: Carries) {
        let link = self.links.get_mut(&(from, to)).unwrap();
        link.carries = carries;
        let id = link.connection.as_ref().unwrap().id;
        self.regions[to].inbox.carry(id, carries);
    }

    pub(crate) fn is_converged(&self) -> bool {
        let vector = |r: &Region| atoll_replication::log::Log::vector(&r.log);
        self.regions
            .iter()
            .all(|r| vector(r) == vector(&self.regions[0]))
    }

    pub(crate) fn vectors(&self) -> String {
        let line = |r: &Region| format!("\n{}: {} {:?}", r.me, r.inbox.vector(), r.inbox.waiting());
        self.regions.iter().map(line).collect()
    }

    pub(crate) fn copies(&self) -> u64 {
        self.copies
    }

    pub(crate) fn wants(&self) -> u64 {
        self.wants
    }

    pub(crate) fn applied_remotely(&self) -> u64 {
        self.regions.iter().map(|r| r.applied_remotely).sum()
    }

    pub(crate) fn longest_wait(&self, region: usize) -> Duration {
        self.regions[region].waited
    }

    fn time(&self) -> Now {
        Now {
            elapsed: Duration::from_millis(self.now),
            wall_ms: 1_000_000 + self.now,
        }
    }

    fn faults(&mut self) {
        if !self.plan.faults {
            return;
        }
        let ends: Vec<_> = self.links.keys().copied().collect();
        for (from, to) in ends {
            if self.random.chance(0.003) {
                let back = self.now + self.random.within((1, 300));
                self.cut(from, to, back);
            }
        }
    }

    fn cut(&mut self, from: usize, to: usize, dial_at: u64) {
        let link = self.links.get_mut(&(from, to)).unwrap();
        link.dial_at = dial_at;
        if let Some(connection) = link.connection.take() {
            self.regions[to].inbox.close(connection.id);
        }
    }

    fn commit(&mut self, region: usize) {
        let pipelined = self.random.chance(0.5);
        let fate = if self.plan.faults && self.plan.seed % 2 == 1 && self.random.chance(0.1) {
            if self.random.chance(0.5) {
                Fate::Lost
            } else {
                Fate::CommittedUnknown
            }
        } else {
            Fate::Committed
        };
        if pipelined {
            self.regions[region].propose(self.now + 2, fate);
        }
        self.regions[region].commit_due(self.now);
        let now = Duration::from_millis(self.now);
        for (id, frame) in self.regions[region].inbox.say(now) {
            let mut links = self.links.iter_mut().filter(|((_, to), _)| *to == region);
            let (_, link) = links
                .find(|(_, l)| l.connection.as_ref().is_some_and(|c| c.id == id))
                .unwrap();
            self.wants += u64::from(matches!(frame, Upstream::Want(_)));
            // Questions and answers take the short way in these tests, but for the link's own delay.
            let at = self.now + link.latency.min(30);
            let connection = link.connection.as_mut().unwrap();
            let bytes = connection.encoder.encode(&frame);
            connection.up.put(at, bytes);
        }
    }

    /// Moves one link by one millisecond.
    fn drive(&mut self, from: usize, to: usize) {
        let time = self.time();
        let link = self.links.get_mut(&(from, to)).unwrap();
        let delay = self.now + link.latency + self.random.within((0, link.jitter));
        if link.connection.is_none() && link.dial_at <= self.now {
            self.connections += 1;
            link.connection = Some(dial(
                LinkId(self.connections),
                &self.regions[to],
                link.carries,
                link.is_quiet,
                delay,
            ));
        }
        let Some(connection) = &mut link.connection else {
            return;
        };
        while let Some(bytes) = connection.up.due(self.now) {
            connection.up_decoder.push(&bytes);
        }
        let region = &mut self.regions[from];
        while let Some(frame) = connection.up_decoder.next().unwrap() {
            match (&mut connection.source, frame) {
                (None, Upstream::Hello(hello)) => {
                    let me = Welcome {
                        store: STORE,
                        region: region.name.clone(),
                        replica: region.me,
                    };
                    let limits = SourceLimits {
                        batch_bytes: 2000,
                        scan_bytes: 4000,
                        ..SourceLimits::default()
                    };
                    connection.source = Some(Source::new(hello, me, limits).unwrap());
                }
                (Some(source), frame) => {
                    if let Some(ack) = source.on_frame(frame, time).unwrap() {
                        region.knowledge.learn(source.target(), &ack.vector);
                        region.knowledge.learn_matrix(&ack.known);
                        region.knowledge.learn_hearing(&ack.hearing);
                    }
                }
                (None, other) => panic!("{other:?} before Hello"),
            }
        }
        if let Some(source) = connection.source.as_mut().filter(|s| {
            let has_news = self.now.is_multiple_of(10);
            has_news || s.wakeup() <= time.elapsed || s.backlog(&region.log) > 0
        }) {
            while let Some(frame) = source.next(&region.log, &region.knowledge, time).unwrap() {
                if let Downstream::Batch(batch) = &frame {
                    self.copies += u64::from(batch.count);
                }
                connection
                    .down
                    .put(delay, connection.encoder.encode(&frame));
            }
        }
        while let Some(bytes) = connection.down.due(self.now) {
            connection.down_decoder.push(&bytes);
        }
        let region = &mut self.regions[to];
        while let Some(frame) = connection.down_decoder.next().unwrap() {
            let announced = match &frame {
                Downstream::Heartbeat(heartbeat) => Some(heartbeat.vector.clone()),
                Downstream::Welcome(_) | Downstream::Batch(_) | Downstream::Pong(_) => None,
            };
            self.said.push(Said {
                from,
                to,
                announced,
            });
            match frame {
                Downstream::Welcome(welcome) => {
                    let (carries, pruned) = &connection.greeted;
                    let (id, inbox) = (connection.id, &mut region.inbox);
                    inbox.open(id, welcome.replica, *carries, pruned);
                    inbox.carry(id, link.carries);
                    connection.welcomed = true;
                }
                Downstream::Batch(batch) => {
                    region
                        .inbox
                        .on_batch(connection.id, &batch, time.elapsed)
                        .unwrap();
                }
                Downstream::Heartbeat(heartbeat) => {
                    region.inbox.on_heartbeat(connection.id, &heartbeat);
                    region.knowledge.learn_matrix(&heartbeat.known);
                    region.knowledge.learn_regions(&heartbeat.regions);
                    region.knowledge.learn_hearing(&heartbeat.hearing);
                }
                Downstream::Pong(_) => {}
            }
        }
        let ack = Ack {
            vector: atoll_replication::log::Log::vector(&region.log),
            consumed_bytes: region.inbox.consumed(connection.id),
            known: Vec::new(),
            hearing: region.knowledge.hearing(),
        };
        if connection.welcomed
            && self.now.is_multiple_of(5)
            && connection.acked.as_ref() != Some(&ack)
        {
            let bytes = connection.encoder.encode(&Upstream::Ack(ack.clone()));
            connection.up.put(delay, bytes);
            connection.acked = Some(ack);
        }
    }
}

fn dial(id: LinkId, target: &Region, carries: Carries, is_quiet: bool, at: u64) -> Connection {
    let pruned = if is_quiet && carries == Carries::Everything {
        target.inbox.brought()
    } else {
        Vec::new()
    };
    let hello = Hello {
        version: u32::from(LINK_VERSION),
        store: STORE,
        region: target.name.clone(),
        replica: target.me,
        vector: target.inbox.vector().clone(),
        carries,
        credit_bytes: 5000,
        pruned: pruned.clone(),
    };
    let mut connection = Connection {
        id,
        source: None,
        up: Pipe::default(),
        down: Pipe::default(),
        up_decoder: Decoder::new(),
        down_decoder: Decoder::new(),
        encoder: Encoder::new(),
        acked: None,
        greeted: (carries, pruned),
        welcomed: false,
    };
    let bytes = connection.encoder.encode(&Upstream::Hello(hello));
    connection.up.put(at, bytes);
    connection
}
