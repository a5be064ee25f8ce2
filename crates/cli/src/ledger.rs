//! Resolving a conflict: an ordinary write whose context covers all siblings.

use atoll_api::http::{
    BatchAnswer, BatchOperation, BatchRequest, Conflict, ConflictVersion, RawJson,
};
use atoll_api::manifest::DataType;
use atoll_client::{Client, ReadOptions, WriteOptions};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::transfer::import::data_type_of;

/// What shall stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The version of this region, or with this dot.
    Version(String),
    /// This value.
    Value(RawJson),
    /// Nothing.
    Delete,
}

/// What is written.
enum Outcome {
    Json(RawJson),
    Base64 {
        data: String,
        media_type: Option<String>,
    },
    Nothing,
}

/// Writes the choice, having seen everything that the region has of the key.
pub(crate) async fn resolve(
    client: &Client,
    id: &str,
    choice: &Choice,
) -> Result<BatchAnswer, Failure> {
    let conflict = client.conflict(id).await?;
    if let Some(resolved) = &conflict.resolved {
        return Err(
            Failure::new(format!("conflict {id} was resolved at {resolved}"))
                .help("an ordinary put changes what stands now"),
        );
    }
    let data_type = data_type_of(client, &conflict.collection).await?;
    let options = ReadOptions {
        siblings: true,
        ..ReadOptions::default()
    };
    let read = client
        .get(&conflict.collection, &conflict.key, &options)
        .await?;
    let mut operation = operation(&conflict, data_type, choice)?;
    operation.context = read.context;
    let batch = BatchRequest {
        operations: vec![operation],
    };
    Ok(client.batch(&batch, &WriteOptions::default()).await?)
}

fn operation(
    conflict: &Conflict,
    data_type: DataType,
    choice: &Choice,
) -> Result<BatchOperation, Failure> {
    let mut operation = BatchOperation {
        collection: conflict.collection.clone(),
        key: conflict.key.clone(),
        ..BatchOperation::default()
    };
    let outcome = outcome(conflict, choice)?;
    let field = conflict.field.as_deref().filter(|field| !field.is_empty());
    match (data_type, field, outcome) {
        (_, None, Outcome::Nothing) => operation.delete = true,
        (DataType::Register | DataType::Document, None, Outcome::Json(value)) => {
            operation.put = Some(value);
        }
        (DataType::Register, None, Outcome::Base64 { data, media_type }) => {
            operation.put_base64 = Some(data);
            operation.media_type = media_type;
        }
        (DataType::Document, Some(field), Outcome::Json(value)) => {
            operation.patch = Some(patch(field, &value)?);
        }
        (DataType::Document, Some(field), Outcome::Nothing) => {
            operation.patch = Some(patch(field, &raw(&Value::Null)?)?);
        }
        (DataType::Map, Some(field), Outcome::Json(value)) => {
            let text = format!("{{\"put\":{}}}", patch(field, &value)?.get());
            operation.ops = Some(json_text(text)?);
        }
        (DataType::Map, Some(field), Outcome::Nothing) => {
            operation.ops = Some(raw(&json!({ "remove": segments(field) }))?);
        }
        (data_type, _, _) => {
            return Err(Failure::new(format!(
                "this conflict of a {} cannot be resolved by writing one value",
                data_type.name()
            ))
            .help("write what shall stand with put, patch or op"));
        }
    }
    Ok(operation)
}

fn outcome(conflict: &Conflict, choice: &Choice) -> Result<Outcome, Failure> {
    let wanted = match choice {
        Choice::Value(value) => return Ok(Outcome::Json(value.clone())),
        Choice::Delete => return Ok(Outcome::Nothing),
        Choice::Version(wanted) => wanted,
    };
    let mut versions = conflict.versions.iter();
    let chosen = versions.find(|version| version.region == *wanted || version.dot == *wanted);
    let Some(chosen) = chosen else {
        let known: Vec<_> = conflict
            .versions
            .iter()
            .map(|version| version.region.as_str())
            .collect();
        return Err(
            Failure::usage(format!("no version of this conflict is from {wanted}"))
                .help(format!("they are from {}", known.join(" and "))),
        );
    };
    match chosen {
        ConflictVersion { deleted: true, .. } => Ok(Outcome::Nothing),
        ConflictVersion {
            value: Some(value), ..
        } => Ok(Outcome::Json(value.clone())),
        ConflictVersion {
            value_base64: Some(data),
            media_type,
            ..
        } => Ok(Outcome::Base64 {
            data: data.clone(),
            media_type: media_type.clone(),
        }),
        _ => Err(
            Failure::new(format!("the value from {wanted} is no longer kept"))
                .help("give one with --value"),
        ),
    }
}

/// The segments of a JSON Pointer (RFC 6901).
fn segments(pointer: &str) -> Vec<String> {
    let segments = pointer.split('/').skip(1);
    segments
        .map(|segment| segment.replace("~1", "/").replace("~0", "~"))
        .collect()
}

/// `{"a": {"b": value}}` for `/a/b`, with the value's text as it is.
fn patch(pointer: &str, value: &RawJson) -> Result<RawJson, Failure> {
    let mut text = value.get().to_owned();
    for segment in segments(pointer).into_iter().rev() {
        let name = Value::String(segment);
        text = format!("{{{name}:{text}}}");
    }
    json_text(text)
}

fn raw(value: &Value) -> Result<RawJson, Failure> {
    RawJson::try_from(value).map_err(|error| Failure::new(error.to_string()))
}

fn json_text(text: String) -> Result<RawJson, Failure> {
    RawJson::from_string(text).map_err(|error| Failure::new(error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use serde_json::Map;

    use super::*;

    fn conflict(field: Option<&str>) -> Conflict {
        let version = |region: &str, rest: Map<String, Value>| {
            let mut version =
                json!({ "dot": format!("{region}:1"), "region": region, "time": "t" });
            version.as_object_mut().unwrap().extend(rest);
            version
        };
        let eu = json!({ "value": {"a": 1} }).as_object().unwrap().clone();
        let us = json!({ "deleted": true }).as_object().unwrap().clone();
        serde_json::from_value(json!({
            "id": "1", "kind": "update-delete", "collection": "c", "key": "k", "field": field,
            "versions": [version("eu", eu), version("us", us)],
            "policy": "LastWriterWins", "outcome": "update-kept", "detected": "t",
        }))
        .unwrap()
    }

    fn written(field: Option<&str>, data_type: DataType, choice: &Choice) -> String {
        let operation = operation(&conflict(field), data_type, choice).unwrap();
        serde_json::to_string(&operation).unwrap()
    }

    #[test]
    fn a_choice_becomes_the_write_of_its_type() {
        let eu = Choice::Version("eu".to_owned());
        let us = Choice::Version("us".to_owned());
        for (field, data_type, choice, expected) in [
            (None, DataType::Register, &eu, r#""put":{"a":1}"#),
            (None, DataType::Register, &us, r#""delete":true"#),
            (
                None,
                DataType::Document,
                &Choice::Delete,
                r#""delete":true"#,
            ),
            (
                Some("/x/y~1z"),
                DataType::Document,
                &eu,
                r#""patch":{"x":{"y/z":{"a":1}}}"#,
            ),
            (Some("/x"), DataType::Document, &us, r#""patch":{"x":null}"#),
            (
                Some("/x"),
                DataType::Map,
                &eu,
                r#""ops":{"put":{"x":{"a":1}}}"#,
            ),
            (Some("/x"), DataType::Map, &us, r#""ops":{"remove":["x"]}"#),
        ] {
            let expected = format!(r#"{{"collection":"c","key":"k",{expected}}}"#);
            assert_eq!(written(field, data_type, choice), expected);
        }
    }

    #[test]
    fn a_region_without_a_version_is_named() {
        let choice = Choice::Version("ap".to_owned());
        let told = operation(&conflict(None), DataType::Register, &choice).unwrap_err();
        assert!(told.to_string().contains("ap"), "{told}");
    }
}
