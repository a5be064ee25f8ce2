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

#[cfg(test)]
mod tests {
    use super::*;

    const A: ReplicaId = ReplicaId(1);
    const B: ReplicaId = ReplicaId(2);
    const WALL: u64 = 1_000_000;

    fn at(ms: u64) -> Now {
        Now {
            elapsed: Duration::from_millis(ms),
            wall_ms: WALL + ms,
        }
    }

    fn vector(components: &[(ReplicaId, u64)]) -> VersionVector {
        components.iter().copied().collect()
    }

    fn meter(carries: Carries) -> LagMeter {
        LagMeter::new(A, carries, Duration::from_secs(3))
    }

    /// A heartbeat of a source whose clock is 100 ms ahead, sent `ms` after the start.
    fn beat(ms: u64, components: &[(ReplicaId, u64)]) -> Heartbeat {
        let source_ms = WALL + ms + 100;
        Heartbeat {
            source_ms,
            vector: vector(components),
            ..Heartbeat::default()
        }
    }

    fn read(meter: &LagMeter, applied: &[(ReplicaId, u64)], ms: u64) -> (Option<u128>, u64) {
        let rtt = Some(Duration::from_millis(40));
        let lag = meter.read(&vector(applied), 100, rtt, at(ms));
        (lag.time.map(|t| t.as_millis()), lag.entries)
    }

    #[test]
    fn lag_is_one_way_when_all_is_applied_and_grows_while_something_is_missing() {
        let mut meter = meter(Carries::Everything);
        assert_eq!(read(&meter, &[], 0), (None, 0));
        meter.on_heartbeat(&beat(0, &[(A, 1)]), at(20));
        meter.on_applied(&vector(&[(A, 1)]));
        assert_eq!(read(&meter, &[(A, 1)], 500), (Some(20), 0));
        meter.on_heartbeat(&beat(1000, &[(A, 4), (B, 2)]), at(1020));
        assert_eq!(read(&meter, &[(A, 1)], 1100), (Some(1100), 5));
        meter.on_heartbeat(&beat(2000, &[(A, 9), (B, 2)]), at(2020));
        meter.on_applied(&vector(&[(A, 5), (B, 2)]));
        assert_eq!(read(&meter, &[(A, 5), (B, 2)], 2100), (Some(1100), 4));
        let lag = meter.read(&vector(&[(A, 5)]), 100, None, at(2100));
        assert_eq!(lag.by_origin, [(A, 4), (B, 2)]);
    }

    #[test]
    fn a_silent_link_lags_though_nothing_is_known_to_be_missing() {
        let mut meter = meter(Carries::Everything);
        meter.on_heartbeat(&beat(0, &[]), at(20));
        assert_eq!(read(&meter, &[], 3000), (Some(20), 0));
        assert_eq!(read(&meter, &[], 9000), (Some(9000), 0));
    }

    #[test]
    fn a_link_does_not_answer_for_what_it_does_not_carry() {
        let mut meter = meter(Carries::OwnEntries);
        meter.on_heartbeat(&beat(0, &[(A, 1), (B, 7)]), at(20));
        assert_eq!(read(&meter, &[(A, 1)], 500), (Some(20), 0));
    }

    #[test]
    fn a_long_backlog_keeps_few_marks() {
        let mut meter = meter(Carries::Everything);
        for n in 1..=10_000 {
            meter.on_heartbeat(&beat(n * 10, &[(A, n)]), at(n * 10 + 20));
        }
        assert!(meter.marks.len() <= MARKS);
        meter.on_applied(&vector(&[(A, 9_999)]));
        assert_eq!(read(&meter, &[(A, 9_999)], 100_020), (Some(30), 1));
    }
}
