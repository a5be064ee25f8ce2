//! The bytes of intents, in commands. Field numbers are never reused.

use super::{BadFrame, malformed};
use crate::ids::Key;
use crate::intent::{Action, Intent, Precondition};

/// The messages.
pub(super) mod pb {
    use prost::Message;
    use prost::bytes::Bytes;

    use super::super::pb::{Value, Vector};

    /// An intent.
    #[derive(Clone, PartialEq, Message)]
    pub struct Intent {
        /// Collection name.
        #[prost(string, tag = "1")]
        pub collection: String,
        /// Key.
        #[prost(bytes = "bytes", tag = "2")]
        pub key: Bytes,
        /// What to do.
        #[prost(oneof = "intent::Action", tags = "3, 4, 5, 6")]
        pub action: Option<intent::Action>,
        /// If-Match fingerprint, 16 bytes little-endian; empty = none.
        #[prost(bytes = "vec", tag = "7")]
        pub if_match: Vec<u8>,
        /// If-None-Match: *.
        #[prost(bool, tag = "8")]
        pub if_absent: bool,
        /// If-Match: *.
        #[prost(bool, tag = "9")]
        pub if_present: bool,
        /// What the client had seen.
        #[prost(message, optional, tag = "10")]
        pub context: Option<Vector>,
    }

    /// Actions of intents.
    pub mod intent {
        /// What to do.
        #[derive(Clone, PartialEq, prost::Oneof)]
        pub enum Action {
            /// Put.
            #[prost(message, tag = "3")]
            Put(super::Value),
            /// Merge patch text.
            #[prost(bytes = "bytes", tag = "4")]
            Patch(prost::bytes::Bytes),
            /// Delete.
            #[prost(bool, tag = "5")]
            Delete(bool),
            /// Typed operations text.
            #[prost(bytes = "bytes", tag = "6")]
            Ops(prost::bytes::Bytes),
        }
    }
}

impl From<&Intent> for pb::Intent {
    fn from(intent: &Intent) -> Self {
        let Intent {
            collection,
            key,
            action,
            precondition,
            context,
        } = intent;
        let action = match action {
            Action::Put(value) => pb::intent::Action::Put(value.into()),
            Action::Patch(patch) => pb::intent::Action::Patch(patch.clone()),
            Action::Delete => pb::intent::Action::Delete(true),
            Action::Ops(ops) => pb::intent::Action::Ops(ops.clone()),
        };
        let if_match = match precondition {
            Some(Precondition::Matches(tag)) => tag.to_le_bytes().to_vec(),
            Some(Precondition::Absent | Precondition::Present) | None => vec![],
        };
        pb::Intent {
            collection: collection.as_str().to_owned(),
            key: key.bytes(),
            action: Some(action),
            if_match,
            if_absent: *precondition == Some(Precondition::Absent),
            if_present: *precondition == Some(Precondition::Present),
            context: context.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<pb::Intent> for Intent {
    type Error = BadFrame;
    fn try_from(intent: pb::Intent) -> Result<Self, BadFrame> {
        let pb::Intent {
            collection,
            key,
            action,
            if_match,
            if_absent,
            if_present,
            context,
        } = intent;
        let precondition = match (if_match.as_slice(), if_absent, if_present) {
            ([], false, false) => None,
            ([], true, false) => Some(Precondition::Absent),
            ([], false, true) => Some(Precondition::Present),
            (tag, false, false) => {
                let tag = tag
                    .try_into()
                    .map_err(|_| malformed("a fingerprint that is not 16 bytes"))?;
                Some(Precondition::Matches(u128::from_le_bytes(tag)))
            }
            _ => return Err(malformed("an intent with two preconditions")),
        };
        let action = match action.ok_or_else(|| malformed("an intent of an unknown kind"))? {
            pb::intent::Action::Put(value) => Action::Put(value.into()),
            pb::intent::Action::Patch(patch) => Action::Patch(patch),
            pb::intent::Action::Delete(_) => Action::Delete,
            pb::intent::Action::Ops(ops) => Action::Ops(ops),
        };
        Ok(Intent {
            collection: collection.parse().map_err(malformed)?,
            key: Key::new(key).map_err(malformed)?,
            action,
            precondition,
            context: context.map(TryInto::try_into).transpose()?,
        })
    }
}
