//! What a client asks for, before it is known what that means for the stored slots.
//!
//! An intent is what the region's log carries; [`crate::expand`] turns it into slot writes when the log
//! entry is applied, against the state of that moment.

use bytes::Bytes;
use serde_json::{Map, Value as Json};

use crate::collection::DataType;
use crate::content::Value;
use crate::ids::{CollectionName, Key};
use crate::version_vector::VersionVector;

mod ops;

pub use self::ops::{MapOps, Ops, parse_ops};

/// Most fields, elements or operations of one key in one intent.
pub const PARTS_MAX: usize = 10_000;

/// One change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The collection.
    pub collection: CollectionName,
    /// The key.
    pub key: Key,
    /// What to do.
    pub action: Action,
    /// What must hold for the whole entry to be accepted.
    pub precondition: Option<Precondition>,
    /// What the client had seen, if it says so.
    pub context: Option<VersionVector>,
}

/// What to do with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Set a Register or a whole Document.
    Put(Value),
    /// Change the named fields of a Document: a JSON Merge Patch (RFC 7396), as text.
    Patch(Bytes),
    /// Delete what is there.
    Delete,
    /// Typed operations on a Counter, Set or Map: a JSON object, as text.
    Ops(Bytes),
}

/// What must hold for a write to be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// The key's state must have this fingerprint (`If-Match`).
    Matches(u128),
    /// The key must be absent (`If-None-Match: *`).
    Absent,
    /// The key must be present (`If-Match: *`).
    Present,
}

/// Why a write is refused. Nothing of its entry is applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No such collection.
    #[error("there is no collection {0:?}; declare it in the manifest")]
    UnknownCollection(String),
    /// The collection's type does not have this operation.
    #[error("{0}")]
    TypeMismatch(String),
    /// The value cannot be stored.
    #[error("{0}")]
    InvalidValue(String),
    /// Too many parts, or a part too long.
    #[error("{0}")]
    TooLarge(String),
    /// A precondition does not hold.
    #[error("{0}")]
    PreconditionFailed(String),
    /// The time of what was applied leaves no room for a later one.
    #[error(
        "this region has applied an entry of the year 6429, and no later time can be given out: what wrote that \
         entry made its time up. Rebuild the store without it"
    )]
    NoTimeLeft,
    /// The region is joining the store.
    #[error("this region is joining the store and takes no writes yet; write to another one")]
    Joining,
    /// The region is leaving the store.
    #[error("this region is leaving the store and takes no writes; write to another one")]
    Leaving,
    /// The region has left the store.
    #[error("this region is retired and takes no writes, ever; write to another one")]
    Retired,
    /// The request's idempotency key names another request.
    #[error(
        "the idempotency key {0:?} was used for another request; give each request a key of its own"
    )]
    IdempotencyKeyReused(String),
}

impl Action {
    /// Checks everything that can be checked without the state: shape, type, size.
    ///
    /// # Errors
    /// The [`Rejection`] that applying it would end in.
    pub fn check(&self, data_type: DataType) -> Result<(), Rejection> {
        match (self, data_type) {
            (Action::Put(value), DataType::Register) => check_json(value),
            (Action::Put(value), DataType::Document) => {
                if value.media.is_some() {
                    return Err(Rejection::TypeMismatch(
                        "a Document takes application/json".into(),
                    ));
                }
                parse_object(&value.data).map(|_| ())
            }
            (Action::Patch(patch), DataType::Document) => parse_object(patch).map(|_| ()),
            (Action::Ops(ops), DataType::Counter | DataType::Set | DataType::Map) => {
                parse_ops(data_type, ops).map(|_| ())
            }
            (Action::Delete, _) => Ok(()),
            (Action::Put(_), other) => Err(mismatch("PUT", other, "POST …/ops")),
            (Action::Patch(_), DataType::Register) => Err(mismatch("PATCH", data_type, "PUT")),
            (Action::Patch(_), other) => Err(mismatch("PATCH", other, "POST …/ops")),
            (Action::Ops(_), DataType::Document) => Err(mismatch("POST …/ops", data_type, "PATCH")),
            (Action::Ops(_), DataType::Register) => Err(mismatch("POST …/ops", data_type, "PUT")),
        }
    }
}

fn mismatch(given: &str, data_type: DataType, instead: &str) -> Rejection {
    Rejection::TypeMismatch(format!(
        "a {} has no {given}; use {instead}",
        data_type.name()
    ))
}

fn check_json(value: &Value) -> Result<(), Rejection> {
    if value.media.is_some() {
        return Ok(());
    }
    serde_json::from_slice::<serde::de::IgnoredAny>(&value.data)
        .map(|_| ())
        .map_err(|e| Rejection::InvalidValue(format!("the body is not JSON: {e}")))
}

/// Reads a JSON object.
///
/// # Errors
/// `InvalidValue` when it is not JSON, `TypeMismatch` when it is something else.
pub fn parse_object(text: &[u8]) -> Result<Map<String, Json>, Rejection> {
    match serde_json::from_slice(text) {
        Ok(Json::Object(fields)) => Ok(fields),
        Ok(_) => Err(Rejection::TypeMismatch(
            "a JSON object is needed here".into(),
        )),
        Err(e) => Err(Rejection::InvalidValue(format!(
            "the body is not JSON: {e}"
        ))),
    }
}
