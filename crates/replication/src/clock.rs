//! How far peers' wall clocks are off, and whether this region's own clock can be trusted.
//!
//! NTP's way (RFC 5905): of the last probes, the one with the shortest round trip says most.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Now;
use crate::message::{Ping, Pong};

const SAMPLES: usize = 8;
const PROBES: usize = 16;

/// The clock of one peer.
#[derive(Debug, Clone, Default)]
pub struct PeerClock {
    next_id: u64,
    under_way: VecDeque<(u64, Now)>,
    samples: VecDeque<Sample>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    rtt: Duration,
    offset_ms: i64,
}

impl PeerClock {
    /// Nothing known yet.
    #[must_use]
    pub fn new() -> Self {
        PeerClock::default()
    }

    /// A probe to send now.
    pub fn ping(&mut self, now: Now) -> Ping {
        self.next_id += 1;
        self.under_way.push_back((self.next_id, now));
        if self.under_way.len() > PROBES {
            self.under_way.pop_front();
        }
        Ping {
            id: self.next_id,
            sent_ms: now.wall_ms,
        }
    }

    /// The answer to a probe; `false` when it answers none that is under way.
    pub fn on_pong(&mut self, pong: &Pong, now: Now) -> bool {
        let Some(at) = self.under_way.iter().position(|(id, _)| *id == pong.id) else {
            return false;
        };
        let (_, sent) = self.under_way[at];
        self.under_way.drain(..=at);
        let rtt = now.elapsed.saturating_sub(sent.elapsed);
        let half = u64::try_from(rtt.as_millis() / 2).unwrap_or(u64::MAX);
        let offset_ms = signed(pong.source_ms) - signed(now.wall_ms.saturating_sub(half));
        self.samples.push_back(Sample { rtt, offset_ms });
        if self.samples.len() > SAMPLES {
            self.samples.pop_front();
        }
        true
    }

    /// The peer's clock minus this region's, in milliseconds.
    #[must_use]
    pub fn offset_ms(&self) -> Option<i64> {
        self.best().map(|sample| sample.offset_ms)
    }

    /// The shortest round trip of the last probes.
    #[must_use]
    pub fn rtt(&self) -> Option<Duration> {
        self.best().map(|sample| sample.rtt)
    }

    /// The round trip of the last probe.
    #[must_use]
    pub fn rtt_last(&self) -> Option<Duration> {
        self.samples.back().map(|sample| sample.rtt)
    }

    fn best(&self) -> Option<&Sample> {
        self.samples.iter().min_by_key(|sample| sample.rtt)
    }
}

/// Whether this region may originate writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockState {
    /// It agrees with its peers.
    Ok,
    /// It does not.
    Off {
        /// This region's clock minus the median of all, in milliseconds.
        by_ms: i64,
    },
}

/// Compares this region's clock with those of live peers (`offsets_ms`: peer minus me).
///
/// Off when the median of all, this one included, is more than `max` away: of three, the odd one out is off
/// and the two that agree are not.
#[must_use]
pub fn skew(offsets_ms: &[i64], max: Duration) -> ClockState {
    let mut all = offsets_ms.to_vec();
    all.push(0);
    all.sort_unstable();
    let middle = all.len() / 2;
    let median = if all.len() % 2 == 1 {
        all[middle]
    } else {
        all[middle - 1].midpoint(all[middle])
    };
    if u128::from(median.unsigned_abs()) > max.as_millis() {
        ClockState::Off { by_ms: -median }
    } else {
        ClockState::Ok
    }
}

pub(crate) fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}
