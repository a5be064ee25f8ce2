//! Torments: seeded schedules of faults against the real core, replication and store.
//!
//! A seed stands for a schedule: two to seven regions in some topology, clients with sessions, and faults
//! (drop, duplicate, reorder, delay, partition, one-way cut, pause, crash with a torn tail, clock jump, change
//! of policy or topology, regions that join and leave). Everything runs in virtual time on one thread; the same seed gives the same schedule, event for event.
//! When a schedule is over, everything heals, and the [`invariants`] are checked.
//!
//! - [`schedule`]: what a seed stands for → [`world`]: the schedule being played, in [`rounds`]
//! - [`node`]: one region; [`clients`], [`retries`], [`commits`], [`faults`], [`members`]: what happens to it
//! - [`links`], [`sources`], [`tending`], [`healing`]: how regions talk
//! - [`book`]: what was seen, which the invariants ask
//! - [`campaign`]: many seeds on all cores
//!
//! Real processes are tormented as well: [`proxy`] stands between them.

mod book;
pub mod campaign;
mod checks;
mod clients;
mod clock;
mod commits;
mod deaths;
mod dice;
mod events;
mod faults;
mod healing;
mod intents;
mod invariants;
mod links;
mod members;
mod mischief;
#[cfg(test)]
mod mischief_tests;
mod node;
pub mod proxy;
mod reach;
mod retries;
mod rounds;
mod schedule;
mod snapshot;
mod sources;
mod tending;
mod topology;
pub mod torture;
pub mod whole;
mod world;

pub use invariants::Violation;

use world::World;

/// What is called with every line of a trace.
pub type Trace = dyn FnMut(&str);

/// What happened in one schedule, or in many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Things that happened in virtual time.
    pub events: u64,
    /// Operations of clients.
    pub operations: u64,
    /// Writes that were acknowledged.
    pub acknowledged: u64,
    /// Writes that were answered with an entry written before.
    pub repeated: u64,
    /// Writes that were refused.
    pub refused: u64,
    /// Operations that waited in vain.
    pub given_up: u64,
    /// Entries written.
    pub entries: u64,
    /// Copies of entries sent.
    pub copies: u64,
    /// Entries that a region's log brought a second time.
    pub duplicates: u64,
    /// Conflicts in the ledger in the end.
    pub conflicts: u64,
    /// Things that went wrong.
    pub faults: u64,
    /// Regions that joined.
    pub joined: u64,
    /// Regions that left.
    pub retired: u64,
    /// Regions that died for good.
    pub died: u64,
    /// Entries that were lost with them.
    pub lost: u64,
    /// Crashes among them.
    pub crashes: u64,
    /// Connections made.
    pub connections: u64,
    /// Links that stood in for others.
    pub stand_ins: u64,
    /// Entries that were not taken, because they came from a region that had been removed.
    pub turned_away: u64,
    /// `Stable` commands.
    pub stable: u64,
}

impl Report {
    /// Adds what happened elsewhere.
    pub fn add(&mut self, other: &Report) {
        let Report {
            events,
            operations,
            acknowledged,
            repeated,
            refused,
            given_up,
            entries,
            copies,
            duplicates,
            conflicts,
            faults,
            joined,
            retired,
            died,
            lost,
            crashes,
            connections,
            stand_ins,
            turned_away,
            stable,
        } = other;
        self.events += events;
        self.operations += operations;
        self.acknowledged += acknowledged;
        self.repeated += repeated;
        self.refused += refused;
        self.given_up += given_up;
        self.entries += entries;
        self.copies += copies;
        self.duplicates += duplicates;
        self.conflicts += conflicts;
        self.faults += faults;
        self.joined += joined;
        self.retired += retired;
        self.died += died;
        self.lost += lost;
        self.crashes += crashes;
        self.connections += connections;
        self.stand_ins += stand_ins;
        self.turned_away += turned_away;
        self.stable += stable;
    }
}

/// Plays the schedule of a seed to its end.
///
/// # Errors
/// The first [`Violation`] of an invariant.
pub fn simulate(seed: u64, trace: Option<Box<Trace>>) -> Result<Report, Violation> {
    let mut world = World::new(seed, trace)?;
    world.play()?;
    Ok(world.report)
}
