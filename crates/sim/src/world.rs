//! A schedule being played: regions, links and clients in virtual time.
//!
//! ```text
//!  clients ──ask──▶ place ──append, sync, apply──▶ disk        commits.rs, node.rs
//!     ▲               │ ▲
//!   answers     links │ │ batches, heartbeats                  links.rs, sources.rs, tending.rs
//!                     ▼ │
//!                   places        faults break all of it       faults.rs
//! ```
//!
//! One thread, one queue of events, one pair of dice: a seed gives the same schedule every time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use atoll_core::{
    CollectionSpec, Dot, RegionName, ReplicaId, StoreId, Timestamp, VersionVector, wire,
};
use atoll_replication::Now;
use atoll_replication::frame::Encoder;
use atoll_replication::topology::Topology;
use atoll_store::engine::MemoryEngine;
use atoll_store::{Arrival, Command, Identity, Region, query};

use crate::book::{Book, KeyName};
use crate::clients::Client;
use crate::clock::WallClock;
use crate::dice::Dice;
use crate::events::{Event, Life, Timeline};
use crate::healing::Healing;
use crate::invariants::causal_order::Order;
use crate::invariants::copies::Copies;
use crate::invariants::no_resurrection::Gone;
use crate::invariants::removed_is_over::Removed;
use crate::invariants::{Violation, hlc, no_dot_reused, no_loss, one_application, stability};
use crate::links::{Connection, Link};
use crate::mischief::Mischief;
use crate::node::{Asked, Node};
use crate::reach::Reach;
use crate::schedule::Schedule;
use crate::{Report, Trace};

pub(crate) const STORE: StoreId = StoreId(0x00A7_0110);

/// A schedule being played.
pub(crate) struct World {
    pub(crate) time: Timeline,
    pub(crate) dice: Dice,
    pub(crate) schedule: Schedule,
    pub(crate) places: Vec<Place>,
    pub(crate) links: Vec<Link>,
    pub(crate) connections: Vec<Connection>,
    pub(crate) clients: Vec<Client>,
    pub(crate) reach: Reach,
    /// From when on there must be a way, unless something changes in who reaches whom.
    pub(crate) ways_from: Duration,
    pub(crate) book: Book,
    pub(crate) report: Report,
    /// Nothing goes wrong any more.
    pub(crate) is_calm: bool,
    /// The collections as declared last.
    pub(crate) declared: Vec<CollectionSpec>,
    /// Ledger rows before this may be gone somewhere.
    pub(crate) trimmed: Timestamp,
    pub(crate) encoder: Encoder,
    /// Makes the values of writes unlike each other.
    pub(crate) changes: u64,
    trace: Option<Box<Trace>>,
    #[cfg(test)]
    pub(crate) mischief: Option<Mischief>,
    #[cfg(test)]
    pub(crate) only: Option<&'static str>,
}

/// Where a region is: what stays when its process ends, and the process.
pub(crate) struct Place {
    pub(crate) region: RegionName,
    /// The topology that it goes by until its log has one with it.
    pub(crate) configured: Topology,
    /// It was not there from the beginning.
    pub(crate) joins: bool,
    /// It is retired and stopped, or dead for good.
    pub(crate) has_left: bool,
    /// It is dead for good.
    pub(crate) has_died: bool,
    /// How many of its entries those held that were left when another died after it.
    pub(crate) spared: u64,
    pub(crate) replica: ReplicaId,
    pub(crate) clock: WallClock,
    pub(crate) disk: Arc<MemoryEngine>,
    pub(crate) node: Option<Node>,
    pub(crate) life: Life,
    pub(crate) is_paused: bool,
    /// It is not started again until everything is well.
    pub(crate) stays_down: bool,
    /// What came up during a pause.
    pub(crate) put_off: Vec<Event>,
    pub(crate) order: Order,
    pub(crate) gone: Gone,
    pub(crate) removed: Removed,
    pub(crate) copies: Copies,
    /// It was told to forget idempotency keys of entries before this.
    pub(crate) forgotten: Timestamp,
    /// What it took for stable before the group that it applies now.
    pub(crate) stable: VersionVector,
}

impl Place {
    /// Whether a client would be answered.
    pub(crate) fn serves(&self) -> bool {
        self.node.is_some() && !self.is_paused
    }
}

impl World {
    /// Regions with empty disks, linked as declared.
    pub(crate) fn new(seed: u64, trace: Option<Box<Trace>>) -> Result<Self, Violation> {
        let mut dice = Dice::new(seed);
        let schedule = Schedule::draw(&mut dice);
        let count = schedule.regions.len();
        let clients = (0..schedule.clients).map(|_| Client::new(dice.index(count)));
        let mut world = World {
            time: Timeline::default(),
            places: Vec::with_capacity(count),
            links: Vec::new(),
            connections: Vec::new(),
            clients: clients.collect(),
            reach: Reach::new(count),
            ways_from: Duration::MAX,
            book: Book::default(),
            report: Report::default(),
            is_calm: schedule.is_steady,
            declared: schedule.collections.clone(),
            trimmed: Timestamp(0),
            encoder: Encoder::new(),
            changes: 0,
            trace,
            dice,
            schedule,
            #[cfg(test)]
            mischief: None,
            #[cfg(test)]
            only: None,
        };
        for place in 0..count {
            let region = world.schedule.regions[place].clone();
            let topology = world.schedule.topology.clone();
            let clock = world.schedule.clocks[place];
            world.add_place(region, topology, clock, false)?;
        }
        Ok(world)
    }

    /// A region with an empty disk, not started yet.
    pub(crate) fn add_place(
        &mut self,
        region: RegionName,
        configured: Topology,
        clock: WallClock,
        joins: bool,
    ) -> Result<usize, Violation> {
        let identity = Identity {
            store: STORE,
            region,
            replica: ReplicaId(self.dice.draw().max(1)),
        };
        let disk = Arc::new(MemoryEngine::new());
        Region::form(&*disk, &identity)?;
        self.places.push(Place {
            region: identity.region,
            configured,
            joins,
            has_left: false,
            has_died: false,
            spared: u64::MAX,
            replica: identity.replica,
            clock,
            disk,
            node: None,
            life: 0,
            is_paused: false,
            stays_down: false,
            put_off: Vec::new(),
            order: Order::default(),
            gone: Gone::default(),
            removed: Removed::default(),
            copies: Copies::default(),
            forgotten: Timestamp(0),
            stable: VersionVector::new(),
        });
        Ok(self.places.len() - 1)
    }

    pub(crate) fn happen(&mut self, event: Event) -> Result<(), Violation> {
        if let Some((place, life)) = event.runs_in() {
            let place = &mut self.places[place];
            if place.life != life {
                return Ok(()); // of a process that is gone
            }
            if place.is_paused {
                place.put_off.push(event);
                return Ok(());
            }
        }
        match event {
            Event::Act(client) => self.act(client),
            Event::GiveUp(client, number) => {
                self.give_up(client, number);
                Ok(())
            }
            Event::Append(place, _) => self.append(place),
            Event::Sync(place, _) => self.sync(place),
            Event::Apply(place, _) => self.apply(place),
            Event::Tend(place, _) => self.tend(place),
            Event::Dial(link, wants) => {
                self.dial(link, wants);
                Ok(())
            }
            Event::Arrive(connection, end) => self.arrive(connection, end),
            Event::Pump(connection) => self.pump_planned(connection),
            Event::Lost(connection, end) => {
                self.lost(connection, end);
                Ok(())
            }
            Event::Fault => self.fault(),
            Event::Start(place) => self.start(place),
            Event::Resume(place) => {
                self.resume(place);
                Ok(())
            }
            Event::Heal(a, b) => {
                self.heal(a, b);
                Ok(())
            }
            Event::SpeedUp(from, to) => {
                self.reach.speed_up(from, to);
                self.disturb();
                Ok(())
            }
            Event::Look => self.look_for_ways(),
            Event::Operate => self.operate(),
        }
    }

    /// Starts a region on what its disk holds.
    pub(crate) fn start(&mut self, place: usize) -> Result<(), Violation> {
        let here = &self.places[place];
        if here.node.is_some() || here.stays_down || here.has_left {
            return Ok(());
        }
        let limits = self.schedule.inbox.clone();
        let disk = Arc::clone(&self.places[place].disk);
        let healing = Healing::new(
            &self.places[place].region,
            self.places[place].configured.clone(),
            self.schedule.failover_after,
            self.dice.draw(),
            self.time.now(),
        );
        let (node, groups) = Node::start(&disk, limits, healing, &mut self.dice)?;
        self.places[place].life += 1;
        self.places[place].node = Some(node);
        self.trace(|_| format!("r{place} starts, applying {} groups again", groups.len()));
        let mut touched = BTreeSet::new();
        for group in &groups {
            self.note(place, &group.arrivals, &mut touched)?;
        }
        self.check_restart(place)?;
        let now = self.timestamp(place);
        let announce = if self.places[place].joins {
            Command::Join { now }
        } else {
            Command::Announce { now }
        };
        let configure = Command::Configure {
            collections: self.declared.clone(),
        };
        self.ask(place, Asked::Command(announce));
        self.ask(place, Asked::Command(configure));
        let (life, tend_ms) = (self.places[place].life, self.schedule.tend_ms);
        self.time
            .after(self.dice.ms(0, tend_ms), Event::Tend(place, life));
        self.disturb();
        self.supervise(place);
        self.retry_clients(place)
    }

    fn check_restart(&self, place: usize) -> Result<(), Violation> {
        let (was, node) = (&self.places[place], &self.places[place].node);
        let Some(node) = node else { return Ok(()) };
        let vector = &node.region.applied().vector;
        if vector != was.order.applied() {
            let what = format!("{}: it has {vector}", was.order.applied());
            return self.found(no_loss::shrunk(place, what));
        }
        let keys: Vec<KeyName> = was.gone.keys().cloned().collect();
        self.check_gone(place, &keys)
    }

    /// Takes down what a region applied, and the keys that it touched.
    pub(crate) fn note(
        &mut self,
        place: usize,
        arrivals: &[Arrival],
        touched: &mut BTreeSet<KeyName>,
    ) -> Result<(), Violation> {
        for arrival in arrivals {
            let known = no_dot_reused::check(place, arrival, &self.book);
            known.or_else(|violation| self.found(violation))?;
            let entry = match self.book.original(arrival.dot) {
                Some(original) => Arc::clone(&original.entry),
                None => {
                    let entry = wire::decode_entry(&arrival.frame).map_err(Violation::broken)?;
                    let entry = self.book.add(entry, arrival);
                    let checked = hlc::check(&entry, &self.book);
                    checked.or_else(|violation| self.found(violation))?;
                    self.check_retired(place, &entry)?;
                    let forgotten = self.places[place].forgotten;
                    let checked =
                        one_application::check_written(place, &entry, forgotten, &self.book);
                    checked.or_else(|violation| self.found(violation))?;
                    entry
                }
            };
            let order = &mut self.places[place].order;
            let is_new = !order.applied().covers(arrival.dot);
            let arrived = order.arrived(place, arrival.index, arrival.dot, &self.book);
            arrived.or_else(|violation| self.found(violation))?;
            if is_new {
                let stable = &self.places[place].stable;
                let checked = stability::check_arrival(place, stable, &entry);
                checked.or_else(|violation| self.found(violation))?;
                let removed = &mut self.places[place].removed;
                let checked = removed.arrived(place, arrival, &entry);
                checked.or_else(|violation| self.found(violation))?;
            }
            self.places[place].gone.applied(&entry, touched);
        }
        Ok(())
    }

    /// Looks for what was taken away in the keys that a group touched.
    pub(crate) fn check_gone<'k>(
        &self,
        place: usize,
        keys: impl IntoIterator<Item = &'k KeyName>,
    ) -> Result<(), Violation> {
        let here = &self.places[place];
        for key in keys {
            let slots = query::slots(&*here.disk, &key.0, &key.1)?;
            let checked = here.gone.check(place, key, &slots);
            checked.or_else(|violation| self.found(violation))?;
        }
        Ok(())
    }

    /// What a region's clocks show.
    pub(crate) fn now_at(&self, place: usize) -> Now {
        let elapsed = self.time.now();
        Now {
            elapsed,
            wall_ms: self.places[place].clock.read(elapsed),
        }
    }

    /// The time that a region would propose.
    pub(crate) fn timestamp(&self, place: usize) -> Timestamp {
        Timestamp::from_millis(self.now_at(place).wall_ms)
    }

    /// All replica ids.
    pub(crate) fn members(&self) -> Vec<ReplicaId> {
        self.places.iter().map(|place| place.replica).collect()
    }

    /// Says what happens, to whoever listens.
    pub(crate) fn trace(&mut self, what: impl FnOnce(&Self) -> String) {
        if self.trace.is_none() {
            return;
        }
        let (now, what) = (self.time.now(), what(self));
        if let Some(trace) = &mut self.trace {
            trace(&format!("{:>10.3} ms  {what}", now.as_secs_f64() * 1000.0));
        }
    }

    /// A dot in the name of its region.
    pub(crate) fn dot(&self, dot: Dot) -> String {
        let place = self.places.iter().position(|p| p.replica == dot.replica);
        place.map_or_else(|| dot.to_string(), |place| format!("r{place}:{}", dot.seq))
    }

    /// A vector in the names of regions.
    pub(crate) fn shown(&self, vector: &VersionVector) -> String {
        let seqs = self
            .places
            .iter()
            .map(|p| vector.get(p.replica).to_string());
        seqs.collect::<Vec<_>>().join(".")
    }

    /// Whether a fault was put in by hand.
    #[cfg(test)]
    pub(crate) fn does(&self, mischief: Mischief) -> bool {
        self.mischief == Some(mischief)
    }

    /// Whether a fault was put in by hand.
    #[cfg(not(test))]
    #[allow(clippy::unused_self, reason = "only tests put faults in")]
    pub(crate) fn does(&self, _: Mischief) -> bool {
        false
    }

    /// A violation was found; a test may look for another one only.
    pub(crate) fn found(&self, violation: Violation) -> Result<(), Violation> {
        #[cfg(test)]
        if self.only.is_some_and(|only| only != violation.invariant) {
            return Ok(());
        }
        let _ = self;
        Err(violation)
    }
}
