//! Members and layouts come out the same in whatever order their changes arrive.

use std::collections::BTreeMap;

use atoll_core::layout::{AgreedLayout, LayoutRefused, LayoutRegion, Role, Topology};
use atoll_core::member::{ChangeRefused, Member, Regions};
use atoll_core::{Dot, Layout, MemberChange, MemberState, RegionName, ReplicaId, Timestamp};
use proptest::prelude::*;

use MemberState::{Active, Draining, Joining, Retired};

fn cases() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(10_000)
    }
}

fn name(text: &str) -> RegionName {
    text.parse().unwrap()
}

/// What an entry can say of a member: that it announces itself, or a change.
#[derive(Debug, Clone)]
enum News {
    Announced(u64),
    Changed(MemberChange),
    /// By an entry of somebody else.
    Removed(MemberChange, Dot),
}

fn region_of(replica: u64) -> RegionName {
    name(["eu", "us", "eu"][replica as usize])
}

fn news() -> impl Strategy<Value = News> {
    let state = prop::sample::select(MemberState::ALL.to_vec());
    let change =
        (0..3_u64, state, 0..4_u64, 0..3_u64).prop_map(|(replica, state, revision, last)| {
            News::Changed(MemberChange {
                replica: ReplicaId(replica),
                region: region_of(replica),
                state,
                revision,
                last,
            })
        });
    let removed = (0..3_u64, 0..3_u64, 1..4_u64).prop_map(|(replica, last, seq)| {
        let change = MemberChange {
            replica: ReplicaId(replica),
            region: region_of(replica),
            state: Retired,
            revision: 2,
            last,
        };
        News::Removed(change, Dot::new(ReplicaId(9), seq))
    });
    prop_oneof![1 => (0..3_u64).prop_map(News::Announced), 4 => change, 1 => removed]
}

fn after(news: &[News]) -> BTreeMap<ReplicaId, Member> {
    let mut regions = Regions::default();
    for news in news {
        match news {
            News::Announced(replica) => regions.admit(ReplicaId(*replica), region_of(*replica)),
            News::Changed(change) => regions.merge(change),
            News::Removed(change, by) => {
                regions.merge(change);
                regions.removed(change.replica, *by);
            }
        }
    }
    let members = regions.members().cloned();
    members.map(|member| (member.replica, member)).collect()
}

fn layouts() -> impl Strategy<Value = AgreedLayout> {
    (0..3_u64, 0..3_u64, 1..3_u64, 1..3_u64).prop_map(|(revision, time, replica, seq)| {
        let dot = Dot::new(ReplicaId(replica), seq);
        AgreedLayout {
            layout: Layout {
                revision,
                topology: Topology::AllToAll,
                // One entry says one thing.
                regions: vec![region(&format!("r{time}-{replica}-{seq}"))],
            },
            time: Timestamp(time),
            dot,
        }
    })
}

fn region(text: &str) -> LayoutRegion {
    LayoutRegion {
        name: name(text),
        role: Role::Leader,
        endpoints: vec![],
    }
}

proptest! {
    #![proptest_config(cases())]

    /// Caught: the later change to arrive wins; the first entry heard of that removed a member kept.
    #[test]
    fn members_do_not_show_the_order_of_arrival(
        (first, second) in prop::collection::vec(news(), 0..8)
            .prop_flat_map(|news| (Just(news.clone()), Just(news).prop_shuffle())),
    ) {
        prop_assert_eq!(after(&first), after(&second));
        let again: Vec<News> = [second, first.clone()].concat();
        prop_assert_eq!(after(&first), after(&again), "heard twice");
    }

    /// Caught: ranking changes by revision before retirement.
    #[test]
    fn retired_is_for_ever(news in prop::collection::vec(news(), 0..12)) {
        let is_retired = |at: usize, replica| {
            after(&news[..at]).get(&ReplicaId(replica)).is_some_and(Member::is_retired)
        };
        for at in 1..=news.len() {
            for replica in 0..3 {
                prop_assert!(!is_retired(at - 1, replica) || is_retired(at, replica));
            }
        }
    }

    /// Caught: comparing revisions alone.
    #[test]
    fn layouts_do_not_show_the_order_of_arrival(
        (first, second) in prop::collection::vec(layouts(), 1..8)
            .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
    ) {
        let greatest = |all: Vec<AgreedLayout>| all.into_iter().reduce(AgreedLayout::or_greater);
        prop_assert_eq!(greatest(first), greatest(second));
    }

    /// Caught: a check that lets the same revision pass again.
    #[test]
    fn a_change_is_made_upon_what_it_was_decided_on(news in prop::collection::vec(news(), 1..8)) {
        let mut regions = Regions::default();
        for news in &news {
            match news {
                News::Announced(replica) => regions.admit(ReplicaId(*replica), region_of(*replica)),
                News::Changed(change) | News::Removed(change, _) => {
                    let before = regions.clone();
                    let allowed = regions.check(change);
                    regions.merge(change);
                    if allowed.is_ok() {
                        prop_assert_eq!(regions.state(change.replica), Some(change.state));
                        prop_assert!(regions.present().count() > 0);
                        prop_assert!(before.check(change).is_ok());
                        prop_assert!(regions.check(change).is_err(), "made twice");
                    }
                }
            }
        }
    }
}

#[test]
fn a_member_goes_where_its_life_leads() {
    let mut table = Vec::new();
    for from in MemberState::ALL {
        for to in MemberState::ALL {
            let mut regions = Regions::default();
            regions.admit(ReplicaId(1), name("eu"));
            regions.merge(&MemberChange {
                replica: ReplicaId(2),
                region: name("us"),
                state: from,
                revision: 1,
                last: 0,
            });
            if regions.change(ReplicaId(2), to, 0).is_ok() {
                table.push((from, to));
            }
        }
    }
    let expected = [
        (Joining, Active),
        (Joining, Retired),
        (Active, Draining),
        (Active, Retired),
        (Draining, Active),
        (Draining, Retired),
    ];
    assert_eq!(table, expected);
}

#[test]
fn the_last_member_cannot_leave() {
    let mut regions = Regions::default();
    regions.admit(ReplicaId(1), name("eu"));
    let refused = regions.change(ReplicaId(1), Draining, 0);
    assert_eq!(refused, Err(ChangeRefused::LastMember("eu".into())));
    regions.admit(ReplicaId(2), name("us"));
    let retire = regions.change(ReplicaId(2), Retired, 7).unwrap();
    regions.merge(&retire);
    let refused = regions.change(ReplicaId(1), Retired, 0);
    assert_eq!(refused, Err(ChangeRefused::LastMember("eu".into())));
}

#[test]
fn a_region_comes_back_under_its_name_as_another_life() {
    let mut regions = Regions::default();
    for replica in [1, 2] {
        regions.admit(ReplicaId(replica), name(["eu", "us"][replica as usize - 1]));
    }
    let retire = regions.change(ReplicaId(1), Retired, 7).unwrap();
    regions.merge(&retire);
    regions.admit(ReplicaId(3), name("eu"));
    assert_eq!(regions.shown(ReplicaId(3)), "eu~2");
    assert_eq!(regions.replica(&name("eu")), Some(ReplicaId(3)));
    let states = [1, 3].map(|r| regions.state(ReplicaId(r)).unwrap());
    assert_eq!(states, [Retired, Active]);
}

fn layout(topology: Topology, regions: &[&str]) -> Layout {
    Layout {
        revision: 1,
        topology,
        regions: regions.iter().map(|text| region(text)).collect(),
    }
}

#[test]
fn a_layout_that_makes_no_sense_is_named() {
    let links = |pairs: &[(&str, &str)]| Topology::Custom {
        links: pairs.iter().map(|(a, b)| (name(a), name(b))).collect(),
    };
    let ring = |order: &[&str]| Topology::Ring {
        order: order.iter().map(|text| name(text)).collect(),
    };
    let star = |hub: &str| Topology::Star { hub: name(hub) };
    let of = |topology, regions: &[&str]| {
        let checked = layout(topology, regions).check();
        checked.map_err(|refused| refused.to_string()).err()
    };
    let three = ["eu", "us", "ap"];
    for good in [
        Topology::AllToAll,
        star("us"),
        ring(&["ap", "eu", "us"]),
        links(&[("eu", "us"), ("us", "ap"), ("ap", "eu")]),
    ] {
        assert_eq!(of(good, &three), None);
    }
    assert_eq!(of(Topology::AllToAll, &["eu"]), None);
    let refused = [
        of(Topology::AllToAll, &[]),
        of(Topology::AllToAll, &["eu", "us", "eu"]),
        of(star("af"), &three),
        of(ring(&["eu", "us"]), &three),
        of(ring(&["eu", "us", "ap", "us"]), &three),
        of(ring(&["eu", "us", "af"]), &three),
        of(links(&[("eu", "af")]), &three),
        of(links(&[("eu", "eu")]), &three),
        of(links(&[("eu", "us"), ("eu", "us")]), &three),
        of(links(&[("eu", "us"), ("us", "eu"), ("ap", "eu")]), &three),
    ];
    let refused: Vec<String> = refused.into_iter().map(Option::unwrap).collect();
    insta::assert_snapshot!(refused.join("\n"), @r"
    the layout has no regions
    region eu is named twice
    the hub is af, which is not a region of the layout; its regions are ap, eu, us
    the ring's order must name every region once; ap is not named once
    the ring's order must name every region once; us is not named once
    the ring names af, which is not a region of the layout; its regions are ap, eu, us
    a link names af, which is not a region of the layout; its regions are ap, eu, us
    the link eu:eu is none, or is listed twice
    the link eu:us is none, or is listed twice
    nothing that eu writes would reach ap: add links that lead there
    ");
}

#[test]
fn a_layout_follows_the_one_that_it_was_declared_upon_and_leaves_no_member_out() {
    let mut members = Regions::default();
    members.admit(ReplicaId(1), name("eu"));
    members.admit(ReplicaId(2), name("us"));
    let mut next = layout(Topology::AllToAll, &["eu", "us", "ap"]);
    assert_eq!(next.check_after(None, &members), Ok(()), "ap is to join");
    let current = AgreedLayout {
        layout: next.clone(),
        time: Timestamp(1),
        dot: Dot::new(ReplicaId(1), 2),
    };
    let refused = next.check_after(Some(&current), &members);
    assert_eq!(refused, Err(LayoutRefused::Moved { now: 1 }));
    next.revision = 2;
    next.regions.remove(1);
    let refused = next.check_after(Some(&current), &members);
    assert_eq!(refused, Err(LayoutRefused::MemberLeftOut(name("us"))));
    let retire = members.change(ReplicaId(2), Retired, 1).unwrap();
    members.merge(&retire);
    assert_eq!(next.check_after(Some(&current), &members), Ok(()));
}
