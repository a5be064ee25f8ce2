//! Where telemetry is sent.

use std::fmt;
use std::str::FromStr;

use super::text::{shown, text_value};

/// An `http://` or `https://` address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint(String);

/// A text that is no such address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an HTTP address: write one such as http://collector:4318")]
pub struct InvalidEndpoint {
    /// The text as given, shortened.
    pub text: String,
}

impl Endpoint {
    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let rest = text
            .strip_prefix("http://")
            .or_else(|| text.strip_prefix("https://"));
        let has_host =
            rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':', '?', '#']));
        let is_plain = text.len() <= 2048 && text.bytes().all(|b| b.is_ascii_graphic());
        if has_host && is_plain {
            Ok(Endpoint(text.to_owned()))
        } else {
            Err(InvalidEndpoint { text: shown(text) })
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_value!(
    Endpoint,
    expected = "an HTTP address such as http://collector:4318",
    pattern = "^https?://[^/:?#].*$",
    length_max = 2048
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_http_address_with_a_host() {
        for good in ["http://collector:4318", "https://otlp.example.org/v1"] {
            assert!(good.parse::<Endpoint>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "collector:4318",
            "http://",
            "http://:4318",
            "grpc://a",
            "http://a b",
        ] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
        }
    }
}
