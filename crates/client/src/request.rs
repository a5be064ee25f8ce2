//! A request to a region and the answer to it, as [`crate::client`] sends and gets them.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use url::Url;

/// A request that may be sent more than once.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    /// Media type and bytes.
    pub(crate) body: Option<(String, Bytes)>,
    /// What the server was asked to wait, at most.
    pub(crate) patience: Duration,
    pub(crate) is_safe: bool,
    pub(crate) takes_absence: bool,
}

impl Request {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Request {
            is_safe: method.is_safe(),
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
            patience: Duration::ZERO,
            takes_absence: false,
        }
    }

    pub(crate) fn body(mut self, media_type: &str, body: Bytes) -> Self {
        self.body = Some((media_type.to_owned(), body));
        self
    }

    pub(crate) fn headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    pub(crate) fn patience(mut self, patience: Option<Duration>) -> Self {
        self.patience = patience.unwrap_or_default();
        self
    }

    /// A request that changes nothing, whatever its method.
    pub(crate) fn safe(mut self) -> Self {
        self.is_safe = true;
        self
    }

    /// A request for which 404 is an answer: its headers tell what was seen.
    pub(crate) fn taking_absence(mut self) -> Self {
        self.takes_absence = true;
        self
    }

    pub(crate) fn query(mut self, name: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            self.url.query_pairs_mut().append_pair(name, value);
        }
        self
    }
}

/// An answer in full.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}
