//! Sizes as people write them: `8Gi`, `500Mi`, `1.5Gi`, as Kubernetes writes quantities.

use std::fmt;
use std::str::FromStr;

use super::text::{shown, text_value};

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize {
    bytes: u64,
}

/// A text that is no size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a size: write a number with Ki, Mi, Gi or Ti (or k, M, G, T), such as 500Mi or 8Gi"
)]
pub struct InvalidByteSize {
    /// The text as given, shortened.
    pub text: String,
}

impl ByteSize {
    /// That many bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        ByteSize { bytes }
    }

    /// That many gibibytes.
    #[must_use]
    pub const fn from_gibibytes(gibibytes: u32) -> Self {
        ByteSize {
            bytes: (gibibytes as u64) << 30,
        }
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(self) -> u64 {
        self.bytes
    }
}

/// Suffixes with their factor. Of two that fit equally well, the first is written.
const SUFFIXES: [(&str, u64); 11] = [
    ("Pi", 1 << 50),
    ("P", 1_000_000_000_000_000),
    ("Ti", 1 << 40),
    ("T", 1_000_000_000_000),
    ("Gi", 1 << 30),
    ("G", 1_000_000_000),
    ("Mi", 1 << 20),
    ("M", 1_000_000),
    ("Ki", 1 << 10),
    ("k", 1000),
    ("", 1),
];

const FRACTION_DIGITS_MAX: usize = 9;

impl FromStr for ByteSize {
    type Err = InvalidByteSize;

    fn from_str(text: &str) -> Result<Self, InvalidByteSize> {
        bytes(text)
            .map(ByteSize::from_bytes)
            .ok_or_else(|| InvalidByteSize { text: shown(text) })
    }
}

fn bytes(text: &str) -> Option<u64> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (_, factor) = SUFFIXES.iter().find(|(name, _)| *name == suffix)?;
    let factor = u128::from(*factor);
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return None,
        None => (number, ""),
    };
    if fraction.len() > FRACTION_DIGITS_MAX {
        return None;
    }
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let part: u128 = if fraction.is_empty() {
        0
    } else {
        fraction.parse().ok()?
    };
    let whole = u128::from(whole.parse::<u64>().ok()?) * factor;
    u64::try_from(whole + (part * factor).div_ceil(scale)).ok()
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fitting = SUFFIXES
            .iter()
            .find(|(_, factor)| self.bytes != 0 && self.bytes.is_multiple_of(*factor));
        let (suffix, factor) = fitting.unwrap_or(&("", 1));
        write!(f, "{}{suffix}", self.bytes / factor)
    }
}

text_value!(
    ByteSize,
    expected = "a size such as 500Mi or 8Gi",
    pattern = "^[0-9]+(\\.[0-9]{1,9})?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$",
    length_max = 40
);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn sizes_are_read_and_written_back() {
        for (text, bytes, canonical) in [
            ("8Gi", 8 << 30, "8Gi"),
            ("20Gi", 20 << 30, "20Gi"),
            ("500Mi", 500 << 20, "500Mi"),
            ("1.5Gi", 1536 << 20, "1536Mi"),
            ("10G", 10_000_000_000, "10G"),
            ("1024Mi", 1 << 30, "1Gi"),
            ("12345", 12_345, "12345"),
            ("0", 0, "0"),
        ] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!(size.as_bytes(), bytes, "{text}");
            assert_eq!(size.to_string(), canonical);
            assert_eq!(canonical.parse::<ByteSize>().unwrap(), size);
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "",
            "Gi",
            "8GB",
            "8 Gi",
            "-8Gi",
            "8gi",
            "1.Gi",
            ".5Gi",
            "1.2.3Gi",
            "99999999999Pi",
            "8K",
        ] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }
}
