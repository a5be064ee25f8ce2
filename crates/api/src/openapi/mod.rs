//! The OpenAPI 3.1 document of HTTP v1, built from the table of routes.
//!
//! [`ROUTES`] says what there is; `schemas` says what the shapes look like, and a test holds them to the
//! structs of [`crate::http`]. The node serves the result under `/v1/openapi.json`.

mod members;
mod parameters;
mod route;
mod routes;
mod schema;
mod schemas;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

pub use route::{Answer, Content, Method, Route};
pub use routes::{REASONS_EVERYWHERE, ROUTES};

use crate::http::{Reason, media_type};

/// The route that answers `method` at `path`, a pattern of the table; HEAD is answered where GET is (RFC 9110,
/// section 9.3.2).
#[must_use]
pub fn route(method: &str, path: &str) -> Option<&'static Route> {
    let method = if method == "HEAD" { "GET" } else { method };
    ROUTES
        .iter()
        .find(|route| route.path == path && route.method.as_str().eq_ignore_ascii_case(method))
}

/// The document.
#[must_use]
pub fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Atoll",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A geo-distributed, multi-leader store.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "tags": [
            { "name": "data", "description": "Keys and their values." },
            { "name": "conflicts", "description": "The ledger of conflicts." },
            { "name": "state", "description": "What a node knows about itself and others." },
            { "name": "admin", "description": "What administrators change." },
        ],
        "security": [{}, { "bearer": [] }],
        "paths": paths(),
        "components": {
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
            "parameters": parameters::all(),
            "headers": parameters::answer_headers(),
            "schemas": schemas::all(),
        },
    })
}

fn paths() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let item = paths
            .entry(route.path)
            .or_insert_with(|| path_item(route.path));
        item[route.method.as_str().to_ascii_lowercase()] = operation(route);
    }
    Value::Object(paths)
}

/// The path's own parameters: the names in braces.
fn path_item(path: &str) -> Value {
    let names = path
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name);
    let parameters: Vec<Value> = names.map(parameters::in_path).collect();
    if parameters.is_empty() {
        json!({})
    } else {
        json!({ "parameters": parameters })
    }
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "operationId": route.id,
        "tags": [route.tag],
        "summary": route.summary,
    });
    if !route.parameters.is_empty() {
        let reference = |name: &&str| json!({ "$ref": format!("#/components/parameters/{name}") });
        operation["parameters"] = route.parameters.iter().map(reference).collect();
    }
    if let Some(content) = content(route.body) {
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    operation["responses"] = responses(route);
    operation
}

fn responses(route: &Route) -> Value {
    let mut responses = Map::new();
    for answer in route.answers {
        let mut response = json!({ "description": answer.meaning });
        if route.path.starts_with("/v1/") {
            response["headers"] = parameters::headers_of(route);
        }
        if let Some(content) = content(answer.content) {
            response["content"] = content;
        }
        responses.insert(answer.status.to_string(), response);
    }
    for (status, reasons) in problems(route) {
        let words: Vec<&str> = reasons.iter().map(|reason| reason.as_str()).collect();
        let description = format!("Refused: {}.", words.join(", "));
        let content = json!({ media_type::PROBLEM: { "schema": reference("Problem") } });
        let response = json!({ "description": description, "content": content });
        responses.entry(status.to_string()).or_insert(response);
    }
    Value::Object(responses)
}

/// A route's reasons by status.
fn problems(route: &Route) -> BTreeMap<u16, Vec<Reason>> {
    let mut by_status = BTreeMap::<u16, Vec<Reason>>::new();
    let everywhere = if route.path.starts_with("/v1/") {
        REASONS_EVERYWHERE
    } else {
        &[]
    };
    for reason in route.reasons.iter().chain(everywhere) {
        by_status.entry(reason.status()).or_default().push(*reason);
    }
    by_status
}

fn content(content: Content) -> Option<Value> {
    match content {
        Content::Json(schema) => Some(json!({ media_type::JSON: { "schema": reference(schema) } })),
        Content::Lines(schema) => {
            Some(json!({ media_type::NDJSON: { "schema": reference(schema) } }))
        }
        Content::AnyJson => Some(json!({ media_type::JSON: {} })),
        Content::MergePatch => {
            let schema = json!({ "schema": { "type": "object" } });
            Some(json!({ media_type::MERGE_PATCH: schema, media_type::JSON: schema }))
        }
        Content::Any => Some(json!({ media_type::JSON: {}, "*/*": {} })),
        Content::Metrics => Some(json!({ "text/plain": { "schema": { "type": "string" } } })),
        Content::Nothing => None,
    }
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}
