//! How far a target is behind one source, in time and in entries.
//!
//! A heartbeat says: at this time I had this vector. Once the target has applied that vector, it is as fresh
//! as that time. While anything announced is missing, or the link is silent, lag is the time since then;
//! otherwise it is one way of the round trip.
//!
//! Heartbeats whose vectors are not applied yet are kept as marks. Of those before the last [`RECENT`] there are at most
//! [`THINNED`]: one too many, and the one goes that leaves the smallest gap between its neighbours. So a lag of few
//! heartbeats is exact, and marks stay spread over all of a long one, which is overstated by at most
//! 2 / ([`THINNED`] - 2) of the longest lag that there was while they waited: 3.3 %.

use std::collections::VecDeque;
use std::time::Duration;

use atoll_core::{ReplicaId, VersionVector};

use crate::Now;
use crate::clock::signed;
use crate::message::{Carries, Heartbeat};

/// Newest marks, of which none goes.
const RECENT: usize = 32;
/// Marks before those.
const THINNED: usize = 64;

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
        self.marks.push_back((heartbeat.source_ms, announced));
        if self.marks.len() > THINNED + RECENT {
            self.thin_out();
        }
    }

    /// Drops the mark that is missed least.
    ///
    /// The gaps that they would leave add up to no more than twice what is between the last one applied and the
    /// newest, so the smallest of them is at most 2 / [`THINNED`] of that.
    fn thin_out(&mut self) {
        let time = |place: usize| self.marks.get(place).map(|(source_ms, _)| *source_ms);
        let gap = |place: usize| {
            let before = match place.checked_sub(1) {
                Some(before) => time(before),
                None => self.fresh_ms,
            };
            let after = time(place + 1).unwrap_or(u64::MAX);
            after.saturating_sub(before.unwrap_or(0))
        };
        let before_recent = 0..self.marks.len().saturating_sub(RECENT);
        if let Some(place) = before_recent.min_by_key(|place| gap(*place)) {
            self.marks.remove(place);
        }
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
    use proptest::prelude::*;

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

    /// What a meter says that forgets nothing: the last heartbeat whose vector is applied.
    fn exact_ms(beats: &[(u64, u64)], applied: u64) -> u64 {
        let covered = beats.iter().filter(|(_, seq)| *seq <= applied);
        covered.map(|(ms, _)| *ms).max().unwrap_or(beats[0].0)
    }

    proptest! {
        /// However the backlog grows, shrinks and stays, lag is never understated, and overstated by no more than the
        /// bound. Caught: the older half losing every second mark; the oldest mark going first.
        #[test]
        fn lag_over_a_long_backlog_is_as_exact_as_is_said(
            steps in prop::collection::vec((1_u64..2_000, 0_u64..5, 0_u64..12), 1..900),
            steady in 0_u64..400,
        ) {
            let mut meter = meter(Carries::Everything);
            let (mut ms, mut seq, mut applied, mut longest) = (0, 1, 0, 0);
            let mut beats = Vec::new();
            for (pause, written, taken) in steps {
                ms += pause;
                seq += written;
                beats.push((ms, seq));
                meter.on_heartbeat(&beat(ms, &[(A, seq)]), at(ms));
                // Either it keeps a distance, or it does what it can.
                applied = applied.max(if steady > 0 { seq.saturating_sub(steady) } else { seq.min(applied + taken) });
                meter.on_applied(&vector(&[(A, applied)]));
                let exact = ms - exact_ms(&beats, applied);
                longest = longest.max(exact);
                let shown = WALL + ms + 100 - meter.fresh_ms.unwrap();
                prop_assert!(meter.marks.len() <= THINNED + RECENT);
                prop_assert!(shown >= exact, "{shown} ms shown of {exact}");
                let over = longest * 2 / (THINNED as u64 - 2) + 1;
                prop_assert!(shown <= exact + over, "{shown} ms shown of {exact}, {longest} at most");
                let recent = beats.len().saturating_sub(RECENT);
                if beats[recent].1 <= applied {
                    prop_assert_eq!(shown, exact);
                }
            }
        }
    }

    /// Caught: no mark being kept for being recent.
    #[test]
    fn a_long_backlog_keeps_few_marks() {
        let mut meter = meter(Carries::Everything);
        for n in 1..=10_000 {
            meter.on_heartbeat(&beat(n * 10, &[(A, n)]), at(n * 10 + 20));
        }
        assert!(meter.marks.len() <= THINNED + RECENT);
        meter.on_applied(&vector(&[(A, 9_999)]));
        assert_eq!(read(&meter, &[(A, 9_999)], 100_020), (Some(30), 1));
    }
}
