//! Things that go wrong, and their end.

use std::sync::Arc;
use std::time::Duration;

use atoll_core::Timestamp;
use atoll_store::Command;
use atoll_store::engine::MemoryEngine;

use crate::events::Event;
use crate::invariants::Violation;
use crate::mischief::Mischief;
use crate::node::Asked;
use crate::schedule::{self, FaultKind};
use crate::world::World;

/// Longest that something stays broken, in milliseconds.
const BROKEN_MS: [u64; 3] = [20, 150, 600];

impl World {
    pub(crate) fn plan_fault(&mut self) {
        if !self.schedule.faults.is_empty() {
            let delay = self.dice.ms(0, self.schedule.fault_every_ms);
            self.time.after(delay, Event::Fault);
        }
    }

    /// Something goes wrong.
    pub(crate) fn fault(&mut self) -> Result<(), Violation> {
        self.plan_fault();
        if self.is_calm {
            return Ok(());
        }
        let kind = *self.dice.pick(&self.schedule.faults);
        let count = self.places.len();
        let place = self.dice.index(count);
        let other = (place + 1 + self.dice.index(count - 1)) % count;
        let most = *self.dice.pick(&BROKEN_MS);
        let until = self.dice.ms(1, most);
        match kind {
            FaultKind::DropStream => self.drop_stream(),
            FaultKind::PartitionPair => self.part(place, &[other], until),
            FaultKind::PartitionRegion => {
                let others: Vec<usize> = (0..count).filter(|p| *p != place).collect();
                self.part(place, &others, until);
            }
            FaultKind::Pause => self.pause(place, until),
            FaultKind::Crash => self.crash(place, until)?,
            FaultKind::Restart => self.stop(place, until)?,
            FaultKind::ClockJump => {
                self.trace(|_| format!("the clock of r{place} jumps"));
                self.places[place].clock.jump(&mut self.dice);
            }
            FaultKind::SlowLink => {
                self.trace(|_| format!("r{place} to r{other} is slow"));
                self.reach.slow_down(place, other);
                self.time.after(until, Event::SpeedUp(place, other));
            }
            FaultKind::Redeclare => self.redeclare(),
            FaultKind::Relink => self.relink(),
            FaultKind::Trim => self.trim(place),
            // These happen where messages arrive and where proposals are made.
            FaultKind::Duplicate | FaultKind::FailProposals => {}
        }
        self.report.faults += 1;
        Ok(())
    }

    fn drop_stream(&mut self) {
        let live = self.live_connections();
        if !live.is_empty() {
            let connection = *self.dice.pick(&live);
            self.trace(|_| format!("connection {connection} breaks"));
            self.cut(connection, false);
        }
    }

    fn part(&mut self, place: usize, others: &[usize], until: Duration) {
        self.trace(|_| format!("r{place} does not reach {others:?}"));
        for &other in others {
            self.reach.part(place, other);
            self.time.after(until, Event::Heal(place, other));
        }
        // Streams break, or stand still and go on.
        if self.dice.one_in(2) {
            self.cut_all(place, false);
        }
    }

    pub(crate) fn heal(&mut self, a: usize, b: usize) {
        self.reach.join(a, b);
        if self.reach.is_open(a, b) {
            self.trace(|_| format!("r{a} and r{b} reach each other"));
            self.let_through(a);
        }
    }

    fn pause(&mut self, place: usize, until: Duration) {
        if self.places[place].serves() {
            self.trace(|_| format!("r{place} stands still"));
            self.places[place].is_paused = true;
            self.time.after(until, Event::Resume(place));
        }
    }

    pub(crate) fn resume(&mut self, place: usize) {
        let here = &mut self.places[place];
        if !here.is_paused {
            return;
        }
        here.is_paused = false;
        for event in std::mem::take(&mut here.put_off) {
            self.time.after(Duration::ZERO, event);
        }
        self.let_through(place);
        for connection in self.live_connections() {
            if self.connections[connection].from == place {
                self.time.after(Duration::ZERO, Event::Pump(connection));
            }
        }
    }

    /// The power goes: what was not flushed is in the Raft log or gone, and so may be the end of that.
    fn crash(&mut self, place: usize, until: Duration) -> Result<(), Violation> {
        if self.places[place].node.is_none() {
            return Ok(());
        }
        let disk = Arc::clone(&self.places[place].disk);
        let torn = self.dice.index(disk.unsynced() + 1);
        self.trace(|_| format!("r{place} crashes and loses {torn} appends"));
        self.report.crashes += 1;
        let left = if self.does(Mischief::FlushInParts) {
            disk.restart()
        } else {
            disk.crash(torn)
        };
        self.take_down(place, left, until)
    }

    /// A stop in good order.
    fn stop(&mut self, place: usize, until: Duration) -> Result<(), Violation> {
        if !self.places[place].serves() {
            return Ok(());
        }
        self.trace(|_| format!("r{place} stops"));
        let left = self.places[place].disk.restart();
        self.take_down(place, left, until)
    }

    fn take_down(
        &mut self,
        place: usize,
        left: MemoryEngine,
        until: Duration,
    ) -> Result<(), Violation> {
        let here = &mut self.places[place];
        here.node = None;
        here.life += 1;
        here.is_paused = false;
        here.put_off.clear();
        let before = std::mem::replace(&mut here.disk, Arc::new(left));
        self.spoil(place, &before)?;
        self.cut_all(place, true);
        self.drop_clients(place);
        self.time.after(until, Event::Start(place));
        Ok(())
    }

    fn redeclare(&mut self) {
        let types = self.declared.iter().map(|spec| spec.data_type);
        let types: Vec<_> = types.collect();
        self.declared = schedule::declare(&types, &self.schedule.regions, &mut self.dice);
        self.trace(|w| format!("policies change: {:?}", w.declared));
        for place in 0..self.places.len() {
            // Not in every region at once: the others get it when all is well again.
            if self.dice.one_in(2) {
                self.declare(place);
            }
        }
    }

    fn declare(&mut self, place: usize) {
        let collections = self.declared.clone();
        self.ask(place, Asked::Command(Command::Configure { collections }));
    }

    fn trim(&mut self, place: usize) {
        let shown = self.places[place].clock.read(self.time.now());
        let back = self.dice.below(3_600_000);
        let before = Timestamp::from_millis(shown.saturating_sub(back));
        let rows_max = u64::MAX;
        self.trimmed = self.trimmed.max(before);
        self.trace(|_| format!("r{place} trims its ledger before {before}"));
        self.ask(place, Asked::Command(Command::Trim { before, rows_max }));
    }

    /// Everything is well again, and stays so.
    pub(crate) fn calm_down(&mut self) -> Result<(), Violation> {
        self.is_calm = true;
        self.reach.mend();
        for place in 0..self.places.len() {
            self.resume(place);
            self.start(place)?;
            self.declare(place);
            self.let_through(place);
        }
        Ok(())
    }
}
