//! The store under torment: which regions and nodes there are, where they are, and how they are configured.

use std::rc::Rc;

use atoll_node::NodeConfig;
use serde_json::{Value, json};

use super::machine::Machine;
use crate::Violation;
use crate::dice::Dice;

pub(super) const REGIONS: [&str; 3] = ["eu", "us", "ap"];
const PORT: u16 = 7000;

/// What a seed chooses of a store.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) regions: usize,
    /// Those that the store is formed with; the others join.
    pub(super) formed: usize,
    pub(super) nodes: usize,
    /// Commands between two flushes, and kept behind the last: few, so that states are sent.
    commands_kept: u64,
    topology: &'static str,
}

impl Plan {
    pub(super) fn draw(dice: &mut Dice) -> Plan {
        let shapes = [(1, 3), (1, 3), (2, 3), (3, 1), (3, 3), (1, 1)];
        let &(regions, nodes) = dice.pick(&shapes);
        let joins = regions == 3 && dice.one_in(2);
        Plan {
            regions,
            formed: regions - usize::from(joins),
            nodes,
            commands_kept: *dice.pick(&[10_000, 10_000, 40]),
            topology: ["AllToAll", "Ring"][dice.index(2)],
        }
    }

    /// Three nodes of one region.
    pub(super) fn region_of_three() -> Plan {
        Plan {
            regions: 1,
            formed: 1,
            nodes: 3,
            commands_kept: 10_000,
            topology: "AllToAll",
        }
    }

    /// All machines, each with an empty disk.
    pub(super) fn machines(
        &self,
        dice: &mut Dice,
        lies: bool,
    ) -> Result<Vec<Rc<Machine>>, Violation> {
        let mut machines = Vec::new();
        for region in 0..self.regions {
            for place in 0..self.nodes {
                let config = self.config(region, place, dice)?;
                let machine = Machine::new(region, config, lies);
                if region >= self.formed {
                    machine.wait();
                }
                machines.push(machine);
            }
        }
        Ok(machines)
    }

    pub(super) fn config(
        &self,
        region: usize,
        place: usize,
        dice: &mut Dice,
    ) -> Result<NodeConfig, Violation> {
        // Those that are there first do not know who joins.
        let names = &REGIONS[..self.formed.max(region + 1)];
        let name = names[region];
        let node = |place: usize| {
            let name = node_name(name, place);
            json!({ "name": name, "address": address(&name) })
        };
        let peer = |peer: &&str| {
            let nodes = (0..self.nodes).map(|place| address(&node_name(peer, place)));
            json!({ "region": peer, "endpoints": nodes.collect::<Vec<_>>() })
        };
        let peers = names.iter().filter(|peer| **peer != name).map(peer);
        let config = json!({
            "store": { "name": "torment", "id": "00000000000000aa" },
            "region": name,
            "listen": format!("0.0.0.0:{PORT}"),
            "node": node(place),
            "nodes": (0..self.nodes).map(node).collect::<Vec<Value>>(),
            "data": "/nowhere",
            "join": region >= self.formed,
            "peers": peers.collect::<Vec<Value>>(),
            "topology": { "type": self.topology, "regions": names },
            "failoverAfter": "2s",
            "collections": [{ "name": "pages", "type": "Register" }],
            "testing": {
                "clockShiftMs": i64::try_from(dice.below(200)).unwrap_or(0) - 100,
                "commandsKept": self.commands_kept,
            },
        });
        NodeConfig::from_yaml("simulated", &config.to_string()).map_err(Violation::broken)
    }
}

pub(super) fn node_name(region: &str, place: usize) -> String {
    format!("{region}-{place}")
}

/// Where a node of that name is.
pub(super) fn address(name: &str) -> String {
    format!("http://{name}:{PORT}")
}
