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
            FaultKind::PartitionPair => self.part(place, &[other], Some(until)),
            FaultKind::CutOneWay => self.cut_one_way(place, other, Some(until)),
            FaultKind::PartitionRegion => {
                let others: Vec<usize> = (0..count).filter(|p| *p != place).collect();
                self.part(place, &others, Some(until));
            }
            FaultKind::Pause => self.pause(place, until),
            FaultKind::Crash => self.crash(place, Some(until))?,
            FaultKind::Restart => self.stop(place, Some(until))?,
            FaultKind::ClockJump => {
                self.trace(|_| format!("the clock of r{place} jumps"));
                self.places[place].clock.jump(&mut self.dice);
            }
            FaultKind::SlowLink => {
                self.trace(|_| format!("r{place} to r{other} is slow"));
                self.reach.slow_down(place, other);
                self.disturb();
                self.time.after(until, Event::SpeedUp(place, other));
            }
            FaultKind::Redeclare => self.redeclare(),
            FaultKind::Relink => self.relink(place),
            FaultKind::Trim => self.trim(place),
            FaultKind::Forget => self.forget(place),
            FaultKind::Join => self.join()?,
            FaultKind::Leave => self.drain(place)?,
            FaultKind::Die => self.die(place)?,
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
            self.disturb();
            self.cut(connection, false);
        }
    }

    /// A region and others do not reach each other; without `until`, for good.
    fn part(&mut self, place: usize, others: &[usize], until: Option<Duration>) {
        self.trace(|_| format!("r{place} and {others:?} do not reach each other"));
        for &other in others {
            self.bar(place, other, until);
            self.bar(other, place, until);
        }
        self.break_sometimes(place);
    }

    fn cut_one_way(&mut self, caller: usize, called: usize, until: Option<Duration>) {
        self.trace(|_| format!("r{caller} does not reach r{called}"));
        self.bar(caller, called, until);
        self.break_sometimes(caller);
    }

    fn bar(&mut self, caller: usize, called: usize, until: Option<Duration>) {
        self.disturb();
        self.reach.part(caller, called);
        if let Some(until) = until {
            self.time.after(until, Event::Heal(caller, called));
        }
    }

    /// Streams break, or stand still and go on.
    fn break_sometimes(&mut self, place: usize) {
        if self.dice.one_in(2) {
            self.cut_all(place, false);
        }
    }

    pub(crate) fn heal(&mut self, caller: usize, called: usize) {
        self.reach.join(caller, called);
        self.disturb();
        if self.reach.is_open(caller, called) {
            self.trace(|_| format!("r{caller} reaches r{called}"));
            self.let_through(caller);
        }
    }

    fn pause(&mut self, place: usize, until: Duration) {
        if self.places[place].serves() {
            self.trace(|_| format!("r{place} stands still"));
            self.places[place].is_paused = true;
            self.disturb();
            self.time.after(until, Event::Resume(place));
        }
    }

    pub(crate) fn resume(&mut self, place: usize) {
        let here = &mut self.places[place];
        if !here.is_paused {
            return;
        }
        here.is_paused = false;
        let put_off = std::mem::take(&mut here.put_off);
        self.disturb();
        for event in put_off {
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
    fn crash(&mut self, place: usize, until: Option<Duration>) -> Result<(), Violation> {
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
    fn stop(&mut self, place: usize, until: Option<Duration>) -> Result<(), Violation> {
        if !self.places[place].serves() {
            return Ok(());
        }
        self.trace(|_| format!("r{place} stops"));
        let left = self.places[place].disk.restart();
        self.take_down(place, left, until)
    }

    pub(crate) fn take_down(
        &mut self,
        place: usize,
        left: MemoryEngine,
        until: Option<Duration>,
    ) -> Result<(), Violation> {
        let here = &mut self.places[place];
        here.node = None;
        here.life += 1;
        here.is_paused = false;
        here.put_off.clear();
        let before = std::mem::replace(&mut here.disk, Arc::new(left));
        self.spoil(place, &before)?;
        self.cut_all(place, true);
        for link in 0..self.links.len() {
            if self.links[link].to == place {
                self.drop_link(link);
            }
        }
        self.drop_clients(place);
        self.disturb();
        if let Some(until) = until {
            self.time.after(until, Event::Start(place));
        }
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

    fn forget(&mut self, place: usize) {
        let shown = self.places[place].clock.read(self.time.now());
        let back = self.dice.below(2_000);
        let before = Timestamp::from_millis(shown.saturating_sub(back));
        let keys_max = u64::MAX;
        let here = &mut self.places[place];
        here.forgotten = here.forgotten.max(before);
        self.trace(|_| format!("r{place} forgets keys before {before}"));
        self.ask(place, Asked::Command(Command::Forget { before, keys_max }));
    }

    /// Nothing more goes wrong for now, but some regions are dead or cut off, and stay so.
    pub(crate) fn hold(&mut self) -> Result<(), Violation> {
        self.is_calm = true;
        self.reach.speed_up_all();
        let count = self.places.len();
        for _ in 0..1 + self.dice.index(count / 2) {
            let place = self.dice.index(count);
            let other = (place + 1 + self.dice.index(count - 1)) % count;
            match self.dice.below(4) {
                0 => {
                    self.places[place].stays_down = true;
                    self.resume(place);
                    self.crash(place, None)?;
                }
                1 => self.part(place, &[other], None),
                _ => self.cut_one_way(place, other, None),
            }
        }
        for place in 0..count {
            self.resume(place);
            if !self.places[place].stays_down {
                self.start(place)?;
            }
        }
        Ok(())
    }

    /// Everything is well again, and stays so.
    pub(crate) fn calm_down(&mut self) -> Result<(), Violation> {
        self.is_calm = true;
        self.reach.mend();
        self.disturb();
        for place in 0..self.places.len() {
            self.resume(place);
            self.places[place].stays_down = false;
            self.start(place)?;
            self.declare(place);
            self.let_through(place);
        }
        Ok(())
    }
}
