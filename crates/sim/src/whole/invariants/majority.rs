//! Majority: at the moment when a client is told that its write stands, the write is on the disks of a majority
//! of its region's nodes, in what a loss of all power would leave.
//!
//! So a leader that was replaced acknowledges nothing: those that replaced it are a majority, too, and what
//! they do not have is on no majority's disks.
//!
//! Seen to fail: disks that say that they sync and do not (`Mischief::LyingDisks`, kept as a test).

use std::ops::Bound;
use std::rc::Rc;

use atoll_store::engine::{Direction, Family, Read};

use super::super::machine::Machine;
use crate::Violation;

const NAME: &str = "on-a-majority";

/// Checks a write that was just acknowledged, by the idempotency key in its bytes. `voters` is the smallest
/// number that the region's group had lately.
pub(in crate::whole) fn check(
    machines: &[Rc<Machine>],
    region: usize,
    voters: usize,
    idempotency_key: &str,
) -> Result<(), Violation> {
    let nodes = machines.iter().filter(|machine| machine.region == region);
    let holders: Vec<&str> = nodes
        .filter(|machine| holds(machine, idempotency_key.as_bytes()))
        .map(|machine| machine.name.as_str())
        .collect();
    if holders.len() > voters / 2 {
        return Ok(());
    }
    let what = format!(
        "{idempotency_key} was acknowledged, and of {voters} nodes only {holders:?} have it"
    );
    Err(Violation::new(NAME, what))
}

fn holds(machine: &Machine, needle: &[u8]) -> bool {
    let durable = machine.durable();
    [Family::Raft, Family::Arrival].into_iter().any(|family| {
        let mut is_there = false;
        let (all, back) = (Bound::Unbounded, Direction::Backward);
        // What is in memory cannot fail to be read.
        let _ = durable.scan(family, all, all, back, &mut |_, value| {
            is_there = value.windows(needle.len()).any(|part| part == needle);
            if is_there {
                std::ops::ControlFlow::Break(())
            } else {
                std::ops::ControlFlow::Continue(())
            }
        });
        is_there
    })
}
