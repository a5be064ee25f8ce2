//! What goes wrong in a schedule, when, and until when.

use std::collections::BTreeSet;
use std::time::Duration;

use super::machine::State;
use super::torment::{CLIENTS, Torment};
use crate::Violation;

/// Between two faults.
const PAUSE_MS: (u64, u64) = (100, 1500);
/// Between two kills of leaders.
const SHORTLY_MS: (u64, u64) = (100, 800);

/// Faults that are there, and when the next comes.
#[derive(Default)]
pub(super) struct Faults {
    next: Duration,
    /// In order of coming.
    ends: Vec<(Duration, End)>,
    /// Ways between two machines that are not as they were.
    harmed: BTreeSet<Way>,
    /// Regions of which a disk was lost: their nodes are changed no more, as no administrator would.
    pub(super) bereft: BTreeSet<usize>,
}

/// Between two machines, by name, in order.
type Way = (String, String);

/// The end of a fault.
enum End {
    /// A machine is switched on again.
    Start(usize),
    /// Ways are whole again.
    Repair(Vec<Way>),
}

/// What a way does to what is sent.
#[derive(Debug, Clone, Copy)]
enum Harm {
    /// Loses it.
    Cut,
    /// Loses it in one direction.
    CutThere,
    CutBack,
    /// Keeps it until the end.
    Hold,
    /// Takes so many milliseconds.
    Slow(u64),
}

impl Torment<'_> {
    /// Begins a fault when it is time.
    pub(super) fn harm(&mut self) -> Result<(), Violation> {
        if !self.is_time(PAUSE_MS) {
            return Ok(());
        }
        match self.dice.below(18) {
            0 => self.kill_someone(),
            1 | 2 => self.kill_a_leader(),
            3 => self.kill_at_a_write(),
            4 => self.stop_someone(),
            5 | 6 => self.isolate_a_leader(),
            7 => self.harm_one_way(),
            8 | 9 => self.harm_two_regions(),
            10 => self.slow_one_way(),
            11 => self.lose_a_disk(),
            12 => self.change_topology(),
            13 | 14 => self.change_nodes()?,
            15 => self.roll(),
            _ => self.region_leaves(),
        }
        Ok(())
    }

    /// Kills leaders that are back before anybody misses them.
    pub(super) fn kill_leaders_shortly(&mut self) {
        if self.is_time(SHORTLY_MS) {
            self.kill_a_leader();
        }
    }

    /// Cuts leaders off, one after the other.
    pub(super) fn isolate_leaders_shortly(&mut self) {
        // One at a time: of three, two that are cut off leave no majority, and nothing new to be missed.
        if self.is_time(SHORTLY_MS) && self.faults.harmed.is_empty() {
            self.isolate_a_leader();
        }
    }

    fn is_time(&mut self, pause_ms: (u64, u64)) -> bool {
        let now = self.sim.elapsed();
        let is_time = now >= self.faults.next;
        if is_time {
            self.faults.next = now + self.dice.ms(pause_ms.0, pause_ms.1);
        }
        is_time
    }

    /// Ends the faults whose time is over.
    pub(super) fn end_what_is_over(&mut self) {
        let now = self.sim.elapsed();
        let (over, going): (Vec<_>, Vec<_>) = std::mem::take(&mut self.faults.ends)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.faults.ends = going;
        for (_, end) in over {
            self.end(end);
        }
    }

    fn kill_someone(&mut self) {
        let place = self.dice.index(self.machines.len());
        if self.machines[place].is_up() {
            self.kill(place);
        }
    }

    fn kill_a_leader(&mut self) {
        let region = self.dice.index(self.plan.regions);
        if let Some(place) = self.leader(region) {
            self.kill(place);
        }
    }

    fn kill_at_a_write(&mut self) {
        let place = self.dice.index(self.machines.len());
        let writes = self.dice.below(30);
        self.say(&format!(
            "{} dies after {writes} writes",
            self.machines[place].name
        ));
        self.machines[place].cut_power_after(writes);
    }

    /// The machine stops at once, with what it had not synced lost as far as chance has it.
    pub(super) fn kill(&mut self, place: usize) {
        let machine = &self.machines[place];
        let torn = match self.dice.below(3) {
            0 => 0,
            1 => machine.unsynced(),
            _ => self.dice.index(machine.unsynced() + 1),
        };
        machine.cut_power();
        self.sim.crash(machine.name.as_str());
        machine.killed(torn);
        self.report.kills += 1;
        // Back before its followers call an election, or after.
        let away = if self.dice.one_in(3) {
            self.dice.ms(10, 200)
        } else {
            self.dice.ms(50, 4000)
        };
        self.say(&format!(
            "{} is killed, {torn} appends lost",
            self.machines[place].name
        ));
        self.at_end(away, End::Start(place));
    }

    /// The machine is none of the store's any more.
    pub(super) fn remove(&mut self, place: usize) {
        let machine = &self.machines[place];
        machine.cut_power();
        self.sim.crash(machine.name.as_str());
        machine.leave();
    }

    fn stop_someone(&mut self) {
        let place = self.dice.index(self.machines.len());
        if !self.machines[place].is_up() || self.machines[place].node().is_none() {
            return;
        }
        let away = self.dice.ms(500, 5000);
        self.stop_for(place, away);
    }

    /// The machine's node stops in order, and starts again after a while.
    pub(super) fn stop_for(&mut self, place: usize, away: Duration) {
        self.say(&format!("{} is stopped", self.machines[place].name));
        self.report.faults += 1;
        self.machines[place].stop();
        self.at_end(away, End::Start(place));
    }

    fn isolate_a_leader(&mut self) {
        let region = self.dice.index(self.plan.regions);
        let Some(leader) = self.leader(region) else {
            return;
        };
        let harm = self.harm_drawn();
        let others = (0..self.machines.len())
            .filter(|&place| place != leader && self.machines[place].region == region);
        let ways: Vec<Way> = others.map(|place| self.way(leader, place)).collect();
        self.harm_ways(ways, harm);
    }

    fn harm_one_way(&mut self) {
        let a = self.dice.index(self.machines.len());
        let b = self.dice.index(self.machines.len() + 1);
        if a == b {
            return;
        }
        let harm = self.harm_drawn();
        let way = if b == self.machines.len() {
            (CLIENTS.to_owned(), self.machines[a].name.clone())
        } else {
            self.way(a, b)
        };
        self.harm_ways(vec![way], harm);
    }

    fn slow_one_way(&mut self) {
        let a = self.dice.index(self.machines.len());
        let b = self.dice.index(self.machines.len());
        if a != b {
            let slow = Harm::Slow(self.dice.between(20, 600));
            let way = self.way(a, b);
            self.harm_ways(vec![way], slow);
        }
    }

    fn harm_two_regions(&mut self) {
        let (a, b) = (
            self.dice.index(self.plan.regions),
            self.dice.index(self.plan.regions),
        );
        if a == b {
            return;
        }
        let harm = self.harm_drawn();
        let mut ways = Vec::new();
        for one in 0..self.machines.len() {
            for other in 0..self.machines.len() {
                if self.machines[one].region == a && self.machines[other].region == b {
                    ways.push(self.way(one, other));
                }
            }
        }
        self.harm_ways(ways, harm);
    }

    fn harm_drawn(&mut self) -> Harm {
        match self.dice.below(6) {
            0..3 => Harm::Cut,
            3 => Harm::Hold,
            4 => Harm::CutThere,
            _ => Harm::CutBack,
        }
    }

    /// A machine of a region of three, whose other two run, comes back with an empty disk.
    fn lose_a_disk(&mut self) {
        let place = self.dice.index(self.machines.len());
        let region = self.machines[place].region;
        let mut others = self.machines.iter().filter(|m| m.region == region);
        let all_are_up = others.all(|machine| machine.is_up() && machine.node().is_some());
        if self.plan.nodes < 3 || !all_are_up || !self.faults.bereft.insert(region) {
            return;
        }
        self.kill(place);
        self.machines[place].lose_disk();
        self.say(&format!("{} has lost its disk", self.machines[place].name));
    }

    fn way(&self, a: usize, b: usize) -> Way {
        let (a, b) = (&self.machines[a].name, &self.machines[b].name);
        if a < b {
            (a.clone(), b.clone())
        } else {
            (b.clone(), a.clone())
        }
    }

    fn harm_ways(&mut self, ways: Vec<Way>, harm: Harm) {
        let is_whole = |way: &Way| !self.faults.harmed.contains(way);
        let ways: Vec<Way> = ways.into_iter().filter(is_whole).collect();
        if ways.is_empty() {
            return;
        }
        self.say(&format!("{harm:?} {ways:?}"));
        self.report.faults += 1;
        for (a, b) in &ways {
            let (a, b) = (a.as_str(), b.as_str());
            match harm {
                Harm::Cut => self.sim.partition(a, b),
                Harm::CutThere => self.sim.partition_oneway(a, b),
                Harm::CutBack => self.sim.partition_oneway(b, a),
                Harm::Hold => self.sim.hold(a, b),
                Harm::Slow(ms) => {
                    let slow = Duration::from_millis(ms);
                    self.sim.set_link_max_message_latency(a, b, slow);
                }
            }
            self.faults.harmed.insert((a.to_owned(), b.to_owned()));
        }
        let lasting = self.dice.ms(200, 6000);
        self.at_end(lasting, End::Repair(ways));
    }

    fn at_end(&mut self, after: Duration, end: End) {
        let at = self.sim.elapsed() + after;
        self.faults.ends.push((at, end));
    }

    fn end(&mut self, end: End) {
        match end {
            End::Start(place) => match self.machines[place].state() {
                State::Up if self.machines[place].node().is_some() => {
                    // It was asked to stop and takes its time, or was started by another fault's end.
                    if self.sim.is_host_running(self.machines[place].name.as_str()) {
                        self.at_end(Duration::from_millis(500), End::Start(place));
                    }
                }
                State::Up | State::Waiting | State::Gone => {}
                State::Down | State::Stopped => {
                    self.say(&format!("{} starts", self.machines[place].name));
                    self.sim.bounce(self.machines[place].name.as_str());
                }
            },
            End::Repair(ways) => self.repair(&ways),
        }
    }

    fn repair(&mut self, ways: &[Way]) {
        self.say(&format!("whole again: {ways:?}"));
        for way in ways {
            let (a, b) = (way.0.as_str(), way.1.as_str());
            self.sim.release(a, b);
            self.sim.repair(a, b);
            self.faults.harmed.remove(way);
            let place = |name: &str| self.machines.iter().position(|m| m.name == name);
            if let (Some(a), Some(b)) = (place(a), place(b)) {
                self.set_distance(a, b);
            }
        }
    }

    /// Everything is as it was: ways whole, machines on.
    pub(super) fn heal_all(&mut self) {
        self.say("everything heals");
        let mut ends = std::mem::take(&mut self.faults.ends);
        ends.sort_by_key(|(at, _)| *at);
        for (_, end) in ends {
            self.end(end);
        }
        for place in 0..self.machines.len() {
            self.machines[place].cut_power_after(u64::MAX);
        }
    }
}
