//! Regions that die for good, disk and all: somebody removes them by force, and what they alone had is lost.
//!
//! The removal names the last entry of the dead region that counts, which is the last that those who answered held.
//! So up to that one nothing may be lost, unless all that had it die later. Of later ones a member that could not be asked may still bring some; what
//! then is in no region when all is at rest is excused, and struck out of the book.

use atoll_core::{Dot, MemberState, VersionVector};
use atoll_replication::membership::{Remains, Standing};
use atoll_store::Command;

use crate::invariants::Violation;
use crate::node::Asked;
use crate::world::World;

impl World {
    /// A region dies for good, if one stays that is a member, and none leaves.
    pub(crate) fn die(&mut self, place: usize) -> Result<(), Violation> {
        let catalogs = || {
            let nodes = self.places.iter().filter_map(|p| p.node.as_ref());
            nodes.map(|node| node.region.catalog())
        };
        let leaves = |state| state == MemberState::Draining;
        let any_leaves = catalogs().any(|c| c.regions.present().any(|m| leaves(m.state)));
        let others = (0..self.places.len()).filter(|&other| other != place);
        let stays = others.filter(|&other| self.is_member(other)).count();
        let may_die = stays > 0 && !any_leaves && !self.is_waited_for(place);
        if self.places[place].has_left || !may_die || self.has_unburied() {
            return Ok(());
        }
        self.trace(|_| format!("r{place} dies for good"));
        self.report.died += 1;
        self.places[place].has_left = true;
        self.places[place].has_died = true;
        let nothing_left = self.places[place].disk.restart();
        self.take_down(place, nothing_left, None)?;
        self.note_spared(place);
        Ok(())
    }

    /// What only the one that dies now had of those that died before is lost, too, whatever their removal names.
    fn note_spared(&mut self, dies: usize) {
        for dead in 0..self.places.len() {
            if dead == dies || !self.places[dead].has_died {
                continue;
            }
            let replica = self.places[dead].replica;
            let there = self.places.iter().filter(|place| !place.has_left);
            let held = there.map(|place| place.order.applied().get(replica)).max();
            self.places[dead].spared = self.places[dead].spared.min(held.unwrap_or(0));
        }
    }

    /// Whether some region was configured with this one and not all know of it yet. If it died, one that joins would
    /// wait for it until a person corrects its configuration.
    fn is_waited_for(&self, place: usize) -> bool {
        let dying = &self.places[place];
        let others = self.places.iter().enumerate();
        let others = || {
            others
                .clone()
                .filter(|(i, other)| *i != place && !other.has_left)
        };
        let is_named =
            others().any(|(_, other)| other.configured.regions().contains(&dying.region));
        let is_known = others().all(|(_, other)| {
            let regions = other.node.as_ref().map(|n| &n.region.catalog().regions);
            regions.is_some_and(|regions| regions.member(dying.replica).is_some())
        });
        is_named && !is_known
    }

    fn is_member(&self, place: usize) -> bool {
        let node = self.places[place].node.as_ref();
        let state = node.and_then(|n| n.region.catalog().regions.state(n.region.replica()));
        state == Some(MemberState::Active)
    }

    /// Whether a region died that some region that runs does not know to be gone, or may know as soon as it runs.
    pub(crate) fn has_unburied(&self) -> bool {
        let dead = self.places.iter().filter(|place| place.has_died);
        dead.into_iter().any(|dead| {
            self.places.iter().filter(|p| !p.has_left).any(|place| {
                let knows = |regions: &atoll_core::collection::Regions| {
                    let member = regions.member(dead.replica);
                    member.is_none_or(atoll_core::member::Member::is_retired)
                };
                let node = place.node.as_ref();
                node.is_none_or(|node| !knows(&node.region.catalog().regions))
            })
        })
    }

    /// Somebody removes the dead, by a region that knows of them: asks all that can be asked what they hold.
    pub(crate) fn bury(&mut self, asked: usize) {
        for dead in 0..self.places.len() {
            let replica = self.places[dead].replica;
            let Some(node) = self.places[asked].node.as_ref() else {
                return;
            };
            let regions = &node.region.catalog().regions;
            let is_there = regions.present().any(|member| member.replica == replica);
            if !self.places[dead].has_died || !is_there {
                continue;
            }
            let mut remains = Remains::default();
            let present: Vec<_> = regions.present().map(|member| member.replica).collect();
            for (other, place) in self.places.iter().enumerate() {
                let is_reached = other == asked || self.reach.is_open(asked, other);
                match place.node.as_ref().filter(|_| place.serves() && is_reached) {
                    _ if other == dead || !present.contains(&place.replica) => {}
                    Some(_) => {
                        let answer = self.standing(other, |standing| {
                            let held = standing.applied.get(replica);
                            (standing.announced(replica), held)
                        });
                        let (announced, held) = answer.unwrap_or_default();
                        remains.take(announced, held);
                    }
                    None => {
                        let heard = node.knowledge.durable(place.replica);
                        remains.take(0, heard.map_or(0, |vector| vector.get(replica)));
                    }
                }
            }
            if let Ok(change) = regions.change(replica, MemberState::Retired, remains.held) {
                let (held, lost) = (remains.held, remains.lost());
                self.trace(|_| format!("r{asked} removes r{dead} after {held}, {lost} are lost"));
                let now = self.timestamp(asked);
                self.ask(asked, Asked::Command(Command::Member { now, change }));
            }
        }
    }

    /// Asks something of how members stand, as a region knows them; `None` while it is down.
    pub(crate) fn standing<T>(
        &self,
        place: usize,
        ask: impl FnOnce(&Standing<'_>) -> T,
    ) -> Option<T> {
        let here = &self.places[place];
        let node = here.node.as_ref()?;
        Some(ask(&Standing {
            me: here.replica,
            configured: here.configured.regions(),
            layout: node.region.catalog().layout.as_ref(),
            members: &node.region.catalog().regions,
            applied: &node.region.applied().vector,
            knowledge: &node.knowledge,
        }))
    }

    /// How many entries a region that has `vector` and knows what it says should have: all but those that are lost.
    /// `None` while it lacks some that count, or does not know who is gone.
    pub(crate) fn expected(&self, place: usize, vector: &VersionVector) -> Option<u64> {
        let regions = &self.places[place].node.as_ref()?.region.catalog().regions;
        let mut expected = self.book.len() as u64;
        for dead in self.places.iter().filter(|place| place.has_died) {
            let has = vector.get(dead.replica);
            if let Some(member) = regions.member(dead.replica)
                && (!member.is_retired() || has < member.last.min(dead.spared))
            {
                return None;
            }
            expected -= self.book.beyond(Dot::new(dead.replica, has));
        }
        Some(expected)
    }

    /// At rest: what no region has of the dead is lost.
    pub(crate) fn strike_out_lost(&mut self) {
        let Some(place) = self.places.iter().position(|place| !place.has_left) else {
            return;
        };
        let vector = self.places[place].order.applied().clone();
        for dead in self.places.iter().filter(|place| place.has_died) {
            let last = Dot::new(dead.replica, vector.get(dead.replica));
            self.report.lost += self.book.lose_beyond(last);
        }
    }

    /// A client that has seen what is lost would wait for ever: it is told so, and begins anew.
    pub(crate) fn has_seen_lost(&self, session: &VersionVector) -> bool {
        let dead = self.places.iter().filter(|place| place.has_died);
        dead.into_iter().any(|dead| {
            let there = self.places.iter().filter(|place| !place.has_left);
            let held = there.map(|place| place.order.applied().get(dead.replica));
            session.get(dead.replica) > held.max().unwrap_or(0)
        })
    }
}
