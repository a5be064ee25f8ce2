//! What a region does for its links from time to time, whatever comes over them.

use std::time::Duration;

use atoll_core::VersionVector;
use atoll_replication::delivery::LinkId;
use atoll_replication::message::{Ack, Upstream};
use atoll_store::Command;

use crate::events::{End, Event};
use crate::invariants::{Violation, stability};
use crate::members::is_active;
use crate::mischief::Mischief;
use crate::node::Asked;
use crate::world::World;

impl World {
    /// A region looks after its links: has them come and go, acknowledges, asks; and says what is stable.
    pub(crate) fn tend(&mut self, place: usize) -> Result<(), Violation> {
        let (now, life) = (self.time.now(), self.places[place].life);
        let tend_ms = self.schedule.tend_ms;
        self.time
            .after(Duration::from_millis(tend_ms), Event::Tend(place, life));
        self.end_silent(place);
        self.supervise(place);
        let Some(node) = &mut self.places[place].node else {
            return Ok(());
        };
        let said = node.inbox.say(now);
        for (id, frame) in said {
            self.trace(|_| format!("r{place} says on connection {}: {frame:?}", id.0));
            let connection = usize::try_from(id.0).unwrap_or(usize::MAX);
            self.transmit(connection, End::Source, &frame);
        }
        self.steal_keys(place)?;
        self.acknowledge_all(place, true);
        self.count_copies();
        self.drive_member(place);
        if self.dice.one_in(self.schedule.stable_every) {
            self.say_what_is_stable(place)?;
        }
        self.commit(place);
        self.pump_all(place)
    }

    /// Copies count from when all links stand.
    fn count_copies(&mut self) {
        let counts = self.schedule.counts_copies();
        if !counts || self.places[0].copies.has_begun() || !self.all_links_stand() {
            return;
        }
        let places = self.places.iter();
        let written: VersionVector = places
            .map(|place| (place.replica, place.order.applied().get(place.replica)))
            .collect();
        for place in &mut self.places {
            place.copies.begin(&written);
        }
    }

    /// Acknowledges on every link that brought something since; with `gossip`, also where there is news.
    pub(crate) fn acknowledge_all(&mut self, place: usize, gossip: bool) {
        for connection in 0..self.connections.len() {
            if self.connections[connection].to == place {
                self.acknowledge(connection, gossip);
            }
        }
    }

    fn acknowledge(&mut self, connection: usize, gossip: bool) {
        let place = self.connections[connection].to;
        let (life, Some(node)) = (self.places[place].life, &self.places[place].node) else {
            return;
        };
        let Some(end) = &mut self.connections[connection].target else {
            return;
        };
        if !end.is_welcome || end.life != life {
            return;
        }
        let consumed_bytes = node.inbox.consumed(LinkId(connection as u64));
        let revision = node.knowledge.revision();
        let is_news = gossip && revision != end.told_revision;
        if consumed_bytes == end.told_consumed && !is_news {
            return;
        }
        end.told_consumed = consumed_bytes;
        let mut ack = Ack {
            vector: node.region.applied().vector.clone(),
            consumed_bytes,
            known: Vec::new(),
            hearing: Vec::new(),
        };
        if is_news {
            end.told_revision = revision;
            ack.known = node.knowledge.matrix();
            ack.hearing = node.knowledge.hearing();
        }
        self.transmit(connection, End::Source, &Upstream::Ack(ack));
    }

    fn say_what_is_stable(&mut self, place: usize) -> Result<(), Violation> {
        let members = self.members();
        let Some(node) = &self.places[place].node else {
            return Ok(());
        };
        #[allow(
            clippy::redundant_closure_for_method_calls,
            reason = "the method is of one lifetime only"
        )]
        let writers = self.standing(place, |standing| standing.writers());
        let Some(Some(writers)) = writers else {
            return Ok(());
        };
        let vector = if self.does(Mischief::TrustTheNewest) {
            let newest = members.iter().map(|m| node.knowledge.durable(*m).cloned());
            let newest = newest.map(Option::unwrap_or_default);
            newest.reduce(|a, b| a.meet(&b)).unwrap_or_default()
        } else {
            node.knowledge.stable(&writers)
        };
        if node.region.applied().stable.covers_all(&vector) {
            return Ok(());
        }
        for (i, other) in self.places.iter().enumerate() {
            // One that joins or is retired forgets nothing, and nobody forgets for it.
            let joins = other.joins && !other.node.as_ref().is_some_and(is_active);
            if other.has_left || joins || self.is_retired(place, i) {
                continue;
            }
            let checked = stability::check_everywhere(place, &vector, i, other.order.applied());
            checked.or_else(|violation| self.found(violation))?;
        }
        self.report.stable += 1;
        self.trace(|w| format!("r{place} knows that {} is stable", w.shown(&vector)));
        self.ask(place, Asked::Command(Command::Stable { vector }));
        Ok(())
    }
}
