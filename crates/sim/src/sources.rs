//! The sending ends: the real source decides what goes out, this hands it its log and sends what it says.

use atoll_core::{Dot, Entry, wire};
use atoll_replication::message::{Batch, Downstream};

use crate::events::{End, Event};
use crate::invariants::Violation;
use crate::links::SourceEnd;
use crate::mischief::Mischief;
use crate::world::World;

/// Calls of a source in one go: more means that it never ends.
const PUMPS_MAX: u32 = 100_000;

impl World {
    /// A region has something new for those who pull from it.
    pub(crate) fn pump_all(&mut self, place: usize) -> Result<(), Violation> {
        for connection in 0..self.connections.len() {
            if self.connections[connection].from == place {
                self.pump(connection)?;
            }
        }
        Ok(())
    }

    pub(crate) fn pump_planned(&mut self, connection: usize) -> Result<(), Violation> {
        if let Some(end) = &mut self.connections[connection].source {
            end.pump_at = None;
        }
        self.pump(connection)
    }

    /// Sends all that a source wants to send now.
    pub(crate) fn pump(&mut self, connection: usize) -> Result<(), Violation> {
        let place = self.connections[connection].from;
        if self.connections[connection].is_cut || !self.places[place].serves() {
            return Ok(());
        }
        let now = self.now_at(place);
        self.hold_back(connection);
        for _ in 0..PUMPS_MAX {
            let Some(end) = &mut self.connections[connection].source else {
                return Ok(());
            };
            let (Some(source), Some(node)) = (&mut end.source, &self.places[place].node) else {
                return Ok(());
            };
            let next = source.next(&node.log(), &node.knowledge, now)?;
            let Some(mut message) = next else {
                let wakeup = source.wakeup();
                if wakeup <= now.elapsed {
                    continue;
                }
                if end.pump_at.is_none_or(|planned| planned > wakeup) {
                    end.pump_at = Some(wakeup);
                    self.time.at(wakeup, Event::Pump(connection));
                }
                return Ok(());
            };
            if let Downstream::Batch(batch) = &mut message {
                self.tamper(batch);
                if self.does(Mischief::SendTwice) {
                    self.transmit(connection, End::Target, &message);
                }
            }
            self.transmit(connection, End::Target, &message);
        }
        Err(Violation::broken(format!(
            "the source on r{place} never stops sending"
        )))
    }

    /// A region that joins is sent nothing before all members know that it is to come.
    fn hold_back(&mut self, connection: usize) {
        let place = self.connections[connection].from;
        let of = |end: &SourceEnd| {
            let source = end.source.as_ref()?;
            Some((source.target(), source.target_region().clone()))
        };
        let Some((target, name)) = self.connections[connection].source.as_ref().and_then(of) else {
            return;
        };
        let feeds = self.standing(place, |standing| standing.feeds(target, &name));
        let end = self.connections[connection].source.as_mut();
        if let Some(source) = end.and_then(|end| end.source.as_mut()) {
            source.hold(feeds == Some(false));
        }
    }

    /// A source that does not pass on what it was given.
    fn tamper(&self, batch: &mut Batch) {
        let forgets = self.does(Mischief::ForgetDependencies);
        let loses = self.does(Mischief::LoseWrites);
        if !forgets && !loses {
            return;
        }
        let change = |mut entry: Entry| {
            if forgets {
                let before = Dot::new(entry.dot.replica, entry.dot.seq - 1);
                entry.dependencies = [(before.replica, before.seq)].into_iter().collect();
            }
            if loses && entry.dot.seq.is_multiple_of(4) {
                entry.operations.pop();
            }
            wire::encode_entry(&entry)
        };
        let mut rest = batch.entries.clone();
        let mut changed = Vec::new();
        while let Ok(frame) = wire::split_frame(&mut rest) {
            if let Ok(entry) = wire::decode_entry(&frame) {
                changed.extend_from_slice(&change(entry));
            }
        }
        batch.entries = changed.into();
    }
}
