//! Names of stores, regions and collections, valid once made. The rules are core's.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use super::text::{shown, text_value};

/// A name that breaks its rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` cannot name a {what}: it {rule}")]
pub struct InvalidName {
    /// What was to be named.
    pub what: &'static str,
    /// The text as given, shortened.
    pub text: String,
    /// The rule, such as "must be …".
    pub rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident($core:ty), $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($core);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                let name: Result<$core, _> = text.parse();
                let refused = |error: atoll_core::ids::InvalidName| InvalidName {
                    what: $what,
                    text: shown(text),
                    rule: error.rule,
                };
                name.map($name).map_err(refused)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }
    };
}

name!(
    /// The name of a store: a DNS label of at most 40 bytes, as a region's.
    StoreName(atoll_core::RegionName),
    "store"
);
name!(
    /// The name of a region: a DNS label of at most 40 bytes.
    RegionName(atoll_core::RegionName),
    "region"
);
name!(
    /// The name of a collection: 1 to 63 of a-z, 0-9, '.', '_' and '-', starting with a letter or digit.
    CollectionName(atoll_core::CollectionName),
    "collection"
);

macro_rules! core_name {
    ($name:ident($core:ty)) => {
        impl From<$name> for $core {
            fn from(name: $name) -> $core {
                name.0
            }
        }

        impl From<$core> for $name {
            fn from(name: $core) -> $name {
                $name(name)
            }
        }
    };
}

core_name!(RegionName(atoll_core::RegionName));
core_name!(CollectionName(atoll_core::CollectionName));

text_value!(
    StoreName,
    expected = "the name of a store such as shop",
    pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
    length_max = 40
);
text_value!(
    RegionName,
    expected = "the name of a region such as eu",
    pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
    length_max = 40
);
text_value!(
    CollectionName,
    expected = "the name of a collection such as pages",
    pattern = "^[a-z0-9][a-z0-9._-]*$",
    length_max = 63
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_named_by_a_dns_label() {
        for good in ["eu", "eu-west-1", "1", &"a".repeat(40)] {
            assert!(good.parse::<RegionName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "EU",
            "eu_west",
            "-eu",
            "eu-",
            "eu.west",
            "eu~2",
            "é",
            &"a".repeat(41),
        ] {
            assert!(bad.parse::<RegionName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_collection_name_may_hold_dots_and_underscores() {
        for good in ["pages", "a.b_c-d", "9", "a-", &"a".repeat(63)] {
            assert!(good.parse::<CollectionName>().is_ok(), "{good}");
        }
        for bad in ["", "Pages", ".a", "_a", "-a", "a b", "a/b", &"a".repeat(64)] {
            assert!(bad.parse::<CollectionName>().is_err(), "{bad}");
        }
    }
}
