//! When members come and go: pure decisions upon the catalog and what is known of the others.
//!
//! **Joining.** Below the stable vector things are forgotten, and it is made of the members that a region knows
//! of. So a region that joins writes nothing for clients until every member is known to know of it, and it has
//! all that they had when they came to: whatever anyone took for stable without it, its entries have seen then.
//! Until that moment it cannot say itself what is stable: there may be members of which it has not heard.
//!
//! That every member is known follows from one that was admitted and knows of the newcomer: of two regions that
//! were admitted, the later one waited for the earlier one to know of it. If the newcomer has all that the one
//! had when it knew of it, then it knows of the other, too, or the other was admitted after that and knows of it.
//! Others that join prove nothing; and those that were there from the beginning are those of its configuration.
//!
//! **Leaving.** A region that drains is retired when all that stay are known to have all that it wrote, and one of
//! them is Active and does not drain as far as is known here. Several regions may be told to leave at once, each by
//! somebody who does not know of the others: since a region must know that the others know of its leaving before
//! it goes, the last ones find nobody who stays. Of members that all drain the one with the smallest replica id stays
//! and is Active again: all decide the same, and nobody retires before one is.
//!
//! **Removal.** A dead region is removed by who names how many of its entries are known to be lost. A member that
//! could not be asked may hold more of them than anyone knew: they count, come to all others, and need not have
//! seen what was stable without them. So the removed region counts as one that writes until all that stay are known
//! to know of its removal, for from then on nobody takes anything from it, and all that they then have of it is here.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use atoll_core::layout::AgreedLayout;
use atoll_core::member::{Member, Regions};
use atoll_core::{Dot, MemberState, RegionName, ReplicaId, VersionVector};

use crate::knowledge::Knowledge;

/// What is known is noted once in this time, as long as it may decide admission.
const NOTED_EVERY: Duration = Duration::from_secs(1);
const NOTES_MAX: usize = 64;

/// All that one region decides upon.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// This region.
    pub me: ReplicaId,
    /// The regions that this one was configured with.
    pub configured: &'a [RegionName],
    /// The topology that it goes by, when one was declared.
    pub layout: Option<&'a AgreedLayout>,
    /// The members as applied here.
    pub members: &'a Regions,
    /// All that is applied here.
    pub applied: &'a VersionVector,
    /// What is known of the others.
    pub knowledge: &'a Knowledge,
}

/// How far a region is with leaving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drain {
    /// How many entries it is known to have written.
    pub entries: u64,
    /// Who, of those that stay, was not heard to have how many of them.
    pub waits_for: Vec<(ReplicaId, u64)>,
}

impl Standing<'_> {
    /// What a region has durably, as last heard of.
    #[must_use]
    pub fn durable(&self, replica: ReplicaId) -> VersionVector {
        if replica == self.me {
            return self.applied.clone();
        }
        self.knowledge.durable(replica).cloned().unwrap_or_default()
    }

    /// The highest sequence of a replica id that anyone was heard to have.
    #[must_use]
    pub fn announced(&self, replica: ReplicaId) -> u64 {
        let rows = self.knowledge.matrix().into_iter();
        let heard = rows.map(|(_, vector)| vector.get(replica)).max();
        heard.unwrap_or(0).max(self.applied.get(replica))
    }

    /// All that other members were heard to have; `None` before the first was heard. What only those that are
    /// retired had is lost; so is what one had that died before anybody took its announcement: it is no member.
    #[must_use]
    pub fn known_elsewhere(&self) -> Option<VersionVector> {
        let rows = self.knowledge.matrix().into_iter();
        let member = |replica| self.members.member(replica);
        let is_there = |replica| member(replica).is_some_and(|member| !member.is_retired());
        let stays = |replica| replica != self.me && is_there(replica);
        let others = rows.filter(|(replica, _)| stays(*replica));
        others.map(|(_, vector)| vector).reduce(|mut all, vector| {
            all.merge(&vector);
            all
        })
    }

    /// How far `leaver` is with leaving.
    #[must_use]
    pub fn drain(&self, leaver: ReplicaId) -> Drain {
        let entries = self.announced(leaver);
        let stay = self.members.present().filter(|m| m.replica != leaver);
        let missing = stay.map(|member| {
            let has = self.durable(member.replica).get(leaver);
            (member.replica, entries.saturating_sub(has))
        });
        Drain {
            entries,
            waits_for: missing.filter(|(_, missing)| *missing > 0).collect(),
        }
    }

    /// Whether a region is sent entries. One that joins is once all members know of it, or of the topology that names
    /// it: what it has of a member that dies would else come to those that had forgotten what that depends on. While
    /// no topology was declared anyone is, and one that the store began with always. By one that joins itself anyone
    /// is: members know of it, and wait for what it has.
    #[must_use]
    pub fn feeds(&self, target: ReplicaId, name: &RegionName) -> bool {
        let Some(agreed) = self.layout else {
            return true;
        };
        let is_member = |replica| self.members.member(replica).is_some_and(is_admitted);
        let began_with = self.configured.contains(name) && self.members.replica(name).is_none();
        if began_with || is_member(target) || !is_member(self.me) {
            return true;
        }
        let all_know = |dot| {
            let mut members = self.others().filter(|m| is_admitted(m));
            self.applied.covers(dot) && members.all(|m| self.durable(m.replica).covers(dot))
        };
        let names_it = agreed.layout.regions.iter().any(|r| r.name == *name);
        all_know(Dot::new(target, 1)) || names_it && all_know(agreed.dot)
    }

    /// Who was not heard to know of this region, which joins. It is admitted when all members do, and may be sent
    /// nothing before ([`Standing::feeds`]).
    #[must_use]
    pub fn unaware(&self) -> BTreeSet<ReplicaId> {
        let heard = self.knowledge.matrix().into_iter();
        let heard = heard.map(|(replica, _)| replica);
        let members = self.others().map(|member| member.replica);
        let mut unaware: BTreeSet<_> = heard.chain(members).collect();
        unaware.remove(&self.me);
        for replica in self.knowledge.confirmed_by(Dot::new(self.me, 1)) {
            unaware.remove(&replica);
        }
        unaware.retain(|replica| self.members.state(*replica) != Some(MemberState::Retired));
        unaware
    }

    /// The replica ids of which entries may still come; `None` while this region cannot know: it joins, or some
    /// region of its configuration or of its topology has not announced itself. One that is retired counts until its
    /// last entry is here, one that was removed until it is known which one that is.
    #[must_use]
    pub fn writers(&self) -> Option<Vec<ReplicaId>> {
        let joins = self.members.state(self.me) == Some(MemberState::Joining);
        if joins || !self.knows_all_configured() || !self.knows_all_declared() {
            return None;
        }
        let is_removal_known = self.is_every_removal_known();
        let may_come = |m: &&Member| match m.removed_by {
            _ if !m.is_retired() => true,
            None => self.applied.get(m.replica) < m.last,
            Some(_) => !is_removal_known || !self.has_all_of(m.replica),
        };
        let writers = self.members.members().filter(may_come);
        Some(writers.map(|member| member.replica).collect())
    }

    /// Whether all that stay were heard to know of every removal: of what they pass on, too, nothing is new then.
    fn is_every_removal_known(&self) -> bool {
        let mut removals = self.members.members().filter_map(|m| m.removed_by);
        removals.all(|by| self.others().all(|m| self.durable(m.replica).covers(by)))
    }

    /// Whether all that those who stay were heard to have of a replica id is here.
    fn has_all_of(&self, replica: ReplicaId) -> bool {
        let here = self.applied.get(replica);
        self.others()
            .all(|m| self.durable(m.replica).get(replica) <= here)
    }

    fn knows_all_configured(&self) -> bool {
        let is_known = |name| self.members.replica(name).is_some();
        self.configured.iter().all(is_known)
    }

    /// One that left and is to come back in another life has not announced that one.
    fn knows_all_declared(&self) -> bool {
        let is_there =
            |name: &RegionName| self.members.present().any(|member| member.region == *name);
        let regions = self.layout.map(|agreed| &agreed.layout.regions);
        regions.is_none_or(|regions| regions.iter().all(|region| is_there(&region.name)))
    }

    fn others(&self) -> impl Iterator<Item = &Member> {
        self.members.present().filter(|m| m.replica != self.me)
    }

    fn somebody_stays(&self) -> bool {
        self.others()
            .any(|member| member.state == MemberState::Active)
    }

    /// Whether all members leave, and this one is the one that stays.
    fn is_to_stay(&self) -> bool {
        let mut present = self.members.present();
        let first = self.members.present().map(|member| member.replica).min();
        first == Some(self.me) && present.all(|member| member.state == MemberState::Draining)
    }

    /// The state to which this region may go on by itself; `joining` is what it noted while it joins.
    #[must_use]
    pub fn next(
        &self,
        joining: &mut Joining,
        lag_max: Duration,
        now: Duration,
    ) -> Option<MemberState> {
        match self.members.state(self.me)? {
            MemberState::Joining => {
                joining.note(self, now);
                let is_admitted = joining.is_within(self, lag_max, now);
                is_admitted.then_some(MemberState::Active)
            }
            MemberState::Draining => {
                if self.is_to_stay() {
                    return Some(MemberState::Active);
                }
                let is_proved = self.drain(self.me).waits_for.is_empty();
                (is_proved && self.somebody_stays()).then_some(MemberState::Retired)
            }
            MemberState::Active | MemberState::Retired => None,
        }
    }
}

fn is_admitted(member: &Member) -> bool {
    member.state != MemberState::Joining
}

/// What was known at some moments while a region joins.
#[derive(Debug, Default)]
pub struct Joining {
    notes: VecDeque<Note>,
    /// When the first note was made, and how many entries were here then.
    began: Option<(Duration, u64)>,
}

#[derive(Debug)]
struct Note {
    at: Duration,
    /// All that was known to be anywhere with a member.
    known: VersionVector,
    /// The members that were known to know of this region.
    aware: Vec<ReplicaId>,
}

impl Joining {
    fn note(&mut self, standing: &Standing<'_>, now: Duration) {
        self.began.get_or_insert((now, standing.applied.total()));
        let is_due = |last: &Note| now >= last.at + NOTED_EVERY;
        let Some(known) = standing.known_elsewhere() else {
            return;
        };
        if !self.notes.back().is_none_or(is_due) {
            return;
        }
        let mut aware = standing.knowledge.confirmed_by(Dot::new(standing.me, 1));
        // What others have is not part of what is known.
        aware.retain(|replica| standing.members.member(*replica).is_some());
        self.notes.push_back(Note {
            at: now,
            known,
            aware,
        });
        if self.notes.len() > NOTES_MAX {
            self.notes.pop_front();
        }
    }

    /// Whether all that was known at some moment less than `lag_max` ago, when all members knew of this region,
    /// is here.
    fn is_within(&self, standing: &Standing<'_>, lag_max: Duration, now: Duration) -> bool {
        if !standing.knows_all_configured() || !standing.others().any(is_admitted) {
            return false;
        }
        let is_aware = |note: &Note, member: &Member| note.aware.contains(&member.replica);
        let lately = self.notes.iter().rev();
        lately
            .take_while(|note| now.saturating_sub(note.at) <= lag_max)
            .any(|note| {
                standing.others().all(|member| is_aware(note, member))
                    && standing.applied.covers_all(&note.known)
            })
    }

    /// Entries that came since the first note, a second; `None` when that cannot be said yet.
    #[must_use]
    pub fn pace(&self, now: Duration, applied: &VersionVector) -> Option<f64> {
        let (at, had) = self.began?;
        let seconds = now.saturating_sub(at).as_secs_f64();
        let gained = applied.total().saturating_sub(had);
        #[allow(clippy::cast_precision_loss, reason = "an estimate")]
        (seconds > 0.5 && gained > 0).then(|| gained as f64 / seconds)
    }
}

/// What is known of a dead region that is to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Remains {
    /// The highest sequence that anyone saw announced.
    pub announced: u64,
    /// The highest sequence that a member that stays holds.
    pub held: u64,
}

impl Remains {
    /// What one that stays says of it.
    pub fn take(&mut self, announced: u64, held: u64) {
        self.announced = self.announced.max(announced);
        self.held = self.held.max(held);
    }

    /// How many entries are known to be lost.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.announced.saturating_sub(self.held)
    }
}

#[cfg(test)]
mod tests;
