//! What [`super::node`] says when a value cannot be read: serde's errors in a user's words.

use std::fmt;

use serde::de::{Error, Expected, Unexpected};
use serde_yaml_ng::Value;

use super::decode::DecodeFault;
use super::text::shown;

/// What could not be read, and where: the path is set by the innermost node.
#[derive(Debug)]
pub(crate) struct NodeError {
    pub(crate) path: Option<String>,
    pub(crate) fault: DecodeFault,
}

impl NodeError {
    pub(crate) fn new(fault: DecodeFault) -> Self {
        NodeError { path: None, fault }
    }

    pub(crate) fn at(self, path: String) -> Self {
        NodeError {
            path: self.path.or(Some(path)),
            fault: self.fault,
        }
    }
}

impl Error for NodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        NodeError::new(DecodeFault::Invalid {
            message: message.to_string(),
        })
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let (found, expected) = (found_unexpected(found), in_words(expected.to_string()));
        NodeError::new(DecodeFault::WrongType { found, expected })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        NodeError::invalid_type(found, expected)
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        NodeError::new(DecodeFault::UnknownWord {
            found: shown(found),
            known: known.to_vec(),
        })
    }

    fn missing_field(name: &'static str) -> Self {
        NodeError::new(DecodeFault::MissingField { name })
    }
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)
    }
}

impl std::error::Error for NodeError {}

pub(crate) fn found_value(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text `{}`", shown(text)),
        Value::Sequence(_) => "a list".to_owned(),
        Value::Mapping(_) => "an object".to_owned(),
        Value::Tagged(tagged) => format!("a value tagged {}", shown(&tagged.tag.to_string())),
    }
}

fn found_unexpected(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Unsigned(value) => format!("the number {value}"),
        Unexpected::Signed(value) => format!("the number {value}"),
        Unexpected::Float(value) => format!("the number {value}"),
        Unexpected::Str(text) => format!("the text `{}`", shown(text)),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "an object".to_owned(),
        other => other.to_string(),
    }
}

/// Serde's words for what was expected, in a user's words.
fn in_words(expected: String) -> String {
    match expected.as_str() {
        "u8" | "u16" | "u32" | "u64" | "i64" => "a whole number".to_owned(),
        "a string" => "text, in quotes".to_owned(),
        _ => expected,
    }
}
