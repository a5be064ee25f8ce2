//! Parameters and headers of the OpenAPI document.

use serde_json::{Map, Value, json};

use super::{Method, Route};

/// Query parameters and request headers, under the names by which routes mention them.
pub(crate) fn all() -> Value {
    let mut all = Map::new();
    for (id, name, schema, meaning) in [
        (
            "siblings",
            "siblings",
            flag(),
            "Answer in the form of siblings, also when there is one value.",
        ),
        ("prefix", "prefix", text(), "Only keys that begin so."),
        (
            "start",
            "start",
            text(),
            "The first key; the `next` of a page goes here.",
        ),
        ("end", "end", text(), "The key to stop before."),
        (
            "limit",
            "limit",
            json!({ "type": "integer", "minimum": 1, "maximum": 10_000 }),
            "Most items.",
        ),
        ("values", "values", flag(), "Answer with values."),
        (
            "since",
            "since",
            text(),
            "A cursor; only what comes after it.",
        ),
        (
            "collectionQuery",
            "collection",
            text(),
            "Only of this collection.",
        ),
        (
            "follow",
            "follow",
            flag(),
            "Go on with changes as they come.",
        ),
        (
            "kind",
            "kind",
            text(),
            "Only conflicts of this kind, such as `write-write`.",
        ),
        (
            "force",
            "force",
            flag(),
            "Remove a dead region without its consent.",
        ),
        (
            "lost",
            "lost",
            json!({ "type": "integer", "minimum": 0 }),
            "How many of its entries are known to be lost, as the refusal names them.",
        ),
        (
            "state",
            "state",
            json!({ "type": "string", "enum": ["open", "resolved"] }),
            "Only conflicts in this state.",
        ),
    ] {
        all.insert(id.to_owned(), parameter("query", name, &schema, meaning));
    }
    for (id, name, schema, meaning) in [
        (
            "AtollSession",
            "Atoll-Session",
            text(),
            "Wait until the region covers this session.",
        ),
        (
            "AtollContext",
            "Atoll-Context",
            text(),
            "What the caller had seen; older siblings that it did not see survive.",
        ),
        (
            "AtollWriteConcern",
            "Atoll-Write-Concern",
            json!({ "type": "string", "pattern": "^(region|regions=([1-9]|1[0-6])|majority|all)$", "default": "region" }),
            "Who must have the write before the answer.",
        ),
        (
            "AtollConsistency",
            "Atoll-Consistency",
            json!({ "type": "string", "enum": ["leader", "session", "any"] }),
            "How current the answer has to be: `leader` sees all that the region acknowledged before (the default \
             without a session), `session` what the session has seen (the default with one), `any` whatever the \
             node at hand has.",
        ),
        (
            "AtollTimeout",
            "Atoll-Timeout",
            json!({ "type": "string", "examples": ["500ms", "5s"], "default": "5s" }),
            "How long to wait for a session, a context or a write concern.",
        ),
        (
            "IdempotencyKey",
            "Idempotency-Key",
            json!({ "type": "string", "pattern": "^[!-~]{1,128}$" }),
            "The caller's name for this request: sent again under it, the request is applied once.",
        ),
        (
            "IfMatch",
            "If-Match",
            text(),
            "The ETag that the key must have; `*` demands presence.",
        ),
        (
            "IfNoneMatch",
            "If-None-Match",
            json!({ "type": "string", "const": "*" }),
            "Demands absence.",
        ),
        (
            "IfNoneMatchRead",
            "If-None-Match",
            text(),
            "Answer 304 if the key still has this ETag.",
        ),
        (
            "Traceparent",
            "traceparent",
            text(),
            "W3C trace context; travels to every region.",
        ),
    ] {
        all.insert(id.to_owned(), parameter("header", name, &schema, meaning));
    }
    Value::Object(all)
}

/// A parameter in a path.
pub(crate) fn in_path(name: &str) -> Value {
    let (schema, meaning) = match name {
        "collection" => (
            json!({ "type": "string", "maxLength": 63 }),
            "The collection.",
        ),
        "key" => (
            json!({ "type": "string", "minLength": 1 }),
            "The key: 1 to 1,024 bytes of UTF-8, percent-encoded.",
        ),
        "name" => (
            json!({ "type": "string", "examples": ["eu:us", "eu"] }),
            "The link, as source:target; or the region.",
        ),
        "node" => (
            json!({ "type": "string", "examples": ["eu-0"] }),
            "The node, by its name.",
        ),
        _ => (text(), "The id."),
    };
    let mut parameter = parameter("path", name, &schema, meaning);
    parameter["required"] = Value::Bool(true);
    parameter
}

/// Headers of answers.
pub(crate) fn answer_headers() -> Value {
    json!({
        "AtollSession": { "schema": text(), "description": "Covers all that this answer has seen." },
        "AtollDot": { "schema": text(), "description": "The entry's name, `<replica>:<sequence>`." },
        "IdempotentReplayed": { "schema": json!({ "type": "string", "const": "true" }), "description": "The request had been applied before; this answers for the first time." },
        "AtollContext": { "schema": text(), "description": "What this answer saw; goes into a later write." },
        "ETag": { "schema": text(), "description": "The fingerprint of what was seen; goes into `If-Match`." },
    })
}

/// The headers that a route's answers carry.
pub(crate) fn headers_of(route: &Route) -> Value {
    let reads_key = route.method == Method::Get && route.path.ends_with("{key}");
    let writes = route.tag == "data" && route.parameters.contains(&"AtollWriteConcern");
    let mut headers = Map::new();
    for (name, id, is_carried) in [
        ("Atoll-Session", "AtollSession", true),
        ("Atoll-Dot", "AtollDot", writes),
        ("Idempotent-Replayed", "IdempotentReplayed", writes),
        ("Atoll-Context", "AtollContext", reads_key),
        ("ETag", "ETag", reads_key),
    ] {
        if is_carried {
            headers.insert(
                name.to_owned(),
                json!({ "$ref": format!("#/components/headers/{id}") }),
            );
        }
    }
    Value::Object(headers)
}

fn parameter(place: &str, name: &str, schema: &Value, meaning: &str) -> Value {
    json!({ "name": name, "in": place, "description": meaning, "schema": schema })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn flag() -> Value {
    json!({ "type": "boolean", "default": false })
}
