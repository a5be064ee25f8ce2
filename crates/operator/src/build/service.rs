//! How nodes are found: by clients, those that take requests; by each other, all of them.

use serde_json::json;

use super::{Built, Kind, Parts};
use crate::names::{NODE_PORT, PORT};

/// What clients speak.
fn protocol(parts: &Parts<'_>) -> &'static str {
    if parts.serves_https() {
        "https"
    } else {
        "http"
    }
}

/// For clients of the region.
pub(super) fn for_clients(parts: &Parts<'_>) -> Built {
    let rest = json!({
        "spec": {
            "type": "ClusterIP",
            "selector": parts.names.selector(),
            "ports": [{ "name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP", "appProtocol": protocol(parts) }],
        },
    });
    parts.object(Kind::Service, parts.names.object(), &[], rest)
}

/// Gives every node a name of its own, from its start on: nodes find each other before they take requests.
pub(super) fn for_nodes(parts: &Parts<'_>) -> Built {
    let rest = json!({
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "None",
            "publishNotReadyAddresses": true,
            "selector": parts.names.selector(),
            "ports": [
                { "name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP", "appProtocol": protocol(parts) },
                { "name": "node", "port": NODE_PORT, "targetPort": "node", "protocol": "TCP" },
            ],
        },
    });
    parts.object(Kind::Service, parts.names.nodes_service(), &[], rest)
}
