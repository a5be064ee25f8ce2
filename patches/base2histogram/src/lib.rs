//! What openraft takes of the crate `base2histogram`, of which it keeps statistics of itself; here upon `hdrhistogram`.
//!
//! Version 0.2.3 of the original makes tables of 27 MB for every width of buckets that there may be when a process counts
//! its first value, and openraft uses one width. That was more than half of a node's memory. To be dropped when the
//! original makes the tables that are asked for: whether it does, `atoll bench --suite` shows as a region's idle memory.

use std::fmt;
use std::marker::PhantomData;

/// Two values in the same bucket differ by less than a tenth.
const DIGITS: u8 = 1;

/// Counts values. `T` is what the original lets people say of a period; nobody does here.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram<T = ()>(hdrhistogram::Histogram<u64>, PhantomData<T>);

/// What half of the values, nine in ten and so on are at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "p99_9: 99.9 % of the values are at most that")]
pub struct PercentileStats {
    /// How many values.
    pub samples: u64,
    pub p0_1: u64,
    pub p1: u64,
    pub p5: u64,
    pub p10: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p99_9: u64,
}

/// Several histograms under each other.
#[derive(Clone, Debug, Default)]
pub struct AsciiChart(Vec<(String, PercentileStats)>);

impl<T: PartialEq> Eq for Histogram<T> {}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        let counts = hdrhistogram::Histogram::new(DIGITS).expect("one digit is enough");
        Histogram(counts, PhantomData)
    }
}

impl<T> Histogram<T> {
    /// One that has counted nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Counts a value so many times.
    pub fn record_n(&mut self, value: u64, times: u64) {
        // It grows for as long as there are numbers.
        let _ = self.0.record_n(value, times);
    }

    /// What it has counted.
    #[must_use]
    pub fn percentile_stats(&self) -> PercentileStats {
        let at = |share| self.0.value_at_quantile(share);
        PercentileStats {
            samples: self.0.len(),
            p0_1: at(0.001),
            p1: at(0.01),
            p5: at(0.05),
            p10: at(0.1),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
        }
    }
}

impl AsciiChart {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One more.
    #[must_use]
    #[allow(
        clippy::should_implement_trait,
        clippy::needless_pass_by_value,
        reason = "the original's"
    )]
    pub fn add(mut self, name: impl Into<String>, histogram: Histogram) -> Self {
        self.0.push((name.into(), histogram.percentile_stats()));
        self
    }
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PercentileStats {
            samples,
            p50,
            p90,
            p99,
            p99_9,
            ..
        } = self;
        write!(
            f,
            "[samples: {samples}, P50: {p50}, P90: {p90}, P99: {p99}, P99.9: {p99_9}]"
        )
    }
}

impl fmt::Display for AsciiChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|(name, stats)| writeln!(f, "{name} {stats}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_counted() {
        let mut histogram = Histogram::<()>::new();
        assert_eq!(histogram.percentile_stats().samples, 0);
        (1..=900).for_each(|value| histogram.record(value));
        histogram.record_n(1_000_000, 99);
        histogram.record(u64::MAX);
        let stats = histogram.percentile_stats();
        assert_eq!(stats.samples, 1000);
        let near = |value: u64, of: u64| (of..=of + of / 10).contains(&value);
        assert!(near(stats.p10, 100) && near(stats.p50, 500), "{stats}");
        assert!(near(stats.p99, 1_000_000), "{stats}");
    }
}
