//! Traces: one request, from the client to where it is visible last.
//!
//! ```text
//!   PUT /v1/…            the request, at the node that got it
//!   ├ propose            waiting to become part of a command
//!   ├ sync               from there until a majority has it on disk
//!   ├ apply              the state changes
//!   ├ ship               a link takes the entry, until it is handed to the connection; one a link
//!   └ replicate          in another region, from when the entry comes until it is visible; one a region
//!     ├ wait             for what it depends on
//!     ├ sync
//!     └ apply
//! ```
//!
//! The context travels in the entry (`traceparent` of the request's span), so every region hangs its spans below
//! the request. Whether a trace is kept is decided once, where it begins; what is not kept costs a comparison.
//! Spans carry names of regions, links and routes, never keys, values or clients.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _,
    TraceFlags, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};

use atoll_core::{Dot, wire};
use atoll_store::Arrival;

const TRACEPARENT: HeaderName = HeaderName::from_static(atoll_api::http::header::TRACEPARENT);
/// Entries on their way into the state that are remembered; more are not followed.
const UNDER_WAY_MAX: usize = 4096;
/// What did not come into the state by then does not any more, or is not of interest.
const UNDER_WAY_FOR: Duration = Duration::from_secs(60);
/// Shorter waits are not shown.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// Makes spans; makes none when no collector is to get them.
#[derive(Clone, Default)]
pub(crate) struct Traces(Option<Arc<Inner>>);

struct Inner {
    tracer: SdkTracer,
    provider: SdkTracerProvider,
    under_way: Mutex<HashMap<Name, UnderWay>>,
}

/// What an entry is known by on its way into the state: one of ours has no dot yet, and a context of its own.
#[derive(PartialEq, Eq, Hash)]
enum Name {
    Written(Bytes),
    Came(Dot),
}

#[derive(Clone)]
struct UnderWay {
    /// When it was handed to Raft.
    handed: SystemTime,
    came: Option<Came>,
}

#[derive(Clone)]
struct Came {
    at: SystemTime,
    waited: Duration,
    /// `from:to`.
    link: String,
}

/// An entry that a link brought, about to be handed to Raft.
pub(crate) struct Arriving<'a> {
    pub(crate) dot: Dot,
    pub(crate) trace: &'a Bytes,
    pub(crate) waited: Duration,
    pub(crate) link: &'a str,
}

/// A request under way; ends when it is answered.
pub(crate) struct RequestSpan(Span);

impl Traces {
    pub(crate) fn new(provider: SdkTracerProvider) -> Traces {
        Traces(Some(Arc::new(Inner {
            tracer: provider.tracer("atoll"),
            provider,
            under_way: Mutex::default(),
        })))
    }

    /// A request came. If its trace is kept, the request goes on under a span of its own.
    pub(crate) fn request(
        &self,
        headers: &mut HeaderMap,
        method: &'static str,
        route: &'static str,
    ) -> Option<RequestSpan> {
        let inner = self.0.as_ref()?;
        let given = headers.get(TRACEPARENT);
        let parent = given.and_then(|value| context(value.as_bytes()));
        if parent.as_ref().is_some_and(|parent| !parent.is_sampled()) {
            return None;
        }
        // Named once it is known to be kept: most are not.
        let builder = SpanBuilder::from_name(route).with_kind(SpanKind::Server);
        let under = parent.map_or_else(Context::new, below);
        let mut span = builder.start_with_context(&inner.tracer, &under);
        if !span.span_context().is_sampled() {
            return None;
        }
        span.update_name(format!("{method} {route}"));
        span.set_attributes([
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.route", route),
        ]);
        let named = HeaderValue::try_from(traceparent(span.span_context())).ok()?;
        headers.insert(TRACEPARENT, named);
        Some(RequestSpan(span))
    }

    /// Whether an entry or a request with this context is followed.
    pub(crate) fn follow(&self, trace: &Bytes) -> bool {
        self.0.is_some() && is_sampled(trace)
    }

    /// When something began that may be followed; none when nothing is.
    pub(crate) fn begin(&self) -> Option<SystemTime> {
        self.0.as_ref().map(|_| SystemTime::now())
    }

    /// A write that waited since then is handed to Raft.
    pub(crate) fn proposed(&self, trace: &Bytes, since: Option<SystemTime>) {
        let (Some(inner), Some(since)) = (self.0.as_ref(), since) else {
            return;
        };
        let Some(parent) = context(trace).filter(SpanContext::is_sampled) else {
            return;
        };
        let now = SystemTime::now();
        inner.span("propose", parent, (since, now), Vec::new());
        let under_way = UnderWay {
            handed: now,
            came: None,
        };
        inner.remember(Name::Written(trace.clone()), under_way);
    }

    /// An entry that a link brought is handed to Raft.
    pub(crate) fn arriving(&self, arriving: &Arriving<'_>) {
        let Some(inner) = self.0.as_ref().filter(|_| is_sampled(arriving.trace)) else {
            return;
        };
        let now = SystemTime::now();
        let came = Came {
            at: now.checked_sub(arriving.waited).unwrap_or(now),
            waited: arriving.waited,
            link: arriving.link.to_owned(),
        };
        let under_way = UnderWay {
            handed: now,
            came: Some(came),
        };
        inner.remember(Name::Came(arriving.dot), under_way);
    }

    /// Entries came into the state; their application began then. Only the node that handed them to Raft follows
    /// them.
    pub(crate) fn applied(&self, arrivals: &[Arrival], began: Option<SystemTime>) {
        let (Some(inner), Some(began)) = (self.0.as_ref(), began) else {
            return;
        };
        // Most often nothing is followed, and no entry is looked into.
        if inner.under_way().is_empty() {
            return;
        }
        for arrival in arrivals {
            let came = arrival.sender.map(|_| Name::Came(arrival.dot));
            if came.is_some_and(|came| !inner.under_way().contains_key(&came)) {
                continue;
            }
            let Ok(origin) = wire::decode_origin(&arrival.frame) else {
                continue;
            };
            let Some(parent) = context(&origin.trace).filter(SpanContext::is_sampled) else {
                continue;
            };
            let name = match arrival.sender {
                None => Name::Written(origin.trace),
                Some(_) => Name::Came(arrival.dot),
            };
            let under_way = inner.under_way().remove(&name);
            if let Some(under_way) = under_way {
                inner.show_applied(parent, &under_way, began);
            }
        }
    }

    /// A link took an entry from the log then, and has handed it to the connection.
    pub(crate) fn shipped(&self, trace: &Bytes, since: Option<SystemTime>, from: &str, to: &str) {
        let (Some(inner), Some(since)) = (self.0.as_ref(), since) else {
            return;
        };
        if let Some(parent) = context(trace).filter(SpanContext::is_sampled) {
            let attributes = ends(from, to);
            inner.span("ship", parent, (since, SystemTime::now()), attributes);
        }
    }

    /// No more spans.
    pub(super) fn shutdown(&self) {
        if let Some(inner) = &self.0 {
            // Done before: nothing to do.
            let _ = inner.provider.shutdown();
        }
    }
}

impl Inner {
    fn under_way(&self) -> std::sync::MutexGuard<'_, HashMap<Name, UnderWay>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, name: Name, entry: UnderWay) {
        let mut under_way = self.under_way();
        if under_way.len() >= UNDER_WAY_MAX {
            let is_new = |entry: &UnderWay| {
                let age = entry.handed.elapsed();
                age.is_ok_and(|age| age < UNDER_WAY_FOR)
            };
            under_way.retain(|_, entry| is_new(entry));
        }
        if under_way.len() < UNDER_WAY_MAX {
            under_way.insert(name, entry);
        }
    }

    fn show_applied(&self, parent: SpanContext, entry: &UnderWay, began: SystemTime) {
        let now = SystemTime::now();
        let Some(came) = &entry.came else {
            self.span("sync", parent.clone(), (entry.handed, began), Vec::new());
            self.span("apply", parent, (began, now), Vec::new());
            return;
        };
        let (from, to) = came.link.split_once(':').unwrap_or((&came.link, ""));
        let builder = SpanBuilder::from_name("replicate")
            .with_kind(SpanKind::Consumer)
            .with_start_time(came.at)
            .with_attributes(ends(from, to));
        let mut whole = builder.start_with_context(&self.tracer, &below(parent));
        let inside = whole.span_context().clone();
        if came.waited >= WAIT_MIN {
            let waited = (came.at, came.at + came.waited);
            self.span("wait", inside.clone(), waited, Vec::new());
        }
        self.span("sync", inside.clone(), (entry.handed, began), Vec::new());
        self.span("apply", inside, (began, now), Vec::new());
        whole.end_with_timestamp(now);
    }

    fn span(
        &self,
        name: &'static str,
        parent: SpanContext,
        (from, to): (SystemTime, SystemTime),
        attributes: Vec<KeyValue>,
    ) {
        let builder = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Internal)
            .with_start_time(from)
            .with_attributes(attributes);
        let mut span = builder.start_with_context(&self.tracer, &below(parent));
        span.end_with_timestamp(to.max(from));
    }
}

impl RequestSpan {
    /// For logs.
    pub(crate) fn trace_id(&self) -> TraceId {
        self.0.span_context().trace_id()
    }

    /// The request was answered.
    pub(crate) fn answered(mut self, status: u16) {
        let status_code = KeyValue::new("http.response.status_code", i64::from(status));
        self.0.set_attribute(status_code);
        if status >= 500 {
            self.0.set_status(Status::error(""));
        }
        self.0.end();
    }
}

fn ends(from: &str, to: &str) -> Vec<KeyValue> {
    vec![
        KeyValue::new("link.from", from.to_owned()),
        KeyValue::new("link.to", to.to_owned()),
    ]
}

fn below(parent: SpanContext) -> Context {
    Context::new().with_remote_span_context(parent)
}

/// Whether a `traceparent` says that its trace is kept.
fn is_sampled(traceparent: &[u8]) -> bool {
    let flag = traceparent.get(54).copied();
    let digit = flag.and_then(|flag| char::from(flag).to_digit(16));
    traceparent.len() == 55 && digit.is_some_and(|digit| digit % 2 == 1)
}

/// `00-<trace>-<span>-<flags>`, as the header has been checked to be.
fn context(traceparent: &[u8]) -> Option<SpanContext> {
    let text = std::str::from_utf8(traceparent).ok()?;
    if text.len() != 55 || text.starts_with("ff") {
        return None;
    }
    let trace = TraceId::from_hex(text.get(3..35)?).ok()?;
    let span = SpanId::from_hex(text.get(36..52)?).ok()?;
    let flags = u8::from_str_radix(text.get(53..)?, 16).ok()?;
    let flags = TraceFlags::new(flags) & TraceFlags::SAMPLED;
    let context = SpanContext::new(trace, span, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

fn traceparent(context: &SpanContext) -> String {
    format!(
        "00-{}-{}-{:02x}",
        context.trace_id(),
        context.span_id(),
        context.trace_flags()
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{Sampler, SpanData, SpanProcessor};

    use super::*;

    const KEPT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const NOT_KEPT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

    #[derive(Clone, Debug, Default)]
    struct Shelf(Arc<Mutex<Vec<SpanData>>>);

    impl SpanProcessor for Shelf {
        fn on_start(&self, _: &mut Span, _: &Context) {}
        fn on_end(&self, span: SpanData) {
            self.0.lock().unwrap().push(span);
        }
        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }
        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    fn traces(ratio: f64) -> (Traces, Shelf) {
        let shelf = Shelf::default();
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio)));
        let provider = SdkTracerProvider::builder()
            .with_span_processor(shelf.clone())
            .with_sampler(sampler);
        (Traces::new(provider.build()), shelf)
    }

    fn headers(traceparent: Option<&'static str>) -> HeaderMap {
        let value = traceparent.map(HeaderValue::from_static);
        value
            .map(|value| (TRACEPARENT, value))
            .into_iter()
            .collect()
    }

    fn sent(headers: &HeaderMap) -> Bytes {
        let value = headers.get(TRACEPARENT);
        value.map_or_else(Bytes::new, |value| Bytes::copy_from_slice(value.as_bytes()))
    }

    fn arrival(trace: &Bytes, sender: Option<u64>) -> Arrival {
        let dot = Dot {
            replica: atoll_core::ReplicaId(7),
            seq: 1,
        };
        let entry = atoll_core::entry::Entry {
            dot,
            time: atoll_core::Timestamp::from_millis(1),
            dependencies: atoll_core::VersionVector::new(),
            operations: Vec::new(),
            trace: trace.clone(),
            announces: None,
            member: None,
            layout: None,
            idempotency: None,
        };
        Arrival {
            index: 1,
            dot,
            sender: sender.map(atoll_core::ReplicaId),
            frame: wire::encode_entry(&entry),
        }
    }

    /// `name < parent's name`, in the order of their ends.
    fn shown(shelf: &Shelf) -> Vec<String> {
        let spans = shelf.0.lock().unwrap();
        let parent = |span: &SpanData| {
            let mut all = spans.iter();
            let is_parent = |other: &&SpanData| other.span_context.span_id() == span.parent_span_id;
            all.find(is_parent)
                .map_or("outside".to_owned(), |parent| parent.name.to_string())
        };
        spans
            .iter()
            .map(|span| format!("{} < {}", span.name, parent(span)))
            .collect()
    }

    /// Two regions share the shelf: what the origin and the target show is one tree.
    #[test]
    fn a_write_is_followed_from_the_request_to_another_region() {
        let (traces, shelf) = traces(0.0);
        let mut request = headers(Some(KEPT));
        let span = traces.request(&mut request, "PUT", "/v1/{key}").unwrap();
        let trace = sent(&request);
        assert!(trace.starts_with(&KEPT.as_bytes()[..36]) && trace != KEPT);
        assert!(traces.follow(&trace));
        traces.proposed(&trace, traces.begin());
        traces.applied(&[arrival(&trace, None)], traces.begin());
        span.answered(200);
        traces.shipped(&trace, traces.begin(), "eu", "us");
        let came = arrival(&trace, Some(7));
        traces.arriving(&Arriving {
            dot: came.dot,
            trace: &trace,
            waited: Duration::from_millis(20),
            link: "eu:us",
        });
        traces.applied(std::slice::from_ref(&came), traces.begin());
        // Applied by a node that handed nothing to Raft: nothing new.
        traces.applied(&[came], traces.begin());
        insta::assert_snapshot!(shown(&shelf).join("\n"), @r"
        propose < PUT /v1/{key}
        sync < PUT /v1/{key}
        apply < PUT /v1/{key}
        PUT /v1/{key} < outside
        ship < PUT /v1/{key}
        wait < replicate
        sync < replicate
        apply < replicate
        replicate < PUT /v1/{key}
        ");
    }

    #[test]
    fn what_the_client_does_not_keep_is_not_kept_and_travels_as_it_came() {
        let (traces, shelf) = traces(1.0);
        let mut request = headers(Some(NOT_KEPT));
        assert!(traces.request(&mut request, "PUT", "/v1/{key}").is_none());
        assert_eq!(sent(&request), NOT_KEPT);
        assert!(!traces.follow(&sent(&request)));
        traces.proposed(&sent(&request), traces.begin());
        traces.applied(&[arrival(&sent(&request), None)], traces.begin());
        assert!(shown(&shelf).is_empty());
    }

    #[test]
    fn traces_begin_here_as_often_as_the_ratio_says() {
        for (ratio, kept) in [(0.0, false), (1.0, true)] {
            let (traces, _) = traces(ratio);
            let mut request = headers(None);
            assert_eq!(
                traces.request(&mut request, "GET", "/v1/{key}").is_some(),
                kept
            );
            assert_eq!(sent(&request).is_empty(), !kept);
        }
    }

    #[test]
    fn without_a_collector_nothing_is_touched() {
        let traces = Traces::default();
        let mut request = headers(Some(KEPT));
        assert!(traces.request(&mut request, "PUT", "/v1/{key}").is_none());
        assert_eq!(sent(&request), KEPT);
        assert!(!traces.follow(&sent(&request)) && traces.begin().is_none());
    }

    #[test]
    fn entries_that_never_come_into_the_state_are_forgotten() {
        let (traces, _) = traces(1.0);
        for n in 0..UNDER_WAY_MAX + 10 {
            let trace = Bytes::from(format!("00-{:032x}-b7ad6b7169203331-01", n + 1));
            traces.proposed(&trace, traces.begin());
        }
        assert_eq!(traces.0.unwrap().under_way().len(), UNDER_WAY_MAX);
    }
}
