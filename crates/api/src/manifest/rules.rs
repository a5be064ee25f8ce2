//! What the API server refuses beyond types: the rules, each with what to do about it.
//!
//! `parse` refuses the same and more for everybody, with names; a rule is there so that `kubectl apply` says
//! it at once. Lists and strings that a rule walks have limits, or the API server refuses the rule itself for
//! its cost.

use serde_json::{Value, json};

/// One rule, and where it stands.
pub(crate) struct Rule {
    /// The kind of object.
    pub(crate) kind: &'static str,
    /// Fields from the root, `[]` for a list's items; empty for the object as a whole.
    pub(crate) path: &'static str,
    /// In CEL.
    pub(crate) rule: &'static str,
    /// What to do.
    pub(crate) message: &'static str,
}

/// All rules.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        kind: "GeoStore",
        path: "",
        rule: "self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        message: "name the store by at most 40 lower-case letters, digits and '-', beginning with a letter, such as shop",
    },
    Rule {
        kind: "GeoStore",
        path: "",
        rule: "self.spec.regions.all(r, self.metadata.name.size() + r.name.size() <= 45)",
        message: "the names of the store and of a region have more than 45 characters together, too many for what is made of them: shorten one",
    },
    Rule {
        kind: "GeoStore",
        path: "spec",
        rule: "self.regions.exists(r, !has(r.role) || r.role == 'Leader')",
        message: "every region is ReadOnly, so nobody could write: give one the role Leader",
    },
    Rule {
        kind: "GeoStore",
        path: "spec",
        rule: "!has(self.topology.order) || self.topology.order.all(o, self.regions.exists(r, r.name == o))",
        message: "topology.order names a region that is not in regions: write names of regions only",
    },
    Rule {
        kind: "GeoStore",
        path: "spec",
        rule: "!has(self.topology.order) || self.regions.all(r, self.topology.order.exists(o, o == r.name))",
        message: "topology.order leaves a region out: name every region once, or remove order",
    },
    Rule {
        kind: "GeoStore",
        path: "spec",
        rule: "!has(self.topology.hub) || self.regions.exists(r, r.name == self.topology.hub)",
        message: "topology.hub is not in regions: write the name of a region",
    },
    Rule {
        kind: "GeoStore",
        path: "spec",
        rule: "!has(self.topology.links) || self.topology.links.all(l, self.regions.exists(r, r.name == l.from) && self.regions.exists(r, r.name == l.to))",
        message: "topology.links names a region that is not in regions: write names of regions only",
    },
    Rule {
        kind: "GeoStore",
        path: "spec",
        rule: "self.topology.type != 'Ring' || self.regions.filter(r, !has(r.role) || r.role == 'Leader').size() >= 3",
        message: "a Ring needs at least 3 regions with role Leader: add regions, or use AllToAll",
    },
    Rule {
        kind: "GeoStore",
        path: "spec",
        rule: "self.topology.type != 'Custom' || has(self.topology.links) || self.regions.size() == 1",
        message: "a Custom topology needs its links: add topology.links, such as [{from: eu, to: us}, {from: us, to: eu}]",
    },
    Rule {
        kind: "GeoStore",
        path: "spec",
        rule: "!has(self.topology.links) || self.regions.size() == 1 || self.regions.all(r, self.topology.links.exists(l, l.from == r.name) && self.topology.links.exists(l, l.to == r.name))",
        message: "topology.links leaves a region alone: give every region a link from it and a link to it",
    },
    Rule {
        kind: "GeoStore",
        path: "spec",
        rule: "!has(self.updateStrategy) || !has(self.updateStrategy.canary) || self.regions.exists(r, r.name == self.updateStrategy.canary)",
        message: "updateStrategy.canary is not in regions: write the name of a region",
    },
    Rule {
        kind: "GeoStore",
        path: "spec",
        rule: "(has(self.storeId) ? self.storeId : '') == (has(oldSelf.storeId) ? oldSelf.storeId : '')",
        message: "storeId never changes: take the change back, or make a new store",
    },
    Rule {
        kind: "GeoStore",
        path: "spec",
        rule: "(has(self.tls) && has(self.tls.mode) ? self.tls.mode : 'Mutual') == (has(oldSelf.tls) && has(oldSelf.tls.mode) ? oldSelf.tls.mode : 'Mutual')",
        message: "tls.mode never changes, because nodes with certificates and nodes without do not talk to each other: take the change back, or make a new store and copy with atoll export and atoll import",
    },
    Rule {
        kind: "GeoStore",
        path: "spec",
        rule: "self.regions.all(r, !has(r.location) || !has(r.location.endpoint) || r.location.endpoint.startsWith('https:') == ((has(self.tls) && has(self.tls.mode) ? self.tls.mode : 'Mutual') == 'Mutual'))",
        message: ENDPOINTS_FIT_MESSAGE,
    },
    Rule {
        kind: "GeoStore",
        path: "spec",
        rule: "self.regions.all(r, !has(r.location) || !has(r.location.endpoints) || r.location.endpoints.all(e, e.startsWith('https:') == ((has(self.tls) && has(self.tls.mode) ? self.tls.mode : 'Mutual') == 'Mutual')))",
        message: ENDPOINTS_FIT_MESSAGE,
    },
    Rule {
        kind: "GeoStore",
        path: "spec.tls",
        rule: "!has(self.mode) || self.mode != 'Plain' || !(has(self.clients) && self.clients == 'Tls' || has(self.clientCaSecretRef) || has(self.caSecretRef) || has(self.trustedCaSecretRefs) || has(self.caRevision) || has(self.certificateLifetime))",
        message: "tls.mode Plain goes without certificates: remove the other fields of tls, or the mode",
    },
    Rule {
        kind: "GeoStore",
        path: "spec.tls",
        rule: "!has(self.clientCaSecretRef) || !has(self.clients) || self.clients == 'Tls'",
        message: "clients that come by plain HTTP show no certificate: remove clientCaSecretRef, or clients",
    },
    Rule {
        kind: "GeoStore",
        path: "spec.tls",
        rule: "!has(self.caSecretRef) || !has(self.caRevision)",
        message: "caRevision asks the operator for a CA of its own making: remove it, and write your new CA into the Secret",
    },
    Rule {
        kind: "GeoStore",
        path: "spec.tls",
        rule: "!has(self.certificateLifetime) || duration(self.certificateLifetime) >= duration('1h')",
        message: "certificateLifetime leaves too little time to renew: write at least 1h",
    },
    Rule {
        kind: "GeoStore",
        path: "spec.telemetry.otlp",
        rule: "!self.endpoint.startsWith('https:') || has(self.caSecretRef)",
        message: "a collector by https needs a CA that its certificate is checked against: add caSecretRef, a Secret with ca.crt",
    },
    Rule {
        kind: "GeoStore",
        path: "spec.topology",
        rule: "self.type == 'Ring' || !has(self.order)",
        message: "order belongs to type Ring: remove it, or change the type",
    },
    Rule {
        kind: "GeoStore",
        path: "spec.topology",
        rule: "self.type == 'Star' || !has(self.hub)",
        message: "hub belongs to type Star: remove it, or change the type",
    },
    Rule {
        kind: "GeoStore",
        path: "spec.topology",
        rule: "self.type != 'Star' || has(self.hub)",
        message: "a Star needs its hub: add hub with the name of a region",
    },
    Rule {
        kind: "GeoStore",
        path: "spec.topology",
        rule: "self.type == 'Custom' || !has(self.links)",
        message: "links belong to type Custom: remove them, or change the type",
    },
    Rule {
        kind: "GeoStore",
        path: "spec.topology",
        rule: "!has(self.failoverAfter) || duration(self.failoverAfter) >= duration('1s')",
        message: "failoverAfter below 1s takes a slow link for a dead one: write 1s or more, or leave it out",
    },
    Rule {
        kind: "GeoStore",
        path: "spec.topology.links[]",
        rule: "self.from != self.to",
        message: "a region is linked to itself: remove the link",
    },
    Rule {
        kind: "GeoStore",
        path: "spec.regions[]",
        rule: "!has(oldSelf.location) || (has(self.location) && self.location.cluster == oldSelf.location.cluster)",
        message: "a region does not move to another cluster: add a new region there, and remove this one when it has converged",
    },
    Rule {
        kind: "GeoStore",
        path: "spec.regions[].template.storage",
        rule: STORAGE_GROWS,
        message: STORAGE_GROWS_MESSAGE,
    },
    Rule {
        kind: "GeoStore",
        path: "spec.template.storage",
        rule: STORAGE_GROWS,
        message: STORAGE_GROWS_MESSAGE,
    },
    Rule {
        kind: "GeoStore",
        path: "spec.regions[].template.storage",
        rule: CLASS_STAYS,
        message: CLASS_STAYS_MESSAGE,
    },
    Rule {
        kind: "GeoStore",
        path: "spec.template.storage",
        rule: CLASS_STAYS,
        message: CLASS_STAYS_MESSAGE,
    },
    Rule {
        kind: "GeoStore",
        path: "spec.regions[].template.podLabels",
        rule: LABELS_ARE_OURS,
        message: LABELS_ARE_OURS_MESSAGE,
    },
    Rule {
        kind: "GeoStore",
        path: "spec.template.podLabels",
        rule: LABELS_ARE_OURS,
        message: LABELS_ARE_OURS_MESSAGE,
    },
    Rule {
        kind: "GeoStore",
        path: "spec.objectives",
        rule: "!has(self.maxLag) || !self.maxLag.matches('^(0+(h|m|s|ms))+$')",
        message: "maxLag of zero is no limit: write more, such as 2s, or leave it out",
    },
    Rule {
        kind: "GeoStore",
        path: "spec.objectives",
        rule: "!has(self.maxClockSkew) || !self.maxClockSkew.matches('^(0+(h|m|s|ms))+$')",
        message: "maxClockSkew of zero is no limit: write more, such as 500ms, or leave it out",
    },
    Rule {
        kind: "GeoStore",
        path: "spec.retention",
        rule: "!has(self.maxAge) || !self.maxAge.matches('^(0+(h|m|s|ms))+$')",
        message: "maxAge of zero keeps nothing: write more, such as 72h, or leave it out",
    },
    Rule {
        kind: "GeoStore",
        path: "spec.retention",
        rule: "!has(self.maxSize) || !self.maxSize.matches('^0+([.]0+)?[A-Za-z]*$')",
        message: "maxSize of zero keeps nothing: write more, such as 8Gi, or leave it out",
    },
    Rule {
        kind: "GeoStore",
        path: "spec.retention.conflicts",
        rule: "!has(self.maxAge) || !self.maxAge.matches('^(0+(h|m|s|ms))+$')",
        message: "maxAge of zero keeps nothing: write more, such as 720h, or leave it out",
    },
    Rule {
        kind: "Collection",
        path: "",
        rule: "self.metadata.name.size() <= 63",
        message: "the name of a collection has at most 63 characters: shorten it",
    },
    Rule {
        kind: "Collection",
        path: "spec.type",
        rule: "self == oldSelf",
        message: "the type of a collection never changes: make a new collection, and copy with atoll export and atoll import",
    },
    Rule {
        kind: "Collection",
        path: "spec.storeRef",
        rule: "self.name == oldSelf.name",
        message: "a collection stays in its store: make a new one in the other store",
    },
    Rule {
        kind: "Collection",
        path: "spec",
        rule: "!(self.type in ['Counter', 'Set']) || !has(self.conflicts) || !(has(self.conflicts.policy) || has(self.conflicts.origins) || has(self.conflicts.updateDelete))",
        message: "a Counter or a Set merges by itself and has no policy: remove conflicts",
    },
    Rule {
        kind: "Collection",
        path: "spec.conflicts",
        rule: "has(self.origins) || !has(self.policy) || self.policy != 'OriginPriority'",
        message: "OriginPriority needs the regions in order: add origins, highest first",
    },
    Rule {
        kind: "Collection",
        path: "spec.conflicts",
        rule: "!has(self.origins) || (has(self.policy) && self.policy == 'OriginPriority')",
        message: "origins belong to policy OriginPriority: remove them, or change the policy",
    },
    Rule {
        kind: "ReplicationLink",
        path: "spec",
        rule: "self == oldSelf",
        message: "links are made by the operator: change topology in the GeoStore instead",
    },
];

const ENDPOINTS_FIT_MESSAGE: &str = "location.endpoint and endpoints begin with https:// where nodes have certificates, and with http:// in tls.mode Plain: correct them";
const STORAGE_GROWS: &str = "!has(oldSelf.size) || (has(self.size) && quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0)";
const STORAGE_GROWS_MESSAGE: &str = "a volume cannot shrink: write at least the size before";
const CLASS_STAYS: &str = "!has(oldSelf.storageClassName) || (has(self.storageClassName) && self.storageClassName == oldSelf.storageClassName)";
const CLASS_STAYS_MESSAGE: &str = "the storage class of a volume never changes: add a region with the other class, and remove the old one";
const LABELS_ARE_OURS: &str =
    "self.all(k, !k.startsWith('atoll.dev/') && !k.startsWith('app.kubernetes.io/'))";
const LABELS_ARE_OURS_MESSAGE: &str =
    "labels below atoll.dev/ and app.kubernetes.io/ are the operator's: choose another prefix";

impl Rule {
    /// Adds the rule to the schema of its kind.
    ///
    /// # Errors
    /// The path, when the schema has no such field.
    pub(crate) fn attach(&self, schema: &mut Value) -> Result<(), String> {
        let mut place = schema;
        for step in self.path.split('.').filter(|step| !step.is_empty()) {
            let name = step.trim_end_matches("[]");
            place = &mut place["properties"][name];
            if step.ends_with("[]") {
                place = &mut place["items"];
            }
        }
        let missing = || format!("{} has no field {}", self.kind, self.path);
        let fields = place.as_object_mut().ok_or_else(missing)?;
        let rules = fields
            .entry("x-kubernetes-validations")
            .or_insert_with(|| json!([]));
        let rule = json!({ "rule": self.rule, "message": self.message });
        rules.as_array_mut().ok_or_else(missing)?.push(rule);
        Ok(())
    }
}
