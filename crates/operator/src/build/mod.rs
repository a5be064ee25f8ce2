//! Build: from a plan to the objects that are to be there, one file a kind.
//!
//! Pure. Objects hold only what the operator owns: whatever else is in them belongs to somebody else and
//! stays. They come in the order to apply them: a node's pod is made after all that it needs.

mod config;
mod disruption;
mod link;
mod network_policy;
pub mod node_config;
pub(crate) mod secret;
mod service;
mod service_account;
mod stateful_set;

use std::collections::BTreeMap;

use atoll_api::manifest::{ClientTls, DeclaredRegion, OtlpSpec};
use serde_json::{Value, json};

pub use crate::kinds::Kind;
use crate::names::RegionNames;
use crate::plan::{Plan, RegionPlan};
use crate::validate::Declared;

/// An object that is to be there.
#[derive(Clone, Debug, PartialEq)]
pub struct Built {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The region that it belongs to; absent: to the store as a whole.
    pub region: Option<String>,
    /// All of it.
    pub body: Value,
}

/// One region, and what its objects are made from.
struct Parts<'a> {
    declared: &'a Declared,
    region: &'a DeclaredRegion,
    plan: &'a RegionPlan,
    names: RegionNames<'a>,
}

/// All objects of a store, in the order to apply them.
#[must_use]
pub fn build(declared: &Declared, plan: &Plan) -> Vec<Built> {
    let regions = plan.regions.iter().filter_map(|plan| {
        let region = declared.manifest.region(plan.name.as_str())?;
        let names = declared.names(&region.name);
        let parts = Parts {
            declared,
            region,
            plan,
            names,
        };
        Some(parts)
    });
    let mut all: Vec<Built> = regions
        .flat_map(|parts| {
            let (config, fingerprint) = config::build(&parts);
            [
                config,
                service::for_nodes(&parts),
                service::for_clients(&parts),
                network_policy::build(&parts),
                disruption::build(&parts),
                stateful_set::build(&parts, &fingerprint),
            ]
        })
        .collect();
    if !all.is_empty() {
        all.push(service_account::build(declared));
    }
    all.extend(link::build(declared));
    all.sort_by_key(|built| Kind::ALL.iter().position(|kind| *kind == built.kind));
    all
}

impl Parts<'_> {
    /// Whether clients come by HTTPS.
    fn serves_https(&self) -> bool {
        let tls = self.declared.tls.as_ref();
        tls.is_some_and(|tls| tls.clients == ClientTls::Tls)
    }

    /// Where nodes send their telemetry.
    fn collector(&self) -> Option<&OtlpSpec> {
        self.declared.manifest.telemetry.otlp.as_ref()
    }

    /// The Secret with whom the collector's certificate is checked against.
    fn collector_ca(&self) -> Option<&str> {
        let secret = self.collector()?.ca_secret_ref.as_ref()?;
        Some(&secret.name)
    }

    /// The Secret with what is shown to the collector.
    fn collector_headers(&self) -> Option<&str> {
        let secret = self.collector()?.headers_secret_ref.as_ref()?;
        Some(&secret.name)
    }

    /// An object of this region.
    fn object(&self, kind: Kind, name: String, labels: &[(&str, &str)], rest: Value) -> Built {
        let mut all = self.names.labels();
        for (key, value) in labels {
            all.insert((*key).to_owned(), (*value).to_owned());
        }
        Built {
            kind,
            region: Some(self.region.name.to_string()),
            body: body(self.declared, kind, &name, &all, rest),
            name,
        }
    }
}

/// An object that goes with its store.
fn body(
    declared: &Declared,
    kind: Kind,
    name: &str,
    labels: &BTreeMap<String, String>,
    rest: Value,
) -> Value {
    let mut body = json!({
        "apiVersion": kind.api_version(),
        "kind": kind.name(),
        "metadata": {
            "name": name,
            "namespace": declared.namespace,
            "labels": labels,
            "ownerReferences": [{
                "apiVersion": atoll_api::manifest::API_VERSION,
                "kind": "GeoStore",
                "name": declared.name,
                "uid": declared.uid,
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
    });
    if let (Some(body), Value::Object(rest)) = (body.as_object_mut(), rest) {
        body.extend(rest);
    }
    body
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod snapshots;
