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
fn joined(rows: &[(u64, &[(u64, u64)])], applied: &[(u64, u64)], now: u64) -> Option<MemberState> {
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
    let aware: &[(u64, &[(u64, u64)])] = &[(1, &[(1, 7), (9, 1)]), (2, &[(1, 6), (2, 3), (9, 1)])];
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

/// Caught: a region that is retired waited for; a member of which nothing was heard left out.
#[test]
fn a_region_that_joins_says_who_has_not_heard_of_it() {
    use MemberState::{Active, Joining as Joins, Retired};
    let members = members(&[(1, Active), (2, Active), (3, Retired), (9, Joins)]);
    let applied = vector(&[(1, 4), (9, 1)]);
    let unaware = |rows: &[(u64, &[(u64, u64)])]| {
        let knowledge = knowing(rows);
        let unaware = standing(&members, &applied, &knowledge).unaware();
        unaware.into_iter().map(|r| r.0).collect::<Vec<_>>()
    };
    let knows: &[(u64, u64)] = &[(1, 4), (9, 1)];
    let not: &[(u64, u64)] = &[(1, 4)];
    assert_eq!(unaware(&[]), [1, 2]);
    assert_eq!(unaware(&[(1, knows), (3, not), (4, not)]), [2, 4]);
    assert_eq!(unaware(&[(1, knows), (2, knows)]), [0; 0]);
}
