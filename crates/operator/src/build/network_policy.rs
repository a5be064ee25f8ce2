//! Who may talk to a region's nodes: anybody where clients are answered, only its own nodes where Raft speaks.

use serde_json::json;

use super::{Built, Kind, Parts};
use crate::names::{NODE_PORT, PORT};

pub(super) fn build(parts: &Parts<'_>) -> Built {
    let selector = parts.names.selector();
    let rest = json!({
        "spec": {
            "podSelector": { "matchLabels": selector },
            "policyTypes": ["Ingress"],
            "ingress": [
                { "ports": [{ "port": PORT, "protocol": "TCP" }] },
                {
                    "from": [{ "podSelector": { "matchLabels": selector } }],
                    "ports": [{ "port": NODE_PORT, "protocol": "TCP" }],
                },
            ],
        },
    });
    parts.object(Kind::NetworkPolicy, parts.names.object(), &[], rest)
}
