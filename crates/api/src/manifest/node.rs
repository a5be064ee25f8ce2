//! A YAML value that knows its path, as a serde deserializer. See [`super::decode`].

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::de::value::{StrDeserializer, StringDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_yaml_ng::{Mapping, Value};

use super::decode::{DecodeFault, join};
use super::node_error::{NodeError, found_value};

/// What one pass over a document must know and may note.
pub(crate) struct Sink {
    ignored: &'static [&'static str],
    /// Paths to pass over: what stands there could not be read.
    pub(crate) omitted: BTreeSet<String>,
    pub(crate) unknown: RefCell<Vec<(String, DecodeFault)>>,
}

impl Sink {
    pub(crate) fn new(ignored: &'static [&'static str]) -> Self {
        Sink {
            ignored,
            omitted: BTreeSet::new(),
            unknown: RefCell::default(),
        }
    }

    fn note_unknown(&self, path: String, name: &str, known: &'static [&'static str]) {
        let fault = DecodeFault::UnknownField {
            name: name.to_owned(),
            known: known.to_vec(),
        };
        let mut unknown = self.unknown.borrow_mut();
        if !self.ignored.contains(&path.as_str())
            && !unknown.iter().any(|(noted, _)| *noted == path)
        {
            unknown.push((path, fault));
        }
    }
}

/// A value at its path.
pub(crate) struct Node<'a> {
    value: &'a Value,
    path: String,
    sink: &'a Sink,
}

impl<'a> Node<'a> {
    pub(crate) fn root(value: &'a Value, sink: &'a Sink) -> Self {
        Node {
            value,
            path: String::new(),
            sink,
        }
    }

    fn wrong_type(&self, expected: &str) -> NodeError {
        let expected = expected.to_owned();
        let fault = DecodeFault::WrongType {
            found: found_value(self.value),
            expected,
        };
        NodeError {
            path: Some(self.path.clone()),
            fault,
        }
    }

    fn fields(self, known: Option<&'static [&'static str]>) -> Result<Fields<'a>, NodeError> {
        match self.value {
            Value::Mapping(mapping) => Ok(Fields::new(mapping, &self.path, known, self.sink)),
            _ => Err(self.wrong_type("an object")),
        }
    }
}

impl<'de> Deserializer<'de> for Node<'_> {
    type Error = NodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NodeError> {
        let path = self.path.clone();
        let result = match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(value), _, _) => visitor.visit_u64(value),
                (None, Some(value), _) => visitor.visit_i64(value),
                (None, None, value) => visitor.visit_f64(value.unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_str(text),
            Value::Sequence(_) => self.deserialize_seq(visitor),
            Value::Mapping(_) => self.deserialize_map(visitor),
            Value::Tagged(_) => Err(self.wrong_type("a value without a tag")),
        };
        result.map_err(|error| error.at(path))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NodeError> {
        let path = self.path.clone();
        let result = if self.value.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        };
        result.map_err(|error| error.at(path))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NodeError> {
        let path = self.path.clone();
        visitor
            .visit_map(self.fields(Some(fields))?)
            .map_err(|error| error.at(path))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NodeError> {
        let path = self.path.clone();
        visitor
            .visit_map(self.fields(None)?)
            .map_err(|error| error.at(path))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NodeError> {
        let path = self.path.clone();
        let Value::Sequence(items) = self.value else {
            return Err(self.wrong_type("a list"));
        };
        let items = Items {
            items: items.iter().enumerate(),
            path: self.path,
            sink: self.sink,
        };
        visitor.visit_seq(items).map_err(|error| error.at(path))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NodeError> {
        let path = self.path.clone();
        let Value::String(word) = self.value else {
            let fault = DecodeFault::UnknownWord {
                found: found_value(self.value),
                known: variants.to_vec(),
            };
            return Err(NodeError {
                path: Some(path),
                fault,
            });
        };
        visitor
            .visit_enum(Word(word))
            .map_err(|error| error.at(path))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, NodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NodeError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct tuple tuple_struct identifier
    }
}

/// The fields of an object that are known and not left out.
struct Fields<'a> {
    entries: std::vec::IntoIter<(String, Node<'a>)>,
    pending: Option<Node<'a>>,
}

impl<'a> Fields<'a> {
    fn new(
        mapping: &'a Mapping,
        path: &str,
        known: Option<&'static [&'static str]>,
        sink: &'a Sink,
    ) -> Self {
        let mut entries = Vec::new();
        for (key, value) in mapping {
            let name = key
                .as_str()
                .map_or_else(|| found_value(key), ToOwned::to_owned);
            let below = join(path, &name);
            match known {
                Some(known) if !known.contains(&name.as_str()) => {
                    sink.note_unknown(below, &name, known);
                }
                _ if sink.omitted.contains(&below) => {}
                _ => entries.push((
                    name,
                    Node {
                        value,
                        path: below,
                        sink,
                    },
                )),
            }
        }
        Fields {
            entries: entries.into_iter(),
            pending: None,
        }
    }
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = NodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, NodeError> {
        let Some((name, node)) = self.entries.next() else {
            return Ok(None);
        };
        self.pending = Some(node);
        let name: StringDeserializer<NodeError> = name.into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, NodeError> {
        let node = self
            .pending
            .take()
            .ok_or_else(|| NodeError::custom("a value was read before its name"))?;
        seed.deserialize(node)
    }
}

/// The items of a list that are not left out, each under its own index.
struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Value>>,
    path: String,
    sink: &'a Sink,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = NodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, NodeError> {
        for (index, value) in self.items.by_ref() {
            let path = format!("{}[{index}]", self.path);
            if !self.sink.omitted.contains(&path) {
                return seed
                    .deserialize(Node {
                        value,
                        path,
                        sink: self.sink,
                    })
                    .map(Some);
            }
        }
        Ok(None)
    }
}

/// A unit variant, named by a word.
struct Word<'a>(&'a str);

impl<'de> EnumAccess<'de> for Word<'_> {
    type Error = NodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), NodeError> {
        let word: StrDeserializer<'_, NodeError> = self.0.into_deserializer();
        Ok((seed.deserialize(word)?, self))
    }
}

impl<'de> VariantAccess<'de> for Word<'_> {
    type Error = NodeError;

    fn unit_variant(self) -> Result<(), NodeError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, NodeError> {
        Err(NodeError::custom("this word takes no value here"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, NodeError> {
        Err(NodeError::custom("this word takes no list here"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, NodeError> {
        Err(NodeError::custom("this word takes no fields here"))
    }
}
