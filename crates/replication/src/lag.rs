//! How far a target is behind one source, in time and in entries.
//!
//! A heartbeat says: at this time I had this vector. Once the target has applied that vector, it is as fresh
//! as that time. While anything announced is missing, or the link is silent, lag is the time since then;
//! otherwise it is one way of the round trip.

use std::collections::VecDeque;
use std::time::Duration;

use atoll_core::{ReplicaId, VersionVector};

use crate::Now;
use crate::clock::signed;
use crate::message::{Carries, Heartbeat};

const MARKS: usize = 64;

/// The meter of one link.
#[derive(Debug, Clone)]
pub struct LagMeter {
    source: ReplicaId,
    carries: Carries,
    silent_after: Duration,
    announced: VersionVector,
    heard_at: Option<Duration>,
    /// Source time as of which everything is applied here.
    fresh_ms: Option<u64>,
    /// Heartbeats whose vectors are not applied yet, oldest first.
    marks: VecDeque<(u64, VersionVector)>,
}

/// One reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    /// In time; `None` before the first heartbeat.
    pub time: Option<Duration>,
    /// Entries announced and not applied.
    pub entries: u64,
    /// The same by origin; origins without any are left out.
    pub by_origin: Vec<(ReplicaId, u64)>,
}

impl LagMeter {
    /// The meter of a link from `source`, which counts as silent `silent_after` its last heartbeat.
    #[must_use]
    pub fn new(source: ReplicaId, carries: Carries, silent_after: Duration) -> Self {
        LagMeter {
            source,
            carries,
            silent_after,
            announced: VersionVector::new(),
            heard_at: None,
            fresh_ms: None,
            marks: VecDeque::new(),
        }
    }

    /// A heartbeat came.
    pub fn on_heartbeat(&mut self, heartbeat: &Heartbeat, now: Now) {
        let counts = |r: ReplicaId| match self.carries {
            Carries::OwnEntries => r == self.source,
            Carries::Everything => true,
        };
        let announced: VersionVector = heartbeat
            .vector
            .iter()
            .filter(|&(r, _)| counts(r))
            .collect();
        self.announced.merge(&announced);
        self.heard_at = Some(now.elapsed);
        self.fresh_ms.get_or_insert(heartbeat.source_ms);
        if self.marks.len() >= MARKS {
            // Coarser, never wrong: the older half loses every second mark.
            let mut nth = 0;
            self.marks.retain(|_| {
                nth += 1;
                nth > MARKS / 2 || nth % 2 == 0
            });
        }
        self.marks.push_back((heartbeat.source_ms, announced));
    }

    /// This region has applied `vector`.
    pub fn on_applied(&mut self, vector: &VersionVector) {
        while let Some((source_ms, announced)) = self.marks.front() {
            if !vector.covers_all(announced) {
                break;
            }
            self.fresh_ms = self.fresh_ms.max(Some(*source_ms));
            self.marks.pop_front();
        }
    }

    /// The lag now. `applied` is this region's vector, `offset_ms` the source's clock minus this one's.
    #[must_use]
    pub fn read(
        &self,
        applied: &VersionVector,
        offset_ms: i64,
        rtt: Option<Duration>,
        now: Now,
    ) -> Lag {
        let missing = |(r, seq): (ReplicaId, u64)| (r, seq.saturating_sub(applied.get(r)));
        let by_origin: Vec<_> = self
            .announced
            .iter()
            .map(missing)
            .filter(|&(_, entries)| entries > 0)
            .collect();
        let entries = by_origin.iter().map(|&(_, entries)| entries).sum();
        let silent = self
            .heard_at
            .is_none_or(|at| now.elapsed > at + self.silent_after);
        let one_way = rtt.unwrap_or_default() / 2;
        let time = self.fresh_ms.map(|fresh_ms| {
            let fresh_here = signed(fresh_ms).saturating_sub(offset_ms);
            let age_ms = signed(now.wall_ms).saturating_sub(fresh_here);
            let age = Duration::from_millis(u64::try_from(age_ms).unwrap_or(0));
            if entries > 0 || silent {
                age.max(one_way)
            } else {
                one_way
            }
        });
        Lag {
            time,
            entries,
            by_origin,
        }
    }
}
