//! Whole networks of sources and inboxes over in-memory logs, by seed: every topology, links that are slow,
//! cut and dialled again, proposals that fail. Every entry must reach every region once, in causal order
//! (asserted by `region::Region::apply`), at few copies.
//!
//! Seen to fail: with `first_missing` answering `None` after the own predecessor (no dependency check),
//! `entries_reach_every_region_once_in_causal_order` stops at the causal order; with `Routes::second` never
//! pruning, a ring of six sends over 1.1 copies; with questions switched off, the slow link's delay shows in
//! `a_neighbour_is_asked_when_a_link_is_slow`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may print what it measured, and fail by panicking"
)]

mod healed;
mod healing;
mod net;
mod region;
mod topology;

use std::time::Duration;

use atoll_replication::delivery::InboxLimits;
use atoll_replication::message::Carries;

use net::{Net, Plan};
use topology::Topology;

fn limits() -> InboxLimits {
    InboxLimits::default()
}

/// Writes for a while under faults, lets things calm down, and checks that all have all.
fn check(seed: u64, topology: Topology, regions: usize, faults: bool, limits: InboxLimits) -> Net {
    let plan = Plan {
        seed,
        topology,
        regions,
        faults,
        limits,
        latency_ms: (1, 40),
    };
    let mut net = Net::new(plan);
    net.run(1500, 0.05);
    net.calm();
    for _ in 0..200 {
        net.run(100, 0.0);
        if net.is_converged() {
            return net;
        }
    }
    panic!(
        "seed {seed}: {topology:?} of {regions} did not converge: {}",
        net.vectors()
    );
}

#[test]
fn entries_reach_every_region_once_in_causal_order() {
    for seed in 0..60 {
        let regions = 2 + usize::try_from(seed % 5).unwrap();
        for topology in [
            Topology::AllToAll,
            Topology::Ring,
            Topology::Star,
            Topology::Custom,
        ] {
            check(seed, topology, regions, true, limits());
        }
    }
}

#[test]
fn a_small_waiting_room_and_small_credit_only_cost_time() {
    for seed in 0..25 {
        let limits = InboxLimits {
            waiting_bytes: 2000,
            ..limits()
        };
        for topology in [Topology::AllToAll, Topology::Ring, Topology::Custom] {
            check(seed, topology, 5, true, limits.clone());
            check(
                seed,
                topology,
                5,
                true,
                InboxLimits {
                    ask_after: None,
                    ..limits.clone()
                },
            );
        }
    }
}

#[test]
fn a_payload_travels_at_most_1_1_times_to_a_region() {
    for topology in [Topology::AllToAll, Topology::Ring] {
        for seed in 0..5 {
            let plan = Plan {
                seed,
                topology,
                regions: 6,
                faults: false,
                limits: limits(),
                latency_ms: (5, 30),
            };
            let mut net = Net::new(plan);
            net.run(1500, 0.05);
            let (copies, entries) = (net.copies(), net.applied_remotely());
            net.run(3000, 0.05);
            let (copies, entries) = (net.copies() - copies, net.applied_remotely() - entries);
            assert!(entries > 3000, "{entries}");
            assert!(
                copies * 10 <= entries * 11,
                "{topology:?} {seed}: {copies} copies of {entries}"
            );
        }
    }
}

#[test]
fn a_neighbour_is_asked_when_a_link_is_slow() {
    let longest = |ask_after| {
        let plan = Plan {
            seed: 1,
            topology: Topology::AllToAll,
            regions: 3,
            faults: false,
            limits: InboxLimits {
                ask_after,
                ..limits()
            },
            latency_ms: (5, 5),
        };
        let mut net = Net::new(plan);
        net.slow_down(0, 2, 2000);
        net.run(200, 0.0);
        for _ in 0..20 {
            net.write(0);
            net.run(20, 0.0);
            net.write(1);
            net.run(100, 0.0);
        }
        net.run(5000, 0.0);
        assert!(net.is_converged(), "{}", net.vectors());
        (net.longest_wait(2), net.wants())
    };
    let (waited, wants) = longest(None);
    assert_eq!(wants, 0);
    assert!(waited > Duration::from_millis(1800), "{waited:?}");
    let (waited, wants) = longest(Some(Duration::from_millis(20)));
    assert!((1..=40).contains(&wants), "{wants}");
    assert!(waited < Duration::from_millis(80), "{waited:?}");
}

#[test]
fn a_relay_takes_over_when_it_carries_everything() {
    let plan = Plan {
        seed: 3,
        topology: Topology::AllToAll,
        regions: 3,
        faults: false,
        limits: limits(),
        latency_ms: (5, 5),
    };
    let mut net = Net::new(plan);
    net.run(100, 0.05);
    net.cut_for_good(0, 2);
    net.run(100, 0.05);
    net.carry(1, 2, Carries::Everything);
    net.run(500, 0.05);
    net.run(200, 0.0);
    assert!(net.is_converged(), "{}", net.vectors());
}

/// The relay's own entries wait at the target for those that it is to relay. Caught: they took its credit again
/// as soon as it had relayed as many bytes, and the link stood still for ever.
#[test]
fn a_relay_takes_over_when_the_entries_that_wait_hold_all_its_credit() {
    let plan = Plan {
        seed: 3,
        topology: Topology::AllToAll,
        regions: 3,
        faults: false,
        limits: InboxLimits {
            ask_after: None,
            ..limits()
        },
        latency_ms: (5, 5),
    };
    let mut net = Net::new(plan);
    net.run(100, 0.05);
    net.cut_for_good(0, 2);
    for region in [0, 1] {
        (0..50).for_each(|_| net.write(region));
        net.run(100, 0.0);
    }
    net.carry(1, 2, Carries::Everything);
    net.run(3000, 0.0);
    assert!(net.is_converged(), "{}", net.vectors());
}

#[test]
fn a_ring_that_is_cut_heals_by_the_other_side() {
    for seed in 0..10 {
        let plan = Plan {
            seed,
            topology: Topology::Ring,
            regions: 6,
            faults: false,
            limits: limits(),
            latency_ms: (5, 30),
        };
        let mut net = Net::new(plan);
        net.run(1500, 0.05);
        net.cut_for_good(2, 3);
        net.cut_for_good(3, 2);
        net.run(1000, 0.05);
        net.run(2500, 0.0);
        assert!(net.is_converged(), "{seed}: {}", net.vectors());
    }
}
