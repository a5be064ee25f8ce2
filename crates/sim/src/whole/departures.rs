//! Regions that leave while things go wrong: one drains and goes with proof, or dies for good with all its disks
//! and is removed by force, with the number of lost entries repeated.
//!
//! What became of it is read in the catalogs of those that stay, as a person would: an answer may be lost.

use std::collections::BTreeSet;

use atoll_core::MemberState;
use atoll_core::member::Member;
use atoll_store::Catalog;

use super::administrator::Order;
use super::store::REGIONS;
use super::torment::Torment;
use crate::Violation;

/// Regions that leave.
#[derive(Default)]
pub(super) struct Departures {
    /// One was asked to leave, or died: no other does.
    has_begun: bool,
    /// It died, and is to be removed.
    dead: Option<usize>,
    /// They are retired and stopped, or dead.
    left: BTreeSet<usize>,
}

impl Torment<'_> {
    /// Regions that are members, or are to be.
    pub(super) fn present(&self) -> Vec<usize> {
        let is_there = |region: &usize| !self.departures.left.contains(region);
        (0..self.plan.regions).filter(is_there).collect()
    }

    /// Any of the regions that run.
    pub(super) fn any_running(&mut self) -> usize {
        let waits = |region| {
            let its = |m: &&std::rc::Rc<super::machine::Machine>| m.region == region;
            self.machines.iter().filter(its).any(|m| m.is_waiting())
        };
        let mut running = self.present();
        running.retain(|&region| !waits(region));
        *self.dice.pick(&running)
    }

    /// A region is asked to leave, or dies for good.
    pub(super) fn region_leaves(&mut self) {
        let is_any_waiting = self.machines.iter().any(|machine| machine.is_waiting());
        let is_busy = self.departures.has_begun || is_any_waiting || !self.desk.is_idle();
        if self.present().len() < 2 || is_busy {
            return;
        }
        self.departures.has_begun = true;
        let region = self.any_running();
        if self.dice.one_in(2) {
            self.say(&format!("{} is to leave", REGIONS[region]));
            let asked = self.any_running();
            let name = REGIONS[region].to_owned();
            self.desk.order(Order::Drain { name }, self.servers(asked));
            return;
        }
        self.say(&format!("{} dies for good", REGIONS[region]));
        self.report.removed += 1;
        self.stop_all(region);
        self.departures.dead = Some(region);
        self.remove_the_dead(region);
    }

    fn remove_the_dead(&mut self, region: usize) {
        let asked = self.any_running();
        let name = REGIONS[region].to_owned();
        let order = Order::RemoveRegion { name };
        self.desk.order(order, self.servers(asked));
    }

    /// Its machines are the store's no more, and its clients go.
    fn stop_all(&mut self, region: usize) {
        for place in 0..self.machines.len() {
            if self.machines[place].region == region && !self.machines[place].is_gone() {
                self.remove(place);
            }
        }
        self.stops[region].set(true);
        self.departures.left.insert(region);
    }

    /// Stops a region that is retired as far as anybody else knows, and so has nothing that others lack.
    pub(super) fn watch_departures(&mut self) {
        if !self.departures.has_begun {
            return;
        }
        let known = |(region, catalog): &(usize, std::sync::Arc<Catalog>)| {
            let members = catalog.regions.members().filter(|m| m.is_retired());
            let retired = members.filter_map(place_of);
            retired.filter(|r| r != region).collect::<Vec<_>>()
        };
        let retired: BTreeSet<usize> = self.catalogs().iter().flat_map(known).collect();
        if self
            .departures
            .dead
            .is_some_and(|dead| retired.contains(&dead))
        {
            self.departures.dead = None;
        }
        for region in retired {
            if !self.departures.left.contains(&region) {
                self.say(&format!("{} has left", REGIONS[region]));
                self.report.drained += 1;
                self.stop_all(region);
            }
        }
    }

    /// What nodes that run know, each with its region.
    fn catalogs(&self) -> Vec<(usize, std::sync::Arc<Catalog>)> {
        let nodes = self.machines.iter();
        let known = nodes.filter_map(|m| Some((m.region, m.node()?.catalog())));
        known.collect()
    }

    /// Whether nobody comes or goes as far as any node knows, and the topology is one of those that stay.
    pub(super) fn is_settled(&self) -> bool {
        if !self.departures.has_begun {
            return true;
        }
        let present = self.present();
        let settled = |catalog: &Catalog| {
            let mut members = catalog.regions.present();
            let all_active = members.all(|member| {
                member.state == MemberState::Active
                    && place_of(member).is_some_and(|region| present.contains(&region))
            });
            let layout = catalog.layout.as_ref().map(|agreed| &agreed.layout);
            all_active && layout.is_none_or(|layout| layout.regions.len() == present.len())
        };
        let catalogs = self.catalogs();
        catalogs.iter().all(|(_, catalog)| settled(catalog))
    }

    /// Asks for what is still to be done: a dead region's removal, a topology of those that stay.
    pub(super) fn go_on_with_departures(&mut self) {
        if self.is_settled() || !self.desk.is_idle() {
            return;
        }
        match self.departures.dead {
            Some(dead) if self.has_dead() => self.remove_the_dead(dead),
            _ => self.change_topology(),
        }
    }

    /// Whether any node knows a region as a member.
    fn is_known(&self, region: usize) -> bool {
        let is_its = |member: &Member| place_of(member) == Some(region);
        let catalogs = self.catalogs();
        let mut known = catalogs.iter().map(|(_, catalog)| catalog);
        known.any(|catalog| catalog.regions.members().any(is_its))
    }

    /// Whether a dead region is to be removed yet. One that died before anybody took its announcement is no member: only
    /// the topology names it.
    pub(super) fn has_dead(&self) -> bool {
        self.departures.dead.is_some_and(|dead| self.is_known(dead))
    }
}

/// Which region a member is.
pub(super) fn place_of(member: &Member) -> Option<usize> {
    REGIONS
        .iter()
        .position(|name| *name == member.region.as_str())
}

/// Entries that were lost with regions that were removed by force: those beyond the last that counts.
#[derive(Debug, Default)]
pub(super) struct Lost(Vec<(usize, u64)>);

impl Lost {
    /// As those that stay know it.
    pub(super) fn of(catalog: &Catalog) -> Lost {
        let members = catalog.regions.members();
        let removed = members.filter(|member| member.removed_by.is_some());
        let last = |member: &Member| Some((place_of(member)?, member.last));
        Lost(removed.filter_map(last).collect())
    }

    /// Whether a region was removed.
    pub(super) fn is_removed(&self, region: usize) -> bool {
        self.0.iter().any(|(removed, _)| *removed == region)
    }

    /// Whether an entry of a region, by its dot as clients are told it, is among them.
    pub(super) fn has(&self, region: usize, dot: &str) -> Result<bool, Violation> {
        let seq = dot.rsplit(':').next().unwrap_or_default();
        let seq: u64 = seq.parse().map_err(Violation::broken)?;
        let mut lost = self.0.iter();
        Ok(lost.any(|(removed, last)| *removed == region && seq > *last))
    }
}
