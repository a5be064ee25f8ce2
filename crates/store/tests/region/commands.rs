//! Commands in few words.

use atoll_core::intent::{Action, Intent, Precondition};
use atoll_core::{
    CollectionName, CollectionSpec, DataType, Key, Policy, Timestamp, UpdateDelete, Value,
    VersionVector,
};
use atoll_store::{Command, Request};
use bytes::Bytes;

/// 2024-05-01T00:00:00Z, milliseconds since 1970.
pub(crate) const START_MS: u64 = 1_714_521_600_000;

pub(crate) fn name(collection: &str) -> CollectionName {
    collection.parse().unwrap()
}

pub(crate) fn key(key: &str) -> Key {
    key.parse().unwrap()
}

/// So many milliseconds after the start.
pub(crate) fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(START_MS + ms)
}

pub(crate) fn put(value: &str) -> Action {
    Action::Put(Value::json(value.to_owned()))
}

pub(crate) fn patch(text: &str) -> Action {
    Action::Patch(text.to_owned().into())
}

pub(crate) fn ops(text: &str) -> Action {
    Action::Ops(text.to_owned().into())
}

pub(crate) fn intent(collection: &str, at: &str, action: Action) -> Intent {
    Intent {
        collection: name(collection),
        key: key(at),
        action,
        precondition: None,
        context: None,
    }
}

pub(crate) fn provided(precondition: Precondition, intent: Intent) -> Intent {
    Intent {
        precondition: Some(precondition),
        ..intent
    }
}

pub(crate) fn having_seen(context: VersionVector, intent: Intent) -> Intent {
    Intent {
        context: Some(context),
        ..intent
    }
}

pub(crate) fn request(intents: &[Intent]) -> Request {
    Request {
        intents: intents.to_vec(),
        trace: Bytes::new(),
        idempotency: None,
    }
}

pub(crate) fn spec(
    collection: &str,
    data_type: DataType,
    policy: Policy,
    update_delete: UpdateDelete,
) -> CollectionSpec {
    CollectionSpec {
        name: name(collection),
        data_type,
        policy,
        update_delete,
    }
}

/// Collections `r`, `d`, `c`, `s` and `m`, a letter for each type.
pub(crate) fn all_types(policy: &Policy, update_delete: UpdateDelete) -> Vec<CollectionSpec> {
    ["r", "d", "c", "s", "m"]
        .into_iter()
        .zip(DataType::ALL)
        .map(|(name, data_type)| spec(name, data_type, policy.clone(), update_delete))
        .collect()
}

pub(crate) fn configure(collections: Vec<CollectionSpec>) -> Command {
    Command::Configure { collections }
}
