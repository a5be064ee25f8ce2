//! What watches over a node: `/healthz`, `/readyz`, `/metrics`, and the OpenAPI document.

use std::sync::LazyLock;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use atoll_api::http::{Health, Reason, media_type};
use atoll_api::openapi;

use super::problem::Refused;
use super::{Answer, Http, reply};

pub(crate) async fn health() -> Answer {
    reply::json(StatusCode::OK, &Health { alive: true })
}

pub(crate) async fn ready(State(http): State<Http>) -> Answer {
    let readiness = http.node().readiness();
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    reply::json(status, &readiness)
}

pub(crate) async fn metrics(State(http): State<Http>) -> Answer {
    let media = HeaderValue::from_static(media_type::METRICS);
    let text = http.node().metrics().render().ok_or_else(|| {
        let detail = "this node counts nothing: it was started with OTEL_SDK_DISABLED=true; start it without";
        Refused::new(Reason::NotFound, detail)
    })?;
    Ok(reply::with_type(StatusCode::OK, media, text))
}

pub(crate) async fn openapi() -> Response {
    static DOCUMENT: LazyLock<Bytes> =
        LazyLock::new(|| openapi::document().to_string().into_bytes().into());
    reply::json_text(StatusCode::OK, DOCUMENT.clone())
}
