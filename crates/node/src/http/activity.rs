//! What a connection is doing, so that one that does nothing, or pretends to, can be closed.
//!
//! Two clocks: the *head* clock runs from a request's first byte (or the connection's start) to the end of
//! its headers; the *idle* clock runs while no request is under way and no byte moves.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Version;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// No head is being read.
const NO_HEAD: u64 = u64::MAX;

/// What one connection is doing.
#[derive(Debug)]
pub(crate) struct Activity {
    epoch: Instant,
    under_way: AtomicUsize,
    /// When a byte last moved or a request ended, in milliseconds since `epoch`.
    last_ms: AtomicU64,
    /// When the head at hand began to arrive.
    head_ms: AtomicU64,
    is_http2: AtomicBool,
}

/// A request under way; held also by answers that have no end.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Activity>);

impl Activity {
    pub(crate) fn new() -> Activity {
        Activity {
            epoch: Instant::now(),
            under_way: AtomicUsize::new(0),
            last_ms: AtomicU64::new(0),
            head_ms: AtomicU64::new(0),
            is_http2: AtomicBool::new(false),
        }
    }

    /// A request's headers are complete.
    pub(crate) fn begin(self: &Arc<Self>, version: Version) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.head_ms.store(NO_HEAD, Ordering::Relaxed);
        if version == Version::HTTP_2 {
            self.is_http2.store(true, Ordering::Relaxed);
        }
        UnderWay(Arc::clone(self))
    }

    /// Whether the connection has outstayed.
    pub(crate) fn is_overdue(&self, header_timeout: Duration, idle_timeout: Duration) -> bool {
        if self.under_way.load(Ordering::Relaxed) > 0 {
            return false;
        }
        let now = self.now_ms();
        let exceeds = |since: u64, timeout: Duration| {
            Duration::from_millis(now.saturating_sub(since)) >= timeout
        };
        let head = self.head_ms.load(Ordering::Relaxed);
        let is_slow = head != NO_HEAD && !self.is_http2.load(Ordering::Relaxed);
        is_slow && exceeds(head, header_timeout)
            || exceeds(self.last_ms.load(Ordering::Relaxed), idle_timeout)
    }

    fn moved(&self) {
        self.last_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    fn received(&self) {
        self.moved();
        if self.under_way.load(Ordering::Relaxed) == 0 {
            let now = self.last_ms.load(Ordering::Relaxed);
            let keep_earlier = (Ordering::Relaxed, Ordering::Relaxed);
            let _ = self
                .head_ms
                .compare_exchange(NO_HEAD, now, keep_earlier.0, keep_earlier.1);
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(NO_HEAD - 1)
    }
}

impl Clone for UnderWay {
    fn clone(&self) -> UnderWay {
        self.0.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(&self.0))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.moved();
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream whose movements are noted.
pub(crate) struct Watched<S> {
    pub(crate) stream: S,
    pub(crate) activity: Arc<Activity>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.received();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        if polled.is_ready() {
            self.activity.moved();
        }
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        if polled.is_ready() {
            self.activity.moved();
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::ZERO;
    const LATE: Duration = Duration::from_secs(60);

    #[test]
    fn only_a_connection_without_requests_is_overdue() {
        let activity = Arc::new(Activity::new());
        assert!(activity.is_overdue(SOON, LATE), "a head that never comes");
        let request = activity.begin(Version::HTTP_11);
        let stream = request.clone();
        drop(request);
        assert!(!activity.is_overdue(SOON, SOON), "an answer without an end");
        drop(stream);
        assert!(!activity.is_overdue(SOON, LATE), "between two requests");
        assert!(activity.is_overdue(SOON, SOON), "idle");
        activity.received();
        assert!(
            activity.is_overdue(SOON, LATE),
            "the next head began to come"
        );
    }

    #[test]
    fn http2_frames_between_requests_are_no_heads() {
        let activity = Arc::new(Activity::new());
        drop(activity.begin(Version::HTTP_2));
        activity.received();
        assert!(!activity.is_overdue(SOON, LATE));
    }
}
