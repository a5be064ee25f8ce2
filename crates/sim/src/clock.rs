//! The wall clock of one region: off, drifting, and free to jump.

use std::time::Duration;

use crate::dice::Dice;

const HOUR_MS: i64 = 3_600_000;
/// 2024-05-01T00:00:00Z, milliseconds since 1970.
const START_MS: i64 = 1_714_521_600_000;

/// A wall clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WallClock {
    offset_ms: i64,
    drift_ppm: i64,
}

impl WallClock {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let mut clock = WallClock {
            offset_ms: 0,
            drift_ppm: signed(dice.below(2001)) - 1000,
        };
        if dice.one_in(2) {
            clock.jump(dice);
        }
        clock
    }

    /// Somebody sets it: by some milliseconds, or by up to an hour, forwards or backwards.
    pub(crate) fn jump(&mut self, dice: &mut Dice) {
        let most = *dice.pick(&[5, 500, 60_000, HOUR_MS]);
        let span = u64::try_from(2 * most + 1).unwrap_or(1);
        self.offset_ms = signed(dice.below(span)) - most;
    }

    /// What it shows, in milliseconds since 1970.
    pub(crate) fn read(&self, now: Duration) -> u64 {
        let true_us = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        let drifted_ms = (true_us + true_us / 1_000_000 * self.drift_ppm) / 1000;
        u64::try_from(START_MS + self.offset_ms + drifted_ms).unwrap_or(0)
    }
}

fn signed(small: u64) -> i64 {
    i64::try_from(small).unwrap_or(i64::MAX)
}
