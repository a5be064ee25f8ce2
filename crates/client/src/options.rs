//! What may accompany a read or a write.

use std::time::Duration;

use atoll_api::http::{WriteConcern, header};
use atoll_api::manifest::TimeSpan;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::error::ClientError;

/// What accompanies a read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Answer in the form of siblings, also when there is one value.
    pub siblings: bool,
    /// Wait until the region covers this session; replaces the client's own.
    pub session: Option<String>,
    /// How long the server waits for the session.
    pub timeout: Option<Duration>,
}

/// What accompanies a write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// What the writer had seen; older siblings that it did not see survive.
    pub context: Option<String>,
    /// The ETag that the key must have; `*` demands presence.
    pub if_match: Option<String>,
    /// Demand absence.
    pub if_absent: bool,
    /// Who must have the write before the answer.
    pub write_concern: WriteConcern,
    /// How long the server waits for a session, a context or the write concern.
    pub timeout: Option<Duration>,
    /// Wait until the region covers this session; replaces the client's own.
    pub session: Option<String>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// The caller's name for the request: sent again under it, it is applied once. A client that tries again
    /// makes one of 128 random bits when there is none.
    pub idempotency_key: Option<String>,
}

impl ReadOptions {
    pub(crate) fn headers(&self) -> Result<HeaderMap, ClientError> {
        let ReadOptions {
            siblings: _,
            session,
            timeout,
        } = self;
        let mut headers = HeaderMap::new();
        set(&mut headers, header::SESSION, session.as_deref())?;
        set(&mut headers, header::TIMEOUT, span(*timeout).as_deref())?;
        Ok(headers)
    }
}

impl WriteOptions {
    /// The headers of a request that may be sent again.
    pub(crate) fn repeatable_headers(&self) -> Result<HeaderMap, ClientError> {
        let mut headers = self.headers()?;
        if self.idempotency_key.is_none() {
            let key = format!("{:032x}", rand::random::<u128>());
            set(&mut headers, header::IDEMPOTENCY_KEY, Some(&key))?;
        }
        Ok(headers)
    }

    pub(crate) fn headers(&self) -> Result<HeaderMap, ClientError> {
        let WriteOptions {
            context,
            if_match,
            if_absent,
            write_concern,
            timeout,
            session,
            traceparent,
            idempotency_key,
        } = self;
        let concern = (*write_concern != WriteConcern::Region).then(|| write_concern.to_string());
        let mut headers = HeaderMap::new();
        set(&mut headers, header::CONTEXT, context.as_deref())?;
        set(&mut headers, header::IF_MATCH, if_match.as_deref())?;
        set(
            &mut headers,
            header::IF_NONE_MATCH,
            if_absent.then_some("*"),
        )?;
        set(&mut headers, header::WRITE_CONCERN, concern.as_deref())?;
        set(&mut headers, header::TIMEOUT, span(*timeout).as_deref())?;
        set(&mut headers, header::SESSION, session.as_deref())?;
        set(&mut headers, header::TRACEPARENT, traceparent.as_deref())?;
        set(
            &mut headers,
            header::IDEMPOTENCY_KEY,
            idempotency_key.as_deref(),
        )?;
        Ok(headers)
    }
}

fn set(
    headers: &mut HeaderMap,
    name: &'static str,
    value: Option<&str>,
) -> Result<(), ClientError> {
    if let Some(value) = value {
        headers.insert(HeaderName::from_static(name), to_value(name, value)?);
    }
    Ok(())
}

pub(crate) fn to_value(header: &'static str, value: &str) -> Result<HeaderValue, ClientError> {
    HeaderValue::from_str(value).map_err(|_| ClientError::InvalidHeader { header })
}

/// A server takes at least a millisecond.
fn span(timeout: Option<Duration>) -> Option<String> {
    timeout.map(|timeout| {
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        TimeSpan::from_millis(millis.max(1)).to_string()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn options_become_headers_and_defaults_none() {
        assert!(WriteOptions::default().headers().unwrap().is_empty());
        let options = WriteOptions {
            if_absent: true,
            write_concern: WriteConcern::Regions(2),
            timeout: Some(Duration::from_millis(1500)),
            ..WriteOptions::default()
        };
        let headers = options.headers().unwrap();
        assert_eq!(headers["if-none-match"], "*");
        assert_eq!(headers["atoll-write-concern"], "regions=2");
        assert_eq!(headers["atoll-timeout"], "1s500ms");
    }

    #[test]
    fn what_http_cannot_carry_is_refused() {
        let options = ReadOptions {
            session: Some("a\nb".to_owned()),
            ..ReadOptions::default()
        };
        assert!(matches!(
            options.headers(),
            Err(ClientError::InvalidHeader {
                header: "atoll-session"
            })
        ));
    }
}
