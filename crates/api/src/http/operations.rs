//! The body of `POST …/ops`: typed operations on a Counter, a Set or a Map.
//!
//! | type | operations |
//! |---|---|
//! | Counter | `{"increment": 3}`, `{"decrement": 3}`, `{"reset": true}` |
//! | Set | `{"add": ["a", "b"]}`, `{"remove": ["a"]}` |
//! | Map | `{"put": {"field": value}}`, `{"remove": ["field"]}`, `{"increment": {"field": 3}}`, `{"add": {"field": ["x"]}}`, `{"remove": {"field": ["x"]}}` |
//!
//! Several in one body are one change. Which of them a collection's type has is the store's to say.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::RawJson;
use super::raw_json::{is_false, only_true};

/// Typed operations on one key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operations {
    /// Counter: back to zero, before anything is added.
    #[serde(
        default,
        skip_serializing_if = "is_false",
        deserialize_with = "only_true"
    )]
    pub reset: bool,
    /// Counter, or counters of a Map: add.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub increment: Option<Increment>,
    /// Counter: subtract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decrement: Option<i64>,
    /// Set, or sets of a Map: add elements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add: Option<Add>,
    /// Set, fields of a Map, or sets of a Map: remove.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove: Option<Remove>,
    /// Map: set fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put: Option<BTreeMap<String, RawJson>>,
}

/// What to add to counters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Increment {
    /// To the Counter itself.
    Whole(i64),
    /// By field of a Map.
    Fields(BTreeMap<String, i64>),
}

/// Elements to add to sets.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Add {
    /// To the Set itself.
    Elements(Vec<Value>),
    /// By field of a Map.
    Fields(BTreeMap<String, Vec<Value>>),
}

/// What to remove.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Remove {
    /// Elements of a Set, or names of fields of a Map.
    Listed(Vec<Value>),
    /// Elements of sets, by field of a Map.
    Fields(BTreeMap<String, Vec<Value>>),
}

/// One argument in two forms: for the key as a whole, or by field.
trait TwoForms<'de>: Sized {
    type Whole: Deserialize<'de>;
    type Field: Deserialize<'de>;
    const EXPECTED: &'static str;
    fn whole(whole: Self::Whole) -> Self;
    fn fields(fields: BTreeMap<String, Self::Field>) -> Self;
}

/// Reads either form; numbers and lists are the whole, objects are by field.
struct Forms<T>(PhantomData<T>);

impl<'de, T: TwoForms<'de>> Visitor<'de> for Forms<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        T::Whole::deserialize(serde::de::value::I64Deserializer::new(number)).map(T::whole)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        T::Whole::deserialize(serde::de::value::U64Deserializer::new(number)).map(T::whole)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<T, A::Error> {
        T::Whole::deserialize(SeqAccessDeserializer::new(items)).map(T::whole)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
        BTreeMap::deserialize(MapAccessDeserializer::new(fields)).map(T::fields)
    }
}

macro_rules! two_forms {
    ($name:ident, $whole:ident: $whole_type:ty, $field_type:ty, $expected:literal) => {
        impl<'de> TwoForms<'de> for $name {
            type Whole = $whole_type;
            type Field = $field_type;
            const EXPECTED: &'static str = $expected;

            fn whole(whole: $whole_type) -> Self {
                $name::$whole(whole)
            }

            fn fields(fields: BTreeMap<String, $field_type>) -> Self {
                $name::Fields(fields)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Forms(PhantomData))
            }
        }
    };
}

two_forms!(Increment, Whole: i64, i64, "a whole number, or whole numbers by field");
two_forms!(Add, Elements: Vec<Value>, Vec<Value>, "a list of elements, or lists by field");
two_forms!(Remove, Listed: Vec<Value>, Vec<Value>, "a list of elements or field names, or lists of elements by field");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn every_form_is_read_and_written_back() {
        for text in [
            r#"{"increment":3}"#,
            r#"{"increment":-3}"#,
            r#"{"decrement":2}"#,
            r#"{"reset":true}"#,
            r#"{"add":["a","b",1,null]}"#,
            r#"{"remove":["a"]}"#,
            r#"{"put":{"field":{"z":1,"a":1.10}}}"#,
            r#"{"increment":{"visits":1}}"#,
            r#"{"add":{"tags":["x"]},"remove":{"tags":["y"]}}"#,
        ] {
            let operations: Operations = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&operations).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_operation_is_refused_in_words() {
        for (text, expected) in [
            (r#"{"incr":3}"#, "unknown field `incr`"),
            (
                r#"{"increment":"3"}"#,
                "expected a whole number, or whole numbers by field",
            ),
            (
                r#"{"increment":1.5}"#,
                "expected a whole number, or whole numbers by field",
            ),
            (r#"{"increment":[1]}"#, "expected i64"),
            (
                r#"{"add":"a"}"#,
                "expected a list of elements, or lists by field",
            ),
            (r#"{"add":{"tags":"x"}}"#, "expected a sequence"),
            (r#"{"reset":false}"#, "this can only be true"),
            (r#"{"increment":1,"increment":2}"#, "duplicate field"),
        ] {
            let error = serde_json::from_str::<Operations>(text)
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
