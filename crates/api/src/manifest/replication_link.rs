//! ReplicationLink: one link of a store, made and kept by the operator. Its status is what people watch.

use serde::{Deserialize, Serialize};

use super::collection::StoreRef;
use super::names::RegionName;

/// One link of a store. Made by the operator: change the GeoStore's topology instead.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, kube::CustomResource, schemars::JsonSchema,
)]
#[allow(clippy::duplicated_attributes, reason = "every column names its type")]
#[kube(
    group = "atoll.dev",
    version = "v1alpha1",
    kind = "ReplicationLink",
    plural = "replicationlinks",
    shortname = "glink",
    category = "atoll",
    namespaced,
    derive = "PartialEq",
    status = "super::status::ReplicationLinkStatus",
    doc = "A link between two regions of a GeoStore, in one direction. Made by the operator, to be watched.",
    printcolumn(name = "From", type_ = "string", json_path = ".spec.from"),
    printcolumn(name = "To", type_ = "string", json_path = ".spec.to"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Lag", type_ = "string", json_path = ".status.lag"),
    printcolumn(name = "Backlog", type_ = "integer", json_path = ".status.backlog"),
    printcolumn(
        name = "Conflicts/min",
        type_ = "string",
        json_path = ".status.conflictsPerMinute"
    ),
    printcolumn(
        name = "Role",
        type_ = "string",
        priority = 1,
        json_path = ".status.role"
    ),
    printcolumn(
        name = "Round Trip",
        type_ = "string",
        priority = 1,
        json_path = ".status.roundTrip"
    ),
    printcolumn(
        name = "Detail",
        type_ = "string",
        priority = 1,
        json_path = ".status.detail"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ReplicationLinkSpec {
    /// The store that the link is part of.
    pub store_ref: StoreRef,
    /// The region that entries are pulled from.
    pub from: RegionName,
    /// The region that pulls.
    pub to: RegionName,
}
