//! Who may talk to a region's nodes: anybody where clients are answered; where Raft speaks, its own nodes, and
//! with certificates also the store's other nodes and the operator, who come there, too.

use serde_json::{Value, json};

use super::{Built, Kind, Parts};
use crate::names::{NODE_PORT, PORT, STORE};

pub(super) fn build(parts: &Parts<'_>) -> Built {
    let selector = parts.names.selector();
    let rest = json!({
        "spec": {
            "podSelector": { "matchLabels": selector },
            "policyTypes": ["Ingress"],
            "ingress": [
                { "ports": [{ "port": PORT, "protocol": "TCP" }] },
                nodes(parts),
            ],
        },
    });
    parts.object(Kind::NetworkPolicy, parts.names.object(), &[], rest)
}

fn nodes(parts: &Parts<'_>) -> Value {
    let declared = parts.declared;
    let mut rule = json!({ "ports": [{ "port": NODE_PORT, "protocol": "TCP" }] });
    if declared.tls.is_none() {
        rule["from"] = json!([{ "podSelector": { "matchLabels": parts.names.selector() } }]);
    } else if declared
        .manifest
        .regions
        .iter()
        .all(|region| declared.is_here(region))
    {
        rule["from"] = json!([
            { "podSelector": { "matchLabels": { STORE: declared.name } } },
            {
                "namespaceSelector": {},
                "podSelector": { "matchLabels": { "app.kubernetes.io/component": "operator" } },
            },
        ]);
    }
    // Otherwise other clusters come, from addresses that nobody knows here: their certificates tell them.
    rule
}
