//! Bounds of what clients may do: those of the format and of the protocol here, those of one node in its
//! configuration.

use std::time::Duration;

use crate::config::NodeConfig;

/// Most operations of one batch.
pub(crate) const BATCH_OPERATIONS_MAX: usize = 10_000;
/// Deepest nesting of a JSON value.
pub(crate) const JSON_DEPTH_MAX: usize = 64;
/// Longest media type.
pub(crate) const MEDIA_TYPE_BYTES_MAX: usize = 255;
/// Names and values of all headers of a request.
pub(crate) const HEADERS_BYTES_MAX: usize = 32 << 10;
/// Most headers of a request.
pub(crate) const HEADERS_MAX: usize = 100;
/// What hyper buffers of a request's head before it answers 431 by itself.
pub(crate) const HEAD_BUFFER_BYTES: usize = 128 << 10;
/// Values in one answer: a page stops before, a read of many keys is refused beyond.
pub(crate) const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Followers of the changes feed at once.
pub(crate) const FOLLOWERS_MAX: usize = 1024;
/// HTTP/2 streams of one connection at once.
pub(crate) const STREAMS_MAX: u32 = 512;
/// How long requests may take to end once the node is about to stop.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);

/// One node's bounds.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    /// Connections at once.
    pub(crate) connections: usize,
    /// Requests at once.
    pub(crate) requests: usize,
    /// Bytes of request bodies held at once.
    pub(crate) body_memory_bytes: usize,
    /// From a request's first byte to the end of its headers.
    pub(crate) header_timeout: Duration,
    /// From the end of the headers to the end of the body.
    pub(crate) body_timeout: Duration,
    /// How long a connection may do nothing.
    pub(crate) idle_timeout: Duration,
}

impl Bounds {
    pub(crate) fn of(config: &NodeConfig) -> Bounds {
        let limits = &config.limits;
        Bounds {
            connections: limits.connections,
            requests: 4096,
            body_memory_bytes: 256 << 20,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
        }
    }

    /// How often a connection looks whether it has outstayed.
    pub(crate) fn tick(&self) -> Duration {
        let shortest = self.header_timeout.min(self.idle_timeout);
        (shortest / 4).clamp(Duration::from_millis(20), Duration::from_secs(5))
    }
}
