//! Why a manifest is refused: where, what, and what to do about it, in one line each.

use std::fmt;

use super::collection::DataType;
use super::decode::DecodeFault;
use super::names::{CollectionName, RegionName, StoreName};
use super::shape::TopologyFault;
use super::{API_VERSION, REGIONS_MAX};

/// One fault of a manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct ManifestError {
    /// Which document of which file.
    pub place: Place,
    /// The field, such as `spec.regions[1].name`; empty for the document as a whole.
    pub field: String,
    /// What is wrong, and what to do.
    pub fault: Fault,
}

/// A document of a file.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Place {
    /// The file's path as given; empty when there was no file at all.
    pub file: String,
    /// The document's number within the file, from 1.
    pub document: Option<usize>,
    /// Kind and name, such as `Collection pages`, as far as they can be read.
    pub object: Option<String>,
}

/// What is wrong with a manifest. Each says what to do after the colon.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Fault {
    /// The text is not YAML.
    #[error("this is not YAML ({message}): correct the text")]
    NotYaml {
        /// The parser's words, with line and column.
        message: String,
    },
    /// A document that is not an object.
    #[error("this is not a Kubernetes object: write apiVersion, kind, metadata and spec")]
    NotAnObject,
    /// A document of another API version.
    #[error("`{found}` is not known: write {API_VERSION}")]
    UnknownApiVersion {
        /// As found.
        found: String,
    },
    /// A document of an unknown kind.
    #[error("`{found}` is not a kind of {API_VERSION}: write GeoStore or Collection")]
    UnknownKind {
        /// As found.
        found: String,
    },
    /// A field that cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeFault),
    /// No store.
    #[error("no GeoStore is declared: add a document of kind GeoStore")]
    NoStore,
    /// More than one store.
    #[error("a GeoStore is already declared in {first}: keep one of them")]
    SecondStore {
        /// Where the first one is.
        first: Place,
    },
    /// No region.
    #[error("there is no region: add at least one, such as {{name: eu}}")]
    NoRegions,
    /// Too many regions.
    #[error("{count} regions are more than a store can have: keep at most {REGIONS_MAX}")]
    TooManyRegions {
        /// How many.
        count: usize,
    },
    /// Two regions of one name.
    #[error("region {name} is declared twice: rename or remove one")]
    RegionTwice {
        /// The name.
        name: RegionName,
    },
    /// Nobody accepts writes.
    #[error("every region is ReadOnly, so nobody could write: give one the role Leader")]
    NoLeader,
    /// Silence that a slow link has, too.
    #[error(
        "less than a second takes a slow link for a dead one: write 1s or more, or leave the field out for its default"
    )]
    FailoverTooSoon,
    /// A limit of zero.
    #[error("zero is no limit: write more than 0, or leave the field out for its default")]
    Zero,
    /// A collector by TLS, and nothing to know it by.
    #[error(
        "a collector by https needs a CA that its certificate is checked against: name a Secret with ca.crt"
    )]
    CollectorUntrusted,
    /// The shape of the links.
    #[error(transparent)]
    Topology(#[from] TopologyFault),
    /// Two collections of one name.
    #[error("collection {name} is already declared in {first}: rename or remove one")]
    CollectionTwice {
        /// The name.
        name: CollectionName,
        /// Where the first one is.
        first: Place,
    },
    /// A collection of another store.
    #[error("there is no GeoStore {found} in these files: write {expected}")]
    OtherStore {
        /// The store named.
        found: StoreName,
        /// The store declared.
        expected: StoreName,
    },
    /// A collection of another namespace than its store's.
    #[error("the GeoStore is in {expected}: put its collections there, too")]
    OtherNamespace {
        /// The store's namespace, in words.
        expected: String,
    },
    /// A policy on a type that merges.
    #[error("a {data_type} merges by itself and has no policy: remove this field", data_type = .data_type.name())]
    PolicyOnMergingType {
        /// The type.
        data_type: DataType,
    },
    /// OriginPriority without origins.
    #[error("OriginPriority needs the regions in order: add origins, highest first")]
    OriginsMissing,
    /// Origins with another policy.
    #[error("origins belong to OriginPriority only: remove them or change the policy")]
    OriginsUnused,
    /// An origin that is no region.
    #[error("{name} is not a region of this store: write one of {known}", known = list(.known))]
    OriginUnknown {
        /// The name given.
        name: RegionName,
        /// The regions.
        known: Vec<RegionName>,
    },
    /// An origin listed twice.
    #[error("{name} is listed twice: keep the first")]
    OriginTwice {
        /// The name.
        name: RegionName,
    },
}

/// Names in a row, for a sentence.
pub(crate) fn list<T: fmt::Display>(names: &[T]) -> String {
    names
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place {
            file,
            document,
            object,
        } = self;
        f.write_str(file)?;
        if let Some(number) = document {
            write!(f, ", document {number}")?;
        }
        match object {
            Some(object) if file.is_empty() => f.write_str(object),
            Some(object) => write!(f, " ({object})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.file.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        self.fault.fmt(f)
    }
}

impl std::error::Error for ManifestError {}

/// Errors as they are found, of one document after the other.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) errors: Vec<ManifestError>,
}

impl Report {
    pub(crate) fn add(&mut self, place: &Place, field: impl Into<String>, fault: impl Into<Fault>) {
        let error = ManifestError {
            place: place.clone(),
            field: field.into(),
            fault: fault.into(),
        };
        self.errors.push(error);
    }
}
