//! Each invariant notices a fault that is put in for it: the proof that it can fail.
//!
//! One invariant is looked at alone, so that none of them hides behind another.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use crate::mischief::Mischief;
use crate::world::World;

/// Seeds tried for each fault: some schedules have no occasion for it, and some faults show only in few.
const SEEDS: u64 = 6000;

/// Plays schedules with the fault until the invariant notices it.
fn check(mischief: Mischief, invariant: &'static str) {
    for seed in 0..SEEDS {
        let mut world = World::new(seed, None).unwrap();
        world.mischief = Some(mischief);
        world.only = Some(invariant);
        if let Err(violation) = world.play()
            && violation.invariant == invariant
        {
            println!("seed {seed}: {violation}");
            return;
        }
    }
    panic!("{invariant} does not notice {mischief:?}");
}

#[test]
fn convergence_notices_a_relay_that_loses_writes() {
    check(Mischief::LoseWrites, "convergence");
}

#[test]
fn convergence_notices_a_lost_sibling() {
    check(Mischief::LoseSibling, "convergence");
}

#[test]
fn convergence_notices_a_lost_ledger_row() {
    check(Mischief::LoseRow, "convergence");
}

#[test]
fn follows_entries_notices_a_lost_sibling() {
    check(Mischief::LoseSibling, "follows-entries");
}

#[test]
fn follows_entries_notices_a_lost_ledger_row() {
    check(Mischief::LoseRow, "follows-entries");
}

#[test]
fn causal_order_notices_a_source_that_forgets_dependencies() {
    check(Mischief::ForgetDependencies, "causal-order");
}

#[test]
fn no_dot_reused_notices_an_answer_before_the_sync() {
    check(Mischief::ForgetSync, "no-dot-reused");
}

#[test]
fn one_application_notices_lost_keys() {
    check(Mischief::LoseKeys, "one-application");
}

#[test]
fn one_application_notices_repeats_that_count() {
    check(Mischief::LoseDiscounts, "one-application");
}

#[test]
fn no_loss_notices_an_answer_before_the_sync() {
    check(Mischief::ForgetSync, "no-loss");
}

#[test]
fn no_loss_notices_a_purge_of_what_is_not_flushed() {
    check(Mischief::PurgeUnflushed, "no-loss");
}

#[test]
fn no_loss_notices_a_lost_sibling() {
    check(Mischief::LoseSibling, "no-loss");
}

#[test]
fn no_resurrection_notices_a_flush_that_is_not_atomic() {
    check(Mischief::FlushInParts, "no-resurrection");
}

#[test]
fn sessions_notice_an_answer_that_did_not_wait() {
    check(Mischief::AnswerAtOnce, "sessions");
}

#[test]
fn hlc_notices_a_restart_that_forgets_the_time() {
    check(Mischief::ForgetTime, "hlc");
}

#[test]
fn copies_notice_a_source_that_sends_twice() {
    check(Mischief::SendTwice, "copies");
}

#[test]
fn stability_notices_a_region_that_trusts_the_newest() {
    check(Mischief::TrustTheNewest, "stability");
}

#[test]
fn always_a_way_notices_links_that_nothing_stands_in_for() {
    check(Mischief::NeverStandIn, "always-a-way");
}

#[test]
fn always_a_way_notices_links_that_are_dropped_at_once() {
    check(Mischief::DropAtOnce, "always-a-way");
}

#[test]
fn retired_is_held_notices_a_drain_without_proof() {
    check(Mischief::SkipProof, "retired-is-held");
}

#[test]
fn a_seed_gives_the_same_schedule_every_time() {
    use std::cell::RefCell;
    use std::rc::Rc;
    let played = |seed| {
        let lines = Rc::new(RefCell::new(Vec::new()));
        let kept = Rc::clone(&lines);
        let keep = move |line: &str| kept.borrow_mut().push(line.to_owned());
        let report = crate::simulate(seed, Some(Box::new(keep))).unwrap();
        (lines.take(), report)
    };
    for seed in 0..20 {
        assert!(played(seed) == played(seed), "seed {seed}");
    }
}
