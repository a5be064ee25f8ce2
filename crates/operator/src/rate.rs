//! Rounded figures and rates: what a status shows, so that it is written when something changed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Steps of lag that are shown, in seconds.
const STEPS: [(f64, &str); 10] = [
    (0.0, "0s"),
    (1.0, "1s"),
    (2.0, "2s"),
    (5.0, "5s"),
    (10.0, "10s"),
    (30.0, "30s"),
    (60.0, "1m"),
    (300.0, "5m"),
    (1800.0, "30m"),
    (3600.0, "1h"),
];

/// A length of time, rounded up into few steps.
pub(crate) fn span(seconds: f64) -> String {
    let step = STEPS.iter().find(|(most, _)| seconds <= *most);
    match step {
        Some((_, word)) => (*word).to_owned(),
        None => format!("{}h", (seconds / 3600.0).ceil()),
    }
}

/// A round trip, rounded up: 1, 2 or 5 times a power of ten, in milliseconds.
pub(crate) fn milliseconds(seconds: f64) -> String {
    format!("{}ms", stepped((seconds * 1000.0).max(1.0)))
}

/// A count, rounded up in the same way.
pub(crate) fn count(entries: u64) -> i64 {
    #[allow(clippy::cast_precision_loss, reason = "it is rounded anyway")]
    #[allow(clippy::cast_possible_truncation, reason = "bounded below")]
    let rounded = stepped((entries as f64).min(1e15)) as i64;
    if entries == 0 { 0 } else { rounded }
}

fn stepped(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    steps
        .into_iter()
        .find(|step| value <= *step)
        .unwrap_or(value)
}

/// How fast counters of nodes grow.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    seen: HashMap<String, Counted>,
}

#[derive(Debug)]
struct Counted {
    at: Instant,
    value: f64,
    a_minute: Option<f64>,
}

/// Over at least how long a rate is measured.
const WINDOW: Duration = Duration::from_secs(30);

impl Rates {
    /// Takes a counter's value; answers its rate a minute, once it is known. A counter that went back was
    /// started again.
    pub(crate) fn take(&mut self, name: &str, value: f64, now: Instant) -> Option<f64> {
        let counted = self.seen.entry(name.to_owned()).or_insert(Counted {
            at: now,
            value,
            a_minute: None,
        });
        let past = now.saturating_duration_since(counted.at);
        if value < counted.value {
            (counted.at, counted.value) = (now, value);
        } else if past >= WINDOW {
            let a_minute = (value - counted.value) * 60.0 / past.as_secs_f64();
            *counted = Counted {
                at: now,
                value,
                a_minute: Some(a_minute),
            };
        }
        counted.a_minute
    }

    /// Forgets what belongs to nobody any more.
    pub(crate) fn forget(&mut self, prefix: &str) {
        self.seen.retain(|name, _| !name.starts_with(prefix));
    }
}

/// A rate as it is shown.
pub(crate) fn shown(a_minute: f64) -> String {
    if a_minute <= 0.0 {
        return "0".to_owned();
    }
    format!("{}", stepped(a_minute.max(0.1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_rounded_up_into_few_steps() {
        assert_eq!([0.0, 0.2, 1.5, 61.0].map(span), ["0s", "1s", "2s", "5m"]);
        assert_eq!(span(7201.0), "3h");
        assert_eq!([0, 1, 3, 51, 999].map(count), [0, 1, 5, 100, 1000]);
        assert_eq!(milliseconds(0.0312), "50ms");
        assert_eq!([0.0, 0.31, 40.0].map(shown), ["0", "0.5", "50"]);
    }

    #[test]
    fn a_rate_is_of_half_a_minute_at_least_and_survives_a_restart() {
        let (start, mut rates) = (Instant::now(), Rates::default());
        let mut at = |seconds, value| rates.take("eu", value, start + Duration::from_secs(seconds));
        assert_eq!(at(0, 10.0), None);
        assert_eq!(at(10, 50.0), None);
        assert_eq!(at(30, 40.0), Some(60.0));
        assert_eq!(at(40, 0.0), Some(60.0));
        assert_eq!(at(70, 5.0), Some(10.0));
    }
}
