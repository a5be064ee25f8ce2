//! A rolling restart: a region's nodes stop in order and start again, the next when the last is ready.

use super::machine::Machine;
use super::store::REGIONS;
use super::torment::Torment;

/// A region's nodes that are restarted one after the other.
#[derive(Default)]
pub(super) struct Rolling {
    /// Places of machines that have their turn yet.
    left: Vec<usize>,
    /// The one whose turn it is, and in which life it was told to stop.
    now: Option<(usize, u64)>,
}

impl Rolling {
    pub(super) fn is_over(&self) -> bool {
        self.left.is_empty() && self.now.is_none()
    }
}

impl Torment<'_> {
    /// Restarts the nodes of some region.
    pub(super) fn roll(&mut self) {
        if !self.rolling.is_over() {
            return;
        }
        let region = self.any_running();
        let its = (0..self.machines.len()).filter(|&place| self.machines[place].region == region);
        self.rolling.left = its.collect();
        self.dice.shuffle(&mut self.rolling.left);
        self.report.rolled += 1;
        self.say(&format!(
            "the nodes of {} are restarted in turn",
            REGIONS[region]
        ));
    }

    /// The next one's turn, when the last is back.
    pub(super) fn roll_on(&mut self) {
        if let Some((place, life)) = self.rolling.now {
            let machine = &self.machines[place];
            let is_back = machine.life() > life && is_ready(machine);
            if !is_back && !machine.is_gone() {
                return;
            }
            self.rolling.now = None;
        }
        if let Some(place) = self.rolling.left.pop() {
            let machine = &self.machines[place];
            if machine.is_up() && machine.node().is_some() {
                self.rolling.now = Some((place, machine.life()));
                let away = self.dice.ms(10, 500);
                self.stop_for(place, away);
            }
        }
    }
}

fn is_ready(machine: &Machine) -> bool {
    machine.node().is_some_and(|node| node.readiness().ready)
}
