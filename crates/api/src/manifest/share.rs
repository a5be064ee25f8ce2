//! A share of something, from 0 to 1.

use serde::{Deserialize, Serialize};

/// From 0, none, to 1, all.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Share(f64);

// It is never NaN.
impl Eq for Share {}

/// A number that is no share.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{0} is no share: write a number from 0 to 1, such as 0.01")]
pub struct InvalidShare(f64);

impl TryFrom<f64> for Share {
    type Error = InvalidShare;

    fn try_from(number: f64) -> Result<Self, InvalidShare> {
        let is_share = (0.0..=1.0).contains(&number);
        is_share
            .then_some(Share(number))
            .ok_or(InvalidShare(number))
    }
}

impl From<Share> for f64 {
    fn from(Share(number): Share) -> f64 {
        number
    }
}

#[cfg(feature = "k8s")]
impl schemars::JsonSchema for Share {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_from_nothing_to_all() {
        for good in [0.0, 0.01, 1.0] {
            assert_eq!(Share::try_from(good).map(f64::from), Ok(good));
        }
        for bad in [-0.01, 1.01, f64::INFINITY, f64::NAN] {
            assert!(Share::try_from(bad).is_err(), "{bad}");
        }
    }
}
