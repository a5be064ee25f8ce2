//! Times as people write them: RFC 3339 in UTC, to the millisecond.

/// Milliseconds since 1970 of `2026-01-02T03:04:05.678Z`; the fraction may be left out.
pub(crate) fn parse_millis(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let is_date = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day);
    if !is_date || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let in_day = hour * 3600 + minute * 60 + second;
    Some((days_since_1970(year, month, day) * 86_400 + in_day) * 1000 + millis(fraction)?)
}

fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; 3];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits)?;
        *number = decimal(part)?;
    }
    parts.next().is_none().then_some(numbers)
}

fn decimal(text: &str) -> Option<u64> {
    let is_plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

/// The first three digits of a fraction of a second; more are cut off.
fn millis(fraction: &str) -> Option<u64> {
    decimal(fraction)?; // so all of it is ASCII
    let cut = &fraction[..fraction.len().min(3)];
    let scale = [100, 10, 1].get(cut.len().checked_sub(1)?)?;
    Some(decimal(cut)? * scale)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let leap_days = |year: u64| year / 4 - year / 100 + year / 400;
    let before = year - 1;
    let years = (year - 1970) * 365 + leap_days(before) - leap_days(1969);
    let months: u64 = (1..month).map(|month| days_in(year, month)).sum();
    years + months + day - 1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;
    use atoll_core::Timestamp;

    #[test]
    fn times_shown_are_read_back() {
        for ms in [0, 1, 951_782_400_000, 1_709_210_096_789, 4_102_444_799_999] {
            assert_eq!(
                parse_millis(&Timestamp::from_millis(ms).to_string()),
                Some(ms)
            );
        }
        for day in 0..60_000 {
            let ms = day * 86_400_000;
            assert_eq!(
                parse_millis(&Timestamp::from_millis(ms).to_string()),
                Some(ms)
            );
        }
        assert_eq!(parse_millis("1970-01-01T00:00:01Z"), Some(1000));
        assert_eq!(parse_millis("1970-01-01T00:00:00.5Z"), Some(500));
        assert_eq!(parse_millis("1970-01-01T00:00:00.123456789Z"), Some(123));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "yesterday",
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00+01:00",
            "1970-02-30T00:00:00Z",
            "1970-13-01T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00.ééZ",
            "1970-1-1T0:0:0Z",
            "0000-01-01T00:00:00Z",
            "+970-01-01T00:00:00Z",
        ] {
            assert_eq!(parse_millis(text), None, "{text}");
        }
    }
}
