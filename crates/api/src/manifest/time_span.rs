//! Lengths of time as people write them: `500ms`, `5s`, `72h`, `1h30m`.
//!
//! A subset of Go's duration text, so that Kubernetes and CEL rules read the same files.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::text::{shown, text_value};

/// A length of time in whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeSpan {
    millis: u64,
}

/// A text that is no length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a length of time: write whole numbers with h, m, s or ms, such as 500ms, 5s or 1h30m"
)]
pub struct InvalidTimeSpan {
    /// The text as given, shortened.
    pub text: String,
}

impl TimeSpan {
    /// That many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        TimeSpan { millis }
    }

    /// That many seconds.
    #[must_use]
    pub const fn from_secs(seconds: u32) -> Self {
        TimeSpan {
            millis: seconds as u64 * 1000,
        }
    }

    /// That many hours.
    #[must_use]
    pub const fn from_hours(hours: u32) -> Self {
        TimeSpan {
            millis: hours as u64 * 3_600_000,
        }
    }

    /// Its milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.millis
    }

    /// The same as a standard duration.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        Duration::from_millis(self.millis)
    }

    /// Whether it is no time at all.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.millis == 0
    }
}

impl From<TimeSpan> for Duration {
    fn from(span: TimeSpan) -> Duration {
        span.as_duration()
    }
}

/// Units with their milliseconds, largest first.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Most digits of a number: what the schema's pattern lets through never overflows.
const DIGITS_MAX: usize = 12;

impl FromStr for TimeSpan {
    type Err = InvalidTimeSpan;

    fn from_str(text: &str) -> Result<Self, InvalidTimeSpan> {
        millis(text)
            .map(TimeSpan::from_millis)
            .ok_or_else(|| InvalidTimeSpan { text: shown(text) })
    }
}

fn millis(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    let mut sum = 0_u64;
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, tail) = tail.split_at(
            tail.find(|c: char| c.is_ascii_digit())
                .unwrap_or(tail.len()),
        );
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        if number.len() > DIGITS_MAX {
            return None;
        }
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(*factor)?)?;
        rest = tail;
    }
    Some(sum)
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("0s");
        }
        let mut rest = self.millis;
        for (unit, factor) in UNITS {
            if rest >= factor {
                write!(f, "{}{unit}", rest / factor)?;
                rest %= factor;
            }
        }
        Ok(())
    }
}

text_value!(
    TimeSpan,
    expected = "a length of time such as 500ms, 5s or 72h",
    pattern = "^([0-9]{1,12}(h|m|s|ms))+$",
    length_max = 40
);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn spans_are_read_and_written_back() {
        for (text, millis, canonical) in [
            ("5s", 5000, "5s"),
            ("500ms", 500, "500ms"),
            ("72h", 259_200_000, "72h"),
            ("80ms", 80, "80ms"),
            ("1h30m", 5_400_000, "1h30m"),
            ("90s", 90_000, "1m30s"),
            ("1500ms", 1500, "1s500ms"),
            ("0s", 0, "0s"),
        ] {
            let span: TimeSpan = text.parse().unwrap();
            assert_eq!(span.as_millis(), millis, "{text}");
            assert_eq!(span.to_string(), canonical);
            assert_eq!(canonical.parse::<TimeSpan>().unwrap(), span);
        }
    }

    /// What the API server takes can be read: 40 characters with 12 digits a number.
    #[test]
    fn the_longest_span_does_not_overflow() {
        let longest = "999999999999h".repeat(3);
        assert!(longest.len() <= 40 && longest.parse::<TimeSpan>().is_ok());
        assert!("1000000000000h".parse::<TimeSpan>().is_err());
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in [
            "",
            "5",
            "s",
            "5 s",
            "1.5s",
            "-5s",
            "5d",
            "5s5",
            "99999999999999999h",
            "5S",
            "٥s",
        ] {
            assert!(text.parse::<TimeSpan>().is_err(), "{text}");
        }
    }
}
