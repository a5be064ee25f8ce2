//! Hybrid logical clock: 48 bits of milliseconds since 1970 and a 16-bit counter.
//!
//! After Kulkarni et al., "Logical Physical Clocks and Consistent Snapshots in Globally Distributed
//! Databases" (2014). The wall clock is an argument. A timestamp only ever orders *concurrent*
//! versions; causality is decided by dots and version vectors.

use std::fmt;

/// A point in hybrid logical time. Ordered as its number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub u64);

const COUNTER_BITS: u32 = 16;

impl Timestamp {
    /// The last timestamp that an entry may carry, in the year 6429: above it there would be room for no
    /// later one sooner or later, and the clock would stand still. No clock gets there; a peer that makes
    /// times up could say so.
    pub const LATEST: Timestamp = Timestamp(u64::MAX >> 1);

    /// The first timestamp of the wall-clock millisecond `ms` (milliseconds since 1970).
    #[must_use]
    pub fn from_millis(ms: u64) -> Self {
        Timestamp(ms << COUNTER_BITS)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn millis(self) -> u64 {
        self.0 >> COUNTER_BITS
    }

    /// The time to give to the next entry: never before `proposed`, always after `last`, the greatest
    /// timestamp already applied. The counter carries into the milliseconds when it is full.
    #[must_use]
    pub fn after(proposed: Timestamp, last: Timestamp) -> Timestamp {
        Timestamp(proposed.0.max(last.0.saturating_add(1)))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.millis();
        let (days, in_day) = (ms / 86_400_000, ms % 86_400_000);
        let (year, month, day) = civil(days);
        let (hour, minute) = (in_day / 3_600_000, in_day / 60_000 % 60);
        let (second, milli) = (in_day / 1000 % 60, in_day % 1000);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"
        )
    }
}

/// The Gregorian date of a day counted from 1970-01-01 (H. Hinnant, "chrono-compatible low-level date
/// algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_runs_backwards_and_follows_the_wall_clock() {
        let last = Timestamp::from_millis(1000);
        assert_eq!(
            Timestamp::after(Timestamp::from_millis(5), last),
            Timestamp(last.0 + 1)
        );
        assert_eq!(
            Timestamp::after(Timestamp::from_millis(1001), last),
            Timestamp::from_millis(1001)
        );
    }

    #[test]
    fn a_full_counter_carries_into_the_milliseconds() {
        let full = Timestamp((7 << COUNTER_BITS) | 0xFFFF);
        let next = Timestamp::after(Timestamp::from_millis(7), full);
        assert_eq!(next, Timestamp::from_millis(8));
        assert_eq!(next.millis(), 8);
    }

    #[test]
    fn behind_the_latest_time_there_is_still_a_later_one() {
        let beyond = Timestamp::after(Timestamp(0), Timestamp::LATEST);
        assert_eq!(beyond, Timestamp(1 << 63));
        assert_eq!(Timestamp::LATEST.to_string(), "6429-10-17T02:45:55.327Z");
    }

    #[test]
    fn times_are_shown_as_rfc_3339() {
        assert_eq!(
            Timestamp::from_millis(0).to_string(),
            "1970-01-01T00:00:00.000Z"
        );
        assert_eq!(
            Timestamp::from_millis(1_709_210_096_789).to_string(),
            "2024-02-29T12:34:56.789Z"
        );
    }
}
