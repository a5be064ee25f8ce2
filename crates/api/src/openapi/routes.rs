//! The table of routes: the node's router and the OpenAPI document are both checked against it.

use super::route::{Answer, Content, Method, Route};
use crate::http::Reason;

/// Reasons that any route under `/v1` may answer with.
pub const REASONS_EVERYWHERE: &[Reason] = &[
    Reason::InvalidHeader,
    Reason::Unauthorized,
    Reason::Forbidden,
    Reason::MethodNotAllowed,
    Reason::Timeout,
    Reason::TooLarge,
    Reason::Internal,
    Reason::Draining,
    Reason::Overloaded,
    Reason::StorageFailed,
];

const READ_PARAMETERS: &[&str] = &[
    "siblings",
    "AtollSession",
    "AtollConsistency",
    "AtollTimeout",
    "IfNoneMatchRead",
    "Traceparent",
];
const LIST_PARAMETERS: &[&str] = &[
    "prefix",
    "start",
    "end",
    "limit",
    "values",
    "AtollSession",
    "AtollConsistency",
    "AtollTimeout",
    "Traceparent",
];
const WRITE_PARAMETERS: &[&str] = &[
    "AtollSession",
    "AtollContext",
    "AtollWriteConcern",
    "AtollTimeout",
    "IdempotencyKey",
    "IfMatch",
    "IfNoneMatch",
    "Traceparent",
];

const READ_REASONS: &[Reason] = &[
    Reason::InvalidKey,
    Reason::InvalidValue,
    Reason::InvalidToken,
    Reason::UnknownCollection,
    Reason::UnsupportedMediaType,
    Reason::SessionNotReached,
    Reason::NoLeader,
];
const GET_REASONS: &[Reason] = &[
    Reason::InvalidKey,
    Reason::InvalidValue,
    Reason::InvalidToken,
    Reason::NotFound,
    Reason::UnknownCollection,
    Reason::SessionNotReached,
    Reason::NoLeader,
];
const WRITE_REASONS: &[Reason] = &[
    Reason::InvalidKey,
    Reason::InvalidValue,
    Reason::InvalidToken,
    Reason::UnknownCollection,
    Reason::TypeMismatch,
    Reason::PreconditionFailed,
    Reason::IdempotencyKeyReused,
    Reason::UnsupportedMediaType,
    Reason::SessionNotReached,
    Reason::ClockSkew,
    Reason::RolledBack,
    Reason::Joining,
    Reason::NoLeader,
    Reason::OutcomeUnknown,
    Reason::WriteConcernTimeout,
    Reason::DiskFull,
];
const ADMIN_REASONS: &[Reason] = &[
    Reason::InvalidValue,
    Reason::UnsupportedMediaType,
    Reason::NoLeader,
    Reason::OutcomeUnknown,
];
const NODE_REASONS: &[Reason] = &[
    Reason::InvalidValue,
    Reason::NotFound,
    Reason::UnsupportedMediaType,
    Reason::ChangeUnderWay,
    Reason::NoLeader,
    Reason::OutcomeUnknown,
];
const LEADER_REASONS: &[Reason] = &[Reason::NoLeader];
const MEMBER_REASONS: &[Reason] = &[
    Reason::InvalidValue,
    Reason::NotFound,
    Reason::WrongState,
    Reason::ChangeUnderWay,
    Reason::CannotLeave,
    Reason::NoLeader,
    Reason::OutcomeUnknown,
];
const REMOVE_REASONS: &[Reason] = &[
    Reason::InvalidValue,
    Reason::NotFound,
    Reason::WrongState,
    Reason::CannotLeave,
    Reason::RegionAlive,
    Reason::LostNotConfirmed,
    Reason::NoLeader,
    Reason::OutcomeUnknown,
];
const TOPOLOGY_REASONS: &[Reason] = &[
    Reason::InvalidValue,
    Reason::UnsupportedMediaType,
    Reason::ChangeUnderWay,
    Reason::HubNotARegion,
    Reason::UnreachableRegion,
    Reason::UnknownRegion,
    Reason::InvalidTopology,
    Reason::OtherStore,
    Reason::ReplicaTwice,
    Reason::WrongState,
    Reason::NoLeader,
    Reason::OutcomeUnknown,
];
const LINK_REASONS: &[Reason] = &[Reason::NotFound, Reason::NoLeader, Reason::OutcomeUnknown];
const LEDGER_REASONS: &[Reason] = &[
    Reason::InvalidValue,
    Reason::InvalidToken,
    Reason::SessionNotReached,
    Reason::NoLeader,
];

const fn ok(meaning: &'static str, content: Content) -> Answer {
    Answer {
        status: 200,
        meaning,
        content,
    }
}

const WRITTEN: &[Answer] = &[ok("The write stands.", Content::Json("Receipt"))];

const fn read(path: &'static str, id: &'static str, summary: &'static str) -> Route {
    Route {
        method: Method::Get,
        path,
        id,
        tag: "state",
        summary,
        parameters: &[],
        body: Content::Nothing,
        answers: &[],
        reasons: &[],
    }
}

const fn write(
    method: Method,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    body: Content,
) -> Route {
    Route {
        method,
        path,
        id,
        tag: "data",
        summary,
        parameters: WRITE_PARAMETERS,
        body,
        answers: WRITTEN,
        reasons: WRITE_REASONS,
    }
}

/// `/v1/collections/{collection}/keys/{key}`
const KEY: &str = "/v1/collections/{collection}/keys/{key}";

/// Every route that people are promised, in the order shown.
pub const ROUTES: &[Route] = &[
    Route {
        tag: "data",
        parameters: READ_PARAMETERS,
        answers: &[
            ok("The value itself.", Content::Any),
            Answer {
                status: 300,
                meaning: "Several values; the policy keeps them all.",
                content: Content::Json("Siblings"),
            },
            Answer {
                status: 304,
                meaning: "Unchanged since the ETag given.",
                content: Content::Nothing,
            },
        ],
        reasons: GET_REASONS,
        ..read(KEY, "getKey", "Reads a key by the collection's policy.")
    },
    write(
        Method::Put,
        KEY,
        "putKey",
        "Sets a Register or a whole Document.",
        Content::Any,
    ),
    write(
        Method::Patch,
        KEY,
        "patchKey",
        "Changes the named fields of a Document.",
        Content::MergePatch,
    ),
    write(
        Method::Delete,
        KEY,
        "deleteKey",
        "Deletes what the caller has seen.",
        Content::Nothing,
    ),
    write(
        Method::Post,
        "/v1/collections/{collection}/keys/{key}/ops",
        "operateOnKey",
        "Applies typed operations to a Counter, a Set or a Map.",
        Content::Json("Operations"),
    ),
    Route {
        tag: "data",
        parameters: LIST_PARAMETERS,
        answers: &[ok("A page, from one snapshot.", Content::Json("KeyPage"))],
        reasons: READ_REASONS,
        ..read(
            "/v1/collections/{collection}/keys",
            "listKeys",
            "Lists keys in order.",
        )
    },
    Route {
        method: Method::Post,
        tag: "data",
        parameters: &["AtollSession", "AtollTimeout", "Traceparent"],
        body: Content::Json("ReadRequest"),
        answers: &[ok(
            "The keys, from one snapshot.",
            Content::Json("ReadAnswer"),
        )],
        reasons: READ_REASONS,
        ..read(
            "/v1/read",
            "readKeys",
            "Reads several keys from one snapshot.",
        )
    },
    Route {
        answers: &[ok("All operations stand.", Content::Json("BatchAnswer"))],
        ..write(
            Method::Post,
            "/v1/batch",
            "batch",
            "Makes several changes, all or nothing, visible all at once in every region.",
            Content::Json("BatchRequest"),
        )
    },
    Route {
        tag: "data",
        parameters: &[
            "since",
            "collectionQuery",
            "limit",
            "follow",
            "AtollSession",
            "AtollConsistency",
            "AtollTimeout",
        ],
        answers: &[ok("Changes, one a line.", Content::Lines("ChangeLine"))],
        reasons: READ_REASONS,
        ..read(
            "/v1/changes",
            "changes",
            "Streams every change in arrival order.",
        )
    },
    Route {
        tag: "conflicts",
        parameters: &[
            "collectionQuery",
            "kind",
            "state",
            "since",
            "limit",
            "AtollSession",
            "AtollConsistency",
            "AtollTimeout",
        ],
        answers: &[ok("Rows of the ledger.", Content::Json("ConflictList"))],
        reasons: LEDGER_REASONS,
        ..read(
            "/v1/conflicts",
            "listConflicts",
            "Lists conflicts, losers' values included.",
        )
    },
    Route {
        tag: "conflicts",
        parameters: &["AtollSession", "AtollConsistency", "AtollTimeout"],
        answers: &[ok("The row.", Content::Json("Conflict"))],
        reasons: GET_REASONS,
        ..read("/v1/conflicts/{id}", "getConflict", "Shows one conflict.")
    },
    Route {
        answers: &[ok("The node's view.", Content::Json("Status"))],
        ..read(
            "/v1/status",
            "status",
            "Shows region, role, vector, leader, peers and clock.",
        )
    },
    Route {
        answers: &[ok("The links into this region.", Content::Json("LinkList"))],
        reasons: LEADER_REASONS,
        ..read(
            "/v1/links",
            "listLinks",
            "Shows each link's state, lag, queue and round trip.",
        )
    },
    Route {
        method: Method::Post,
        tag: "admin",
        answers: &[ok("The link, paused.", Content::Json("LinkStatus"))],
        reasons: LINK_REASONS,
        ..read(
            "/v1/links/{name}/pause",
            "pauseLink",
            "Stops pulling over one link.",
        )
    },
    Route {
        method: Method::Post,
        tag: "admin",
        answers: &[ok(
            "The link, no longer paused.",
            Content::Json("LinkStatus"),
        )],
        reasons: LINK_REASONS,
        ..read(
            "/v1/links/{name}/resume",
            "resumeLink",
            "Pulls over one link again.",
        )
    },
    Route {
        answers: &[ok("The region's nodes.", Content::Json("NodeList"))],
        reasons: LEADER_REASONS,
        ..read(
            "/v1/nodes",
            "listNodes",
            "Shows the region's nodes, and which of them leads.",
        )
    },
    Route {
        method: Method::Post,
        tag: "admin",
        body: Content::Json("NodeAddress"),
        answers: &[ok(
            "The region's nodes: the new one has a vote.",
            Content::Json("NodeList"),
        )],
        reasons: NODE_REASONS,
        ..read(
            "/v1/nodes",
            "addNode",
            "Makes a running, empty node one of the region's, or the successor of one of its name.",
        )
    },
    Route {
        method: Method::Delete,
        tag: "admin",
        answers: &[ok(
            "The region's nodes, without it.",
            Content::Json("NodeList"),
        )],
        reasons: NODE_REASONS,
        ..read(
            "/v1/nodes/{node}",
            "removeNode",
            "Removes a node from the region, also one that is gone.",
        )
    },
    Route {
        answers: &[ok("The members.", Content::Json("MemberList"))],
        ..read(
            "/v1/regions",
            "listRegions",
            "Shows each member's state, vector and lag.",
        )
    },
    Route {
        method: Method::Post,
        tag: "admin",
        answers: &[ok("The region, draining.", Content::Json("MemberStatus"))],
        reasons: MEMBER_REASONS,
        ..read(
            "/v1/regions/{name}/drain",
            "drainRegion",
            "Lets a region leave: no more writes, proof that all it wrote is elsewhere, retirement.",
        )
    },
    Route {
        method: Method::Delete,
        tag: "admin",
        answers: &[ok("The region, active.", Content::Json("MemberStatus"))],
        reasons: MEMBER_REASONS,
        ..read(
            "/v1/regions/{name}/drain",
            "cancelDrain",
            "Lets a region that was leaving stay.",
        )
    },
    Route {
        method: Method::Delete,
        tag: "admin",
        parameters: &["force", "lost"],
        answers: &[ok("The region was removed.", Content::Json("Removed"))],
        reasons: REMOVE_REASONS,
        ..read(
            "/v1/regions/{name}",
            "removeRegion",
            "Retires a dead region, naming how many entries are lost.",
        )
    },
    Route {
        answers: &[ok("The topology.", Content::Json("TopologyStatus"))],
        ..read(
            "/v1/topology",
            "getTopology",
            "Shows the declared topology.",
        )
    },
    Route {
        method: Method::Put,
        tag: "admin",
        body: Content::Json("TopologyDeclaration"),
        answers: &[ok(
            "The topology as it is now.",
            Content::Json("TopologyStatus"),
        )],
        reasons: TOPOLOGY_REASONS,
        ..read("/v1/topology", "putTopology", "Declares the topology.")
    },
    Route {
        method: Method::Post,
        tag: "admin",
        body: Content::Json("TopologyDeclaration"),
        answers: &[ok("The steps.", Content::Json("TopologyPlan"))],
        reasons: TOPOLOGY_REASONS,
        ..read(
            "/v1/topology/plan",
            "planTopology",
            "Says what declaring a topology would do, and does nothing.",
        )
    },
    Route {
        method: Method::Put,
        tag: "admin",
        body: Content::Json("CollectionList"),
        answers: &[ok(
            "The collections as they are now.",
            Content::Json("CollectionList"),
        )],
        reasons: ADMIN_REASONS,
        ..read(
            "/v1/admin/collections",
            "putCollections",
            "Declares the store's collections and their policies.",
        )
    },
    Route {
        answers: &[ok("This document.", Content::AnyJson)],
        ..read("/v1/openapi.json", "openapi", "Describes HTTP v1.")
    },
    Route {
        answers: &[ok("The process is alive.", Content::Json("Health"))],
        ..read("/healthz", "health", "Says whether the process is alive.")
    },
    Route {
        answers: &[
            ok("Requests are welcome.", Content::Json("Readiness")),
            Answer {
                status: 503,
                meaning: "Not now.",
                content: Content::Json("Readiness"),
            },
        ],
        ..read("/readyz", "ready", "Says whether requests are welcome.")
    },
    Route {
        answers: &[ok("The metrics.", Content::Metrics)],
        reasons: &[Reason::NotFound],
        ..read("/metrics", "metrics", "Shows metrics for Prometheus.")
    },
];
