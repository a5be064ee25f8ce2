//! Whom a certificate names, in its subject alternative names as an URI.
//!
//! | URI | who |
//! |---|---|
//! | `atoll://5bd1e995cafe0001/eu/eu-0` | the node `eu-0` of the region `eu` of a store |
//! | `atoll://5bd1e995cafe0001/-/operator` | an administrator of the store, of no region |
//!
//! The store's id, not its name: two stores under one CA may have the same name.

use std::fmt;
use std::str::FromStr;

pub use atoll_core::StoreId;

use crate::manifest::RegionName;

const SCHEME: &str = "atoll://";
/// In the place of a region; no region can have the name.
const NO_REGION: &str = "-";
const NAME_BYTES_MAX: usize = 253;

/// Whom a certificate names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateName {
    /// The store that the holder belongs to.
    pub store: StoreId,
    /// Who of it.
    pub holder: Holder,
}

/// Who holds a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A node of a region.
    Node {
        /// Its region.
        region: RegionName,
        /// Its name: `node.name` of its configuration.
        node: String,
    },
    /// Who administers the store: the operator, or a person.
    Administrator {
        /// For the log.
        name: String,
    },
}

/// An URI that names nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` names no node and no administrator: write atoll://STORE/REGION/NODE or atoll://STORE/-/NAME, \
     STORE being the store's id of 16 hexadecimal digits"
)]
pub struct InvalidCertificateName {
    /// The text as given.
    pub text: String,
}

impl CertificateName {
    /// The name of a node.
    #[must_use]
    pub fn node(store: StoreId, region: RegionName, node: &str) -> Self {
        let node = node.to_owned();
        CertificateName {
            store,
            holder: Holder::Node { region, node },
        }
    }

    /// The name of an administrator.
    #[must_use]
    pub fn administrator(store: StoreId, name: &str) -> Self {
        let name = name.to_owned();
        CertificateName {
            store,
            holder: Holder::Administrator { name },
        }
    }

    /// Whether an URI means to name somebody of a store; others are no business of ours.
    #[must_use]
    pub fn is_meant_by(uri: &str) -> bool {
        uri.starts_with(SCHEME)
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = self.store;
        match &self.holder {
            Holder::Node { region, node } => write!(f, "{SCHEME}{store}/{region}/{node}"),
            Holder::Administrator { name } => write!(f, "{SCHEME}{store}/{NO_REGION}/{name}"),
        }
    }
}

impl FromStr for CertificateName {
    type Err = InvalidCertificateName;

    fn from_str(text: &str) -> Result<Self, InvalidCertificateName> {
        read(text).ok_or_else(|| InvalidCertificateName {
            text: text.to_owned(),
        })
    }
}

fn read(text: &str) -> Option<CertificateName> {
    let mut parts = text.strip_prefix(SCHEME)?.split('/');
    let (store, region, name) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || !is_name(name) {
        return None;
    }
    let store = store.parse().ok()?;
    Some(if region == NO_REGION {
        CertificateName::administrator(store, name)
    } else {
        CertificateName::node(store, region.parse().ok()?, name)
    })
}

fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.chars().all(fits)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for text in [
            "atoll://5bd1e995cafe0001/eu/eu-0",
            "atoll://5bd1e995cafe0001/-/operator",
        ] {
            let name: CertificateName = text.parse().unwrap();
            assert_eq!(name.to_string(), text);
        }
        let name: CertificateName = "atoll://5bd1e995cafe0001/-/operator".parse().unwrap();
        let store = StoreId(0x5bd1_e995_cafe_0001);
        assert_eq!(name, CertificateName::administrator(store, "operator"));
    }

    #[test]
    fn what_names_nobody_is_refused() {
        for text in [
            "",
            "spiffe://5bd1e995cafe0001/eu/eu-0",
            "atoll://shop/eu/eu-0",
            "atoll://5bd1e995cafe0001/eu",
            "atoll://5bd1e995cafe0001/eu/",
            "atoll://5bd1e995cafe0001/eu/a/b",
            "atoll://5bd1e995cafe0001/EU/eu-0",
            "atoll://5bd1e995cafe0001//eu-0",
            "atoll://5bd1e995cafe0001/eu/eu%2f0",
            "atoll://+bd1e995cafe0001/eu/eu-0",
        ] {
            assert!(text.parse::<CertificateName>().is_err(), "{text}");
        }
    }
}
