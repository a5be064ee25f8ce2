//! A line of NDJSON, and the write that it stands for.

use atoll_api::http::{BatchOperation, KeyItem, RawJson};
use atoll_api::manifest::DataType;
use serde_json::{Value, json};

/// Makes the write of a line: `{"key": …, "value": …}`, as `export` writes it.
///
/// Writing a line twice leaves the same state as writing it once: counters are set, not raised.
pub(crate) fn operation(
    collection: &str,
    data_type: DataType,
    line: &str,
) -> Result<BatchOperation, String> {
    let item: KeyItem = serde_json::from_str(line)
        .map_err(|error| format!("it is no {{\"key\": …, \"value\": …}}: {error}"))?;
    let KeyItem {
        key,
        value,
        value_base64,
        media_type,
        siblings,
    } = item;
    let mut operation = BatchOperation {
        collection: collection.to_owned(),
        key,
        ..BatchOperation::default()
    };
    match (value, value_base64) {
        (Some(value), None) => set_json(&mut operation, data_type, value)?,
        (None, Some(data)) if data_type == DataType::Register => {
            operation.put_base64 = Some(data);
            operation.media_type = media_type;
        }
        (None, Some(_)) => {
            return Err(format!(
                "only a Register holds bytes, this is a {}",
                data_type.name()
            ));
        }
        (Some(_), Some(_)) => return Err("it holds both value and valueBase64".to_owned()),
        (None, None) if siblings.is_some() => {
            return Err("it holds several siblings: keep one of them as value".to_owned());
        }
        (None, None) => return Err("it holds no value".to_owned()),
    }
    Ok(operation)
}

fn set_json(
    operation: &mut BatchOperation,
    data_type: DataType,
    value: RawJson,
) -> Result<(), String> {
    let wrong = |expected: &str| format!("a {} holds {expected}", data_type.name());
    match data_type {
        DataType::Register => operation.put = Some(value),
        DataType::Document => {
            if !value.get().trim_start().starts_with('{') {
                return Err(wrong("an object"));
            }
            operation.put = Some(value);
        }
        DataType::Counter => {
            let number: i64 =
                serde_json::from_str(value.get()).map_err(|_| wrong("a whole number"))?;
            operation.ops = Some(raw(&json!({ "reset": true, "increment": number }))?);
        }
        DataType::Set => match parsed(&value)? {
            elements @ Value::Array(_) => operation.ops = Some(raw(&json!({ "add": elements }))?),
            _ => return Err(wrong("a list")),
        },
        DataType::Map => match parsed(&value)? {
            fields @ Value::Object(_) => operation.ops = Some(raw(&json!({ "put": fields }))?),
            _ => return Err(wrong("an object")),
        },
    }
    Ok(())
}

fn parsed(value: &RawJson) -> Result<Value, String> {
    value.value().map_err(|error| error.to_string())
}

fn raw(value: &Value) -> Result<RawJson, String> {
    RawJson::try_from(value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    fn written(data_type: DataType, line: &str) -> Result<String, String> {
        let operation = operation("c", data_type, line)?;
        Ok(serde_json::to_string(&operation).unwrap())
    }

    #[test]
    fn every_type_has_its_write() {
        for (data_type, value, expected) in [
            (DataType::Register, "1.10", r#""put":1.10"#),
            (
                DataType::Document,
                r#"{"z":1,"a":2}"#,
                r#""put":{"z":1,"a":2}"#,
            ),
            (
                DataType::Counter,
                "7",
                r#""ops":{"reset":true,"increment":7}"#,
            ),
            (DataType::Set, r#"["a"]"#, r#""ops":{"add":["a"]}"#),
            (DataType::Map, r#"{"f":1}"#, r#""ops":{"put":{"f":1}}"#),
        ] {
            let line = format!(r#"{{"key":"k","value":{value}}}"#);
            let expected = format!(r#"{{"collection":"c","key":"k",{expected}}}"#);
            assert_eq!(written(data_type, &line), Ok(expected));
        }
        let bytes = r#"{"key":"k","valueBase64":"AA==","mediaType":"image/png"}"#;
        assert_eq!(
            written(DataType::Register, bytes).unwrap(),
            r#"{"collection":"c","key":"k","putBase64":"AA==","mediaType":"image/png"}"#
        );
    }

    #[test]
    fn lines_that_do_not_fit_are_refused_in_words() {
        for (data_type, line, words) in [
            (DataType::Register, "{}", "missing field `key`"),
            (DataType::Register, r#"{"key":"k"}"#, "no value"),
            (DataType::Document, r#"{"key":"k","value":1}"#, "an object"),
            (
                DataType::Counter,
                r#"{"key":"k","value":1.5}"#,
                "a whole number",
            ),
            (DataType::Set, r#"{"key":"k","value":{}}"#, "a list"),
            (
                DataType::Map,
                r#"{"key":"k","valueBase64":"AA=="}"#,
                "only a Register",
            ),
            (
                DataType::Register,
                r#"{"key":"k","siblings":[]}"#,
                "several siblings",
            ),
        ] {
            let error = written(data_type, line).unwrap_err();
            assert!(error.contains(words), "{line}: {error}");
        }
    }
}
