//! The topology that the region goes by. Family `meta`, key `layout`.

use bytes::Bytes;
use prost::Message;

use atoll_core::layout::AgreedLayout;
use atoll_core::wire::pb;
use atoll_core::{Dot, ReplicaId, Timestamp};

use super::{BadRecord, damaged};

const KIND: &str = "layout";
/// The key.
pub const KEY: &[u8] = b"layout";

/// The bytes of a layout.
#[must_use]
pub fn encode(agreed: &AgreedLayout) -> Vec<u8> {
    let AgreedLayout { layout, time, dot } = agreed;
    super::encode(&AgreedPb {
        layout: Some(layout.into()),
        time: time.0,
        replica: dot.replica.0,
        seq: dot.seq,
    })
}

/// Reads a layout.
///
/// # Errors
/// [`BadRecord`].
pub fn decode(bytes: Bytes) -> Result<AgreedLayout, BadRecord> {
    let AgreedPb {
        layout,
        time,
        replica,
        seq,
    } = super::decode(KIND, bytes)?;
    let layout = layout.ok_or_else(|| damaged(KIND, "it is empty"))?;
    Ok(AgreedLayout {
        layout: layout.try_into().map_err(|e| damaged(KIND, e))?,
        time: Timestamp(time),
        dot: Dot::new(ReplicaId(replica), seq),
    })
}

#[derive(Clone, PartialEq, Message)]
struct AgreedPb {
    #[prost(message, optional, tag = "1")]
    layout: Option<pb::Layout>,
    #[prost(fixed64, tag = "2")]
    time: u64,
    #[prost(fixed64, tag = "3")]
    replica: u64,
    #[prost(uint64, tag = "4")]
    seq: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::checks::{self, layouts};
    use atoll_core::layout::{Layout, LayoutRegion, Role, Topology};
    use proptest::prelude::*;

    fn agreed(layout: Layout) -> AgreedLayout {
        AgreedLayout {
            layout,
            time: Timestamp(0x0102_0304_0506_0708),
            dot: checks::dot(0xA1, 7),
        }
    }

    #[test]
    fn the_bytes_are_pinned() {
        let region = |name: &str, role, endpoints: &[&str]| LayoutRegion {
            name: name.parse().unwrap(),
            role,
            endpoints: endpoints.iter().map(ToString::to_string).collect(),
        };
        let layout = Layout {
            revision: 3,
            topology: Topology::Star {
                hub: "eu".parse().unwrap(),
            },
            regions: vec![
                region(
                    "eu",
                    Role::Leader,
                    &["http://eu-0:4400", "http://eu-1:4400"],
                ),
                region("us", Role::ReadOnly, &[]),
            ],
        };
        insta::assert_snapshot!(checks::check(KIND, &agreed(layout), encode, decode), @r"
        010a3a080310032202657532280a0265751a10687474703a2f2f65752d303a34
        3430301a10687474703a2f2f65752d313a3434303032060a0275731001110807
        06050403020119a1000000000000002007
        ");
    }

    #[test]
    fn every_layout_comes_back() {
        checks::holds(&layouts(), |layout| {
            let agreed = agreed(layout);
            prop_assert_eq!(decode(encode(&agreed).into()), Ok(agreed));
            Ok(())
        });
    }
}
