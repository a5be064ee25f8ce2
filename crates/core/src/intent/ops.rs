//! Typed operations of counters, sets and maps, as JSON says them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use super::{PARTS_MAX, Rejection, parse_object};
use crate::collection::DataType;
use crate::set::canonical;

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
    use crate::intent::*;
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
