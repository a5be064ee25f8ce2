//! One schedule being played: forms the store, torments it, lets it heal, and checks.

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use atoll_client::Network;
use atoll_store::engine::{Batch, Direction, Family};
use turmoil::Sim;

use super::administrator::{Administrator, Desk};
use super::clients::Client;
use super::departures::{Departures, Lost};
use super::end::NodeEnd;
use super::faults::Faults;
use super::history::{Asked, Shared};
use super::invariants::{acknowledged, dots, equal, linearizable, majority, once, sessions};
use super::machine::{Machine, State};
use super::network::Card;
use super::power::Power;
use super::rolling::Rolling;
use super::store::{Plan, REGIONS, address};
use super::{Played, Report};
use crate::Violation;
use crate::dice::Dice;

/// 2026-01-01.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);
const TICK: Duration = Duration::from_millis(1);
/// Within a region, and between two.
const NEAR_MS_MAX: u64 = 2;
const FAR_MS: (u64, u64) = (5, 60);
const FORMED_WITHIN: Duration = Duration::from_secs(60);
const STORM_MS: (u64, u64) = (6_000, 16_000);
/// Clients go on for a while after all has healed.
const CALM: Duration = Duration::from_secs(3);
const SETTLED_WITHIN: Duration = Duration::from_secs(90);
/// Where all clients are.
pub(super) const CLIENTS: &str = "clients";

/// A fault put into a node by hand, to see that an invariant catches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mischief {
    /// Disks say that they sync, and do not.
    LyingDisks,
    /// The same, and nobody looks at disks before the end.
    LyingDisksUnwatched,
    /// Reads that ask for the leader are answered by whoever is asked, as it stands there.
    StaleLeaders,
    /// Reads with a session are answered without waiting for what it has seen.
    StaleSessions,
    /// The last node forgets where in its log an entry is.
    LostRecord,
}

impl Mischief {
    /// The word on the command line.
    #[must_use]
    pub fn named(word: &str) -> Option<Mischief> {
        match word {
            "lying-disks" => Some(Mischief::LyingDisks),
            "lying-disks-unwatched" => Some(Mischief::LyingDisksUnwatched),
            "stale-leaders" => Some(Mischief::StaleLeaders),
            "stale-sessions" => Some(Mischief::StaleSessions),
            "lost-record" => Some(Mischief::LostRecord),
            _ => None,
        }
    }
}

/// What is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// What the seed chooses.
    Seeded,
    /// A region of three whose leaders are killed again and again, and are back before anybody misses them.
    RestartedLeader,
    /// A region of three whose leaders are cut off from their followers again and again, and not from clients.
    IsolatedLeader,
}

impl Scenario {
    /// The word on the command line.
    #[must_use]
    pub fn named(word: &str) -> Option<Scenario> {
        match word {
            "seeded" => Some(Scenario::Seeded),
            "restarted-leader" => Some(Scenario::RestartedLeader),
            "isolated-leader" => Some(Scenario::IsolatedLeader),
            _ => None,
        }
    }
}

/// What to play, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// All chances.
    pub seed: u64,
    /// What is played.
    pub scenario: Scenario,
    /// A fault put in by hand.
    pub mischief: Option<Mischief>,
    /// Whether every line is shown.
    pub is_shown: bool,
}

/// A schedule being played.
pub(super) struct Torment<'a> {
    pub(super) sim: Sim<'a>,
    pub(super) machines: Vec<Rc<Machine>>,
    pub(super) plan: Plan,
    pub(super) dice: Dice,
    pub(super) faults: Faults,
    pub(super) rolling: Rolling,
    pub(super) departures: Departures,
    /// Tells a region's clients to stop.
    pub(super) stops: Vec<Rc<Cell<bool>>>,
    pub(super) report: Report,
    pub(super) desk: Rc<Desk>,
    scenario: Scenario,
    mischief: Option<Mischief>,
    history: Shared,
    /// Machines that take themselves for leaders, in the order in which they came to.
    leading: Vec<usize>,
    stop: Rc<Cell<bool>>,
}

/// What a panic said: the runtime keeps it to itself.
static PANICKED: Mutex<Option<String>> = Mutex::new(None);

/// Plays a schedule.
pub(super) fn play(schedule: Schedule) -> Played {
    std::panic::set_hook(Box::new(|panic| {
        let mut panicked = PANICKED.lock().unwrap_or_else(PoisonError::into_inner);
        panicked.get_or_insert_with(|| panic.to_string());
    }));
    let mut dice = Dice::new(schedule.seed);
    let plan = match schedule.scenario {
        Scenario::Seeded => Plan::draw(&mut dice),
        Scenario::RestartedLeader | Scenario::IsolatedLeader => Plan::region_of_three(),
    };
    let mut torment = match Torment::new(plan, dice, schedule) {
        Ok(torment) => torment,
        Err(violation) => {
            return Played {
                report: Report::default(),
                hash: 0,
                violation: Some(violation),
            };
        }
    };
    let violation = torment.run().err();
    torment.close(violation)
}

impl<'a> Torment<'a> {
    fn new(plan: Plan, mut dice: Dice, schedule: Schedule) -> Result<Torment<'a>, Violation> {
        let sim = turmoil::Builder::new()
            .rng_seed(dice.draw())
            .epoch(SystemTime::UNIX_EPOCH + EPOCH)
            .tick_duration(TICK)
            .simulation_duration(Duration::from_secs(3600))
            .min_message_latency(Duration::ZERO)
            .max_message_latency(Duration::from_millis(NEAR_MS_MAX))
            .tcp_capacity(1024)
            .enable_random_order()
            .build();
        let lies = matches!(
            schedule.mischief,
            Some(Mischief::LyingDisks | Mischief::LyingDisksUnwatched)
        );
        let machines = plan.machines(&mut dice, lies)?;
        let history = Shared::default();
        history.borrow_mut().trace.is_shown = schedule.is_shown;
        let mut torment = Torment {
            sim,
            leading: Vec::new(),
            faults: Faults::default(),
            rolling: Rolling::default(),
            departures: Departures::default(),
            stops: REGIONS.map(|_| Rc::default()).to_vec(),
            report: Report::default(),
            scenario: schedule.scenario,
            mischief: schedule.mischief,
            desk: Rc::default(),
            stop: Rc::default(),
            machines,
            plan,
            dice,
            history,
        };
        torment.say(&format!("{:?}", torment.plan));
        for machine in torment.machines.clone() {
            torment.host(machine);
        }
        torment.set_distances();
        Ok(torment)
    }

    /// Adds a machine to the network, and switches it on.
    pub(super) fn host(&mut self, machine: Rc<Machine>) {
        let name = machine.name.clone();
        self.sim.host(name, move || Rc::clone(&machine).live());
    }

    fn set_distances(&mut self) {
        for a in 0..self.machines.len() {
            for b in 0..a {
                self.set_distance(a, b);
            }
        }
    }

    /// Puts two machines as far apart as their regions are.
    pub(super) fn set_distance(&mut self, a: usize, b: usize) {
        let (one, other) = (&self.machines[a], &self.machines[b]);
        let far = if one.region == other.region {
            Duration::from_millis(NEAR_MS_MAX)
        } else {
            let far = FAR_MS.0 + (one.region + other.region) as u64 * 20;
            Duration::from_millis(far.min(FAR_MS.1))
        };
        let (one, other) = (one.name.as_str(), other.name.as_str());
        self.sim.set_link_max_message_latency(one, other, far);
    }

    fn run(&mut self) -> Result<(), Violation> {
        self.form()?;
        self.start_clients();
        let storm = self.sim.elapsed() + self.dice.ms(STORM_MS.0, STORM_MS.1);
        while self.sim.elapsed() < storm {
            match self.scenario {
                Scenario::Seeded => self.harm()?,
                Scenario::RestartedLeader => self.kill_leaders_shortly(),
                Scenario::IsolatedLeader => self.isolate_leaders_shortly(),
            }
            self.step()?;
        }
        self.heal_all();
        self.go_on(CALM)?;
        self.settle_and_check()
    }

    /// Steps until every node serves.
    fn form(&mut self) -> Result<(), Violation> {
        let until = self.sim.elapsed() + FORMED_WITHIN;
        loop {
            self.step()?;
            let mut formed = self.machines.iter().filter(|m| !m.is_waiting());
            if formed.all(|m| m.node().is_some_and(|node| node.readiness().ready)) {
                self.say("formed");
                return Ok(());
            }
            if self.sim.elapsed() > until {
                return Err(Violation::broken("the store was not formed"));
            }
        }
    }

    fn start_clients(&mut self) {
        let mut clients = Vec::new();
        let each = 2 + self.dice.index(3);
        let keys = self.dice.between(2, 6);
        for (region, name) in REGIONS.iter().enumerate().take(self.plan.regions) {
            let nodes = self.machines.iter().filter(|m| m.region == region);
            let servers: Vec<String> = nodes.map(|machine| address(&machine.name)).collect();
            for _ in 0..each {
                clients.push(Client {
                    number: clients.len() + 1,
                    region,
                    region_name: (*name).to_owned(),
                    servers: servers.clone(),
                    keys,
                    mischief: self.mischief,
                    network: Network::Other(Arc::new(Card(Power::on()))),
                    dice: Dice::new(self.dice.draw()),
                    history: Rc::clone(&self.history),
                    stop: Rc::clone(&self.stops[region]),
                });
            }
        }
        let administrator = Administrator {
            desk: Rc::clone(&self.desk),
            network: Network::Other(Arc::new(Card(Power::on()))),
            dice: Dice::new(self.dice.draw()),
            history: Rc::clone(&self.history),
            stop: Rc::clone(&self.stop),
        };
        let people = RefCell::new(Some((clients, administrator)));
        self.sim.host(CLIENTS, move || {
            let people = people.take();
            async move {
                let Some((clients, administrator)) = people else {
                    return Ok(());
                };
                let clients = clients.into_iter().map(Client::run);
                let mut running: Vec<_> = clients.map(tokio::task::spawn_local).collect();
                running.push(tokio::task::spawn_local(administrator.run()));
                for client in running {
                    client.await?;
                }
                Ok(())
            }
        });
    }

    /// A millisecond passes.
    fn step(&mut self) -> Result<(), Violation> {
        let stepped = self.sim.step();
        self.history.borrow_mut().trace.at = self.sim.elapsed();
        if let Some(panic) = PANICKED
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            return Err(Violation::new("no-panics", panic));
        }
        stepped.map_err(Violation::broken)?;
        self.check_acknowledged()?;
        for place in 0..self.machines.len() {
            if self.machines[place].is_dying() {
                self.report.kills_at_writes += 1;
                self.kill(place);
            }
            if let Some(why) = self.machines[place].gave_up() {
                let name = &self.machines[place].name;
                return Err(Violation::broken(format!("{name} gave up: {why}")));
            }
        }
        self.watch_leaders();
        self.watch_departures();
        self.take_note();
        self.end_what_is_over();
        self.roll_on();
        Ok(())
    }

    fn go_on(&mut self, time: Duration) -> Result<(), Violation> {
        let until = self.sim.elapsed() + time;
        while self.sim.elapsed() < until {
            self.step()?;
        }
        Ok(())
    }

    fn check_acknowledged(&mut self) -> Result<(), Violation> {
        let fresh = std::mem::take(&mut self.history.borrow_mut().fresh);
        if self.mischief == Some(Mischief::LyingDisksUnwatched) {
            return Ok(());
        }
        let history = self.history.borrow();
        for place in fresh {
            let operation = &history.operations[place];
            let Some(key) = &operation.idempotency_key else {
                continue;
            };
            // One node of more may have been removed, and none of fewer ever is.
            majority::check(&self.machines, operation.region, self.plan.nodes, key)?;
        }
        Ok(())
    }

    fn watch_leaders(&mut self) {
        for place in 0..self.machines.len() {
            let leads = self.machines[place].leads();
            if leads == self.leading.contains(&place) {
                continue;
            }
            let name = &self.machines[place].name;
            if leads {
                self.say(&format!("{name} leads"));
                self.report.leaders += 1;
                self.leading.push(place);
            } else {
                self.say(&format!("{name} leads no more"));
                self.leading.retain(|leading| *leading != place);
            }
        }
    }

    /// The machine of the region that came last to take itself for its leader, and still does.
    pub(super) fn leader(&self, region: usize) -> Option<usize> {
        let is_there = |place: &&usize| self.machines[**place].region == region;
        self.leading.iter().rev().find(is_there).copied()
    }

    /// Clients stop, and everything comes to rest; then all invariants are checked.
    fn settle_and_check(&mut self) -> Result<(), Violation> {
        self.come_and_go_at_last()?;
        self.stop.set(true);
        for stop in &self.stops {
            stop.set(true);
        }
        let until = self.sim.elapsed() + SETTLED_WITHIN;
        while self.sim.is_host_running(CLIENTS) || !self.is_quiet() {
            self.go_on(Duration::from_millis(20))?;
            if self.sim.elapsed() > until {
                return Err(Violation::new("comes-to-rest", self.restless()));
            }
        }
        // The last commit is known to all followers, and applied, a heartbeat later.
        self.go_on(Duration::from_secs(2))?;
        self.say("at rest");
        self.spoil()?;
        let mut ends = Vec::new();
        let there = self.machines.iter().filter(|machine| !machine.is_gone());
        for (nth, machine) in there.enumerate() {
            let node = machine
                .node()
                .ok_or_else(|| Violation::broken("a node is gone"))?;
            ends.push(NodeEnd::read(machine, &node, nth)?);
        }
        let history = self.history.borrow();
        let lost = ends.first().map(|end| Lost::of(&end.shown.catalog));
        let lost = lost.unwrap_or_default();
        acknowledged::check(&history, &ends, &lost)?;
        dots::check(&history, &ends)?;
        once::check(&ends)?;
        equal::check(&ends)?;
        sessions::check(&history, &ends, &lost)?;
        linearizable::check(&history)
    }

    /// Takes a record from the last node's disk, where a test wants that.
    fn spoil(&self) -> Result<(), Violation> {
        let last = self.machines.iter().rfind(|machine| !machine.is_gone());
        let (Some(Mischief::LostRecord), Some(machine)) = (self.mischief, last) else {
            return Ok(());
        };
        let (disk, mut batch) = (machine.disk(), Batch::new());
        disk.scan_prefix(Family::Log, b"", Direction::Forward, &mut |key, _| {
            batch.delete(Family::Log, key);
            ControlFlow::Break(())
        })?;
        Ok(disk.commit(&batch)?)
    }

    /// A region that was to join and never came to it, does now, and what leaves is let go.
    fn come_and_go_at_last(&mut self) -> Result<(), Violation> {
        let until = self.sim.elapsed() + SETTLED_WITHIN;
        let waits = |torment: &Self| torment.machines.iter().any(|m| m.is_waiting());
        while waits(self) || !self.is_settled() {
            if waits(self) && self.desk.is_idle() {
                self.change_topology();
            }
            self.go_on_with_departures();
            self.go_on(Duration::from_millis(100))?;
            if self.sim.elapsed() > until {
                return Err(Violation::new("comes-to-rest", self.restless()));
            }
        }
        Ok(())
    }

    fn is_quiet(&self) -> bool {
        let there = || self.machines.iter().filter(|machine| !machine.is_gone());
        let nodes: Vec<_> = there().filter_map(|machine| machine.node()).collect();
        let all_are_up = there().all(|m| m.state() == State::Up);
        let vectors_agree = nodes.windows(2).all(|n| n[0].vector() == n[1].vector());
        all_are_up
            && self.rolling.is_over()
            && self.is_settled()
            && nodes.len() == there().count()
            && nodes.iter().all(|node| node.readiness().ready)
            && self.desk.is_idle()
            && vectors_agree
            && self
                .present()
                .into_iter()
                .all(|region| self.leader(region).is_some())
    }

    fn restless(&self) -> String {
        let line = |machine: &Rc<Machine>| {
            let vector = machine.node().map(|node| node.vector().to_string());
            let (name, state, leads) = (&machine.name, machine.state(), machine.leads());
            format!("\n  {name} {state:?}, leads: {leads}, {vector:?}")
        };
        let lines: String = self.machines.iter().map(line).collect();
        format!("after {SETTLED_WITHIN:?} without faults:{lines}")
    }

    pub(super) fn say(&self, line: &str) {
        let mut history = self.history.borrow_mut();
        history.trace.at = self.sim.elapsed();
        history.trace.say(line);
    }

    fn close(mut self, violation: Option<Violation>) -> Played {
        let mut history = self.history.borrow_mut();
        for machine in &self.machines {
            if let Some(node) = machine.node() {
                let vector = node.vector().to_string();
                history.trace.mix(vector.as_bytes());
            }
        }
        let operations = &history.operations;
        let is_write = |asked: &Asked| matches!(asked, Asked::Write { .. });
        let answered = operations.iter().filter(|o| o.ended.is_some());
        let acknowledged = answered.filter(|o| is_write(&o.asked)).count() as u64;
        let unknown = operations.iter().filter(|o| o.ended.is_none()).count() as u64;
        let simulated = self.sim.elapsed().as_millis();
        self.report = Report {
            schedules: 1,
            simulated_ms: u64::try_from(simulated).unwrap_or(u64::MAX),
            operations: operations.len() as u64,
            acknowledged,
            unknown,
            retries: history.attempts,
            ..self.report
        };
        let hash = history.trace.hash();
        Played {
            report: self.report,
            hash,
            violation,
        }
    }
}
