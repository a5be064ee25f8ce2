//! What schemas get beyond what the structs say: limits on everything, and defaults.
//!
//! A list, a text or a map without a limit of its own gets a generous one, so that nobody can store megabytes
//! in a field, and rules stay affordable for the API server.

use serde_json::{Value, json};

const ITEMS_MAX: u64 = 64;
const PROPERTIES_MAX: u64 = 64;
/// Of Kubernetes' own fields: the longest label key has 317 characters.
const LENGTH_MAX: u64 = 512;
/// Of messages in a status.
const STATUS_LENGTH_MAX: u64 = 32_768;

/// Defaults that the API server fills in, so that `kubectl get` shows them.
const DEFAULTS: &[(&str, &str)] = &[
    ("spec.topology.failoverAfter", "\"5s\""),
    ("spec.regions[].replicas", "1"),
    ("spec.regions[].role", "\"Leader\""),
    ("spec.deletionPolicy", "\"Retain\""),
    ("spec.objectives", "{}"),
    ("spec.objectives.maxLag", "\"2s\""),
    ("spec.objectives.maxClockSkew", "\"500ms\""),
    ("spec.retention", "{}"),
    ("spec.retention.maxAge", "\"72h\""),
    ("spec.retention.maxSize", "\"8Gi\""),
];

/// An amount as Kubernetes writes it. Its API server answers 500 to a StatefulSet with any other text for one.
const QUANTITY: &str =
    r"^[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$";

/// Fields that hold Kubernetes' own structs: explained elsewhere, at a length that would triple the file.
const OF_KUBERNETES: &[&str] = &[
    "resources",
    "affinity",
    "tolerations",
    "topologySpread",
    "imagePullSecrets",
];

/// Puts the defaults of a GeoStore into its schema.
///
/// # Errors
/// The path that the schema does not have.
pub(crate) fn put_defaults(schema: &mut Value) -> Result<(), String> {
    for (path, default) in DEFAULTS {
        let place = field(schema, path).ok_or_else(|| format!("there is no field {path}"))?;
        place["default"] = serde_json::from_str(default).map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn field<'a>(schema: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    path.split('.').try_fold(schema, |place, step| {
        let name = step.trim_end_matches("[]");
        let place = place.get_mut("properties")?.get_mut(name)?;
        if step.ends_with("[]") {
            place.get_mut("items")
        } else {
            Some(place)
        }
    })
}

/// Bounds everything below an object's schema.
pub(crate) fn bound(schema: &mut Value) {
    for (name, length_max) in [("spec", LENGTH_MAX), ("status", STATUS_LENGTH_MAX)] {
        if let Some(part) = field(schema, name) {
            bound_below(part, length_max);
        }
    }
}

fn bound_below(schema: &mut Value, length_max: u64) {
    let Some(fields) = schema.as_object_mut() else {
        return;
    };
    let kind = fields.get("type").and_then(Value::as_str);
    let is_free = !fields.contains_key("enum") && !fields.contains_key("format");
    let limit = match kind {
        Some("array") => Some(("maxItems", ITEMS_MAX)),
        Some("string") if is_free => Some(("maxLength", length_max)),
        Some("object") if fields.contains_key("additionalProperties") => {
            Some(("maxProperties", PROPERTIES_MAX))
        }
        _ => None,
    };
    if let Some((name, most)) = limit {
        fields.entry(name).or_insert_with(|| json!(most));
    }
    // The only fields that take numbers and texts are amounts.
    if fields.contains_key("x-kubernetes-int-or-string") {
        fields.insert("pattern".to_owned(), json!(QUANTITY));
    }
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        for (name, property) in properties.iter_mut() {
            if OF_KUBERNETES.contains(&name.as_str()) {
                forget_words(property, true);
            }
            bound_below(property, length_max);
        }
    }
    for below in ["items", "additionalProperties"] {
        if let Some(schema) = fields.get_mut(below) {
            bound_below(schema, length_max);
        }
    }
}

/// Removes descriptions below a field, but not its own.
fn forget_words(schema: &mut Value, is_top: bool) {
    match schema {
        Value::Object(fields) => {
            if !is_top && fields.get("description").is_some_and(Value::is_string) {
                fields.remove("description");
            }
            fields
                .values_mut()
                .for_each(|value| forget_words(value, false));
        }
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| forget_words(value, false)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
