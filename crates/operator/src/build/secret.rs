//! Certificates and keys, as Secrets, and what everybody may know of them, as a ConfigMap.

use std::collections::BTreeMap;

use atoll_api::manifest::RegionName;
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::{Built, Kind, body};
use crate::names;
use crate::validate::Declared;

/// Files by name.
type Files = BTreeMap<String, String>;

/// A Secret of the store as a whole: a certificate and its key, with whom it trusts.
pub(crate) fn of_store(declared: &Declared, name: String, files: &Files) -> Built {
    let labels = names::store_labels(&declared.name);
    let rest = json!({ "type": "kubernetes.io/tls", "data": data(files) });
    Built {
        kind: Kind::Secret,
        region: None,
        body: body(declared, Kind::Secret, &name, &labels, rest),
        name,
    }
}

/// The Secret of a region, which its pods mount.
pub(crate) fn of_region(declared: &Declared, region: &RegionName, files: &Files) -> Built {
    let names = declared.names(region);
    let (name, labels) = (names.certificates(), names.labels());
    let rest = json!({ "type": "Opaque", "data": data(files) });
    Built {
        kind: Kind::Secret,
        region: Some(region.to_string()),
        body: body(declared, Kind::Secret, &name, &labels, rest),
        name,
    }
}

/// What clients, and other clusters, are to trust.
pub(crate) fn bundle(declared: &Declared, cas: &str) -> Built {
    let name = names::bundle(&declared.name);
    let labels = names::store_labels(&declared.name);
    let rest = json!({ "data": { "ca.crt": cas } });
    Built {
        kind: Kind::ConfigMap,
        region: None,
        body: body(declared, Kind::ConfigMap, &name, &labels, rest),
        name,
    }
}

fn data(files: &Files) -> BTreeMap<&String, Value> {
    let files = files.iter();
    files
        .map(|(name, text)| (name, json!(ByteString(text.as_bytes().to_vec()))))
        .collect()
}
