//! Refusals: the one mapping of everything that can go wrong to a problem (RFC 9457).

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};

use atoll_api::http::{Problem, Reason, Vector, media_type};
use atoll_core::intent::Rejection;
use atoll_core::token::InvalidToken;
use atoll_store::StoreError;

use crate::refusal::Refusal;

/// A request that is refused. Boxed: most requests are not.
#[derive(Debug, Clone)]
pub(crate) struct Refused(pub(crate) Box<Problem>);

impl Refused {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Refused {
        let mut problem = Problem::new(reason, detail);
        problem.retry_after = reason.is_retryable().then_some(1);
        Refused(Box::new(problem))
    }

    /// Names the limit that was exceeded.
    pub(crate) fn limit(mut self, limit: usize) -> Refused {
        self.0.limit = u64::try_from(limit).ok();
        self
    }

    /// Names the operation of a batch, or the key of a read, that is at fault.
    pub(crate) fn operation(mut self, index: usize) -> Refused {
        self.0.operation = Some(index);
        self
    }

    /// Names the node that leads the region.
    pub(crate) fn leader(mut self, address: Option<String>) -> Refused {
        self.0.leader = address;
        self
    }

    /// Names what the region still lacks.
    pub(crate) fn missing(mut self, missing: Vector) -> Refused {
        self.0.missing = Some(missing);
        self
    }
}

/// Without its body: [`super::observe`] writes it once it has added the request's path.
impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type::PROBLEM));
        if let Some(seconds) = self.0.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Rejection> for Refused {
    fn from(rejection: Rejection) -> Refused {
        let reason = match rejection {
            Rejection::UnknownCollection(_) => Reason::UnknownCollection,
            Rejection::TypeMismatch(_) => Reason::TypeMismatch,
            Rejection::InvalidValue(_) => Reason::InvalidValue,
            Rejection::TooLarge(_) => Reason::TooLarge,
            Rejection::PreconditionFailed(_) => Reason::PreconditionFailed,
            Rejection::NoTimeLeft => Reason::ClockSkew,
            Rejection::Joining => Reason::Joining,
            Rejection::Leaving | Rejection::Retired => Reason::Draining,
            Rejection::IdempotencyKeyReused(_) => Reason::IdempotencyKeyReused,
        };
        Refused::new(reason, rejection.to_string())
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Refused {
        match refusal {
            Refusal::Rejected(rejection) => rejection.into(),
            Refusal::ClockSkew { offset, ahead } => skewed(offset, ahead),
            Refusal::RolledBack(found) => Refused::new(Reason::RolledBack, found.to_string()),
            Refusal::DiskFull(detail) => Refused::new(Reason::DiskFull, detail),
            Refusal::Draining => Refused::new(
                Reason::Draining,
                "the node is about to stop; ask another one",
            ),
            Refusal::NoLeader => Refused::new(
                Reason::NoLeader,
                "the region is electing a leader; try again",
            ),
            Refusal::LeaderLost => Refused::new(
                Reason::OutcomeUnknown,
                "the region's leader changed while the write was under way; whether it stands is not known: \
                 read it again, or repeat it with the same Idempotency-Key",
            ),
            Refusal::Overloaded => Refused::new(
                Reason::Overloaded,
                "more writes are waiting than this node takes on; try again later",
            ),
            Refusal::Stopped => Refused::new(
                Reason::OutcomeUnknown,
                "the node has stopped; whether the write stands is not known: read it again, or repeat it with \
                 the same Idempotency-Key",
            ),
            Refusal::Failed(detail) => {
                tracing::error!(%detail, "a write failed");
                Refused::new(
                    Reason::StorageFailed,
                    "the node's storage has failed; see its log, and ask another node",
                )
            }
        }
    }
}

fn skewed(offset: Duration, ahead: bool) -> Refused {
    let direction = if ahead { "ahead of" } else { "behind" };
    let detail = format!(
        "this region's clock is {:.3} s {direction} its peers'; it accepts writes again once that is mended",
        offset.as_secs_f64()
    );
    let mut refused = Refused::new(Reason::ClockSkew, detail);
    let seconds = offset.as_secs_f64();
    refused.0.offset_seconds = Some(if ahead { seconds } else { -seconds });
    refused
}

impl From<InvalidToken> for Refused {
    fn from(invalid: InvalidToken) -> Refused {
        Refused::new(Reason::InvalidToken, invalid.to_string())
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Refused {
        tracing::error!(%error, "the state could not be read");
        Refused::new(
            Reason::StorageFailed,
            "the state could not be read; see the node's log, and ask another node",
        )
    }
}
