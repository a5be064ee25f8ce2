//! From the text of files to one checked store, or to everything that is wrong with it.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_yaml_ng::{Deserializer, Value};

use super::API_VERSION;
use super::collections::{self, CollectionDocument};
use super::declared::StoreManifest;
use super::decode::{Decoded, decode};
use super::error::{Fault, ManifestError, Place, Report};
use super::geostore::GeoStoreSpec;
use super::names::StoreName;
use super::object::{Document, Object, SERVER_FIELDS};
use super::regions::{self, StoreDocument};
use super::text::shown;

/// Reads manifests: `(path, text)` pairs, of one or more YAML (or JSON) documents each. They must declare
/// exactly one GeoStore; all collections must be of that store. Objects of Kubernetes' own kinds
/// (Namespace, Secret, …) are passed over, since the same files serve `kubectl apply`.
///
/// # Errors
/// Everything that is wrong, in the order of files and documents.
pub fn parse<P: AsRef<str>, T: AsRef<str>>(
    files: &[(P, T)],
) -> Result<StoreManifest, Vec<ManifestError>> {
    let mut read = Read::default();
    for (path, text) in files {
        read.file(path.as_ref(), text.as_ref());
    }
    let Read {
        mut report,
        stores,
        collections,
        order,
        damaged_stores,
    } = read;
    let store = stores.first();
    if store.is_none() && damaged_stores == 0 && report.errors.is_empty() {
        report.add(&Place::default(), "", Fault::NoStore);
    }
    for second in stores.iter().skip(1) {
        let first = stores
            .first()
            .map(|store| store.place.clone())
            .unwrap_or_default();
        report.add(&second.place, "kind", Fault::SecondStore { first });
    }
    let declared = store.and_then(|store| regions::declare(store, &mut report));
    let collections = collections::declare(&collections, store, &mut report);
    match declared {
        Some(store) if report.errors.is_empty() => Ok(StoreManifest {
            collections,
            ..store
        }),
        _ => Err(in_order(report.errors, &order)),
    }
}

/// Checks a store that was read already, as the operator reads it, and fills in its defaults. Collections are
/// left out: [`super::declare_collections`] checks them one by one.
///
/// # Errors
/// Everything that is wrong.
pub fn declare_store(
    name: StoreName,
    namespace: Option<String>,
    spec: &GeoStoreSpec,
) -> Result<StoreManifest, Vec<ManifestError>> {
    let mut report = Report::default();
    let document = StoreDocument::read(name, namespace, spec.clone());
    match regions::declare(&document, &mut report) {
        Some(store) if report.errors.is_empty() => Ok(store),
        _ => Err(report.errors),
    }
}

/// Errors of one document together, documents in the order read.
fn in_order(mut errors: Vec<ManifestError>, order: &[(String, usize)]) -> Vec<ManifestError> {
    errors.sort_by_key(|error| {
        let Place {
            file,
            document,
            object: _,
        } = &error.place;
        order
            .iter()
            .position(|(path, number)| path == file && Some(*number) == *document)
    });
    errors
}

/// What has been read so far.
#[derive(Default)]
struct Read {
    report: Report,
    stores: Vec<StoreDocument>,
    /// GeoStores of which too much is missing: there is one, but nothing can be said about it.
    damaged_stores: usize,
    collections: Vec<CollectionDocument>,
    order: Vec<(String, usize)>,
}

/// Kind and API version, whatever else there is.
#[derive(Deserialize)]
struct Heading {
    #[serde(rename = "apiVersion")]
    api_version: Option<String>,
    kind: Option<String>,
}

impl Read {
    fn file(&mut self, path: &str, text: &str) {
        for (index, document) in Deserializer::from_str(text).enumerate() {
            let place = Place {
                file: path.to_owned(),
                document: Some(index + 1),
                object: None,
            };
            self.order.push((path.to_owned(), index + 1));
            let value = Value::deserialize(document)
                .and_then(|mut value| value.apply_merge().map(|()| value));
            match value {
                Ok(Value::Null) => {}
                Ok(value) => self.document(place, &value),
                Err(error) => {
                    let message = error.to_string();
                    self.report.add(&place, "", Fault::NotYaml { message });
                    return;
                }
            }
        }
    }

    fn document(&mut self, place: Place, value: &Value) {
        let Ok(Heading {
            api_version: Some(api_version),
            kind: Some(kind),
        }) = Heading::deserialize(value)
        else {
            return self.report.add(&place, "", Fault::NotAnObject);
        };
        if is_of_kubernetes(&api_version) {
            return;
        }
        let name = value
            .get("metadata")
            .and_then(|metadata| metadata.get("name"))
            .and_then(Value::as_str);
        let object = format!(
            "{} {}",
            shown(&kind),
            shown(name.unwrap_or("without a name"))
        );
        let place = Place {
            object: Some(object),
            ..place
        };
        match (api_version.as_str(), kind.as_str()) {
            (API_VERSION, "GeoStore") => match self.decoded(&place, value) {
                Some(store) => self.stores.push(store),
                None => self.damaged_stores += 1,
            },
            (API_VERSION, "Collection") => {
                if let Some(collection) = self.decoded(&place, value) {
                    self.collections.push(collection);
                }
            }
            // Made by the operator, and no declaration.
            (API_VERSION, "ReplicationLink") => {}
            (API_VERSION, _) => {
                self.report.add(
                    &place,
                    "kind",
                    Fault::UnknownKind {
                        found: shown(&kind),
                    },
                );
            }
            _ => {
                let found = shown(&api_version);
                self.report
                    .add(&place, "apiVersion", Fault::UnknownApiVersion { found });
            }
        }
    }

    fn decoded<N: DeserializeOwned, S: DeserializeOwned>(
        &mut self,
        place: &Place,
        value: &Value,
    ) -> Option<Document<N, S>> {
        let Decoded {
            object,
            faults,
            damaged,
        } = decode::<Object<N, S>>(value, &SERVER_FIELDS);
        for (field, fault) in faults {
            self.report.add(place, field, fault);
        }
        object.map(|object| Document {
            place: place.clone(),
            object,
            damaged,
        })
    }
}

/// Whether objects of that API version belong to Kubernetes itself.
fn is_of_kubernetes(api_version: &str) -> bool {
    match api_version.split_once('/') {
        Some((group, _)) => {
            ["apps", "autoscaling", "batch", "policy"].contains(&group)
                || group.ends_with(".k8s.io")
        }
        None => api_version == "v1",
    }
}
