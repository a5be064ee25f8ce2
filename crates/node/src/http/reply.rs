//! Answers: bodies and the headers that go with them.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, HeaderName, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use atoll_api::http::{Reason, header, media_type};
use atoll_core::VersionVector;
use atoll_core::token::TokenKind;

use super::problem::Refused;
use super::{Answer, Http, condition, session};

pub(crate) const SESSION: HeaderName = HeaderName::from_static(header::SESSION);
pub(crate) const CONTEXT: HeaderName = HeaderName::from_static(header::CONTEXT);
pub(crate) const DOT: HeaderName = HeaderName::from_static(header::DOT);
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static(header::REPLAYED);

/// A body that is JSON already.
pub(crate) fn json_text(status: StatusCode, text: impl Into<Bytes>) -> Response {
    with_type(status, HeaderValue::from_static(media_type::JSON), text)
}

/// A body of this media type.
pub(crate) fn with_type(
    status: StatusCode,
    media: HeaderValue,
    body: impl Into<Bytes>,
) -> Response {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, media);
    response
}

/// A shape as JSON.
pub(crate) fn json(status: StatusCode, shape: &impl Serialize) -> Answer {
    match serde_json::to_vec(shape) {
        Ok(text) => Ok(json_text(status, text)),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            Err(Refused::new(
                Reason::Internal,
                "the answer could not be written",
            ))
        }
    }
}

/// A value of its own media type, which browsers must not take for another.
pub(crate) fn value(value: atoll_core::Value) -> Response {
    let Some(media) = &value.media else {
        return json_text(StatusCode::OK, value.data);
    };
    let media =
        HeaderValue::try_from(&**media).unwrap_or(HeaderValue::from_static(media_type::BYTES));
    let mut response = with_type(StatusCode::OK, media, value.data);
    let nosniff = HeaderValue::from_static("nosniff");
    response
        .headers_mut()
        .insert(X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}

/// Says what a read saw: everything up to `vector`.
pub(crate) fn saw(http: &Http, response: &mut Response, vector: &VersionVector) {
    let headers = response.headers_mut();
    headers.insert(
        SESSION,
        session::token_header(http, TokenKind::Session, vector),
    );
    headers.insert(
        CONTEXT,
        session::token_header(http, TokenKind::Context, vector),
    );
}

/// Names what a read of one key saw.
pub(crate) fn tag(response: &mut Response, tag: u128) {
    if let Some(tag) = condition::tag_header(tag) {
        response.headers_mut().insert(ETAG, tag);
    }
}
