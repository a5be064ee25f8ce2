//! One key on one machine: what every type holds when nothing is concurrent.

use std::collections::BTreeMap;

use atoll_core::DataType;
use atoll_core::intent::Action;
use atoll_core::view::Answer;
use serde_json::{Map, Value as Json, json};

/// A key's value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Model {
    Register(Option<Json>),
    Document(Option<Json>),
    Counter(Option<i64>),
    Set(BTreeMap<String, Json>),
    Map(BTreeMap<String, Field>),
}

/// A field of a Map.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Field {
    Register(Json),
    Counter(i64),
    Set(BTreeMap<String, Json>),
}

impl Model {
    pub(crate) fn new(data_type: DataType) -> Self {
        match data_type {
            DataType::Register => Model::Register(None),
            DataType::Document => Model::Document(None),
            DataType::Counter => Model::Counter(None),
            DataType::Set => Model::Set(BTreeMap::new()),
            DataType::Map => Model::Map(BTreeMap::new()),
        }
    }

    /// Does what an accepted action says.
    pub(crate) fn apply(&mut self, action: &Action) {
        match (self, action) {
            (Model::Register(value), Action::Put(given)) => *value = Some(parse(&given.data)),
            (Model::Register(value), _) => *value = None,
            (Model::Document(document), Action::Put(given)) => *document = Some(parse(&given.data)),
            (Model::Document(document), Action::Patch(patch)) => {
                *document = Some(merge_patch(document.take(), &parse(patch)));
            }
            (Model::Document(document), _) => *document = None,
            (Model::Counter(sum), Action::Ops(ops)) => count(sum, &parse(ops)),
            (Model::Counter(sum), _) => *sum = None,
            (Model::Set(elements), Action::Ops(ops)) => change(elements, &parse(ops)),
            (Model::Set(elements), _) => elements.clear(),
            (Model::Map(fields), Action::Ops(ops)) => change_fields(fields, &parse(ops)),
            (Model::Map(fields), _) => fields.clear(),
        }
    }

    /// What a reader gets, as JSON; `None` when absent.
    pub(crate) fn shown(&self) -> Option<Json> {
        match self {
            Model::Register(value) | Model::Document(value) => value.clone(),
            Model::Counter(sum) => sum.map(Json::from),
            Model::Set(elements) => (!elements.is_empty()).then(|| sorted(elements)),
            Model::Map(fields) => (!fields.is_empty()).then(|| {
                let shown = fields.iter().map(|(name, field)| {
                    let value = match field {
                        Field::Register(value) => value.clone(),
                        Field::Counter(sum) => json!(sum),
                        Field::Set(elements) => sorted(elements),
                    };
                    (name.clone(), value)
                });
                Json::Object(shown.collect())
            }),
        }
    }
}

/// An answer of one value as JSON; `None` when absent. Several are nobody's model.
pub(crate) fn as_json(answer: &Answer) -> Option<Json> {
    match answer {
        Answer::Absent => None,
        Answer::One(value) => Some(parse(&value.data)),
        Answer::Several(siblings) => panic!("several: {siblings:?}"),
    }
}

pub(crate) fn parse(text: &[u8]) -> Json {
    serde_json::from_slice(text).expect("JSON")
}

/// JSON Merge Patch, word for word after the pseudocode of RFC 7396, section 2.
pub(crate) fn merge_patch(target: Option<Json>, patch: &Json) -> Json {
    let Json::Object(patch) = patch else {
        return patch.clone();
    };
    let mut target = match target {
        Some(Json::Object(fields)) => fields,
        _ => Map::new(),
    };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            let merged = merge_patch(target.get(name).cloned(), value);
            target.insert(name.clone(), merged);
        }
    }
    Json::Object(target)
}

fn count(sum: &mut Option<i64>, ops: &Json) {
    if ops["reset"] == true {
        *sum = None;
    }
    let by = ops["increment"].as_i64().unwrap_or(0) - ops["decrement"].as_i64().unwrap_or(0);
    *sum = Some(sum.unwrap_or(0) + by);
}

fn change(elements: &mut BTreeMap<String, Json>, ops: &Json) {
    for element in list(&ops["remove"]) {
        elements.remove(&element.to_string());
    }
    for element in list(&ops["add"]) {
        elements.insert(element.to_string(), element.clone());
    }
}

fn change_fields(fields: &mut BTreeMap<String, Field>, ops: &Json) {
    for name in list(&ops["remove"]) {
        fields.remove(name.as_str().expect("a field name"));
    }
    for (name, value) in by_field(&ops["put"]) {
        fields.insert(name.clone(), Field::Register(value.clone()));
    }
    for (name, by) in by_field(&ops["increment"]) {
        let before = match fields.get(name) {
            Some(Field::Counter(sum)) => *sum,
            _ => 0,
        };
        let by = by.as_i64().expect("a number");
        fields.insert(name.clone(), Field::Counter(before + by));
    }
    for (operation, names) in [
        ("add", by_field(&ops["add"])),
        ("remove", by_field(&ops["remove"])),
    ] {
        for (name, elements) in names {
            let mut set = match fields.remove(name) {
                Some(Field::Set(elements)) => elements,
                Some(other) => {
                    // Nothing to remove from a field of another kind.
                    fields.insert(name.clone(), other);
                    continue;
                }
                None => BTreeMap::new(),
            };
            change(&mut set, &json!({ operation: elements }));
            if !set.is_empty() {
                fields.insert(name.clone(), Field::Set(set));
            }
        }
    }
}

fn list(value: &Json) -> impl Iterator<Item = &Json> {
    value.as_array().into_iter().flatten()
}

fn by_field(value: &Json) -> impl Iterator<Item = (&String, &Json)> {
    value.as_object().into_iter().flatten()
}

/// Numbers before strings, as an answer sorts them.
fn sorted(elements: &BTreeMap<String, Json>) -> Json {
    let mut all: Vec<&Json> = elements.values().collect();
    all.sort_by_key(|e| (e.is_string(), e.as_i64(), e.as_str().map(str::to_owned)));
    Json::Array(all.into_iter().cloned().collect())
}
