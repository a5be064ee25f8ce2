//! What the region has been told: its collections, and which replica ids are which regions. Family `meta`,
//! keys `collections` and `regions`.

use bytes::Bytes;
use prost::Message;

use atoll_core::collection::Regions;
use atoll_core::member::{Member, MemberChange};
use atoll_core::wire::membership::{state_number, state_of};
use atoll_core::{CollectionSpec, DataType, Dot, Policy, ReplicaId, UpdateDelete};

use super::{BadRecord, damaged};

const KIND: &str = "collections";
const REGIONS_KIND: &str = "regions";
/// The key of the collections.
pub const KEY: &[u8] = b"collections";
/// The key of the regions.
pub const REGIONS_KEY: &[u8] = b"regions";

/// The bytes of the collections.
#[must_use]
pub fn encode(collections: &[CollectionSpec]) -> Vec<u8> {
    super::encode(&to_pb(collections))
}

/// Reads the collections.
///
/// # Errors
/// [`BadRecord`].
pub fn decode(bytes: Bytes) -> Result<Vec<CollectionSpec>, BadRecord> {
    from_pb(super::decode(KIND, bytes)?)
}

/// The bytes of the regions.
#[must_use]
pub fn encode_regions(regions: &Regions) -> Vec<u8> {
    let regions = regions.members().map(|member| {
        let Member {
            replica,
            region,
            state,
            revision,
            last,
            removed_by,
        } = member;
        RegionPb {
            replica: replica.0,
            name: region.to_string(),
            state: state_number(*state),
            revision: *revision,
            last: *last,
            removed_by: removed_by.map_or(0, |by| by.replica.0),
            removed_by_seq: removed_by.map_or(0, |by| by.seq),
        }
    });
    super::encode(&RegionsPb {
        regions: regions.collect(),
    })
}

/// Reads the regions.
///
/// # Errors
/// [`BadRecord`].
pub fn decode_regions(bytes: Bytes) -> Result<Regions, BadRecord> {
    let message: RegionsPb = super::decode(REGIONS_KIND, bytes)?;
    let mut regions = Regions::default();
    for region in message.regions {
        let unknown = || damaged(REGIONS_KIND, "a state that is not known; upgrade this node");
        let replica = ReplicaId(region.replica);
        regions.merge(&MemberChange {
            replica,
            region: region.name.parse().map_err(|e| damaged(REGIONS_KIND, e))?,
            state: state_of(region.state).ok_or_else(unknown)?,
            revision: region.revision,
            last: region.last,
        });
        if region.removed_by_seq > 0 {
            let by = Dot::new(ReplicaId(region.removed_by), region.removed_by_seq);
            regions.removed(replica, by);
        }
    }
    Ok(regions)
}

pub(crate) fn to_pb(collections: &[CollectionSpec]) -> CollectionsPb {
    let collections = collections.iter().map(|spec| {
        let CollectionSpec {
            name,
            data_type,
            policy,
            update_delete,
        } = spec;
        let origins = match policy {
            Policy::OriginPriority(origins) => origins.iter().map(ToString::to_string).collect(),
            Policy::LastWriterWins | Policy::KeepSiblings => vec![],
        };
        CollectionPb {
            name: name.to_string(),
            data_type: data_type.name().to_owned(),
            policy: policy.name().to_owned(),
            origins,
            update_delete: update_delete.name().to_owned(),
        }
    });
    CollectionsPb {
        collections: collections.collect(),
    }
}

pub(crate) fn from_pb(message: CollectionsPb) -> Result<Vec<CollectionSpec>, BadRecord> {
    let unknown = |what: &str| damaged(KIND, format!("unknown {what:?}"));
    let read = |c: CollectionPb| {
        let origins = c.origins.iter().map(|o| o.parse());
        let policy = match c.policy.as_str() {
            "LastWriterWins" => Policy::LastWriterWins,
            "KeepSiblings" => Policy::KeepSiblings,
            "OriginPriority" => Policy::OriginPriority(
                origins
                    .collect::<Result<_, _>>()
                    .map_err(|e| damaged(KIND, e))?,
            ),
            other => return Err(unknown(other)),
        };
        Ok(CollectionSpec {
            name: c.name.parse().map_err(|e| damaged(KIND, e))?,
            data_type: DataType::from_name(&c.data_type).ok_or_else(|| unknown(&c.data_type))?,
            policy,
            update_delete: UpdateDelete::from_name(&c.update_delete)
                .ok_or_else(|| unknown(&c.update_delete))?,
        })
    };
    message.collections.into_iter().map(read).collect()
}

/// The collections, as a message of commands, too.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CollectionsPb {
    #[prost(message, repeated, tag = "1")]
    collections: Vec<CollectionPb>,
}

#[derive(Clone, PartialEq, Message)]
struct CollectionPb {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    data_type: String,
    #[prost(string, tag = "3")]
    policy: String,
    #[prost(string, repeated, tag = "4")]
    origins: Vec<String>,
    #[prost(string, tag = "5")]
    update_delete: String,
}

#[derive(Clone, PartialEq, Message)]
struct RegionsPb {
    #[prost(message, repeated, tag = "1")]
    regions: Vec<RegionPb>,
}

#[derive(Clone, PartialEq, Message)]
struct RegionPb {
    #[prost(fixed64, tag = "1")]
    replica: u64,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(uint32, tag = "3")]
    state: u32,
    #[prost(uint64, tag = "4")]
    revision: u64,
    #[prost(uint64, tag = "5")]
    last: u64,
    #[prost(fixed64, tag = "6")]
    removed_by: u64,
    #[prost(uint64, tag = "7")]
    removed_by_seq: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::checks::{self, holds, specs};
    use atoll_core::MemberState;
    use proptest::prelude::*;

    #[test]
    fn the_bytes_are_pinned() {
        let policies = [
            Policy::LastWriterWins,
            Policy::KeepSiblings,
            Policy::OriginPriority(vec!["eu".parse().unwrap(), "us".parse().unwrap()]),
        ];
        let specs: Vec<CollectionSpec> = (0..DataType::ALL.len())
            .map(|i| CollectionSpec {
                name: format!("c{i}").parse().unwrap(),
                data_type: DataType::ALL[i],
                policy: policies[i % 3].clone(),
                update_delete: UpdateDelete::ALL[i % 3],
            })
            .collect();
        insta::assert_snapshot!(checks::check(KIND, &specs, |s| encode(s), decode), @r"
        010a2a0a026330120852656769737465721a0e4c61737457726974657257696e
        732a0a55706461746557696e730a280a0263311208446f63756d656e741a0c4b
        6565705369626c696e67732a0a44656c65746557696e730a2f0a026332120743
        6f756e7465721a0e4f726967696e5072696f7269747922026575220275732a08
        4b656570426f74680a250a02633312035365741a0e4c61737457726974657257
        696e732a0a55706461746557696e730a230a02633412034d61701a0c4b656570
        5369626c696e67732a0a44656c65746557696e73
        ");
    }

    #[test]
    fn the_bytes_of_regions_are_pinned() {
        let mut regions = Regions::default();
        for (replica, name) in [(0xB2, "us"), (0xA1, "eu"), (0xC3, "us")] {
            regions.admit(ReplicaId(replica), name.parse().unwrap());
        }
        let bytes = checks::check(REGIONS_KIND, &regions, encode_regions, decode_regions);
        insta::assert_snapshot!(bytes, @r"
        010a0d09b200000000000000120275730a0d09a100000000000000120265750a
        0d09c30000000000000012027573
        ");
    }

    /// Members whose state was changed; those that were announced only keep the bytes above.
    #[test]
    fn the_bytes_of_changed_members_are_pinned() {
        let mut regions = Regions::default();
        for (i, state) in MemberState::ALL.into_iter().enumerate() {
            regions.merge(&MemberChange {
                replica: ReplicaId(0xA0 + i as u64),
                region: "eu".parse().unwrap(),
                state,
                revision: 300 + i as u64,
                last: if state == MemberState::Retired { 7 } else { 0 },
            });
        }
        let bytes = checks::check(REGIONS_KIND, &regions, encode_regions, decode_regions);
        insta::assert_snapshot!(bytes, @r"
        010a1209a00000000000000012026575180120ac020a1009a100000000000000
        1202657520ad020a1209a20000000000000012026575180220ae020a1409a300
        00000000000012026575180320af022807
        ");
    }

    /// A member that was removed by force; all others keep the bytes above.
    #[test]
    fn the_bytes_of_a_removed_member_are_pinned() {
        let mut regions = Regions::default();
        regions.merge(&MemberChange {
            replica: ReplicaId(0xA0),
            region: "eu".parse().unwrap(),
            state: MemberState::Retired,
            revision: 3,
            last: 7,
        });
        regions.removed(ReplicaId(0xA0), Dot::new(ReplicaId(0xB1), 300));
        let bytes = checks::check(REGIONS_KIND, &regions, encode_regions, decode_regions);
        insta::assert_snapshot!(bytes, @r"
        010a1f09a0000000000000001202657518032003280731b10000000000000038
        ac02
        ");
    }

    #[test]
    fn all_collections_come_back() {
        holds(&prop::collection::vec(specs(), 0..4), |specs| {
            prop_assert_eq!(decode(encode(&specs).into()), Ok(specs));
            Ok(())
        });
    }
}
