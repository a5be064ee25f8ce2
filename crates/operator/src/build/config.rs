//! The configurations of a region's nodes: one file each, by the pod's name.

use serde_json::{Map, Value, json};

use super::{Built, Kind, Parts, node_config};
use crate::names::JOINED;

/// The ConfigMap, and a fingerprint of what takes a restart to change.
pub(super) fn build(parts: &Parts<'_>) -> (Built, String) {
    // Every ordinal that the region may ever have: a pod is never made before its file.
    let files = (0..parts.plan.nodes).map(|ordinal| {
        let file = format!("{}.yaml", parts.names.pod(ordinal));
        let text = serde_yaml_ng::to_string(&node_config::of(parts, ordinal));
        (file, Value::String(text.unwrap_or_default()))
    });
    let files: Map<String, Value> = files.collect();
    let joined = if parts.plan.joined { "true" } else { "false" };
    let labels = [(JOINED, joined)];
    let rest = json!({ "data": files });
    let built = parts.object(Kind::ConfigMap, parts.names.object(), &labels, rest);
    let settings = node_config::settings_of(parts).to_string();
    // How clients come, likewise; of the rest of TLS, the files change while nodes run.
    let tls = parts.declared.tls.as_ref();
    let clients = tls.map(|tls| (tls.clients, tls.client_ca.is_some()));
    let clients = clients.map_or_else(String::new, |clients| format!("{clients:?}"));
    // What comes by a variable is read when a node starts.
    let headers = parts.collector_headers().unwrap_or_default();
    (
        built,
        crate::names::fingerprint(&format!("{settings}{clients}{headers}")),
    )
}
