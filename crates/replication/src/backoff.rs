//! When to try again: exponential with full jitter, so that a region's return is not met by everyone at once.

use std::time::Duration;

/// Delays between attempts.
#[derive(Debug, Clone)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    failures: u32,
    state: u64,
}

impl Backoff {
    /// Delays up to `base`, doubling with every failure, never above `cap`; drawn from `seed`.
    #[must_use]
    pub fn new(base: Duration, cap: Duration, seed: u64) -> Self {
        Backoff {
            base,
            cap,
            failures: 0,
            state: seed,
        }
    }

    /// An attempt failed: how long to wait before the next.
    pub fn failed(&mut self) -> Duration {
        let ceiling = self
            .base
            .saturating_mul(1 << self.failures.min(20))
            .min(self.cap);
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(self.fraction())
    }

    /// An attempt succeeded.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Failures in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// In 0..1, by `SplitMix64` (Steele et al., 2014).
    fn fraction(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        f64::from(u32::try_from(z >> 32).unwrap_or(u32::MAX)) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_cap_and_start_over_after_success() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(100), ms(1000), 7);
        for ceiling in [100, 200, 400, 800, 1000, 1000, 1000] {
            assert!(backoff.failed() <= ms(ceiling));
        }
        let many: Vec<_> = (0..100).map(|_| backoff.failed()).collect();
        assert!(
            many.iter().any(|&d| d > ms(800)) && many.iter().any(|&d| d < ms(200)),
            "jitter"
        );
        assert_eq!(backoff.failures(), 107);
        backoff.succeeded();
        assert!(backoff.failed() <= ms(100));
    }

    #[test]
    fn one_seed_gives_one_sequence_of_delays() {
        let delays = |seed| {
            let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60), seed);
            [backoff.failed(), backoff.failed(), backoff.failed()]
        };
        assert_eq!(delays(1), delays(1));
        assert_ne!(delays(1), delays(2));
    }
}
