//! Names of headers and media types. Header names are lower case, as HTTP/2 sends them.

/// Header names.
pub mod header {
    /// Opaque session: on every answer; sent back, the region answers only once it covers it.
    pub const SESSION: &str = "atoll-session";
    /// Opaque context: on reads, what was seen; on writes, what the caller had seen.
    pub const CONTEXT: &str = "atoll-context";
    /// `<replica>:<sequence>`: on answers to writes, the entry's name.
    pub const DOT: &str = "atoll-dot";
    /// `region`, `regions=N`, `majority` or `all`: on writes, who must have it before the answer.
    pub const WRITE_CONCERN: &str = "atoll-write-concern";
    /// `leader`, `session` or `any`: on reads, how current the answer has to be.
    pub const CONSISTENCY: &str = "atoll-consistency";
    /// On requests that one node of a region hands on to another; clients do not send it.
    pub const FORWARDED: &str = "atoll-forwarded";
    /// 1 to 128 visible ASCII characters: on writes, the caller's name for the request, so that it can be
    /// sent again and is applied once.
    pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
    /// `true` on answers to writes that had been applied before, under the same idempotency key.
    pub const REPLAYED: &str = "idempotent-replayed";
    /// A length of time such as `5s`: on requests, how long to wait for what they wait for.
    pub const TIMEOUT: &str = "atoll-timeout";
    /// On reads, the fingerprint of what was seen.
    pub const ETAG: &str = "etag";
    /// On writes, the fingerprint demanded; `*` demands presence.
    pub const IF_MATCH: &str = "if-match";
    /// `*` on writes: absence is demanded. On reads: answers 304 when nothing changed.
    pub const IF_NONE_MATCH: &str = "if-none-match";
    /// W3C trace context; travels with the entry to every region.
    pub const TRACEPARENT: &str = "traceparent";
    /// Bearer token.
    pub const AUTHORIZATION: &str = "authorization";
    /// Media type of the body.
    pub const CONTENT_TYPE: &str = "content-type";
    /// Seconds after which to try again.
    pub const RETRY_AFTER: &str = "retry-after";
}

/// Media types.
pub mod media_type {
    /// JSON.
    pub const JSON: &str = "application/json";
    /// JSON Merge Patch (RFC 7396).
    pub const MERGE_PATCH: &str = "application/merge-patch+json";
    /// Problem details (RFC 9457).
    pub const PROBLEM: &str = "application/problem+json";
    /// One JSON object a line.
    pub const NDJSON: &str = "application/x-ndjson";
    /// What a Register holds when nothing is said.
    pub const BYTES: &str = "application/octet-stream";
    /// Metrics for Prometheus.
    pub const METRICS: &str = "text/plain; version=0.0.4";
}
