//! One route: method, path, and what goes in and out.

use crate::http::Reason;

/// An HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// GET
    Get,
    /// PUT
    Put,
    /// POST
    Post,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

impl Method {
    /// As on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Put => "PUT",
            Method::Post => "POST",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

/// What a body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// JSON of a named schema.
    Json(&'static str),
    /// JSON of a named schema, one a line.
    Lines(&'static str),
    /// Any JSON value.
    AnyJson,
    /// A JSON Merge Patch (RFC 7396).
    MergePatch,
    /// Any media type.
    Any,
    /// Metrics for Prometheus.
    Metrics,
    /// Nothing.
    Nothing,
}

/// A kind of answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// What it means.
    pub meaning: &'static str,
    /// The body.
    pub content: Content,
}

/// One route with one method.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with parameters in braces as axum has them.
    pub path: &'static str,
    /// The operation's name in generated clients.
    pub id: &'static str,
    /// The chapter it belongs to.
    pub tag: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// Query parameters and headers, by their name in the document's components.
    pub parameters: &'static [&'static str],
    /// The request's body.
    pub body: Content,
    /// Answers other than problems.
    pub answers: &'static [Answer],
    /// Reasons of problems, besides those of every route.
    pub reasons: &'static [Reason],
}
