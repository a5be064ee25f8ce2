//! Region links: who pulls, who serves, and what both know of the other regions.
//!
//! ```text
//!   pulls ──starts, ends──▶ dial (one task a link) ──frames──▶ inbound (one task) ──commands──▶ Raft ──▶ state
//!   serve (one task a puller) ◀── log, tail ◀── published after commit
//! ```
//!
//! What to send, what may be applied, when to ask and whom to pull from is decided by `atoll_replication`;
//! these tasks carry it out.

pub(crate) mod declared;
mod dial;
mod greeting;
pub(crate) mod inbound;
mod measuring;
pub(crate) mod overview;
mod proposing;
mod pulls;
pub(crate) mod serve;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use atoll_core::{Dot, ReplicaId, VersionVector};
use atoll_replication::clock::{ClockState, skew};
use atoll_replication::knowledge::Knowledge;

/// A clock reading of a peer is forgotten after this.
const CLOCK_FRESH: Duration = Duration::from_secs(10);

/// What the region knows of the others; shared by all links.
pub(crate) struct Peers {
    knowledge: Mutex<Knowledge>,
    revision: watch::Sender<u64>,
    clocks: Mutex<BTreeMap<ReplicaId, Reading>>,
    heard: Mutex<BTreeMap<ReplicaId, Duration>>,
    /// Since when each is known to be equal; `None` when it never was.
    proved: Mutex<BTreeMap<ReplicaId, Option<Duration>>>,
}

/// What a peer's clock was last seen to say.
#[derive(Debug, Clone, Copy)]
struct Reading {
    offset_ms: i64,
    at: Duration,
    /// Measured by a round trip, not guessed from one way.
    precise: bool,
}

impl Peers {
    pub(crate) fn new(me: ReplicaId) -> Self {
        Peers {
            knowledge: Mutex::new(Knowledge::new(me)),
            revision: watch::channel(0).0,
            clocks: Mutex::default(),
            heard: Mutex::default(),
            proved: Mutex::default(),
        }
    }

    pub(crate) fn knowledge(&self) -> MutexGuard<'_, Knowledge> {
        self.knowledge
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in news; those who wait for confirmations look again.
    pub(crate) fn learn(&self, learn: impl FnOnce(&mut Knowledge)) {
        let mut knowledge = self.knowledge();
        learn(&mut knowledge);
        let revision = knowledge.revision();
        drop(knowledge);
        self.revision
            .send_if_modified(|known| std::mem::replace(known, revision) != revision);
    }

    pub(crate) fn revision(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    pub(crate) fn durable(&self, replica: ReplicaId) -> Option<VersionVector> {
        self.knowledge().durable(replica).cloned()
    }

    pub(crate) fn confirmed_by(&self, dot: Dot) -> Vec<ReplicaId> {
        self.knowledge().confirmed_by(dot)
    }

    /// A peer was heard of.
    pub(crate) fn heard(&self, replica: ReplicaId, now: Duration) {
        self.heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(replica, now);
    }

    pub(crate) fn heard_at(&self, replica: ReplicaId) -> Option<Duration> {
        self.heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&replica)
            .copied()
    }

    /// Since when the peers that are pulled from are known to be equal, all of them.
    pub(crate) fn prove(&self, proved: BTreeMap<ReplicaId, Option<Duration>>) {
        *self.proved.lock().unwrap_or_else(PoisonError::into_inner) = proved;
    }

    pub(crate) fn proved(&self) -> BTreeMap<ReplicaId, Option<Duration>> {
        let proved = self.proved.lock();
        proved.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A peer's clock was read: `offset_ms` is the peer's minus this one's.
    pub(crate) fn read_clock(
        &self,
        replica: ReplicaId,
        offset_ms: i64,
        precise: bool,
        at: Duration,
    ) {
        let mut clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        let keeps = |r: &Reading| r.precise && !precise && at.saturating_sub(r.at) < CLOCK_FRESH;
        if !clocks.get(&replica).is_some_and(keeps) {
            clocks.insert(
                replica,
                Reading {
                    offset_ms,
                    at,
                    precise,
                },
            );
        }
    }

    /// The offsets of peers heard of lately, each the peer's clock minus this one's, in milliseconds.
    pub(crate) fn offsets(&self, now: Duration) -> Vec<(ReplicaId, i64)> {
        let clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = clocks
            .iter()
            .filter(|(_, r)| now.saturating_sub(r.at) < CLOCK_FRESH);
        fresh
            .map(|(replica, reading)| (*replica, reading.offset_ms))
            .collect()
    }

    /// By how many milliseconds this region's clock is off, when it is further off than `max`.
    pub(crate) fn clock_off_by(&self, max: Duration, now: Duration) -> Option<i64> {
        let offsets = self.offsets(now);
        match skew(offsets.into_iter().map(|(_, offset)| offset), max) {
            ClockState::Ok => None,
            ClockState::Off { by_ms } => Some(by_ms),
        }
    }
}
