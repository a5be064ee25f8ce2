//! How many nodes of a region may be away for maintenance of machines: one.

use serde_json::json;

use super::{Built, Kind, Parts};

pub(super) fn build(parts: &Parts<'_>) -> Built {
    let rest = json!({
        "spec": {
            "maxUnavailable": 1,
            "selector": { "matchLabels": parts.names.selector() },
            // A node that is down already can be moved without asking.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    });
    parts.object(Kind::PodDisruptionBudget, parts.names.object(), &[], rest)
}
