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

use std::collections::VecDeque;
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
mod tests {
    use atoll_core::Timestamp;
    use atoll_core::layout::{Layout, LayoutRegion, Role, Topology};

    use super::*;

    const LAG_MAX: Duration = Duration::from_secs(3);

    fn vector(components: &[(u64, u64)]) -> VersionVector {
        let component = |&(replica, seq)| (ReplicaId(replica), seq);
        components.iter().map(component).collect()
    }

    fn members(states: &[(u64, MemberState)]) -> Regions {
        let mut regions = Regions::default();
        for (replica, state) in states {
            regions.merge(&atoll_core::MemberChange {
                replica: ReplicaId(*replica),
                region: format!("r{replica}").parse().unwrap(),
                state: *state,
                revision: 1,
                last: if *state == MemberState::Retired { 5 } else { 0 },
            });
        }
        regions
    }

    fn knowing(rows: &[(u64, &[(u64, u64)])]) -> Knowledge {
        let mut knowledge = Knowledge::new(ReplicaId(9));
        for (replica, row) in rows {
            knowledge.learn(ReplicaId(*replica), &vector(row));
        }
        knowledge
    }

    /// Region 9.
    fn standing<'a>(
        members: &'a Regions,
        applied: &'a VersionVector,
        knowledge: &'a Knowledge,
    ) -> Standing<'a> {
        Standing {
            me: ReplicaId(9),
            configured: &[],
            layout: None,
            members,
            applied,
            knowledge,
        }
    }

    /// Where it may go on to, having noted nothing before.
    fn goes_on_to(standing: &Standing<'_>) -> Option<MemberState> {
        standing.next(&mut Joining::default(), LAG_MAX, Duration::ZERO)
    }

    /// Region 9 joins 1 and 2. Its state after it noted what is known at one second, and has `applied` at `now`.
    fn joined(
        rows: &[(u64, &[(u64, u64)])],
        applied: &[(u64, u64)],
        now: u64,
    ) -> Option<MemberState> {
        use MemberState::{Active, Joining as Joins};
        let members = members(&[(1, Active), (2, Active), (9, Joins)]);
        let mut joining = Joining::default();
        let knowledge = knowing(rows);
        let mut next = |applied: &[(u64, u64)], now| {
            let applied = vector(applied);
            let standing = standing(&members, &applied, &knowledge);
            standing.next(&mut joining, LAG_MAX, Duration::from_secs(now))
        };
        assert_eq!(next(&[(9, 1)], 1), None);
        next(applied, now)
    }

    /// Caught: no note demanded at all; lag counted without end; those who do not know of the region left out.
    #[test]
    fn a_region_is_admitted_when_all_know_of_it_and_it_has_what_they_had() {
        let aware: &[(u64, &[(u64, u64)])] =
            &[(1, &[(1, 7), (9, 1)]), (2, &[(1, 6), (2, 3), (9, 1)])];
        let all: &[(u64, u64)] = &[(1, 7), (2, 3), (9, 1)];
        assert_eq!(joined(aware, all, 1), Some(MemberState::Active));
        assert_eq!(joined(aware, &[(1, 6), (2, 3), (9, 1)], 1), None);
        assert_eq!(joined(&[], all, 1), None, "nobody was heard");
        assert_eq!(joined(&aware[..1], all, 1), None, "one was not heard");
        let unaware: &[(u64, &[(u64, u64)])] = &[aware[0], (2, &[(2, 3)])];
        assert_eq!(joined(unaware, all, 1), None, "one does not know of it");
    }

    /// Two regions that join hear of each other before they hear of anyone else. Caught: those that join counted
    /// like those that were admitted: both wrote for clients, and saw nothing of what the members had.
    #[test]
    fn regions_that_join_do_not_admit_each_other() {
        use MemberState::{Active, Draining, Joining as Joins};
        let next = |states: &[(u64, MemberState)], rows: &[(u64, &[(u64, u64)])]| {
            let (members, knowledge) = (members(states), knowing(rows));
            let applied = vector(&[(1, 4), (8, 1), (9, 1)]);
            let standing = standing(&members, &applied, &knowledge);
            goes_on_to(&standing)
        };
        let other: (u64, &[(u64, u64)]) = (8, &[(8, 1), (9, 1)]);
        assert_eq!(next(&[(8, Joins), (9, Joins)], &[other]), None);
        for state in [Active, Draining] {
            let states = [(1, state), (8, Joins), (9, Joins)];
            assert_eq!(next(&states, &[other]), None, "the member was not heard");
            let member: (u64, &[(u64, u64)]) = (1, &[(1, 4), (8, 1), (9, 1)]);
            assert_eq!(next(&states, &[other, member]), Some(Active));
        }
    }

    /// Caught: the configuration not looked at when a region is admitted, and when it says what is stable.
    #[test]
    fn regions_of_the_configuration_are_waited_for() {
        use MemberState::{Active, Joining as Joins, Retired};
        let ask = |mine, configured: &[&str]| {
            let members = members(&[(1, Active), (3, Retired), (9, mine)]);
            let configured: Vec<RegionName> = configured
                .iter()
                .map(|name| name.parse().unwrap())
                .collect();
            let (applied, knowledge) = (
                vector(&[(1, 4), (9, 1)]),
                knowing(&[(1, &[(1, 4), (9, 1)])]),
            );
            let standing = Standing {
                configured: &configured,
                ..standing(&members, &applied, &knowledge)
            };
            let next = goes_on_to(&standing);
            (next, standing.writers().is_some())
        };
        assert_eq!(ask(Joins, &["r1", "r2"]), (None, false));
        assert_eq!(ask(Joins, &["r1", "r3"]), (Some(Active), false));
        assert_eq!(ask(Active, &["r1", "r2"]), (None, false));
        assert_eq!(ask(Active, &["r1", "r3"]), (None, true));
    }

    fn layout(names: &[&str]) -> AgreedLayout {
        let region = |name: &&str| LayoutRegion {
            name: name.parse().unwrap(),
            role: Role::Leader,
            endpoints: Vec::new(),
        };
        AgreedLayout {
            layout: Layout {
                revision: 1,
                topology: Topology::AllToAll,
                regions: names.iter().map(region).collect(),
            },
            time: Timestamp(1),
            dot: Dot::new(ReplicaId(9), 5),
        }
    }

    /// Caught: entries sent to one that joins and is not named, or of which a member does not know yet; members that
    /// join themselves waited for, which ends nowhere when two join.
    #[test]
    fn one_that_joins_is_sent_entries_when_all_members_know_that_it_is_to_come() {
        use MemberState::{Active, Joining as Joins};
        let members = members(&[(1, Active), (4, Joins), (7, Joins), (9, Active)]);
        let applied = vector(&[(9, 5), (7, 1)]);
        let agreed = layout(&["r1", "r4", "r5", "r9"]);
        let feeds = |target: u64, known_to_1: u64, agreed: Option<&AgreedLayout>| {
            let knowledge = knowing(&[(1, &[(9, known_to_1), (7, 1)])]);
            let standing = Standing {
                configured: &["r8".parse().unwrap()],
                layout: agreed,
                ..standing(&members, &applied, &knowledge)
            };
            standing.feeds(ReplicaId(target), &format!("r{target}").parse().unwrap())
        };
        let all = |known| [1, 4, 5, 6].map(|target| feeds(target, known, Some(&agreed)));
        assert_eq!(all(4), [true, false, false, false]);
        assert_eq!(all(5), [true, true, true, false]);
        assert!(feeds(6, 4, None));
        let (applied, knowledge) = (vector(&[(7, 1)]), knowing(&[]));
        let joins = Standing {
            me: ReplicaId(7),
            layout: Some(&agreed),
            ..standing(&members, &applied, &knowledge)
        };
        assert!(joins.feeds(ReplicaId(6), &"r6".parse().unwrap()));
        assert!(feeds(7, 4, Some(&agreed)), "all know that it joins");
        assert!(feeds(8, 4, Some(&agreed)), "the store began with it");
    }

    /// Caught: the topology not looked at: what a region that was still to come had of a member that was removed
    /// arrived below what had been forgotten.
    #[test]
    fn nothing_is_stable_while_a_declared_region_is_still_to_come() {
        use MemberState::{Active, Retired};
        let members = members(&[(1, Active), (3, Retired), (9, Active)]);
        let (applied, knowledge) = (vector(&[(9, 5)]), knowing(&[(1, &[(9, 5)])]));
        let is_said = |names: &[&str]| {
            let agreed = layout(names);
            let standing = Standing {
                layout: Some(&agreed),
                ..standing(&members, &applied, &knowledge)
            };
            standing.writers().is_some()
        };
        assert!(is_said(&["r1", "r9"]));
        assert!(!is_said(&["r1", "r2", "r9"]));
        assert!(!is_said(&["r1", "r3", "r9"]), "in another life");
    }

    /// Caught: those that do not stay waited for; what others announced of the leaver left out.
    #[test]
    fn a_region_is_retired_when_all_that_stay_have_what_it_wrote() {
        use MemberState::{Active, Draining, Retired};
        let members = members(&[(1, Active), (2, Active), (3, Retired), (9, Draining)]);
        let next = |rows: &[(u64, &[(u64, u64)])], written| {
            let applied = vector(&[(9, written)]);
            let knowledge = knowing(rows);
            let standing = standing(&members, &applied, &knowledge);
            let next = goes_on_to(&standing);
            (standing.drain(ReplicaId(9)).waits_for, next)
        };
        let both: &[(u64, &[(u64, u64)])] = &[(1, &[(9, 4)]), (2, &[(9, 4)])];
        assert_eq!(next(both, 4), (vec![], Some(Retired)));
        let missing = vec![(ReplicaId(1), 1), (ReplicaId(2), 1)];
        assert_eq!(next(both, 5), (missing, None));
        assert_eq!(next(&both[..1], 4), (vec![(ReplicaId(2), 4)], None));
    }

    /// Caught: whoever stays counted, those that drain or join as well: all regions of a store left it at once.
    #[test]
    fn a_region_does_not_leave_those_alone_that_leave_or_join() {
        use MemberState::{Active, Draining, Joining as Joins, Retired};
        let next = |other| {
            let members = members(&[(1, other), (9, Draining)]);
            let (applied, knowledge) = (vector(&[(9, 4)]), knowing(&[(1, &[(9, 4)])]));
            let standing = standing(&members, &applied, &knowledge);
            goes_on_to(&standing)
        };
        let states = [Active, Draining, Joins, Retired].map(next);
        assert_eq!(states, [Some(Retired), None, None, Some(Active)]);
    }

    /// Caught: a region that joins says what is stable; a retired one forgotten before its last entry.
    #[test]
    fn entries_may_come_of_those_present_and_of_the_retired_until_their_last_one() {
        use MemberState::{Active, Joining as Joins, Retired};
        let writers = |mine, applied| {
            let members = members(&[(1, Active), (3, Retired), (9, mine)]);
            let (applied, knowledge) = (vector(applied), knowing(&[]));
            let standing = standing(&members, &applied, &knowledge);
            standing.writers()
        };
        let ids = |ids: &[u64]| Some(ids.iter().copied().map(ReplicaId).collect::<Vec<_>>());
        assert_eq!(writers(Active, &[(3, 4)]), ids(&[1, 3, 9]));
        assert_eq!(writers(Active, &[(3, 5)]), ids(&[1, 9]));
        assert_eq!(writers(Joins, &[(3, 5)]), None);
    }

    /// Region 2 has not heard that 3 was removed, and holds more of it than was known. Caught: a removed region
    /// forgotten like one that retired itself; members not waited for that do not know of the removal; what they
    /// hold not waited for.
    #[test]
    fn entries_of_a_removed_region_may_come_until_all_know_of_the_removal() {
        use MemberState::{Active, Retired};
        let mut members = members(&[(1, Active), (2, Active), (3, Retired), (9, Active)]);
        members.removed(ReplicaId(3), Dot::new(ReplicaId(1), 8));
        let counts = |rows: &[(u64, &[(u64, u64)])], applied| {
            let (applied, knowledge) = (vector(applied), knowing(rows));
            let standing = standing(&members, &applied, &knowledge);
            standing.writers().unwrap().contains(&ReplicaId(3))
        };
        let one: (u64, &[(u64, u64)]) = (1, &[(1, 8), (3, 5)]);
        let here: &[(u64, u64)] = &[(1, 8), (3, 5)];
        assert!(counts(&[one], here), "2 was not heard");
        assert!(
            counts(&[one, (2, &[(1, 7), (3, 5)])], here),
            "2 does not know"
        );
        let both = [one, (2, &[(1, 8), (3, 6)][..])];
        assert!(counts(&both, here), "2 holds more");
        assert!(!counts(&both, &[(1, 8), (3, 6)]));
    }

    /// Caught: what the removed region had announced demanded of regions that join: nobody could join any more.
    #[test]
    fn what_is_lost_keeps_nobody_from_joining() {
        use MemberState::{Active, Joining as Joins, Retired};
        let members = members(&[(1, Active), (3, Retired), (9, Joins)]);
        let knowledge = knowing(&[(1, &[(1, 8), (3, 5), (9, 1)]), (3, &[(1, 4), (3, 7)])]);
        let applied = vector(&[(1, 8), (3, 5), (9, 1)]);
        let standing = standing(&members, &applied, &knowledge);
        let next = goes_on_to(&standing);
        assert_eq!(next, Some(MemberState::Active));
        assert_eq!(standing.announced(ReplicaId(3)), 7);
    }

    /// A region joined, pulled from one and died before anybody took its announcement. Caught: its entry demanded of
    /// regions that join, and nobody could, nor could it be removed: no member knew of it.
    #[test]
    fn one_that_died_unknown_keeps_nobody_from_joining() {
        use MemberState::{Active, Joining as Joins};
        let members = members(&[(1, Active), (9, Joins)]);
        let knowledge = knowing(&[(1, &[(1, 8), (9, 1)]), (3, &[(1, 4), (3, 1)])]);
        let applied = vector(&[(1, 8), (9, 1)]);
        let standing = Standing {
            me: ReplicaId(9),
            configured: &[],
            layout: None,
            members: &members,
            applied: &applied,
            knowledge: &knowledge,
        };
        let next = standing.next(&mut Joining::default(), LAG_MAX, Duration::ZERO);
        assert_eq!(next, Some(MemberState::Active));
    }

    #[test]
    fn what_is_lost_is_what_was_announced_and_nobody_holds() {
        let mut remains = Remains::default();
        remains.take(10, 4);
        remains.take(8, 7);
        assert_eq!(
            (remains.announced, remains.held, remains.lost()),
            (10, 7, 3)
        );
    }
}
