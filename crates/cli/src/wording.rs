//! How numbers and times are put to people.

use std::time::Duration;

/// `12,345`
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 key`, `2 keys`
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    let word = if number == 1 { one } else { many };
    format!("{} {word}", count(number))
}

/// `0 s`, `0.42 ms`, `1.5 s`, `3 min`
pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        s if s <= 0.0 => "0 s".to_owned(),
        s if s < 0.001 => format!("{:.2} ms", s * 1000.0),
        s if s < 0.1 => format!("{:.1} ms", s * 1000.0),
        s if s < 1.0 => format!("{:.0} ms", s * 1000.0),
        s if s < 100.0 => format!("{s:.1} s"),
        s => format!("{:.0} min", s / 60.0),
    }
}

/// A duration in the same words.
pub(crate) fn duration(duration: Duration) -> String {
    seconds(duration.as_secs_f64())
}

/// `512 B`, `1.5 KiB`, `60.2 MiB`
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut size, mut unit) = (bytes as f64, 0);
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{bytes} B"),
        _ => format!("{size:.1} {}", UNITS[unit]),
    }
}

/// A text cut to at most `width` characters, on one line.
pub(crate) fn short(text: &str, width: usize) -> String {
    let text = text.replace(['\n', '\r', '\t'], " ");
    if text.chars().count() <= width {
        return text;
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// `eu 5 · us 3`
pub(crate) fn vector(vector: &atoll_api::http::Vector) -> String {
    if vector.is_empty() {
        return "nothing".to_owned();
    }
    let parts: Vec<_> = vector
        .iter()
        .map(|(region, sequence)| format!("{region} {}", count(*sequence)))
        .collect();
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(12_345_678), "12,345,678");
        assert_eq!(counted(1, "key", "keys"), "1 key");
        assert_eq!(counted(5046, "key", "keys"), "5,046 keys");
    }

    #[test]
    fn times_and_sizes_have_fitting_units() {
        let told = [0.0, 0.000_42, 0.0123, 0.5, 2.25, 180.0].map(seconds);
        assert_eq!(
            told,
            ["0 s", "0.42 ms", "12.3 ms", "500 ms", "2.2 s", "3 min"]
        );
        assert_eq!(
            [0, 1023, 1536, 63 << 20].map(bytes),
            ["0 B", "1023 B", "1.5 KiB", "63.0 MiB"]
        );
    }

    #[test]
    fn long_texts_are_cut_on_one_line() {
        assert_eq!(short("a\nb", 10), "a b");
        assert_eq!(short("abcdef", 4), "abc…");
    }
}
