//! From YAML to specs, finding everything that cannot be read instead of only the first.
//!
//! Serde stops at its first error. So a failing field is noted with its path, left out, and the document
//! is read again, until the rest is read or something that cannot be left out is missing. Fields that the
//! struct does not have are noted on the way; serde's own `deny_unknown_fields` stays off, because
//! operators must tolerate fields that a newer version of them wrote. [`super::node`] walks the values.

use serde::de::DeserializeOwned;
use serde_yaml_ng::Value;

use super::error::list;
use super::node::{Node, Sink};
use super::text::shown;

/// Why a field cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeFault {
    /// A field that does not exist.
    #[error("there is no field `{name}` here{hint}", name = shown(.name), hint = hint(.name, .known))]
    UnknownField {
        /// As found.
        name: String,
        /// The fields that exist here.
        known: Vec<&'static str>,
    },
    /// A field that must be there.
    #[error("`{name}` is missing: add it")]
    MissingField {
        /// Its name.
        name: &'static str,
    },
    /// A value of the wrong type.
    #[error("{found} stands here: write {expected}")]
    WrongType {
        /// What stands there.
        found: String,
        /// What should.
        expected: String,
    },
    /// A word that is not among the known ones.
    #[error("`{found}` is not known here: write {known}", known = choice(.known))]
    UnknownWord {
        /// As found.
        found: String,
        /// The words that are.
        known: Vec<&'static str>,
    },
    /// A value that is refused for a reason of its own.
    #[error("{message}")]
    Invalid {
        /// The reason, and what to do.
        message: String,
    },
}

/// Most faults told of one document before reading it is given up.
const FAULTS_MAX: usize = 100;

/// What could be read of a document.
pub(crate) struct Decoded<T> {
    pub(crate) object: Option<T>,
    /// Faults with the paths of their fields.
    pub(crate) faults: Vec<(String, DecodeFault)>,
    /// Paths that were left out.
    pub(crate) damaged: Vec<String>,
}

/// Reads a document. Fields whose paths are `ignored` are passed over in silence.
pub(crate) fn decode<T: DeserializeOwned>(
    document: &Value,
    ignored: &'static [&'static str],
) -> Decoded<T> {
    let mut sink = Sink::new(ignored);
    let mut faults = Vec::new();
    let object = loop {
        let error = match T::deserialize(Node::root(document, &sink)) {
            Ok(object) => break Some(object),
            Err(error) => error,
        };
        let path = error.path.unwrap_or_default();
        if !is_consequence(&path, &error.fault, &sink) {
            faults.push((path.clone(), error.fault));
        }
        let is_enough = path.is_empty() || faults.len() >= FAULTS_MAX;
        if is_enough || !sink.omitted.insert(path) {
            break None;
        }
    };
    faults.extend(sink.unknown.into_inner());
    Decoded {
        object,
        faults,
        damaged: sink.omitted.into_iter().collect(),
    }
}

/// Whether a field is missing only because it was left out before.
fn is_consequence(path: &str, fault: &DecodeFault, sink: &Sink) -> bool {
    match fault {
        DecodeFault::MissingField { name } => sink.omitted.contains(&join(path, name)),
        DecodeFault::UnknownField { .. }
        | DecodeFault::WrongType { .. }
        | DecodeFault::UnknownWord { .. }
        | DecodeFault::Invalid { .. } => false,
    }
}

/// The path of a field within the object at `path`.
pub(crate) fn join(path: &str, field: &str) -> String {
    if path.is_empty() {
        field.to_owned()
    } else {
        format!("{path}.{field}")
    }
}

fn hint(name: &str, known: &[&'static str]) -> String {
    let close = known.iter().find(|field| is_close(name, field));
    match close {
        Some(field) => format!(": did you mean {field}?"),
        None if known.is_empty() => ": remove it".to_owned(),
        None => format!(": remove it, or write one of {}", list(known)),
    }
}

/// Whether the two differ by letter case or by one letter, left out, added or changed.
fn is_close(name: &str, field: &str) -> bool {
    if name.eq_ignore_ascii_case(field) {
        return true;
    }
    let (a, b) = (name.as_bytes(), field.as_bytes());
    let start = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let end = a[start..]
        .iter()
        .rev()
        .zip(b[start..].iter().rev())
        .take_while(|(x, y)| x == y)
        .count();
    a.len().max(b.len()) - start - end <= 1 && field.len() > 2
}

fn choice(known: &[&'static str]) -> String {
    match known {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", list(rest)),
        _ => list(known),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Sample {
        numbers: Vec<u8>,
        #[serde(rename = "inner")]
        _inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[serde(rename = "name")]
        _name: String,
    }

    fn read(text: &str) -> (Decoded<Sample>, Vec<String>) {
        let decoded = decode(&serde_yaml_ng::from_str(text).unwrap(), &["extra"]);
        let lines = decoded
            .faults
            .iter()
            .map(|(path, fault)| format!("{path}: {fault}"))
            .collect();
        (decoded, lines)
    }

    #[test]
    fn every_fault_is_found_under_its_own_path() {
        let (decoded, lines) = read("{numbers: [1, x, 3, -1], inner: {nane: b}, extra: 1}");
        assert_eq!(decoded.object.unwrap().numbers, [1, 3]);
        assert_eq!(
            lines,
            [
                "numbers[1]: the text `x` stands here: write a whole number",
                "numbers[3]: the number -1 stands here: write a whole number",
                "inner: `name` is missing: add it",
                "inner.nane: there is no field `nane` here: did you mean name?",
            ]
        );
        assert_eq!(decoded.damaged, ["inner", "numbers[1]", "numbers[3]"]);
    }

    #[test]
    fn a_field_left_out_is_not_reported_as_missing() {
        let (decoded, lines) = read("{inner: {name: 3}, numbers: []}");
        assert!(decoded.object.is_some());
        assert_eq!(
            lines,
            ["inner.name: the number 3 stands here: write text, in quotes"]
        );
        let (decoded, lines) = read("{numbers: 3}");
        assert!(decoded.object.is_none());
        assert_eq!(lines, ["numbers: the number 3 stands here: write a list"]);
    }
}
