//! What administrators change while things go wrong: the topology, a region's nodes, the store's regions.

use std::rc::Rc;

use serde_json::{Value, json};

use super::administrator::{Done, Order};
use super::machine::Machine;
use super::store::{REGIONS, address, node_name};
use super::torment::Torment;
use crate::Violation;

impl Torment<'_> {
    /// Another shape of the links, asked of any region; the region that is to join is among them.
    pub(super) fn change_topology(&mut self) {
        if self.plan.regions < 2 || self.has_dead() {
            return;
        }
        let present = self.present();
        let kind = *self.dice.pick(&["AllToAll", "Ring", "Star"]);
        let mut topology = json!({ "type": kind });
        if kind == "Star" {
            topology["hub"] = REGIONS[*self.dice.pick(&present)].into();
        }
        let regions = present.iter().map(|&region| {
            let name = REGIONS[region];
            let nodes = (0..self.plan.nodes).map(|place| address(&node_name(name, place)));
            json!({ "name": name, "endpoints": nodes.collect::<Vec<_>>() })
        });
        let regions: Vec<Value> = regions.collect();
        let declaration = json!({ "topology": topology, "regions": regions });
        let asked = self.any_running();
        self.report.changes += 1;
        self.desk
            .order(Order::Topology { declaration }, self.servers(asked));
    }

    /// A fourth node comes to a region of three; or one that is there goes.
    pub(super) fn change_nodes(&mut self) -> Result<(), Violation> {
        let region = self.any_running();
        let there: Vec<usize> = (0..self.machines.len())
            .filter(|&place| self.machines[place].region == region)
            .filter(|&place| !self.machines[place].is_gone())
            .collect();
        let is_sound = !self.faults.bereft.contains(&region);
        if self.plan.nodes < 3 || !is_sound || !self.desk.is_idle() {
            return Ok(());
        }
        self.report.changes += 1;
        if there.len() > self.plan.nodes {
            let machine = *self.dice.pick(&there);
            let name = self.machines[machine].name.clone();
            self.say(&format!("{name} is to be removed"));
            if self.dice.one_in(2) && self.machines[machine].is_up() {
                self.kill(machine);
            }
            let order = Order::RemoveNode { machine, name };
            self.desk.order(order, self.servers(region));
            return Ok(());
        }
        let ever = self.machines.iter().filter(|m| m.region == region).count();
        let config = self.plan.config(region, ever, &mut self.dice)?;
        let machine = Machine::new(region, config, false);
        self.say(&format!("{} comes", machine.name));
        self.host(Rc::clone(&machine));
        self.machines.push(machine);
        let new = self.machines.len() - 1;
        for other in 0..new {
            self.set_distance(new, other);
        }
        Ok(())
    }

    /// Takes note of what the administrator has done.
    pub(super) fn take_note(&mut self) {
        let done: Vec<Done> = std::mem::take(&mut *self.desk.done.borrow_mut());
        for Done { order, status } in done {
            match (order, status) {
                (Order::RemoveNode { machine, name }, Some(200 | 404)) => {
                    self.say(&format!("{name} is gone"));
                    self.remove(machine);
                }
                (Order::Topology { .. }, Some(200)) => self.begin_to_join(),
                (_, _) => {}
            }
        }
    }

    /// Switches on the region that the topology has room for now.
    fn begin_to_join(&mut self) {
        for place in 0..self.machines.len() {
            if self.machines[place].is_waiting() {
                self.machines[place].admit();
                let name = self.machines[place].name.clone();
                self.say(&format!("{name} begins to join"));
                self.sim.bounce(name.as_str());
            }
        }
    }

    /// Where a region's first nodes are.
    pub(super) fn servers(&self, region: usize) -> Vec<String> {
        let node = |place| address(&node_name(REGIONS[region], place));
        (0..self.plan.nodes).map(node).collect()
    }
}
