//! What clients ask for: changes of all data types, at random. Values are unlike all others of a schedule, so
//! that a version can be told by its value.

use bytes::Bytes;
use serde_json::json;

use atoll_core::intent::Action;
use atoll_core::{DataType, Value};

use crate::dice::Dice;

/// A change of a key of this type; `n` is unlike that of every other change.
pub(crate) fn change(data_type: DataType, n: u64, dice: &mut Dice) -> Action {
    match data_type {
        DataType::Register => register(n, dice),
        DataType::Document => document(n, dice),
        DataType::Counter => counter(dice),
        DataType::Set => set(dice),
        DataType::Map => map(n, dice),
    }
}

fn text(value: &serde_json::Value) -> Bytes {
    value.to_string().into()
}

fn register(n: u64, dice: &mut Dice) -> Action {
    match dice.below(8) {
        0 | 1 => Action::Delete,
        2 => Action::Put(Value {
            media: Some("text/plain".into()),
            data: format!("text {n}").into(),
        }),
        _ => Action::Put(Value::json(n.to_string())),
    }
}

fn document(n: u64, dice: &mut Dice) -> Action {
    let fields = match dice.below(14) {
        0 | 1 => json!({ "a": n }),
        2 => json!({ "b": n }),
        3 => json!({ "a": { "x": n } }),
        4 => json!({ "a": { "y": n } }),
        5 => json!({ "a": { "x": n, "y": [n] }, "b": null }),
        6 => json!({ "a": null }),
        7 => json!({ "a": { "x": null } }),
        8 => json!({ "a": {} }),
        9 => json!({ "a": { "x": { "z": n } } }),
        10 => json!({ "a": [n], "b": { "x": n } }),
        11 => json!({}),
        _ => return Action::Delete,
    };
    if dice.one_in(3) {
        Action::Put(Value::json(text(&fields)))
    } else {
        Action::Patch(text(&fields))
    }
}

fn counter(dice: &mut Dice) -> Action {
    let by = *dice.pick(&[1, 1, 2, 7, -1, -3]);
    Action::Ops(text(&match dice.below(12) {
        0 => return Action::Delete,
        1 => json!({ "reset": true }),
        2 => json!({ "reset": true, "increment": by }),
        3 => json!({ "decrement": by }),
        _ => json!({ "increment": by }),
    }))
}

fn set(dice: &mut Dice) -> Action {
    let (e, f) = *dice.pick(&[("p", "q"), ("q", "r"), ("r", "p")]);
    Action::Ops(text(&match dice.below(8) {
        0 => return Action::Delete,
        1 => json!({ "add": [e, f] }),
        2 | 3 => json!({ "remove": [e] }),
        4 => json!({ "add": [e], "remove": [f] }),
        _ => json!({ "add": [e] }),
    }))
}

fn map(n: u64, dice: &mut Dice) -> Action {
    let field = *dice.pick(&["f", "g", "h"]);
    let element = *dice.pick(&["p", "q"]);
    Action::Ops(text(&match dice.below(12) {
        0 => return Action::Delete,
        1 => json!({ "remove": [field] }),
        2 | 3 => json!({ "put": { field: n } }),
        4 | 5 => json!({ "increment": { field: 1 + n % 5 } }),
        6 | 7 => json!({ "add": { field: [element] } }),
        8 => json!({ "remove": { field: [element] } }),
        9 => json!({ "remove": [field], "put": { field: n } }),
        10 => json!({ "remove": [field], "increment": { field: 2 } }),
        _ => json!({ "put": { "f": n }, "increment": { "g": 1 }, "add": { "h": [element] } }),
    }))
}
