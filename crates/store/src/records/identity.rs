//! Whose data a directory holds. Family `meta`, key `identity`; written once, before anything else.

use bytes::Bytes;
use prost::Message;

use atoll_core::{RegionName, ReplicaId, StoreId};

use super::{BadRecord, damaged};

const KIND: &str = "identity";
/// The key.
pub const KEY: &[u8] = b"identity";

/// Whose data it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The store.
    pub store: StoreId,
    /// The region.
    pub region: RegionName,
    /// The region's incarnation.
    pub replica: ReplicaId,
}

/// The bytes of an identity.
#[must_use]
pub fn encode(identity: &Identity) -> Vec<u8> {
    let Identity {
        store,
        region,
        replica,
    } = identity;
    super::encode(&IdentityPb {
        store: store.0,
        region: region.to_string(),
        replica: replica.0,
    })
}

/// Reads an identity.
///
/// # Errors
/// [`BadRecord`].
pub fn decode(bytes: Bytes) -> Result<Identity, BadRecord> {
    let identity: IdentityPb = super::decode(KIND, bytes)?;
    Ok(Identity {
        store: StoreId(identity.store),
        region: identity.region.parse().map_err(|e| damaged(KIND, e))?,
        replica: ReplicaId(identity.replica),
    })
}

#[derive(Clone, PartialEq, Message)]
struct IdentityPb {
    #[prost(fixed64, tag = "1")]
    store: u64,
    #[prost(string, tag = "2")]
    region: String,
    #[prost(fixed64, tag = "3")]
    replica: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::checks;

    #[test]
    fn the_bytes_are_pinned() {
        let identity = Identity {
            store: StoreId(0x0102_0304_0506_0708),
            region: "eu-west-1".parse().unwrap(),
            replica: ReplicaId(0xA1),
        };
        insta::assert_snapshot!(checks::check(KIND, &identity, encode, decode), @"01090807060504030201120965752d776573742d3119a100000000000000");
    }
}
