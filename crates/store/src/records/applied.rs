//! How far the state is. Family `meta`, key `applied`; rewritten with every applied group.

use bytes::Bytes;
use prost::Message;

use atoll_core::wire::pb;
use atoll_core::{Timestamp, VersionVector};

use super::{BadRecord, damaged};

const KIND: &str = "applied";
/// The key.
pub const KEY: &[u8] = b"applied";

/// How far the state is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// The entries in it.
    pub vector: VersionVector,
    /// The greatest time in it.
    pub time: Timestamp,
    /// The last arrival index given out.
    pub arrival: u64,
    /// Below this no concurrent version can arrive any more.
    pub stable: VersionVector,
    /// Where in the Raft log it stands; opaque here.
    pub raft: Bytes,
    /// Ledger rows kept.
    pub ledger_rows: u64,
    /// Entries that are remembered by their idempotency key.
    pub idempotency_keys: u64,
}

/// The bytes.
#[must_use]
pub fn encode(applied: &Applied) -> Vec<u8> {
    let Applied {
        vector,
        time,
        arrival,
        stable,
        raft,
        ledger_rows,
        idempotency_keys,
    } = applied;
    super::encode(&AppliedPb {
        vector: Some(vector.into()),
        time: time.0,
        arrival: *arrival,
        stable: Some(stable.into()),
        raft: raft.clone(),
        ledger_rows: *ledger_rows,
        idempotency_keys: *idempotency_keys,
    })
}

/// Reads it.
///
/// # Errors
/// [`BadRecord`].
pub fn decode(bytes: Bytes) -> Result<Applied, BadRecord> {
    let applied: AppliedPb = super::decode(KIND, bytes)?;
    let vector = |pb: Option<pb::Vector>| {
        VersionVector::try_from(pb.unwrap_or_default()).map_err(|e| damaged(KIND, e))
    };
    Ok(Applied {
        vector: vector(applied.vector)?,
        time: Timestamp(applied.time),
        arrival: applied.arrival,
        stable: vector(applied.stable)?,
        raft: applied.raft,
        ledger_rows: applied.ledger_rows,
        idempotency_keys: applied.idempotency_keys,
    })
}

#[derive(Clone, PartialEq, Message)]
struct AppliedPb {
    #[prost(message, optional, tag = "1")]
    vector: Option<pb::Vector>,
    #[prost(fixed64, tag = "2")]
    time: u64,
    #[prost(uint64, tag = "3")]
    arrival: u64,
    #[prost(message, optional, tag = "4")]
    stable: Option<pb::Vector>,
    #[prost(bytes = "bytes", tag = "5")]
    raft: Bytes,
    #[prost(uint64, tag = "6")]
    ledger_rows: u64,
    #[prost(uint64, tag = "7")]
    idempotency_keys: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::checks;
    use atoll_core::ReplicaId;

    #[test]
    fn the_bytes_are_pinned() {
        let vector = |seqs: &[(u64, u64)]| seqs.iter().map(|&(r, s)| (ReplicaId(r), s)).collect();
        let mut applied = Applied {
            vector: vector(&[(0xA1, 7), (0xB2, 300)]),
            time: Timestamp(0x0102_0304_0506_0708),
            arrival: 307,
            stable: vector(&[(0xA1, 6)]),
            raft: Bytes::from_static(b"raft"),
            ledger_rows: 2,
            idempotency_keys: 0,
        };
        insta::assert_snapshot!(checks::check(KIND, &applied, encode, decode), @r"
        010a170a10a100000000000000b200000000000000120307ac02110807060504
        03020118b302220d0a08a1000000000000001201062a04726166743002
        ");
        applied.idempotency_keys = 300;
        insta::assert_snapshot!(checks::check(KIND, &applied, encode, decode), @r"
        010a170a10a100000000000000b200000000000000120307ac02110807060504
        03020118b302220d0a08a1000000000000001201062a0472616674300238ac02
        ");
    }

    #[test]
    fn a_vector_of_two_lengths_is_damage() {
        let uneven = pb::Vector {
            replicas: vec![1, 2],
            seqs: vec![1],
        };
        let record = AppliedPb {
            vector: Some(uneven),
            ..AppliedPb::default()
        };
        let refused = decode(super::super::encode(&record).into()).unwrap_err();
        assert!(
            matches!(refused, BadRecord::Damaged { kind: KIND, .. }),
            "{refused}"
        );
    }
}
