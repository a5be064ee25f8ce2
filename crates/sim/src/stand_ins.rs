//! Links that stand in for silent ones.

use std::time::Duration;

use atoll_replication::delivery::LinkId;
use atoll_replication::message::Carries;

use crate::events::Event;
use crate::links::Link;
use crate::topology::Edge;
use crate::world::World;

impl World {
    /// Where a declared link is silent, another region's entries come instead; and no longer than that.
    pub(crate) fn find_stand_ins(&mut self, place: usize, after: Duration) {
        for link in 0..self.links.len() {
            let one = &self.links[link];
            if one.edge.to != place || !one.is_declared || one.is_retired {
                continue;
            }
            let is_silent = self.time.now().saturating_sub(one.heard_at) > after;
            match (is_silent, one.stand_in) {
                (true, None) => self.stand_in(link),
                (false, Some(other)) => {
                    self.links[link].stand_in = None;
                    self.dismiss(other);
                }
                (true, Some(_)) | (false, None) => {}
            }
        }
    }

    fn stand_in(&mut self, link: usize) {
        let Edge { from, to, .. } = self.links[link].edge;
        let other = self.dice.index(self.places.len());
        if other == from || other == to {
            return;
        }
        let pulls = |l: &Link| l.edge.from == other && l.edge.to == to && !l.is_retired;
        let known = self.links.iter().position(pulls);
        let helper = known.unwrap_or(self.links.len());
        if known.is_none() {
            let edge = Edge {
                from: other,
                to,
                carries: Carries::Everything,
            };
            let fresh = Link::new(edge, false, self.dice.draw());
            self.links.push(fresh);
            self.time.after(Duration::ZERO, Event::Dial(helper));
        }
        self.links[link].stand_in = Some(helper);
        self.report.stand_ins += 1;
        self.trace(|_| format!("r{other}:r{to} stands in for r{from}:r{to}"));
        self.carry(helper, Carries::Everything);
    }

    /// A link need not stand in any more.
    pub(crate) fn dismiss(&mut self, helper: usize) {
        if self.links.iter().any(|l| l.stand_in == Some(helper)) {
            return;
        }
        let Link {
            edge, is_declared, ..
        } = self.links[helper];
        if is_declared {
            self.carry(helper, edge.carries);
            return;
        }
        self.retire(helper);
    }

    pub(crate) fn carry(&mut self, link: usize, carries: Carries) {
        let one = &mut self.links[link];
        one.carries = carries;
        let (place, connection) = (one.edge.to, one.connection);
        if let (Some(connection), Some(node)) = (connection, &mut self.places[place].node) {
            node.inbox.carry(LinkId(connection as u64), carries);
        }
    }
}
