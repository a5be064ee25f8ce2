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
pub fn skew(offsets_ms: impl IntoIterator<Item = i64>, max: Duration) -> ClockState {
    let mut all: Vec<i64> = offsets_ms.into_iter().chain([0]).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(elapsed_ms: u64, wall_ms: u64) -> Now {
        Now {
            elapsed: Duration::from_millis(elapsed_ms),
            wall_ms,
        }
    }

    #[test]
    fn the_shortest_round_trip_says_the_offset() {
        let mut clock = PeerClock::new();
        assert_eq!((clock.offset_ms(), clock.rtt()), (None, None));
        let mut probe = |sent: u64, source_ms, received: u64| {
            let ping = clock.ping(at(sent, 1000 + sent));
            let pong = Pong {
                id: ping.id,
                sent_ms: ping.sent_ms,
                source_ms,
            };
            assert!(clock.on_pong(&pong, at(received, 1000 + received)));
            assert!(!clock.on_pong(&pong, at(received, 1000 + received)), "once");
            (clock.offset_ms(), clock.rtt(), clock.rtt_last())
        };
        let ms = |ms| Some(Duration::from_millis(ms));
        // The peer is 500 ms ahead. A slow way back lies about that, until a quicker probe.
        assert_eq!(probe(0, 1510, 100), (Some(460), ms(100), ms(100)));
        assert_eq!(probe(200, 1705, 210), (Some(500), ms(10), ms(10)));
        assert_eq!(probe(300, 1810, 400), (Some(500), ms(10), ms(100)));
    }

    #[test]
    fn the_odd_one_out_is_off() {
        const HOUR: i64 = 3_600_000;
        let off = |by_ms| ClockState::Off { by_ms };
        let table: &[(&str, &[i64], ClockState)] = &[
            ("alone", &[], ClockState::Ok),
            (
                "A: +1 h of A +1 h, B −1 h, C 0",
                &[-2 * HOUR, -HOUR],
                off(HOUR),
            ),
            ("B: −1 h of the same", &[2 * HOUR, HOUR], off(-HOUR)),
            ("C: 0 of the same", &[HOUR, -HOUR], ClockState::Ok),
            (
                "one of three an hour ahead",
                &[-HOUR, -HOUR + 3],
                off(HOUR - 3),
            ),
            ("one of the two that agree", &[HOUR, 3], ClockState::Ok),
            ("two, near", &[900], ClockState::Ok),
            ("two, far: nobody knows who", &[-HOUR], off(HOUR / 2)),
            ("four, one off", &[10, -10, HOUR], ClockState::Ok),
            ("at the bound", &[1000, 1000], ClockState::Ok),
            ("over the bound", &[1001, 1001], off(-1001)),
        ];
        for (name, offsets, state) in table {
            assert_eq!(
                skew(offsets.iter().copied(), Duration::from_secs(1)),
                *state,
                "{name}"
            );
        }
    }
}
