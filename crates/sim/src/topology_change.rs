//! Another topology while everything runs: new links come, links that are not declared any more go.

use std::time::Duration;

use crate::events::Event;
use crate::links::Link;
use crate::topology::{Edge, Shape};
use crate::world::World;

impl World {
    /// The regions get another topology.
    pub(crate) fn relink(&mut self) {
        let shape = Shape::draw(&mut self.dice);
        let edges = shape.edges(self.places.len(), &mut self.dice);
        self.trace(|_| {
            let links: Vec<String> = edges.iter().map(ToString::to_string).collect();
            format!("the topology is {shape:?} from now on: {}", links.join(" "))
        });
        for edge in &edges {
            self.declare_link(*edge);
        }
        for link in 0..self.links.len() {
            let one = &self.links[link];
            let Edge { from, to, .. } = one.edge;
            let stays = edges.iter().any(|e| (e.from, e.to) == (from, to));
            if one.is_declared && !one.is_retired && !stays {
                self.retire(link);
            }
        }
    }

    fn declare_link(&mut self, edge: Edge) {
        let same = |l: &Link| (l.edge.from, l.edge.to) == (edge.from, edge.to) && !l.is_retired;
        if let Some(link) = self.links.iter().position(same) {
            self.links[link].edge = edge;
            self.links[link].is_declared = true;
            self.carry(link, edge.carries);
            return;
        }
        let link = self.links.len();
        let fresh = Link::new(edge, true, self.dice.draw());
        self.links.push(fresh);
        self.time.after(Duration::ZERO, Event::Dial(link));
    }

    /// A link is not wanted any more.
    pub(crate) fn retire(&mut self, link: usize) {
        self.links[link].is_retired = true;
        if let Some(helper) = self.links[link].stand_in.take() {
            self.dismiss(helper);
        }
        if let Some(connection) = self.links[link].connection {
            self.cut(connection, true);
        }
    }
}
