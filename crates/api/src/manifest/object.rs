//! One document: the Kubernetes envelope around a spec.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::error::Place;

/// The fields that every document has.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(
    dead_code,
    reason = "fields that are only allowed, not used, keep their names known"
)]
pub(crate) struct Object<N, S> {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) metadata: Metadata<N>,
    pub(crate) spec: S,
    /// What the API server shows; never read here.
    status: Option<IgnoredAny>,
}

/// Who the object is.
#[derive(Clone, Debug, Deserialize)]
#[allow(
    dead_code,
    reason = "fields that are only allowed, not used, keep their names known"
)]
pub(crate) struct Metadata<N> {
    pub(crate) name: N,
    pub(crate) namespace: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
}

/// Fields that an API server adds, so that what `kubectl get -o yaml` prints is read as well.
pub(crate) const SERVER_FIELDS: [&str; 10] = [
    "metadata.creationTimestamp",
    "metadata.deletionGracePeriodSeconds",
    "metadata.deletionTimestamp",
    "metadata.finalizers",
    "metadata.generation",
    "metadata.managedFields",
    "metadata.ownerReferences",
    "metadata.resourceVersion",
    "metadata.selfLink",
    "metadata.uid",
];

/// A document whose fields have been read, as far as they can be.
#[derive(Clone, Debug)]
pub(crate) struct Document<N, S> {
    pub(crate) place: Place,
    pub(crate) object: Object<N, S>,
    /// Fields that were left out because they could not be read.
    pub(crate) damaged: Vec<String>,
}

impl<N, S> Document<N, S> {
    /// A document that was read whole, elsewhere.
    pub(crate) fn read(name: N, namespace: Option<String>, spec: S) -> Self {
        let metadata = Metadata {
            name,
            namespace,
            labels: None,
            annotations: None,
        };
        let object = Object {
            api_version: String::new(),
            kind: String::new(),
            metadata,
            spec,
            status: None,
        };
        Document {
            place: Place::default(),
            object,
            damaged: Vec::new(),
        }
    }

    /// Whether nothing at or below `field` was left out: only then do checks of it make sense.
    pub(crate) fn is_intact(&self, field: &str) -> bool {
        !self
            .damage_below(field)
            .any(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }

    /// Whether the list is there with all its items, though fields of items may have been left out.
    pub(crate) fn is_counted(&self, list: &str) -> bool {
        !self
            .damage_below(list)
            .any(|rest| rest.is_empty() || (rest.ends_with(']') && !rest.contains('.')))
    }

    fn damage_below(&self, field: &str) -> impl Iterator<Item = &str> {
        self.damaged
            .iter()
            .filter_map(move |path| path.strip_prefix(field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_seen_where_it_matters() {
        let mut document = Document::read((), None, ());
        document.damaged = vec!["spec.regions[1].replicas".to_owned()];
        assert!(!document.is_intact("spec.regions") && document.is_counted("spec.regions"));
        assert!(document.is_intact("spec.region") && document.is_intact("spec.topology"));
        document.damaged.push("spec.regions[0]".to_owned());
        assert!(!document.is_counted("spec.regions"));
        document.damaged = vec!["spec.regions[1].template.tolerations[0]".to_owned()];
        assert!(document.is_counted("spec.regions"));
    }
}
