//! What a version holds: a value, the mark of an object node, or a tombstone.

use std::sync::Arc;

use bytes::Bytes;

/// A value as the client sent it: JSON, or bytes with a media type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Value {
    /// `None` for JSON (`application/json`), otherwise the media type.
    pub media: Option<Arc<str>>,
    /// The bytes, unchanged.
    pub data: Bytes,
}

impl Value {
    /// A JSON value from its text.
    #[must_use]
    pub fn json(data: impl Into<Bytes>) -> Self {
        Value {
            media: None,
            data: data.into(),
        }
    }

    /// The media type to answer with.
    #[must_use]
    pub fn media_type(&self) -> &str {
        self.media.as_deref().unwrap_or("application/json")
    }
}

/// What one version of a slot says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Content {
    /// The slot holds this value.
    Value(Value),
    /// The slot is an object whose fields lie below it.
    Object,
    /// The slot was deleted. A delete is a version like any other.
    Tombstone,
}

/// The kind of a [`Content`], which is all that conflict detection looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A value.
    Value,
    /// An object mark.
    Object,
    /// A tombstone.
    Tombstone,
}

impl Class {
    /// All classes, in their stored order.
    pub const ALL: [Class; 3] = [Class::Value, Class::Object, Class::Tombstone];

    /// The stored form: 1 value, 2 object, 3 tombstone.
    #[must_use]
    pub fn ordinal(self) -> u8 {
        match self {
            Class::Value => 1,
            Class::Object => 2,
            Class::Tombstone => 3,
        }
    }

    /// From the stored form.
    #[must_use]
    pub fn from_ordinal(ordinal: u8) -> Option<Class> {
        Class::ALL
            .into_iter()
            .find(|class| class.ordinal() == ordinal)
    }

    /// Whether two concurrent versions of these classes disagree. Two tombstones agree, and so do two
    /// object marks: their fields disagree, or nothing does.
    #[must_use]
    pub fn disagrees_with(self, other: Class) -> bool {
        self == Class::Value || self != other
    }
}

impl Content {
    /// Its class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Content::Value(_) => Class::Value,
            Content::Object => Class::Object,
            Content::Tombstone => Class::Tombstone,
        }
    }

    /// Whether it is anything but a tombstone.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.class() != Class::Tombstone
    }
}
