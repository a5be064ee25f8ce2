//! What a client asks for, before it is known what that means for the stored slots.
//!
//! An intent is what the region's log carries; [`crate::expand`] turns it into slot writes when the log
//! entry is applied, against the state of that moment.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::{Map, Value as Json};

use crate::collection::DataType;
use crate::content::Value;
use crate::ids::{CollectionName, Key};
use crate::set::canonical;
use crate::version_vector::VersionVector;

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
    /// The region is leaving the store.
    #[error("this region is leaving the store and takes no writes; write to another one")]
    Leaving,
    /// The region has left the store.
    #[error("this region is retired and takes no writes, ever; write to another one")]
    Retired,
}

/// Typed operations, checked.
#[derive(Debug, Clone, PartialEq)]
pub enum Ops {
    /// Counter: forget what is there, then add.
    Counter {
        /// Whether to reset first.
        reset: bool,
        /// What to add.
        increment: i64,
    },
    /// Set: elements to add and to remove.
    Set {
        /// Elements to add.
        add: Vec<Json>,
        /// Elements to remove.
        remove: Vec<Json>,
    },
    /// Map: changes by field.
    Map(MapOps),
}

/// Changes of a Map's fields.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MapOps {
    /// Fields to remove, whatever they hold.
    pub remove: Vec<String>,
    /// Register fields to set.
    pub put: Vec<(String, Json)>,
    /// Counter fields to add to.
    pub increment: Vec<(String, i64)>,
    /// Set fields to add elements to.
    pub add: Vec<(String, Vec<Json>)>,
    /// Set fields to remove elements from.
    pub remove_from: Vec<(String, Vec<Json>)>,
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

/// Reads typed operations for a collection of this type.
///
/// # Errors
/// `InvalidValue` or `TypeMismatch` naming the operation at fault, `TooLarge` beyond [`PARTS_MAX`].
pub fn parse_ops(data_type: DataType, text: &[u8]) -> Result<Ops, Rejection> {
    let fields = parse_object(text)?;
    if fields.is_empty() {
        return Err(Rejection::InvalidValue("no operation given".into()));
    }
    match data_type {
        DataType::Counter => counter_ops(&fields),
        DataType::Set => set_ops(fields),
        DataType::Map => map_ops(fields).map(Ops::Map),
        DataType::Register | DataType::Document => Err(Rejection::TypeMismatch(format!(
            "a {} has no typed operations",
            data_type.name()
        ))),
    }
}

fn counter_ops(fields: &Map<String, Json>) -> Result<Ops, Rejection> {
    let (mut reset, mut increment) = (false, 0);
    for (name, argument) in fields {
        match name.as_str() {
            "increment" => increment = integer(name, argument)?,
            "decrement" => {
                increment = integer(name, argument)?
                    .checked_neg()
                    .ok_or_else(|| Rejection::InvalidValue("decrement is out of range".into()))?;
            }
            "reset" if argument == &Json::Bool(true) => reset = true,
            "reset" => return Err(Rejection::InvalidValue("reset takes true".into())),
            other => {
                return Err(unknown(
                    other,
                    DataType::Counter,
                    "increment, decrement, reset",
                ));
            }
        }
    }
    if fields.contains_key("increment") && fields.contains_key("decrement") {
        return Err(Rejection::InvalidValue(
            "give increment or decrement, not both".into(),
        ));
    }
    Ok(Ops::Counter { reset, increment })
}

fn set_ops(fields: Map<String, Json>) -> Result<Ops, Rejection> {
    let (mut add, mut remove) = (Vec::new(), Vec::new());
    for (name, argument) in fields {
        match name.as_str() {
            "add" => add = elements(&name, argument)?,
            "remove" => remove = elements(&name, argument)?,
            other => return Err(unknown(other, DataType::Set, "add, remove")),
        }
    }
    check_disjoint(&add, &remove)?;
    Ok(Ops::Set { add, remove })
}

fn map_ops(fields: Map<String, Json>) -> Result<MapOps, Rejection> {
    let mut ops = MapOps::default();
    for (name, argument) in fields {
        match (name.as_str(), argument) {
            ("put", Json::Object(puts)) => ops.put = puts.into_iter().collect(),
            ("increment", Json::Object(by_field)) => {
                for (field, delta) in by_field {
                    let delta = integer("increment", &delta)?;
                    ops.increment.push((field, delta));
                }
            }
            ("add", Json::Object(by_field)) => ops.add = elements_by_field("add", by_field)?,
            ("remove", Json::Object(by_field)) => {
                ops.remove_from = elements_by_field("remove", by_field)?;
            }
            ("remove", Json::Array(names)) => {
                for field in names {
                    let Json::String(field) = field else {
                        return Err(Rejection::InvalidValue("remove takes field names".into()));
                    };
                    ops.remove.push(field);
                }
            }
            ("put" | "increment" | "add" | "remove", _) => {
                return Err(Rejection::InvalidValue(format!(
                    "{name} of a Map takes an object by field"
                )));
            }
            (other, _) => return Err(unknown(other, DataType::Map, "put, remove, increment, add")),
        }
    }
    let MapOps {
        remove,
        put,
        increment,
        add,
        remove_from,
    } = &ops;
    if remove.len() + put.len() + increment.len() + add.len() + remove_from.len() > PARTS_MAX {
        return Err(too_many());
    }
    check_one_kind(&ops)?;
    Ok(ops)
}

/// A field is a register, a counter or a set, also within one write; and an element comes or goes.
fn check_one_kind(ops: &MapOps) -> Result<(), Rejection> {
    let names = |fields: &[(String, Vec<Json>)]| -> Vec<String> {
        fields.iter().map(|(name, _)| name.clone()).collect()
    };
    let puts = ops.put.iter().map(|(name, _)| (name.clone(), "put"));
    let counts = ops
        .increment
        .iter()
        .map(|(name, _)| (name.clone(), "increment"));
    let adds = names(&ops.add).into_iter().map(|name| (name, "add"));
    let mut used: BTreeMap<String, &str> = BTreeMap::new();
    for (field, operation) in puts.chain(counts).chain(adds) {
        if let Some(other) = used.insert(field.clone(), operation) {
            return Err(Rejection::TypeMismatch(format!(
                "field {field:?} has both {other} and {operation}; a field has one kind"
            )));
        }
    }
    for (field, removed) in &ops.remove_from {
        let added = ops.add.iter().find(|(name, _)| name == field);
        if let Some((_, added)) = added {
            check_disjoint(added, removed)?;
        }
    }
    Ok(())
}

fn check_disjoint(added: &[Json], removed: &[Json]) -> Result<(), Rejection> {
    let removed: BTreeSet<String> = removed.iter().map(canonical).collect();
    match added.iter().map(canonical).find(|e| removed.contains(e)) {
        Some(both) => Err(Rejection::InvalidValue(format!(
            "{both} is both added and removed"
        ))),
        None => Ok(()),
    }
}

fn elements_by_field(
    name: &str,
    by_field: Map<String, Json>,
) -> Result<Vec<(String, Vec<Json>)>, Rejection> {
    by_field
        .into_iter()
        .map(|(field, list)| Ok((field, elements(name, list)?)))
        .collect()
}

fn elements(name: &str, argument: Json) -> Result<Vec<Json>, Rejection> {
    match argument {
        Json::Array(elements) if elements.len() > PARTS_MAX => Err(too_many()),
        Json::Array(elements) => Ok(elements),
        _ => Err(Rejection::InvalidValue(format!(
            "{name} takes an array of elements"
        ))),
    }
}

fn integer(name: &str, argument: &Json) -> Result<i64, Rejection> {
    argument
        .as_i64()
        .ok_or_else(|| Rejection::InvalidValue(format!("{name} takes a whole number of 64 bits")))
}

fn unknown(given: &str, data_type: DataType, known: &str) -> Rejection {
    let given: String = given.chars().take(64).collect();
    Rejection::InvalidValue(format!(
        "a {} has no operation {given:?}; it has {known}",
        data_type.name()
    ))
}

fn too_many() -> Rejection {
    Rejection::TooLarge(format!("at most {PARTS_MAX} parts in one write"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(ops: &str) -> MapOps {
        match parse_ops(DataType::Map, ops.as_bytes()).unwrap() {
            Ops::Map(ops) => ops,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn counter_and_set_operations_are_read() {
        let read = |data_type, ops: &str| parse_ops(data_type, ops.as_bytes()).unwrap();
        let counter = |reset, increment| Ops::Counter { reset, increment };
        let table = [
            (r#"{"increment": 3}"#, counter(false, 3)),
            (r#"{"increment": -3}"#, counter(false, -3)),
            (r#"{"decrement": 3}"#, counter(false, -3)),
            (r#"{"reset": true}"#, counter(true, 0)),
            (r#"{"increment": 1, "reset": true}"#, counter(true, 1)),
        ];
        for (ops, expected) in table {
            assert_eq!(read(DataType::Counter, ops), expected, "{ops}");
        }
        let set = |add, remove| Ops::Set { add, remove };
        let table = [
            (
                r#"{"add": ["a", 1]}"#,
                set(vec![json!("a"), json!(1)], vec![]),
            ),
            (
                r#"{"remove": [{"a": 1}]}"#,
                set(vec![], vec![json!({"a": 1})]),
            ),
            (
                r#"{"add": [], "remove": ["x"]}"#,
                set(vec![], vec![json!("x")]),
            ),
        ];
        for (ops, expected) in table {
            assert_eq!(read(DataType::Set, ops), expected, "{ops}");
        }
    }

    #[test]
    fn map_operations_are_read_by_field() {
        assert_eq!(
            map(
                r#"{"put": {"name": "x"}, "increment": {"n": -2}, "add": {"tags": [1]}, "remove": {"old": ["y"]}}"#
            ),
            MapOps {
                remove: vec![],
                put: vec![("name".into(), json!("x"))],
                increment: vec![("n".into(), -2)],
                add: vec![("tags".into(), vec![json!(1)])],
                remove_from: vec![("old".into(), vec![json!("y")])],
            }
        );
        assert_eq!(map(r#"{"remove": ["a", "b"]}"#).remove, ["a", "b"]);
    }

    /// Each with a word that the refusal says.
    #[test]
    fn operations_that_make_no_sense_are_refused_by_name() {
        use DataType::{Counter, Document, Map, Register, Set};
        let table = [
            (Counter, "", "not JSON"),
            (Counter, "{\"increment\": 1", "not JSON"),
            (Counter, "[1]", "object"),
            (Counter, "{}", "no operation"),
            (Counter, r#"{"increment": 1.5}"#, "whole number"),
            (Counter, r#"{"increment": "1"}"#, "whole number"),
            (
                Counter,
                r#"{"increment": 9223372036854775808}"#,
                "whole number",
            ),
            (
                Counter,
                r#"{"decrement": -9223372036854775808}"#,
                "out of range",
            ),
            (Counter, r#"{"reset": false}"#, "reset takes true"),
            (Counter, r#"{"increment": 1, "decrement": 1}"#, "not both"),
            (Counter, r#"{"add": ["a"]}"#, "no operation \"add\""),
            (Set, r#"{"add": "a"}"#, "array of elements"),
            (
                Set,
                r#"{"add": ["a"], "remove": ["b", "a"]}"#,
                "both added and removed",
            ),
            (
                Set,
                r#"{"add": [{"a": 1, "b": 2}], "remove": [{"b": 2, "a": 1}]}"#,
                "both added and removed",
            ),
            (Set, r#"{"increment": 1}"#, "no operation \"increment\""),
            (Map, r#"{"put": ["a"]}"#, "object by field"),
            (Map, r#"{"remove": "a"}"#, "object by field"),
            (Map, r#"{"remove": [1]}"#, "field names"),
            (Map, r#"{"increment": {"a": "1"}}"#, "whole number"),
            (Map, r#"{"add": {"a": 1}}"#, "array of elements"),
            (Map, r#"{"replace": {}}"#, "no operation \"replace\""),
            (
                Map,
                r#"{"put": {"f": 1}, "increment": {"f": 1}}"#,
                "one kind",
            ),
            (
                Map,
                r#"{"increment": {"f": 1}, "add": {"f": [1]}}"#,
                "one kind",
            ),
            (
                Map,
                r#"{"add": {"f": [1]}, "remove": {"f": [1]}}"#,
                "both added and removed",
            ),
            (Register, r#"{"increment": 1}"#, "no typed operations"),
            (Document, r#"{"increment": 1}"#, "no typed operations"),
        ];
        for (data_type, ops, says) in table {
            let refused = parse_ops(data_type, ops.as_bytes())
                .unwrap_err()
                .to_string();
            assert!(
                refused.contains(says),
                "{} {ops}: {refused}",
                data_type.name()
            );
        }
        let many = format!("{{\"add\": [{}0]}}", "0,".repeat(PARTS_MAX));
        let refused = parse_ops(Set, many.as_bytes());
        assert!(
            matches!(refused, Err(Rejection::TooLarge(_))),
            "{refused:?}"
        );
    }

    #[test]
    fn each_type_takes_its_own_actions() {
        let json = |text: &'static str| Action::Put(Value::json(text));
        let picture = Action::Put(Value {
            media: Some("image/png".into()),
            data: Bytes::from_static(b"\x89"),
        });
        let table = [
            (json("1"), "Register"),
            (picture, "Register"),
            (json("{}"), "Register Document"),
            (Action::Patch("{}".into()), "Document"),
            (Action::Ops(r#"{"increment": 1}"#.into()), "Counter"),
            (Action::Ops(r#"{"add": [1]}"#.into()), "Set"),
            (Action::Ops(r#"{"add": {"f": [1]}}"#.into()), "Map"),
            (Action::Delete, "Register Document Counter Set Map"),
            (json("{"), ""),
        ];
        for (action, taken_by) in table {
            for data_type in DataType::ALL {
                let is_taken = taken_by.split(' ').any(|name| name == data_type.name());
                let name = data_type.name();
                assert_eq!(
                    action.check(data_type).is_ok(),
                    is_taken,
                    "{action:?} on a {name}"
                );
            }
        }
    }
}
