//! Schemas of the OpenAPI document. A test serialises a full sample of every shape and compares.

use serde_json::{Map, Value, json};

use super::reference as of;
use super::schema::{
    Field, Shape, any, by_name, choice, flag, integer, list, number, object, text, time, value,
};
use crate::http::Reason;

/// All schemas by name.
pub(crate) fn all() -> Value {
    let mut all = Map::new();
    for (name, required, optional) in [
        problem(),
        receipt(),
        operations(),
        batch_operation(),
        batch_request(),
        batch_answer(),
    ]
    .into_iter()
    .chain([
        sibling(),
        siblings(),
        key_item(),
        key_page(),
        key_ref(),
        read_request(),
        read_item(),
    ])
    .chain([
        read_answer(),
        change_line(),
        conflict_version(),
        conflict(),
        conflict_list(),
    ])
    .chain([
        status(),
        peer(),
        connectivity(),
        tls_status(),
        clock(),
        convergence(),
        collection(),
        collection_list(),
        conflicts(),
    ])
    .chain([link(), link_list(), health(), readiness()])
    .chain([node(), node_list(), node_address()])
    .chain(super::members::all())
    {
        all.insert(name.to_owned(), object(required, optional));
    }
    all.insert(
        "Vector".to_owned(),
        json!({ "type": "object", "additionalProperties": { "type": "integer" } }),
    );
    Value::Object(all)
}

fn problem() -> Shape {
    let reasons: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    let required = vec![
        ("type", text()),
        ("title", text()),
        ("status", integer()),
        ("detail", text()),
        ("reason", json!({ "type": "string", "examples": reasons })),
    ];
    let optional = vec![
        ("instance", text()),
        ("missing", of("Vector")),
        ("retryAfter", integer()),
        ("seenBy", list(&text())),
        ("dot", text()),
        ("operation", integer()),
        ("limit", integer()),
        ("lost", integer()),
        ("offsetSeconds", number()),
        ("leader", text()),
    ];
    ("Problem", required, optional)
}

fn receipt() -> Shape {
    (
        "Receipt",
        vec![("dot", text()), ("session", text())],
        vec![("seenBy", list(&text()))],
    )
}

fn operations() -> Shape {
    let fields = vec![
        ("reset", json!({ "const": true })),
        (
            "increment",
            json!({ "oneOf": [integer(), by_name(&integer())] }),
        ),
        ("decrement", integer()),
        (
            "add",
            json!({ "oneOf": [list(&any()), by_name(&list(&any()))] }),
        ),
        (
            "remove",
            json!({ "oneOf": [list(&any()), by_name(&list(&any()))] }),
        ),
        ("put", by_name(&any())),
    ];
    ("Operations", vec![], fields)
}

fn batch_operation() -> Shape {
    let optional = vec![
        ("put", any()),
        ("putBase64", text()),
        ("mediaType", text()),
        ("patch", json!({ "type": "object" })),
        ("delete", json!({ "const": true })),
        ("ops", of("Operations")),
        ("ifMatch", text()),
        ("ifNoneMatch", json!({ "const": "*" })),
        ("context", text()),
    ];
    (
        "BatchOperation",
        vec![("collection", text()), ("key", text())],
        optional,
    )
}

fn batch_request() -> Shape {
    (
        "BatchRequest",
        vec![("operations", list(&of("BatchOperation")))],
        vec![],
    )
}

fn batch_answer() -> Shape {
    let required = vec![
        ("dot", text()),
        ("session", text()),
        ("operations", integer()),
    ];
    ("BatchAnswer", required, vec![("seenBy", list(&text()))])
}

fn sibling() -> Shape {
    let required = vec![("dot", text()), ("region", text()), ("time", time())];
    let mut optional = value();
    optional.extend([("deleted", flag()), ("field", text())]);
    ("Sibling", required, optional)
}

fn siblings() -> Shape {
    ("Siblings", vec![("siblings", list(&of("Sibling")))], vec![])
}

fn key_item() -> Shape {
    let mut optional = value();
    optional.push(("siblings", list(&of("Sibling"))));
    ("KeyItem", vec![("key", text())], optional)
}

fn key_page() -> Shape {
    (
        "KeyPage",
        vec![("items", list(&of("KeyItem")))],
        vec![("next", text())],
    )
}

fn key_ref() -> Shape {
    (
        "KeyRef",
        vec![("collection", text()), ("key", text())],
        vec![],
    )
}

fn read_request() -> Shape {
    ("ReadRequest", vec![("keys", list(&of("KeyRef")))], vec![])
}

fn read_item() -> Shape {
    let mut optional = value();
    optional.extend([("siblings", list(&of("Sibling"))), ("etag", text())]);
    (
        "ReadItem",
        vec![("collection", text()), ("key", text()), ("found", flag())],
        optional,
    )
}

fn read_answer() -> Shape {
    ("ReadAnswer", vec![("items", list(&of("ReadItem")))], vec![])
}

fn change_line() -> Shape {
    let names = ["cursor", "collection", "key", "dot", "region"];
    let mut required: Vec<Field> = names.map(|name| (name, text())).to_vec();
    required.extend([("time", time()), ("deleted", flag())]);
    ("ChangeLine", required, vec![])
}

fn conflict_version() -> Shape {
    let required = vec![("dot", text()), ("region", text()), ("time", time())];
    let mut optional = value();
    optional.extend([("deleted", flag()), ("wins", flag())]);
    ("ConflictVersion", required, optional)
}

fn conflict() -> Shape {
    let names = ["id", "kind", "collection", "key", "policy", "outcome"];
    let mut required: Vec<Field> = names.map(|name| (name, text())).to_vec();
    required.extend([
        ("versions", list(&of("ConflictVersion"))),
        ("detected", time()),
    ]);
    (
        "Conflict",
        required,
        vec![
            ("field", text()),
            ("resolved", time()),
            ("seenHere", time()),
        ],
    )
}

fn conflict_list() -> Shape {
    (
        "ConflictList",
        vec![("conflicts", list(&of("Conflict")))],
        vec![("next", text())],
    )
}

fn status() -> Shape {
    let required = vec![
        ("store", text()),
        ("region", text()),
        ("replica", text()),
        ("role", choice(&["Leader", "ReadOnly"])),
        ("node", text()),
        ("vector", of("Vector")),
        ("peers", list(&of("PeerStatus"))),
        ("clock", of("ClockStatus")),
        ("collections", list(&of("CollectionStatus"))),
        ("convergence", of("Convergence")),
        ("version", text()),
    ];
    (
        "Status",
        required,
        vec![
            ("state", super::members::state()),
            ("join", of("JoinProgress")),
            ("leader", text()),
            ("stable", of("Vector")),
            ("topology", of("Connectivity")),
            ("tls", of("TlsStatus")),
        ],
    )
}

fn tls_status() -> Shape {
    (
        "TlsStatus",
        vec![("name", text()), ("refused", integer())],
        vec![
            ("certificateExpires", time()),
            ("caExpires", time()),
            ("certificateFingerprint", text()),
            ("caFingerprints", list(&text())),
            ("lastRefusal", text()),
            ("problem", text()),
        ],
    )
}

fn connectivity() -> Shape {
    let states = ["Redundant", "Connected", "Partitioned"];
    let required = vec![("state", choice(&states))];
    (
        "Connectivity",
        required,
        vec![("sides", list(&list(&text())))],
    )
}

fn peer() -> Shape {
    let required = vec![("region", text()), ("vector", of("Vector"))];
    ("PeerStatus", required, vec![("heardSecondsAgo", number())])
}

fn clock() -> Shape {
    let required = vec![
        ("state", choice(&["Good", "Skewed", "Unknown"])),
        ("offsetSeconds", by_name(&number())),
        ("maxSkewSeconds", number()),
    ];
    ("ClockStatus", required, vec![])
}

fn convergence() -> Shape {
    let required = vec![
        ("converged", flag()),
        ("lagSeconds", number()),
        ("lagEntries", integer()),
        ("openConflicts", integer()),
    ];
    ("Convergence", required, vec![])
}

fn collection() -> Shape {
    (
        "CollectionStatus",
        vec![("name", text()), ("type", data_type())],
        vec![("conflicts", of("Conflicts"))],
    )
}

fn collection_list() -> Shape {
    (
        "CollectionList",
        vec![("collections", list(&of("CollectionStatus")))],
        vec![],
    )
}

fn data_type() -> Value {
    choice(&["Register", "Document", "Counter", "Set", "Map"])
}

fn conflicts() -> Shape {
    let optional = vec![
        (
            "policy",
            choice(&["LastWriterWins", "OriginPriority", "KeepSiblings"]),
        ),
        ("origins", list(&text())),
        (
            "updateDelete",
            choice(&["UpdateWins", "DeleteWins", "KeepBoth"]),
        ),
    ];
    ("Conflicts", vec![], optional)
}

fn link() -> Shape {
    let states = [
        "Connecting",
        "CatchingUp",
        "Streaming",
        "BackingOff",
        "Standby",
        "Paused",
        "Stopped",
    ];
    let required = vec![
        ("name", text()),
        ("from", text()),
        ("to", text()),
        ("state", choice(&states)),
        ("lagSeconds", number()),
        ("lagEntries", integer()),
        ("queue", integer()),
    ];
    let optional = vec![
        ("rttSeconds", number()),
        ("carries", choice(&["OwnEntries", "Everything"])),
        ("role", choice(&["Declared", "StandsIn", "Tried", "Kept"])),
        ("roleSeconds", number()),
        ("standsInFor", list(&text())),
        ("silentSeconds", number()),
        ("detail", text()),
    ];
    ("LinkStatus", required, optional)
}

fn link_list() -> Shape {
    ("LinkList", vec![("links", list(&of("LinkStatus")))], vec![])
}

fn health() -> Shape {
    ("Health", vec![("alive", flag())], vec![])
}

fn readiness() -> Shape {
    let words = [
        "Starting", "Electing", "Joining", "Serving", "Draining", "Failed",
    ];
    (
        "Readiness",
        vec![("ready", flag()), ("progress", choice(&words))],
        vec![("join", of("JoinProgress"))],
    )
}

fn node() -> Shape {
    let required = vec![
        ("name", text()),
        ("address", text()),
        ("id", text()),
        ("role", choice(&["Leader", "Follower", "Learner"])),
    ];
    ("NodeStatus", required, vec![("commandsBehind", integer())])
}

fn node_list() -> Shape {
    ("NodeList", vec![("nodes", list(&of("NodeStatus")))], vec![])
}

fn node_address() -> Shape {
    ("NodeAddress", vec![("address", text())], vec![])
}
