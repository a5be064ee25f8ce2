//! The words that schemas are written in.

use serde_json::{Value, json};

/// A shape: its name, the fields that are always there, the others.
pub(crate) type Shape = (&'static str, Vec<Field>, Vec<Field>);
pub(crate) type Field = (&'static str, Value);

pub(crate) fn object(required: Vec<Field>, optional: Vec<Field>) -> Value {
    let names: Vec<&str> = required.iter().map(|(name, _)| *name).collect();
    let fields = required
        .into_iter()
        .chain(optional)
        .map(|(name, schema)| (name.to_owned(), schema));
    let mut object = json!({ "type": "object", "properties": Value::Object(fields.collect()) });
    if !names.is_empty() {
        object["required"] = json!(names);
    }
    object
}

pub(crate) fn text() -> Value {
    json!({ "type": "string" })
}

pub(crate) fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

pub(crate) fn flag() -> Value {
    json!({ "type": "boolean" })
}

pub(crate) fn integer() -> Value {
    json!({ "type": "integer" })
}

pub(crate) fn number() -> Value {
    json!({ "type": "number" })
}

pub(crate) fn any() -> Value {
    json!({})
}

pub(crate) fn list(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}

pub(crate) fn by_name(values: &Value) -> Value {
    json!({ "type": "object", "additionalProperties": values })
}

pub(crate) fn choice(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

/// A value in its two forms: JSON, or bytes with a media type.
pub(crate) fn value() -> Vec<Field> {
    vec![
        ("value", any()),
        ("valueBase64", text()),
        ("mediaType", text()),
    ]
}
