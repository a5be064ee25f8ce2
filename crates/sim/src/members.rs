//! Regions that come and go: they join empty, leave with proof, and come back in a second life, all by entries in
//! the log, as the real node drives them. An operator declares topologies that fit, and stops what has left.

use std::time::Duration;

use atoll_core::collection::Regions;
use atoll_core::{Entry, MemberState, RegionName};
use atoll_replication::membership::Standing;
use atoll_replication::topology::{Shape, Topology};
use atoll_store::Command;

use crate::events::Event;
use crate::invariants::{Violation, retired_is_held};
use crate::mischief::Mischief;
use crate::node::{Asked, Node};
use crate::schedule;
use crate::world::World;

/// A joining region is admitted when its lag is below this.
const LAG_MAX: Duration = Duration::from_secs(10);
/// Regions that were ever there: more say nothing new and take long.
const LIVES_MAX: usize = 9;

impl World {
    /// Whether regions may come and go in this schedule.
    pub(crate) fn has_changing_members(&self) -> bool {
        let faults = &self.schedule.faults;
        faults.iter().any(|kind| kind.is_of_members())
    }

    /// A region that never was there, or one that had left, joins.
    pub(crate) fn join(&mut self) -> Result<(), Violation> {
        let Some(asked) = self.any_that_serves() else {
            return Ok(());
        };
        if self.places.len() >= LIVES_MAX || self.is_changing(asked) || self.has_unburied() {
            return Ok(());
        }
        let gone =
            |name: &RegionName| !self.places.iter().any(|p| !p.has_left && p.region == *name);
        let left: Vec<RegionName> = self.places.iter().map(|p| p.region.clone()).collect();
        let left: Vec<RegionName> = left.into_iter().filter(gone).collect();
        let region = if left.is_empty() || self.dice.one_in(3) {
            schedule::region_name(self.places.len())
        } else {
            self.dice.pick(&left).clone()
        };
        let mut names = self.names_there();
        names.push(region.clone());
        let configured = Topology::new(names, Shape::AllToAll).map_err(Violation::broken)?;
        let clock = crate::clock::WallClock::draw(&mut self.dice);
        let place = self.add_place(region, configured, clock, true)?;
        self.reach.grow();
        self.schedule.grow(&mut self.dice);
        self.trace(|w| format!("r{place} joins as {}", w.places[place].region));
        self.report.joined += 1;
        self.relink(asked);
        let delay = self.dice.ms(0, 500);
        self.time.after(delay, Event::Start(place));
        Ok(())
    }

    /// Somebody asks a region to let one leave.
    pub(crate) fn drain(&mut self, leaver: usize) -> Result<(), Violation> {
        let Some(asked) = self.any_that_serves() else {
            return Ok(());
        };
        let (now, replica) = (self.timestamp(asked), self.places[leaver].replica);
        let Some(node) = &self.places[asked].node else {
            return Ok(());
        };
        let catalog = node.region.catalog();
        let stays = catalog.regions.present().filter(|m| m.replica != replica);
        let needs = catalog.layout.as_ref().is_some_and(|agreed| {
            let rest = agreed.layout.without(&self.places[leaver].region);
            rest.check().is_err()
        });
        if stays.count() < 2 || needs || self.is_changing(asked) || self.has_unburied() {
            return Ok(());
        }
        if let Ok(change) = catalog.regions.change(replica, MemberState::Draining, 0) {
            self.trace(|_| format!("r{asked} is told that r{leaver} leaves"));
            self.ask(asked, Asked::Command(Command::Member { now, change }));
        }
        Ok(())
    }

    /// Takes a region where its state leads: from Joining to Active, from Draining to Retired.
    pub(crate) fn drive_member(&mut self, place: usize) {
        let now = self.now_at(place);
        let skips = self.does(Mischief::SkipProof);
        let timestamp = self.timestamp(place);
        let here = &mut self.places[place];
        let Some(node) = &mut here.node else {
            return;
        };
        let (me, members) = (node.region.replica(), &node.region.catalog().regions);
        let standing = Standing {
            me,
            configured: here.configured.regions(),
            layout: node.region.catalog().layout.as_ref(),
            members,
            applied: &node.region.applied().vector,
            knowledge: &node.knowledge,
        };
        let mut next = standing.next(&mut node.joining, LAG_MAX, now.elapsed);
        if skips && members.state(me) == Some(MemberState::Draining) {
            next = Some(MemberState::Retired);
        }
        let change = next.and_then(|next| members.change(me, next, 0).ok());
        if let Some(change) = change {
            if change.state == MemberState::Retired {
                let present = members.present().map(|m| m.replica);
                let others = present.filter(|replica| *replica != me);
                node.leaves_to.get_or_insert(others.collect());
            }
            let command = Command::Member {
                now: timestamp,
                change,
            };
            self.ask(place, Asked::Command(command));
        }
    }

    /// A region has written that it is retired: all that stay have what clients wrote there.
    pub(crate) fn check_retired(&mut self, place: usize, entry: &Entry) -> Result<(), Violation> {
        let replica = entry.dot.replica;
        let is_own = |change: &atoll_core::MemberChange| {
            change.replica == replica && change.state == MemberState::Retired
        };
        if !entry.member.as_ref().is_some_and(is_own) {
            return Ok(());
        }
        self.report.retired += 1;
        let Some(node) = &self.places[place].node else {
            return Ok(());
        };
        // Of those that came since it asked, none is admitted before it has all.
        let stay = node.leaves_to.clone().unwrap_or_default();
        for (i, other) in self.places.iter().enumerate() {
            if stay.contains(&other.replica) {
                let checked =
                    retired_is_held::check(place, entry.dot, i, other.order.applied(), &self.book);
                checked.or_else(|violation| self.found(violation))?;
            }
        }
        Ok(())
    }

    /// What somebody does from time to time who looks after the store.
    pub(crate) fn operate(&mut self) -> Result<(), Violation> {
        self.time
            .after(self.schedule.failover_after, Event::Operate);
        for place in 0..self.places.len() {
            if self.may_stop(place) {
                self.trace(|_| format!("r{place} has left and is stopped"));
                let disk = self.places[place].disk.restart();
                self.places[place].has_left = true;
                self.take_down(place, disk, None)?;
            }
        }
        if let Some(place) = self.any_that_serves() {
            self.bury(place);
        }
        if let Some(place) = self.any_that_serves()
            && self.regions_fit(place) == Some(false)
        {
            self.relink(place);
        }
        Ok(())
    }

    /// Whether another region knows that this one is retired, and so has all that it ever wrote. One that is
    /// retired itself passes nothing on in time.
    fn may_stop(&self, place: usize) -> bool {
        let stays = |&other: &usize| other != place && !self.is_retired(other, other);
        let mut others = (0..self.places.len()).filter(stays);
        !self.places[place].has_left
            && others.any(|other| self.places[other].serves() && self.is_retired(other, place))
    }

    /// Whether the topology that a region goes by is one of the regions that are there.
    fn regions_fit(&self, place: usize) -> Option<bool> {
        let node = self.places[place].node.as_ref()?;
        let declared = node.healing.healer.topology().regions();
        let there = self.names_there();
        let all = there.iter().all(|name| declared.contains(name));
        Some(all && declared.len() == there.len())
    }

    /// Whether regions come or go, or do not know yet that one came or went.
    pub(crate) fn is_in_flux(&self) -> bool {
        let up = self.places.iter().enumerate();
        let mut up = up.filter_map(|(i, place)| Some((i, place.node.as_ref()?)));
        self.has_changing_members()
            && up.any(|(i, node)| !is_active(node) || self.regions_fit(i) == Some(false))
    }

    /// The regions that have not left.
    pub(crate) fn names_there(&self) -> Vec<RegionName> {
        let there = self.places.iter().filter(|place| !place.has_left);
        there.map(|place| place.region.clone()).collect()
    }

    /// Whether a region knows another one to be retired.
    pub(crate) fn is_retired(&self, place: usize, other: usize) -> bool {
        let (node, replica) = (self.places[place].node.as_ref(), self.places[other].replica);
        node.is_some_and(|node| node.region.catalog().regions.is_retired(replica))
    }

    /// Whether a region knows of one that is joining or leaving.
    fn is_changing(&self, place: usize) -> bool {
        let node = self.places[place].node.as_ref();
        let changes = |members: &Regions| members.present().any(|m| m.state != MemberState::Active);
        node.is_none_or(|node| changes(&node.region.catalog().regions))
    }

    fn any_that_serves(&mut self) -> Option<usize> {
        let all = 0..self.places.len();
        let serving: Vec<usize> = all.filter(|&place| self.places[place].serves()).collect();
        (!serving.is_empty()).then(|| *self.dice.pick(&serving))
    }

    /// A region that has not left, for a client to talk to.
    pub(crate) fn any_place(&mut self) -> usize {
        let all = 0..self.places.len();
        let there: Vec<usize> = all.filter(|&place| !self.places[place].has_left).collect();
        *self.dice.pick(&there)
    }
}

/// Whether a region knows itself to be a member like all others.
pub(crate) fn is_active(node: &Node) -> bool {
    let state = node.region.catalog().regions.state(node.region.replica());
    state == Some(MemberState::Active)
}
