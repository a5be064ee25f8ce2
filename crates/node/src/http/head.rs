//! A request's headers: read in one pass, checked, and turned into what they mean.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use atoll_api::http::{Consistency, Reason, RequestTimeout, WriteConcern, header};
use atoll_client::otlp::TraceContext;
use atoll_core::token::{self, TokenKind};
use atoll_core::{IdempotencyKey, StoreId, VersionVector};

use super::bounds::HEADERS_BYTES_MAX;
use super::media::Media;
use super::problem::Refused;

/// What the headers say.
#[derive(Debug, Default)]
pub(crate) struct Head {
    /// `Atoll-Session`: answers must cover it.
    pub(crate) session: Option<VersionVector>,
    /// `Atoll-Context`: what the caller had seen.
    pub(crate) context: Option<VersionVector>,
    timeout: Option<RequestTimeout>,
    concern: Option<WriteConcern>,
    /// `If-Match`, as given.
    pub(crate) if_match: Option<String>,
    /// `If-None-Match`, as given.
    pub(crate) if_none_match: Option<String>,
    /// `Idempotency-Key`: the caller's name for the request.
    pub(crate) idempotency: Option<IdempotencyKey>,
    /// What `traceparent` says, as entries hold it; empty when there is none, or its trace is not kept.
    pub(crate) trace: Bytes,
    /// `Content-Type`.
    pub(crate) media: Media,
    /// `Expect`: the body comes only once it is asked for.
    pub(crate) holds_body_back: bool,
}

impl Head {
    /// Reads the headers. Those that are not ours are none of our business, except that `Atoll-…` ones that
    /// do not exist are refused: a misspelt promise must not pass for one.
    pub(crate) fn read(store: StoreId, headers: &HeaderMap) -> Result<Head, Refused> {
        let mut head = Head::default();
        let mut bytes = 0;
        for (name, value) in headers {
            bytes += name.as_str().len() + value.len();
            if bytes > HEADERS_BYTES_MAX {
                let detail = "the headers are too long; send less of them";
                return Err(Refused::new(Reason::TooLarge, detail).limit(HEADERS_BYTES_MAX));
            }
            head.take(store, name, value)?;
        }
        Ok(head)
    }

    fn take(
        &mut self,
        store: StoreId,
        name: &HeaderName,
        value: &HeaderValue,
    ) -> Result<(), Refused> {
        match name.as_str() {
            header::SESSION => {
                let vector = token::read(TokenKind::Session, store, text(name, value)?)?;
                once(name, &mut self.session, vector)
            }
            header::CONTEXT => {
                let vector = token::read(TokenKind::Context, store, text(name, value)?)?;
                once(name, &mut self.context, vector)
            }
            header::TIMEOUT => {
                let timeout = text(name, value)?.parse().map_err(invalid)?;
                once(name, &mut self.timeout, timeout)
            }
            header::WRITE_CONCERN => {
                let concern = text(name, value)?.parse().map_err(invalid)?;
                once(name, &mut self.concern, concern)
            }
            header::IDEMPOTENCY_KEY => {
                let key = text(name, value)?.parse().map_err(invalid)?;
                once(name, &mut self.idempotency, key)
            }
            header::IF_MATCH => once(name, &mut self.if_match, text(name, value)?.to_owned()),
            header::IF_NONE_MATCH => {
                once(name, &mut self.if_none_match, text(name, value)?.to_owned())
            }
            header::CONTENT_TYPE => {
                if !matches!(self.media, Media::Absent) {
                    return Err(twice(name));
                }
                self.media = Media::read(value)?;
                Ok(())
            }
            "content-encoding" if !value.as_bytes().eq_ignore_ascii_case(b"identity") => {
                Err(Refused::new(
                    Reason::UnsupportedMediaType,
                    "bodies are taken as they are; send it without Content-Encoding",
                ))
            }
            "expect" => {
                self.holds_body_back = true;
                Ok(())
            }
            header::TRACEPARENT => {
                let context = TraceContext::read(value.as_bytes());
                if let Some(kept) = context.filter(|context| context.is_kept) {
                    self.trace = Bytes::copy_from_slice(&kept.pack());
                }
                Ok(())
            }
            // Which node answers is decided before; a wrong word is refused wherever it comes.
            header::CONSISTENCY => {
                let _: Consistency = text(name, value)?.parse().map_err(invalid)?;
                Ok(())
            }
            header::FORWARDED => Ok(()),
            other if other.starts_with("atoll-") && other != header::DOT => Err(Refused::new(
                Reason::InvalidHeader,
                format!("there is no header {other:?}; remove it or correct its spelling"),
            )),
            _ => Ok(()),
        }
    }

    /// How long to wait for what the request waits for.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout.unwrap_or_default().as_duration()
    }

    /// Who must have a write.
    pub(crate) fn concern(&self) -> WriteConcern {
        self.concern.unwrap_or_default()
    }
}

fn text<'a>(name: &HeaderName, value: &'a HeaderValue) -> Result<&'a str, Refused> {
    value.to_str().map_err(|_| {
        Refused::new(
            Reason::InvalidHeader,
            format!("the header {name} holds other than visible ASCII"),
        )
    })
}

fn once<T>(name: &HeaderName, slot: &mut Option<T>, value: T) -> Result<(), Refused> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(twice(name)),
    }
}

fn twice(name: &HeaderName) -> Refused {
    let detail = format!("the header {name} is given more than once; send one");
    Refused::new(Reason::InvalidHeader, detail)
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err needs"
)]
fn invalid(problem: impl ToString) -> Refused {
    Refused::new(Reason::InvalidHeader, problem.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    const STORE: StoreId = StoreId(7);

    fn read(headers: &[(&str, &str)]) -> Result<Head, (u16, String)> {
        let pairs = headers.iter().map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_bytes(value.as_bytes()).unwrap())
        });
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(name, value);
        }
        Head::read(STORE, &map).map_err(|refused| (refused.0.status, refused.0.reason_word))
    }

    #[test]
    fn of_traceparents_only_good_ones_of_kept_traces_go_into_entries() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let held = read(&[("traceparent", good)]).unwrap().trace;
        assert_eq!(
            TraceContext::unpack(&held),
            TraceContext::read(good.as_bytes())
        );
        assert_eq!(held.len(), 25);
        for other in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            let held = read(&[("traceparent", other)]).unwrap().trace;
            assert_eq!(held, "", "{other}");
        }
    }

    #[test]
    fn sessions_and_contexts_are_not_taken_for_each_other() {
        let vector: VersionVector = [(atoll_core::ReplicaId(1), 5)].into_iter().collect();
        let session = token::write(TokenKind::Session, STORE, &vector);
        assert_eq!(
            read(&[("atoll-session", &session)]).unwrap().session,
            Some(vector)
        );
        let refused = (400, "InvalidToken".to_owned());
        assert_eq!(
            read(&[("atoll-context", &session)]).unwrap_err(),
            refused.clone()
        );
        assert_eq!(read(&[("atoll-session", "x")]).unwrap_err(), refused);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for headers in [
            &[("atoll-timeout", "soon")][..],
            &[("atoll-write-concern", "most")],
            &[("atoll-writeconcern", "all")],
            &[("atoll-consistency", "strong")],
            &[("atoll-timeout", "1s"), ("atoll-timeout", "2s")],
            &[("content-type", "nonsense")],
        ] {
            let refused = (400, "InvalidHeader".to_owned());
            assert_eq!(read(headers).unwrap_err(), refused, "{headers:?}");
        }
        let long = "x".repeat(HEADERS_BYTES_MAX);
        assert_eq!(read(&[("x-note", &long)]).unwrap_err().0, 413);
    }
}
