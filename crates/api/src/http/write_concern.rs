//! Who must have a write before it is answered, and how long to wait.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::manifest::{REGIONS_MAX, TimeSpan};

/// `Atoll-Write-Concern`: who must have a write on disk before it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum WriteConcern {
    /// This region (a majority of its nodes).
    #[default]
    Region,
    /// That many regions, this one included.
    Regions(u8),
    /// More than half of the regions, this one included.
    Majority,
    /// Every region.
    All,
}

/// A text that is no write concern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Atoll-Write-Concern is region, regions=N (1 to {REGIONS_MAX}), majority or all")]
pub struct InvalidWriteConcern;

impl WriteConcern {
    /// How many of `regions` regions must have the write; more than there are can never be met.
    #[must_use]
    pub fn regions_needed(self, regions: usize) -> usize {
        match self {
            WriteConcern::Region => 1,
            WriteConcern::Regions(count) => usize::from(count),
            WriteConcern::Majority => regions / 2 + 1,
            WriteConcern::All => regions,
        }
    }
}

impl FromStr for WriteConcern {
    type Err = InvalidWriteConcern;

    fn from_str(text: &str) -> Result<Self, InvalidWriteConcern> {
        match text {
            "region" => Ok(WriteConcern::Region),
            "majority" => Ok(WriteConcern::Majority),
            "all" => Ok(WriteConcern::All),
            _ => text
                .strip_prefix("regions=")
                .and_then(count)
                .map(WriteConcern::Regions)
                .ok_or(InvalidWriteConcern),
        }
    }
}

fn count(text: &str) -> Option<u8> {
    let is_plain = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    let count = text.parse::<u8>().ok().filter(|_| is_plain)?;
    (usize::from(count) <= REGIONS_MAX).then_some(count)
}

impl fmt::Display for WriteConcern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteConcern::Region => f.write_str("region"),
            WriteConcern::Regions(count) => write!(f, "regions={count}"),
            WriteConcern::Majority => f.write_str("majority"),
            WriteConcern::All => f.write_str("all"),
        }
    }
}

/// `Atoll-Timeout`: how long a request waits for a session, a context or a write concern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestTimeout(Duration);

/// A text that is no timeout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Atoll-Timeout is a length of time above 0 and up to 5m, such as 500ms or 5s")]
pub struct InvalidTimeout;

impl RequestTimeout {
    /// What holds when the header is absent.
    pub const DEFAULT: RequestTimeout = RequestTimeout(Duration::from_secs(5));
    /// The longest that may be asked for.
    pub const MAX: RequestTimeout = RequestTimeout(Duration::from_secs(300));

    /// As a duration.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        self.0
    }
}

impl Default for RequestTimeout {
    fn default() -> Self {
        RequestTimeout::DEFAULT
    }
}

impl FromStr for RequestTimeout {
    type Err = InvalidTimeout;

    fn from_str(text: &str) -> Result<Self, InvalidTimeout> {
        let span: TimeSpan = text.parse().map_err(|_| InvalidTimeout)?;
        let timeout = RequestTimeout(span.as_duration());
        if span.is_zero() || timeout > RequestTimeout::MAX {
            Err(InvalidTimeout)
        } else {
            Ok(timeout)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn write_concerns_are_read_and_written_back() {
        for text in ["region", "regions=1", "regions=16", "majority", "all"] {
            assert_eq!(text.parse::<WriteConcern>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "Region",
            "regions",
            "regions=",
            "regions=0",
            "regions=17",
            "regions=+2",
            "regions=02",
            "2",
            "all ",
        ] {
            assert!(bad.parse::<WriteConcern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_majority_is_more_than_half() {
        let needed =
            |concern: WriteConcern| [1, 2, 3, 4, 5].map(|regions| concern.regions_needed(regions));
        assert_eq!(needed(WriteConcern::Region), [1; 5]);
        assert_eq!(needed(WriteConcern::Regions(2)), [2; 5]);
        assert_eq!(needed(WriteConcern::Majority), [1, 2, 2, 3, 3]);
        assert_eq!(needed(WriteConcern::All), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn timeouts_are_bounded() {
        assert_eq!(
            "5s".parse::<RequestTimeout>().unwrap().as_duration(),
            Duration::from_secs(5)
        );
        for bad in ["", "0s", "5", "301s", "1h", "-1s"] {
            assert!(bad.parse::<RequestTimeout>().is_err(), "{bad}");
        }
    }
}
