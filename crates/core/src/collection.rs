//! Collections: a named set of keys with one data type and one conflict policy.

use crate::ids::{CollectionName, RegionName};

pub use crate::member::Regions;

/// What the keys of a collection hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// Any JSON value or bytes, replaced as a whole.
    Register,
    /// A JSON object, merged field by field.
    Document,
    /// An integer whose increments all survive.
    Counter,
    /// A set of JSON values in which a concurrent add survives a remove.
    Set,
    /// Named fields, each a register, a counter or a set.
    Map,
}

impl DataType {
    /// All types, in their stored order.
    pub const ALL: [DataType; 5] = [
        DataType::Register,
        DataType::Document,
        DataType::Counter,
        DataType::Set,
        DataType::Map,
    ];

    /// The name used in manifests and the stored form.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            DataType::Register => "Register",
            DataType::Document => "Document",
            DataType::Counter => "Counter",
            DataType::Set => "Set",
            DataType::Map => "Map",
        }
    }

    /// From the name used in manifests.
    #[must_use]
    pub fn from_name(name: &str) -> Option<DataType> {
        DataType::ALL.into_iter().find(|t| t.name() == name)
    }
}

/// How concurrent values of one slot are shown. A view: it changes no stored version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Policy {
    /// The greatest (time, replica id).
    LastWriterWins,
    /// The value from the region that comes first in the list; regions not listed come last; within
    /// a region the greatest time.
    OriginPriority(Vec<RegionName>),
    /// All of them.
    KeepSiblings,
}

impl Policy {
    /// The name used in manifests and ledger rows.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Policy::LastWriterWins => "LastWriterWins",
            Policy::OriginPriority(_) => "OriginPriority",
            Policy::KeepSiblings => "KeepSiblings",
        }
    }
}

/// How a delete and a concurrent update of one slot are shown. A view, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateDelete {
    /// The update is shown.
    UpdateWins,
    /// The slot is absent.
    DeleteWins,
    /// Both are shown, as siblings.
    KeepBoth,
}

impl UpdateDelete {
    /// All of them.
    pub const ALL: [UpdateDelete; 3] = [
        UpdateDelete::UpdateWins,
        UpdateDelete::DeleteWins,
        UpdateDelete::KeepBoth,
    ];

    /// The name used in manifests and ledger rows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            UpdateDelete::UpdateWins => "UpdateWins",
            UpdateDelete::DeleteWins => "DeleteWins",
            UpdateDelete::KeepBoth => "KeepBoth",
        }
    }

    /// From the name used in manifests.
    #[must_use]
    pub fn from_name(name: &str) -> Option<UpdateDelete> {
        UpdateDelete::ALL.into_iter().find(|u| u.name() == name)
    }
}

/// A collection as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionSpec {
    /// Its name.
    pub name: CollectionName,
    /// What its keys hold; never changes.
    pub data_type: DataType,
    /// How concurrent values are shown.
    pub policy: Policy,
    /// How a delete against an update is shown.
    pub update_delete: UpdateDelete,
}
