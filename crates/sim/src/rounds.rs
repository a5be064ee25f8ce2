//! What follows what in a schedule: clients work while things go wrong, some of it stays broken for a while, then
//! all is well, the regions come to rest, and everything is checked.

use std::time::Duration;

use crate::events::Event;
use crate::invariants::{Violation, always_a_way, convergence};
use crate::members;
use crate::node::Node;
use crate::schedule::FaultKind;
use crate::world::{Place, World};

/// Longest time that a store may take to come to rest once everything is well again.
const REST_WITHIN: Duration = Duration::from_secs(600);
/// Longest that what regions have is on its way when there is one: batches and credit may be small.
const HELD_WITHIN: Duration = Duration::from_secs(120);

impl World {
    /// Plays the schedule to its end.
    pub(crate) fn play(&mut self) -> Result<(), Violation> {
        self.trace(|w| w.schedule.to_string());
        for place in 0..self.places.len() {
            let delay = self.dice.ms(0, self.schedule.late_ms);
            self.time.after(delay, Event::Start(place));
        }
        self.plan_fault();
        self.time.after(Duration::ZERO, Event::Look);
        if self.has_changing_members() {
            self.time.after(Duration::ZERO, Event::Operate);
        }
        for round in 1..=self.schedule.rounds {
            self.begin_round();
            self.run(None, World::clients_are_done)?;
            if self.schedule.holds {
                self.play_held(round)?;
            }
            self.calm_down()?;
            self.trace(|_| format!("round {round}: no more faults, now to rest"));
            let limit = self.time.now() + REST_WITHIN;
            self.run(Some(limit), World::is_at_rest)?;
            self.trace(|_| format!("round {round}: at rest"));
            self.strike_out_lost();
            self.check()?;
        }
        if self.schedule.awaits_return {
            let limit = self.time.now() + 2 * self.schedule.way_within();
            if !self.run_until(limit, World::is_as_declared)? {
                return self.found(always_a_way::held_up(
                    "links are not as declared in the end",
                ));
            }
        }
        Ok(())
    }

    /// Clients go on while some regions stay dead or cut off.
    fn play_held(&mut self, round: u32) -> Result<(), Violation> {
        self.hold()?;
        self.trace(|_| format!("round {round}: what is broken stays so"));
        self.give_work(self.schedule.operations / 4 + 1);
        self.run(None, World::clients_are_done)?;
        let limit = self.time.now() + self.schedule.way_within() + HELD_WITHIN;
        if self.run_until(limit, World::all_that_can_have_it_have_it)? {
            return self.relink_held();
        }
        if self.is_in_flux() {
            return Ok(()); // who comes or goes waits for those that are cut off
        }
        self.check_ways()?;
        let vectors: Vec<String> = self
            .places
            .iter()
            .map(|p| self.shown(p.order.applied()))
            .collect();
        let what = format!(
            "what regions have does not come to all that can hear of it: {}",
            vectors.join(", ")
        );
        self.found(always_a_way::held_up(what))
    }

    /// The topology changes while what is broken stays so: there is a way all the time.
    fn relink_held(&mut self) -> Result<(), Violation> {
        if !self.schedule.faults.contains(&FaultKind::Relink) || self.dice.one_in(2) {
            return Ok(());
        }
        let until = self.time.now() + 3 * self.schedule.failover_after;
        self.run_until(until, |_| false)?;
        if self.is_in_flux() || always_a_way::check(&self.ground()).is_err() {
            return Ok(()); // not healed yet
        }
        self.ways_from = self.time.now();
        let place = self.any_place();
        self.relink(place);
        let until = self.time.now() + 4 * self.schedule.failover_after;
        self.run_until(until, |_| false).map(|_| ())
    }

    /// Lets things happen until `is_done`.
    fn run(
        &mut self,
        limit: Option<Duration>,
        is_done: impl Fn(&World) -> bool,
    ) -> Result<(), Violation> {
        if self.run_until(limit.unwrap_or(Duration::MAX), is_done)? {
            return Ok(());
        }
        Err(self.unsettled())
    }

    /// Lets things happen until `is_done` or it is too late: says whether it is done.
    fn run_until(
        &mut self,
        limit: Duration,
        is_done: impl Fn(&World) -> bool,
    ) -> Result<bool, Violation> {
        while let Some(event) = self.time.next() {
            self.happen(event)?;
            self.report.events += 1;
            let may_be_last = matches!(
                event,
                Event::Act(_) | Event::GiveUp(..) | Event::Apply(..) | Event::Tend(..)
            );
            if may_be_last && is_done(self) {
                return Ok(true);
            }
            if self.time.now() > limit {
                break;
            }
        }
        Ok(false)
    }

    /// Whether all regions are up, hold the same and have nothing to do.
    fn is_at_rest(&self) -> bool {
        let there = || self.places.iter().enumerate().filter(|(_, p)| !p.has_left);
        let mut nodes = there().map(|(_, place)| place.node.as_ref());
        let (Some(Some(first)), Some((place, _))) = (nodes.next(), there().next()) else {
            return false;
        };
        let vector = &first.region.applied().vector;
        let rests = |node: &Node| {
            let is_same = node.region.applied().vector == *vector;
            is_same && node.is_idle() && members::is_active(node)
        };
        self.clients_are_done()
            && rests(first)
            && nodes.all(|node| node.is_some_and(rests))
            && self.expected(place, vector) == Some(vector.total())
    }

    fn unsettled(&self) -> Violation {
        let describe = |(i, place): (usize, &Place)| match &place.node {
            None => format!("\nr{i} is down"),
            Some(node) => format!(
                "\nr{i}: {}, {:?} waiting, {:?} ready, idle {}",
                node.region.applied().vector,
                node.inbox.waiting(),
                node.inbox.ready(),
                node.is_idle()
            ),
        };
        let places: String = self.places.iter().enumerate().map(describe).collect();
        convergence::unsettled(format!("the regions do not come to rest: {places}"))
    }
}
