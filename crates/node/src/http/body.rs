//! Request bodies: bounded in size, in time and in the memory that all of them may take.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use atoll_api::http::Reason;

use super::bounds::JSON_DEPTH_MAX;
use super::head::Head;
use super::problem::Refused;
use super::{Http, depth};

/// Bodies up to this size are not counted: many small ones are bounded by the number of requests.
const UNCOUNTED_BYTES: usize = 64 << 10;
/// What is still read, and thrown away, of a body that is refused, so that the client reads the answer.
const LINGER_BYTES: usize = 4 << 20;
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// A body, and its share of the memory while it is held.
pub(crate) struct Held {
    bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

impl Deref for Held {
    type Target = Bytes;
    fn deref(&self) -> &Bytes {
        &self.bytes
    }
}

/// Reads a body of at most `bytes_max` bytes.
pub(crate) async fn read(
    http: &Http,
    head: &Head,
    body: Body,
    bytes_max: usize,
) -> Result<Held, Refused> {
    let timeout = http.bounds().body_timeout;
    let mut reading = Reading::new(http, body, bytes_max);
    match tokio::time::timeout(timeout, reading.run()).await {
        Ok(Err(refused)) => {
            if head.holds_body_back {
                return Err(refused);
            }
            let _ = tokio::time::timeout(LINGER_TIMEOUT, reading.linger()).await;
            Err(refused)
        }
        Ok(held) => held,
        Err(_elapsed) => Err(Refused::new(
            Reason::Timeout,
            format!("the body did not arrive within {timeout:?}; send it faster or in parts"),
        )),
    }
}

/// Reads a body that is JSON: UTF-8, and not nested too deeply. What it means is the caller's to find out.
pub(crate) async fn read_json(
    http: &Http,
    head: &Head,
    body: Body,
    bytes_max: usize,
    depth_max: usize,
) -> Result<Held, Refused> {
    let held = read(http, head, body, bytes_max).await?;
    check_json(&held, depth_max)?;
    Ok(held)
}

/// Checks that JSON is UTF-8 and not nested too deeply.
pub(crate) fn check_json(json: &[u8], depth_max: usize) -> Result<(), Refused> {
    if std::str::from_utf8(json).is_err() {
        return Err(Refused::new(Reason::InvalidValue, "the body is not UTF-8"));
    }
    if depth::is_deeper_than(depth_max, json) {
        let detail = format!("the JSON is nested deeper than {JSON_DEPTH_MAX} levels");
        return Err(Refused::new(Reason::InvalidValue, detail).limit(JSON_DEPTH_MAX));
    }
    Ok(())
}

struct Reading {
    body: Body,
    bytes_max: usize,
    memory: Arc<Semaphore>,
    share: Option<OwnedSemaphorePermit>,
}

impl Reading {
    fn new(http: &Http, body: Body, bytes_max: usize) -> Reading {
        Reading {
            body,
            bytes_max,
            memory: Arc::clone(&http.0.bodies),
            share: None,
        }
    }

    async fn run(&mut self) -> Result<Held, Refused> {
        let expected = usize::try_from(self.body.size_hint().lower()).unwrap_or(usize::MAX);
        self.take_share(expected)?;
        let first = self.next().await?.unwrap_or_default();
        let Some(second) = self.next_after(&first, expected).await? else {
            return Ok(self.held(first));
        };
        let mut all = BytesMut::with_capacity(expected.max(first.len() + second.len()));
        all.extend_from_slice(&first);
        all.extend_from_slice(&second);
        loop {
            self.take_share(all.len())?;
            match self.next().await? {
                Some(more) => all.extend_from_slice(&more),
                None => return Ok(self.held(all.freeze())),
            }
        }
    }

    /// `None` when `first` was all: nothing is waited for that cannot come.
    async fn next_after(
        &mut self,
        first: &Bytes,
        expected: usize,
    ) -> Result<Option<Bytes>, Refused> {
        self.take_share(first.len())?;
        if self.body.is_end_stream() && first.len() == expected {
            return Ok(None);
        }
        self.next().await
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Refused> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "a body broke off");
                    let detail = "the body broke off or is not encoded as its headers say";
                    return Err(Refused::new(Reason::InvalidValue, detail));
                }
            }
        }
    }

    /// Makes sure that `bytes` may be held.
    fn take_share(&mut self, bytes: usize) -> Result<(), Refused> {
        if bytes > self.bytes_max {
            let detail = format!("the body is longer than {} bytes", self.bytes_max);
            return Err(Refused::new(Reason::TooLarge, detail).limit(self.bytes_max));
        }
        if bytes <= UNCOUNTED_BYTES {
            return Ok(());
        }
        let held = self
            .share
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let needed = bytes.div_ceil(1024).saturating_sub(held);
        // In steps, so that a body in many pieces does not ask for every one of them.
        let step = u32::try_from(needed.next_multiple_of(64)).unwrap_or(u32::MAX);
        if needed == 0 {
            return Ok(());
        }
        let Ok(more) = Arc::clone(&self.memory).try_acquire_many_owned(step) else {
            let detail = "the node holds as many request bodies as it can; try again later";
            return Err(Refused::new(Reason::Overloaded, detail));
        };
        match &mut self.share {
            Some(share) => share.merge(more),
            None => self.share = Some(more),
        }
        Ok(())
    }

    fn held(&mut self, bytes: Bytes) -> Held {
        Held {
            bytes,
            _share: self.share.take(),
        }
    }

    async fn linger(&mut self) {
        let mut left = LINGER_BYTES;
        while let Some(Ok(frame)) = self.body.frame().await {
            let len = frame.data_ref().map_or(0, Bytes::len);
            if len > left {
                return;
            }
            left -= len;
        }
    }
}
