//! Idempotency keys that are remembered: which entries carried them. Family `meta`.
//!
//! - `once/k/` · key → its entries, a message
//! - `once/t/` · time (8) · replica id (8) · sequence (8) of such an entry → format byte · key: the oldest
//!   are forgotten first

use bytes::Bytes;
use prost::Message;

use atoll_core::idempotency::{Application, Applications};
use atoll_core::{Dot, IdempotencyKey, ReplicaId, Timestamp};

use super::{BadRecord, FORMAT, damaged, number};

const KIND: &str = "idempotency key";
const BY_KEY: &[u8] = b"once/k/";
const BY_TIME: &[u8] = b"once/t/";

/// The key of the entries that carried an idempotency key.
#[must_use]
pub fn key(key: &IdempotencyKey) -> Vec<u8> {
    [BY_KEY, key.as_bytes()].concat()
}

/// The bytes of the entries that carried one key.
#[must_use]
pub fn encode(applications: &Applications) -> Vec<u8> {
    let to_pb = |application: &Application| {
        let Application {
            dot,
            time,
            request,
            counts,
            repeats,
        } = application;
        ApplicationPb {
            replica: dot.replica.0,
            seq: dot.seq,
            time: time.0,
            request: Bytes::copy_from_slice(&request.to_le_bytes()),
            counts: *counts,
            repeats: *repeats,
        }
    };
    super::encode(&ApplicationsPb {
        applications: applications.0.iter().map(to_pb).collect(),
    })
}

/// Reads them.
///
/// # Errors
/// [`BadRecord`].
pub fn decode(bytes: Bytes) -> Result<Applications, BadRecord> {
    let message: ApplicationsPb = super::decode(KIND, bytes)?;
    let from_pb = |pb: ApplicationPb| {
        let request = pb.request[..]
            .try_into()
            .map_err(|_| damaged(KIND, "a hash that is not 16 bytes"))?;
        Ok(Application {
            dot: Dot::new(ReplicaId(pb.replica), pb.seq),
            time: Timestamp(pb.time),
            request: u128::from_le_bytes(request),
            counts: pb.counts,
            repeats: pb.repeats,
        })
    };
    let applications = message.applications.into_iter().map(from_pb);
    Ok(Applications(applications.collect::<Result<_, _>>()?))
}

/// The key under which an entry with an idempotency key lies in order of time.
#[must_use]
pub fn time_key(time: Timestamp, dot: Dot) -> Vec<u8> {
    let mut out = BY_TIME.to_vec();
    for number in [time.0, dot.replica.0, dot.seq] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out
}

/// What all such keys begin with.
#[must_use]
pub fn time_prefix() -> &'static [u8] {
    BY_TIME
}

/// Reads such a key.
///
/// # Errors
/// [`BadRecord`].
pub fn decode_time_key(key: &[u8]) -> Result<(Timestamp, Dot), BadRecord> {
    let at = |nth: usize| number(KIND, key, BY_TIME.len() + 8 * nth);
    let dot = Dot::new(ReplicaId(at(1)?), at(2)?);
    Ok((Timestamp(at(0)?), dot))
}

/// The bytes there: whose entry it is.
#[must_use]
pub fn encode_named(key: &IdempotencyKey) -> Vec<u8> {
    let mut out = vec![FORMAT];
    out.extend_from_slice(key.as_bytes());
    out
}

/// Reads them.
///
/// # Errors
/// [`BadRecord`].
pub fn decode_named(value: &[u8]) -> Result<IdempotencyKey, BadRecord> {
    match value.split_first() {
        Some((&FORMAT, key)) => {
            IdempotencyKey::new(Bytes::copy_from_slice(key)).map_err(|e| damaged(KIND, e))
        }
        Some((&found, _)) => Err(BadRecord::NewerFormat { kind: KIND, found }),
        None => Err(damaged(KIND, "it is empty")),
    }
}

#[derive(Clone, PartialEq, Message)]
struct ApplicationsPb {
    #[prost(message, repeated, tag = "1")]
    applications: Vec<ApplicationPb>,
}

#[derive(Clone, PartialEq, Message)]
struct ApplicationPb {
    #[prost(fixed64, tag = "1")]
    replica: u64,
    #[prost(uint64, tag = "2")]
    seq: u64,
    #[prost(fixed64, tag = "3")]
    time: u64,
    #[prost(bytes = "bytes", tag = "4")]
    request: Bytes,
    #[prost(bool, tag = "5")]
    counts: bool,
    #[prost(bool, tag = "6")]
    repeats: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::checks::{self, dot, dots, hex, holds, times};
    use proptest::prelude::*;

    fn named() -> IdempotencyKey {
        "order-7".parse().unwrap()
    }

    fn application(replica: u64, counts: bool, repeats: bool) -> Application {
        Application {
            dot: dot(replica, 300),
            time: Timestamp(0x0102_0304_0506_0708),
            request: 0x0102 << 100,
            counts,
            repeats,
        }
    }

    #[test]
    fn the_keys_are_pinned() {
        insta::assert_snapshot!(hex(&key(&named())), @"6f6e63652f6b2f6f726465722d37");
        let by_time = time_key(Timestamp(0x0102), dot(0xA1, 7));
        insta::assert_snapshot!(hex(&by_time), @"6f6e63652f742f000000000000010200000000000000a10000000000000007");
        assert_eq!(
            decode_time_key(&by_time),
            Ok((Timestamp(0x0102), dot(0xA1, 7)))
        );
        assert!(by_time.starts_with(time_prefix()));
        assert!(decode_time_key(&by_time[..30]).is_err());
    }

    #[test]
    fn the_bytes_are_pinned() {
        let one = Applications(vec![application(0xA1, false, false)]);
        insta::assert_snapshot!(checks::check(KIND, &one, encode, decode), @r"
        010a2709a10000000000000010ac021908070605040302012210000000000000
        00000000000020100000
        ");
        let twins = Applications(vec![
            application(0xA1, true, false),
            application(0xB2, true, true),
        ]);
        insta::assert_snapshot!(checks::check(KIND, &twins, encode, decode), @r"
        010a2909a10000000000000010ac021908070605040302012210000000000000
        0000000000002010000028010a2b09b20000000000000010ac02190807060504
        03020122100000000000000000000000002010000028013001
        ");
        let bytes = checks::check(KIND, &named(), encode_named, |b| decode_named(&b));
        insta::assert_snapshot!(bytes, @"016f726465722d37");
    }

    #[test]
    fn all_applications_come_back() {
        let any = (dots(), times(), any::<u128>(), any::<(bool, bool)>());
        let application = any.prop_map(|(dot, time, request, (counts, repeats))| Application {
            dot,
            time,
            request,
            counts,
            repeats,
        });
        holds(&prop::collection::vec(application, 0..4), |all| {
            let all = Applications(all);
            prop_assert_eq!(decode(encode(&all).into()), Ok(all));
            Ok(())
        });
    }

    #[test]
    fn entries_lie_in_order_of_time() {
        let any = || (times(), dots());
        holds(&(any(), any()), |(a, b)| {
            let keys = (time_key(a.0, a.1), time_key(b.0, b.1));
            prop_assert_eq!(keys.0.cmp(&keys.1), a.cmp(&b));
            Ok(())
        });
    }
}
