//! HTTP v1: what requests, answers, headers and problems look like.
//!
//! Both ends use these shapes: the node to read and answer, the client to ask. Requests refuse fields
//! they do not know, so that a misspelt one is no silent no-op; answers may grow, so readers of them
//! tolerate more. Dots are text (`<replica>:<sequence>`), times are RFC 3339 in UTC, cursors and tokens
//! are opaque.

mod admin;
mod batch;
mod changes;
mod conflicts;
mod consistency;
mod headers;
mod keys;
mod members;
mod nodes;
mod operations;
mod problem;
mod raw_json;
mod reason;
mod receipt;
mod status;
mod write_concern;

pub use admin::{CollectionList, LinkList, LinkRole, LinkState, LinkStatus};
pub use batch::{BatchAnswer, BatchFault, BatchOperation, BatchRequest, Change};
pub use changes::{ChangeLine, ChangesQuery};
pub use conflicts::{Conflict, ConflictList, ConflictQuery, ConflictVersion};
pub use consistency::{Consistency, UnknownConsistency};
pub use headers::{header, media_type};
pub use keys::{
    KeyItem, KeyPage, KeyQuery, KeyRef, ReadAnswer, ReadItem, ReadQuery, ReadRequest, Sibling,
    Siblings,
};
pub use members::{
    DrainProgress, DrainWait, JoinProgress, MemberList, MemberState, MemberStatus, RemoveQuery,
    Removed, TopologyDeclaration, TopologyPlan, TopologyRegion, TopologyStatus,
};
pub use nodes::{NodeAddress, NodeList, NodeRole, NodeStatus};
pub use operations::{Add, Increment, Operations, Remove};
pub use problem::Problem;
pub use raw_json::RawJson;
pub use reason::{Reason, UnknownReason};
pub use receipt::Receipt;
pub use status::{
    ClockState, ClockStatus, CollectionStatus, Connectivity, ConnectivityState, Convergence,
    Health, PeerStatus, Progress, Readiness, Status, TlsStatus,
};
pub use write_concern::{InvalidTimeout, InvalidWriteConcern, RequestTimeout, WriteConcern};

/// Longest key in bytes, percent-encoding undone.
pub const KEY_BYTES_MAX: usize = 1024;
/// Longest value in bytes, unless configured otherwise.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// Longest request in bytes, unless configured otherwise.
pub const REQUEST_BYTES_MAX: usize = 16 << 20;
/// Items of a list when no `limit` is given.
pub const LIMIT_DEFAULT: usize = 100;
/// Most items of a list that may be asked for.
pub const LIMIT_MAX: usize = 10_000;

/// Region name (`eu`, in its second life `eu~2`) → highest sequence.
pub type Vector = std::collections::BTreeMap<String, u64>;
