//! Whole nodes under seeded faults: real HTTP, real Raft, real links, in simulated time on one thread.
//!
//! A seed stands for a store of one to three regions of one or three nodes, for clients that read and write
//! single keys, and for faults: nodes killed at any moment and in the middle of a write, with all that was not
//! synced lost; leaders cut off from their followers and not from their clients; cuts between regions, also in
//! one direction; slow links; nodes stopped in order and restarted in turn; disks lost; the topology changed, and
//! regions that join, leave with proof, or die for good and are removed by force meanwhile. In the end everything
//! heals, and the [`invariants`] are checked.
//!
//! - [`store`]: which nodes there are → [`machine`]: one of them, on [`disk`], [`power`] and [`network`]
//! - [`torment`]: the schedule being played; [`faults`]: what goes wrong in it; [`rolling`] restarts; [`changes`] and
//!   [`departures`]: what is asked of the [`administrator`]
//! - [`clients`] write the [`history`]; [`end`] is what nodes hold when all is quiet
//! - [`process`]: each schedule in a process of its own, so that a seed means the same run every time

mod administrator;
mod changes;
mod clients;
mod departures;
mod disk;
mod end;
mod faults;
mod history;
mod invariants;
mod machine;
mod network;
mod power;
pub mod process;
mod rolling;
mod store;
mod torment;
mod trace;

use serde::{Deserialize, Serialize};

use crate::Violation;

pub use torment::{Mischief, Scenario, Schedule};

/// What happened in one schedule, or in many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Report {
    /// Schedules.
    pub schedules: u64,
    /// Simulated milliseconds.
    pub simulated_ms: u64,
    /// Requests of clients.
    pub operations: u64,
    /// Writes that were acknowledged.
    pub acknowledged: u64,
    /// Requests of which nobody said what became of them.
    pub unknown: u64,
    /// Requests sent again.
    pub retries: u64,
    /// Nodes killed.
    pub kills: u64,
    /// Of those, in the middle of a write.
    pub kills_at_writes: u64,
    /// Other faults.
    pub faults: u64,
    /// Changes of the topology and of regions' nodes.
    pub changes: u64,
    /// Regions that left with proof.
    pub drained: u64,
    /// Regions that died for good and were removed by force.
    pub removed: u64,
    /// Times that a region's nodes were restarted in turn.
    pub rolled: u64,
    /// Times that a node came to lead.
    pub leaders: u64,
}

impl Report {
    /// Adds what happened elsewhere.
    pub fn add(&mut self, other: &Report) {
        let Report {
            schedules,
            simulated_ms,
            operations,
            acknowledged,
            unknown,
            retries,
            kills,
            kills_at_writes,
            faults,
            changes,
            drained,
            removed,
            rolled,
            leaders,
        } = other;
        self.schedules += schedules;
        self.simulated_ms += simulated_ms;
        self.operations += operations;
        self.acknowledged += acknowledged;
        self.unknown += unknown;
        self.retries += retries;
        self.kills += kills;
        self.kills_at_writes += kills_at_writes;
        self.faults += faults;
        self.changes += changes;
        self.drained += drained;
        self.removed += removed;
        self.rolled += rolled;
        self.leaders += leaders;
    }
}

/// What a schedule came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// What happened.
    pub report: Report,
    /// A hash of everything that was seen to happen: equal for equal runs.
    pub hash: u64,
    /// The first invariant that did not hold.
    pub violation: Option<Violation>,
}

/// Plays a schedule in this process, whose randomness must come from [`process`].
#[must_use]
pub fn play(schedule: Schedule) -> Played {
    torment::play(schedule)
}
