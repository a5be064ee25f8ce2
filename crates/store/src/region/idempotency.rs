//! Writes that carry an idempotency key: one that was written before is answered and not repeated.

use std::ops::ControlFlow;

use atoll_core::Idempotency;
use atoll_core::idempotency::{Reused, request_hash};
use atoll_core::intent::Rejection;
use atoll_core::wire::pb;
use prost::Message;

use super::{Work, Written};
use crate::command::Request;
use crate::error::StoreError;

/// The answer to a write that is not to be done, or what its entry says of its request.
type Met = ControlFlow<Result<Written, Rejection>, Option<Idempotency>>;

impl Work<'_> {
    /// Looks whether a request was written before. One without a key costs nothing.
    pub(super) fn meet(&mut self, request: &Request) -> Result<Met, StoreError> {
        let Some(key) = &request.idempotency else {
            return Ok(ControlFlow::Continue(None));
        };
        let intents = request.intents.iter().map(pb::Intent::from);
        let asked = request_hash(intents.map(|intent| intent.encode_to_vec()));
        Ok(match self.tx.applications(key)?.answer(asked) {
            Ok(None) => ControlFlow::Continue(Some(Idempotency {
                key: key.clone(),
                request: asked,
            })),
            Ok(Some(first)) => ControlFlow::Break(Ok(Written {
                entry: Some(first),
                session: self.next.vector.clone(),
                repeats: true,
            })),
            Err(Reused) => {
                let reused = Rejection::IdempotencyKeyReused(key.to_string());
                ControlFlow::Break(Err(reused))
            }
        })
    }
}
