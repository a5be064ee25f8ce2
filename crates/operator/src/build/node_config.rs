//! What one node is told by its file, as `atoll node --config FILE` reads it.
//!
//! Members and topology are in it for the first start only: then the store's own log knows better, and nodes
//! are told by the admin API. What takes a restart to change is marked by a fingerprint of its own.

use atoll_api::manifest::{ClientTls, StoreManifest, TelemetrySpec, Topology};
use serde_json::{Value, json};

use super::Parts;
use crate::certificates::files;
use crate::names::{NODE_PORT, PORT};

/// Where the volume is mounted.
pub(super) const DATA: &str = "/var/lib/atoll";
/// Where the certificates are: beside the configurations, which are mounted read-only themselves.
pub(super) const TLS: &str = "/etc/atoll-tls";
/// Where the collector's CA is.
pub(super) const COLLECTOR: &str = "/etc/atoll-collector";

/// The file's content for one node.
pub(super) fn of(parts: &Parts<'_>, ordinal: u8) -> Value {
    let Parts {
        declared,
        region,
        plan,
        names,
    } = parts;
    let manifest = &declared.manifest;
    let others = manifest.regions.iter().filter(|r| r.name != region.name);
    let peers: Vec<Value> = others
        .clone()
        .map(|other| (other, declared.endpoints(other)))
        // One that cannot be reached by configuration is told of by the others.
        .filter(|(_, endpoints)| !endpoints.is_empty())
        .map(|(other, endpoints)| json!({ "region": other.name, "endpoints": endpoints }))
        .collect();
    let node = |ordinal: u8| json!({ "name": names.node(ordinal), "address": names.node_address(ordinal) });
    let mut this = node(ordinal);
    this["listen"] = format!("0.0.0.0:{NODE_PORT}").into();
    let mut config = json!({
        "store": { "name": declared.name, "id": declared.store_id },
        "region": region.name,
        "listen": format!("0.0.0.0:{PORT}"),
        "node": this,
        "nodes": (0..plan.nodes).map(node).collect::<Vec<Value>>(),
        "data": DATA,
        "join": plan.joined && !peers.is_empty(),
        "peers": peers,
    });
    if let Some(tls) = tls(parts, ordinal) {
        config["tls"] = tls;
    }
    if peers_are_all(parts) {
        config["topology"] = topology(manifest);
    }
    if let (Some(config), Value::Object(settings)) = (config.as_object_mut(), settings_of(parts)) {
        config.extend(settings);
    }
    config
}

/// The files of the node's certificate. What is in them may change while it runs.
fn tls(parts: &Parts<'_>, ordinal: u8) -> Option<Value> {
    let tls = parts.declared.tls.as_ref()?;
    let pod = parts.names.pod(ordinal);
    let mut config = json!({
        "certificate": format!("{TLS}/{}", files::certificate_of(&pod)),
        "key": format!("{TLS}/{}", files::key_of(&pod)),
        "ca": format!("{TLS}/{}", files::CA),
    });
    if tls.client_ca.is_some() {
        config["clientCa"] = format!("{TLS}/{}", files::CLIENTS).into();
    }
    if tls.clients == ClientTls::Plain {
        config["plainClients"] = true.into();
    }
    Some(config)
}

/// What takes a restart to change.
pub(super) fn settings_of(parts: &Parts<'_>) -> Value {
    let ca = format!("{COLLECTOR}/{}", files::CA);
    settings(&parts.declared.manifest, Some(&ca))
}

/// What a node's file says of a store's settings, wherever the node runs. `collector_ca` is the file with the CA of the
/// collector, where the manifest names a Secret with one.
#[must_use]
pub fn settings(manifest: &StoreManifest, collector_ca: Option<&str>) -> Value {
    json!({
        "failoverAfter": manifest.failover_after,
        "objectives": {
            "maxClockSkew": manifest.objectives.max_clock_skew,
            "maxLag": manifest.objectives.max_lag,
        },
        "conflictRetention": {
            "maxAge": manifest.conflict_retention.max_age,
            "maxRows": manifest.conflict_retention.max_rows,
        },
        "logRetention": { "maxSize": manifest.log_retention.max_size },
        "telemetry": telemetry(&manifest.telemetry, collector_ca),
    })
}

fn telemetry(telemetry: &TelemetrySpec, ca: Option<&str>) -> Value {
    let collector = telemetry.otlp.as_ref().map(|otlp| {
        let mut config = json!({ "endpoint": otlp.endpoint });
        if let (Some(_), Some(ca)) = (&otlp.ca_secret_ref, ca) {
            config["ca"] = ca.into();
        }
        if otlp.logs == Some(true) {
            config["logs"] = true.into();
        }
        config
    });
    let mut config = json!({ "otlp": collector });
    if let Some(ratio) = telemetry.trace_ratio {
        config["traceRatio"] = json!(ratio);
    }
    config
}

/// A topology in a file must have an address for every region.
fn peers_are_all(parts: &Parts<'_>) -> bool {
    let mut regions = parts.declared.manifest.regions.iter();
    regions.all(|region| {
        region.name == parts.region.name || !parts.declared.endpoints(region).is_empty()
    })
}

/// What a node's file says of a store's topology.
#[must_use]
pub fn topology(manifest: &StoreManifest) -> Value {
    let regions: Vec<_> = manifest.regions.iter().map(|r| &r.name).collect();
    match &manifest.topology {
        Topology::AllToAll => json!({ "type": "AllToAll", "regions": regions }),
        Topology::Ring { order } => json!({ "type": "Ring", "regions": regions, "order": order }),
        Topology::Star { hub } => json!({ "type": "Star", "regions": regions, "hub": hub }),
        Topology::Custom { links } => {
            json!({ "type": "Custom", "regions": regions, "links": links })
        }
    }
}
