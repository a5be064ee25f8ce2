//! Collections: from their documents, or from the admin API's list, to declarations.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::collection::{CollectionSpec, ConflictsSpec, DataType, Policy, UpdateDelete};
use super::declared::{DeclaredCollection, DeclaredConflicts, DeclaredPolicy};
use super::error::{Fault, ManifestError, Place, Report};
use super::names::{CollectionName, RegionName};
use super::object::Document;
use super::regions::StoreDocument;

/// A document of kind Collection.
pub(crate) type CollectionDocument = Document<CollectionName, CollectionSpec>;

/// A collection as the admin API writes it: a manifest without its envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CollectionSettings {
    /// Its name.
    pub name: CollectionName,
    /// What its keys hold.
    #[serde(rename = "type")]
    pub data_type: DataType,
    /// What is shown of concurrent writes.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "strict_conflicts"
    )]
    pub conflicts: Option<ConflictsSpec>,
}

/// [`ConflictsSpec`] as a request holds it: a field that does not exist is refused.
#[derive(Deserialize)]
#[serde(
    remote = "ConflictsSpec",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct StrictConflicts {
    #[serde(default)]
    policy: Option<Policy>,
    #[serde(default)]
    origins: Option<Vec<RegionName>>,
    #[serde(default)]
    update_delete: Option<UpdateDelete>,
}

fn strict_conflicts<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<ConflictsSpec>, D::Error> {
    #[derive(Deserialize)]
    struct Given(#[serde(with = "StrictConflicts")] ConflictsSpec);
    Ok(Option::<Given>::deserialize(deserializer)?.map(|Given(conflicts)| conflicts))
}

/// Checks the admin API's list as a manifest's collections are checked.
///
/// # Errors
/// Every fault, under a field such as `collections[1].conflicts.origins[0]`.
pub fn declare_collections(
    settings: &[CollectionSettings],
    regions: &[RegionName],
) -> Result<Vec<DeclaredCollection>, Vec<ManifestError>> {
    let mut report = Report::default();
    let (place, mut declared) = (Place::default(), Vec::<DeclaredCollection>::new());
    for (
        index,
        CollectionSettings {
            name,
            data_type,
            conflicts,
        },
    ) in settings.iter().enumerate()
    {
        if declared.iter().any(|known| known.name == *name) {
            let first = Place {
                object: Some("this list".to_owned()),
                ..Place::default()
            };
            let fault = Fault::CollectionTwice {
                name: name.clone(),
                first,
            };
            report.add(&place, format!("collections[{index}].name"), fault);
        }
        let (conflicts, faults) = declare_conflicts(*data_type, conflicts.as_ref(), Some(regions));
        for (field, fault) in faults {
            report.add(
                &place,
                format!("collections[{index}].conflicts.{field}"),
                fault,
            );
        }
        declared.push(DeclaredCollection {
            name: name.clone(),
            data_type: *data_type,
            conflicts,
        });
    }
    if report.errors.is_empty() {
        Ok(declared)
    } else {
        Err(report.errors)
    }
}

/// Checks collections among each other and against the store, if it could be read.
pub(crate) fn declare(
    documents: &[CollectionDocument],
    store: Option<&StoreDocument>,
    report: &mut Report,
) -> Vec<DeclaredCollection> {
    let regions: Option<Vec<RegionName>> = store
        .filter(|store| store.is_counted("spec.regions"))
        .map(|store| {
            store
                .object
                .spec
                .regions
                .iter()
                .map(|region| region.name.clone())
                .collect()
        });
    let mut first_places = BTreeMap::<&CollectionName, &Place>::new();
    let mut declared = Vec::new();
    for document in documents {
        let name = &document.object.metadata.name;
        if let Some(first) = first_places.get(name) {
            let fault = Fault::CollectionTwice {
                name: name.clone(),
                first: (*first).clone(),
            };
            report.add(&document.place, "metadata.name", fault);
        }
        first_places.entry(name).or_insert(&document.place);
        if let Some(store) = store {
            check_store(document, store, report);
        }
        declared.push(declare_one(document, regions.as_deref(), report));
    }
    declared
}

fn check_store(document: &CollectionDocument, store: &StoreDocument, report: &mut Report) {
    let (found, expected) = (
        &document.object.spec.store_ref.name,
        &store.object.metadata.name,
    );
    if found != expected {
        let fault = Fault::OtherStore {
            found: found.clone(),
            expected: expected.clone(),
        };
        report.add(&document.place, "spec.storeRef.name", fault);
    }
    if document.object.metadata.namespace != store.object.metadata.namespace {
        let expected = match &store.object.metadata.namespace {
            Some(namespace) => format!("namespace {namespace}"),
            None => "no namespace of its own".to_owned(),
        };
        report.add(
            &document.place,
            "metadata.namespace",
            Fault::OtherNamespace { expected },
        );
    }
}

fn declare_one(
    document: &CollectionDocument,
    regions: Option<&[RegionName]>,
    report: &mut Report,
) -> DeclaredCollection {
    let CollectionSpec {
        store_ref: _,
        data_type,
        conflicts,
    } = &document.object.spec;
    let is_intact = document.is_intact("spec.conflicts");
    let conflicts = conflicts.as_ref().filter(|_| is_intact);
    let (conflicts, faults) = declare_conflicts(*data_type, conflicts, regions);
    for (field, fault) in faults {
        report.add(&document.place, format!("spec.conflicts.{field}"), fault);
    }
    DeclaredCollection {
        name: document.object.metadata.name.clone(),
        data_type: *data_type,
        conflicts,
    }
}

/// What is declared, and the faults with their fields. `regions` is absent when they could not be read.
fn declare_conflicts(
    data_type: DataType,
    spec: Option<&ConflictsSpec>,
    regions: Option<&[RegionName]>,
) -> (DeclaredConflicts, Vec<(String, Fault)>) {
    let Some(ConflictsSpec {
        policy,
        origins,
        update_delete,
    }) = spec
    else {
        return Default::default();
    };
    let mut faults = Vec::new();
    if data_type.merges() {
        let given = [
            ("policy", policy.is_some()),
            ("origins", origins.is_some()),
            ("updateDelete", update_delete.is_some()),
        ];
        for (field, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
            faults.push((field.to_owned(), Fault::PolicyOnMergingType { data_type }));
        }
        return (DeclaredConflicts::default(), faults);
    }
    let origins_given = origins.as_deref().unwrap_or_default();
    let policy = match policy.unwrap_or_default() {
        Policy::OriginPriority => {
            faults.extend(check_origins(origins_given, regions));
            DeclaredPolicy::OriginPriority {
                origins: origins_given.to_vec(),
            }
        }
        other => {
            if origins.is_some() {
                faults.push(("origins".to_owned(), Fault::OriginsUnused));
            }
            if other == Policy::KeepSiblings {
                DeclaredPolicy::KeepSiblings
            } else {
                DeclaredPolicy::LastWriterWins
            }
        }
    };
    (
        DeclaredConflicts {
            policy,
            update_delete: update_delete.unwrap_or_default(),
        },
        faults,
    )
}

fn check_origins(origins: &[RegionName], regions: Option<&[RegionName]>) -> Vec<(String, Fault)> {
    if origins.is_empty() {
        return vec![("policy".to_owned(), Fault::OriginsMissing)];
    }
    let mut faults = Vec::new();
    for (index, name) in origins.iter().enumerate() {
        let field = format!("origins[{index}]");
        if origins[..index].contains(name) {
            faults.push((field, Fault::OriginTwice { name: name.clone() }));
        } else if let Some(known) = regions.filter(|regions| !regions.contains(name)) {
            faults.push((
                field,
                Fault::OriginUnknown {
                    name: name.clone(),
                    known: known.to_vec(),
                },
            ));
        }
    }
    faults
}
