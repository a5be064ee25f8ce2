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
//! The context of the request's span travels in the entry, if its trace is kept, so every region hangs its spans below
//! the request. Whether a trace is kept is decided once, where it begins; what is not kept costs a comparison, and
//! what is kept is said once, when its end is known. Whoever proposes a command tells of it, so only one node of a
//! region does. Spans carry names of regions, links and routes, never keys, values or clients.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::TraceId;

use atoll_client::otlp::{Kind, Name, Span, Spans, TraceContext, Value};

use crate::raft::Application;

const TRACEPARENT: HeaderName = HeaderName::from_static(atoll_api::http::header::TRACEPARENT);
/// Shorter waits are not shown.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// Makes spans; makes none when no collector is to get them.
#[derive(Clone, Default)]
pub(crate) struct Traces(Option<Spans>);

/// A write that is followed.
#[derive(Clone, Copy)]
pub(crate) struct Followed {
    request: TraceContext,
    /// Since when it waits: for being proposed, and then for being applied.
    since: SystemTime,
}

/// An entry that is followed: a link brought it, and it is handed to Raft.
pub(crate) struct Arrived {
    request: TraceContext,
    came: SystemTime,
    waited: Duration,
    handed: SystemTime,
    /// `from:to`.
    link: Arc<str>,
}

/// A request under way; ends when it is answered, or when nobody waits for the answer any more.
pub(crate) struct RequestSpan {
    spans: Spans,
    context: TraceContext,
    parent: Option<TraceContext>,
    method: &'static str,
    route: &'static str,
    began: SystemTime,
    status: Option<u16>,
}

impl Traces {
    pub(crate) fn new(spans: Spans) -> Traces {
        Traces(Some(spans))
    }

    /// A request came. If its trace is kept, the request goes on under a span of its own.
    pub(crate) fn request(
        &self,
        headers: &mut HeaderMap,
        method: &'static str,
        route: &'static str,
    ) -> Option<RequestSpan> {
        let spans = self.0.as_ref()?;
        let given = headers.get(TRACEPARENT);
        let parent = given.and_then(|value| TraceContext::read(value.as_bytes()));
        let context = spans.begin(parent.as_ref())?;
        let named = HeaderValue::from_bytes(&context.traceparent()).ok()?;
        headers.insert(TRACEPARENT, named);
        Some(RequestSpan {
            spans: spans.clone(),
            context,
            parent,
            method,
            route,
            began: SystemTime::now(),
            status: None,
        })
    }

    /// A write waits, for the request with this context.
    pub(crate) fn follow(&self, trace: &[u8]) -> Option<Followed> {
        let (_, request) = self.kept(trace)?;
        let since = SystemTime::now();
        Some(Followed { request, since })
    }

    /// Writes are handed to Raft.
    pub(crate) fn proposed(&self, followed: &mut [Followed]) {
        let Some(spans) = self.0.as_ref().filter(|_| !followed.is_empty()) else {
            return;
        };
        let now = SystemTime::now();
        for Followed { request, since } in followed {
            spans.put(&part("propose", request, (*since, now)));
            *since = now;
        }
    }

    /// What became of writes is known.
    pub(crate) fn applied(&self, followed: &[Followed], application: &Application) {
        let (Some(spans), Some((from, to))) = (&self.0, application.times()) else {
            return;
        };
        for Followed { request, since } in followed {
            spans.put(&part("sync", request, (*since, from)));
            spans.put(&part("apply", request, (from, to)));
        }
    }

    /// An entry that a link brought has waited so long, and is handed to Raft.
    pub(crate) fn arrived(
        &self,
        trace: &[u8],
        waited: Duration,
        link: &Arc<str>,
    ) -> Option<Arrived> {
        let (_, request) = self.kept(trace)?;
        let handed = SystemTime::now();
        Some(Arrived {
            request,
            came: handed.checked_sub(waited).unwrap_or(handed),
            waited,
            handed,
            link: Arc::clone(link),
        })
    }

    /// What became of entries that links brought is known.
    pub(crate) fn replicated(&self, arrived: &[Arrived], application: &Application) {
        let (Some(spans), Some((from, to))) = (&self.0, application.times()) else {
            return;
        };
        for Arrived {
            request,
            came,
            waited,
            handed,
            link,
        } in arrived
        {
            let (source, target) = link.split_once(':').unwrap_or((link, ""));
            let whole = Span {
                kind: Kind::Consumer,
                attributes: &ends(source, target),
                ..part("replicate", request, (*came, to))
            };
            let inside = whole.context;
            spans.put(&whole);
            if *waited >= WAIT_MIN {
                spans.put(&part("wait", &inside, (*came, *came + *waited)));
            }
            spans.put(&part("sync", &inside, (*handed, from)));
            spans.put(&part("apply", &inside, (from, to)));
        }
    }

    /// When something begins that may be followed; none when nothing is.
    pub(crate) fn begin(&self) -> Option<SystemTime> {
        self.0.as_ref().map(|_| SystemTime::now())
    }

    /// A link took an entry from the log then, and has handed it to the connection.
    pub(crate) fn shipped(&self, trace: &[u8], since: SystemTime, from: &str, to: &str) {
        if let Some((spans, request)) = self.kept(trace) {
            spans.put(&Span {
                attributes: &ends(from, to),
                ..part("ship", &request, (since, SystemTime::now()))
            });
        }
    }

    /// No more spans.
    pub(super) fn shutdown(&self) {
        if let Some(spans) = &self.0 {
            spans.end();
        }
    }

    /// The context, if its trace is kept.
    fn kept(&self, trace: &[u8]) -> Option<(&Spans, TraceContext)> {
        let spans = self.0.as_ref()?;
        let context = TraceContext::unpack(trace).filter(|context| context.is_kept)?;
        Some((spans, context))
    }
}

fn part(name: &'static str, of: &TraceContext, times: (SystemTime, SystemTime)) -> Span<'static> {
    Span {
        context: of.with_new_span(),
        parent: Some(of.span),
        name: Name::Of(name),
        kind: Kind::Internal,
        times,
        attributes: &[],
        error: None,
    }
}

fn ends<'a>(from: &'a str, to: &'a str) -> [(&'static str, Value<'a>); 2] {
    [
        ("link.from", Value::Text(from)),
        ("link.to", Value::Text(to)),
    ]
}

impl RequestSpan {
    /// For logs.
    pub(crate) fn trace(&self) -> TraceId {
        self.context.trace
    }

    /// The request was answered.
    pub(crate) fn answered(mut self, status: u16) {
        self.status = Some(status);
    }
}

impl Drop for RequestSpan {
    fn drop(&mut self) {
        let status = self.status.unwrap_or_default();
        let attributes = [
            ("http.request.method", Value::Text(self.method)),
            ("http.route", Value::Text(self.route)),
            ("http.response.status_code", Value::Number(status.into())),
        ];
        // Nothing was answered: there is no status.
        let known = if self.status.is_some() { 3 } else { 2 };
        self.spans.put(&Span {
            context: self.context,
            parent: self.parent.map(|parent| parent.span),
            name: Name::Request(self.method, self.route),
            kind: Kind::Server,
            times: (self.began, SystemTime::now()),
            attributes: &attributes[..known],
            error: (status >= 500).then_some(""),
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use atoll_client::otlp::{Bounds, Counts, Sampler, Taken};
    use bytes::Bytes;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::Span as Told;
    use opentelemetry_sdk::Resource;
    use prost::Message as _;

    use super::*;

    const KEPT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const NOT_KEPT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

    fn traces(ratio: f64) -> (Traces, Taken) {
        let (sampler, counts) = (Sampler::ratio(ratio), Counts::default());
        let whose = Resource::builder_empty().build();
        let (spans, taken) = Spans::new(&whose, sampler, Bounds::default(), counts);
        (Traces::new(spans), taken)
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

    /// As an entry holds it.
    fn held(traceparent: &[u8]) -> Bytes {
        let context = TraceContext::read(traceparent).unwrap();
        Bytes::copy_from_slice(&context.pack())
    }

    /// As a collector reads them, in the order of their ends.
    fn told(taken: &mut Taken) -> Vec<Told> {
        let Some(letter) = taken.next(true) else {
            return Vec::new();
        };
        let mut said = ExportTraceServiceRequest::decode(letter.bytes).unwrap();
        said.resource_spans.remove(0).scope_spans.remove(0).spans
    }

    /// `name < parent's name`.
    fn shown(spans: &[Told]) -> Vec<String> {
        let parent = |span: &Told| {
            let mut all = spans.iter();
            all.find(|other| other.span_id == span.parent_span_id)
                .map_or("outside", |parent| &parent.name)
                .to_owned()
        };
        spans
            .iter()
            .map(|span| format!("{} < {}", span.name, parent(span)))
            .collect()
    }

    fn applied_now() -> Application {
        let application = Application::default();
        application.was(SystemTime::now(), SystemTime::now());
        application
    }

    /// Two regions tell the same collector: what the origin and the target show is one tree.
    #[test]
    fn a_write_is_followed_from_the_request_to_another_region() {
        let (traces, mut taken) = traces(0.0);
        let mut request = headers(Some(KEPT));
        let span = traces.request(&mut request, "PUT", "/v1/{key}").unwrap();
        let trace = sent(&request);
        assert!(trace.starts_with(&KEPT.as_bytes()[..36]) && trace != KEPT);
        let trace = held(&trace);
        let mut followed = [traces.follow(&trace).unwrap()];
        traces.proposed(&mut followed);
        traces.applied(&followed, &applied_now());
        span.answered(200);
        traces.shipped(&trace, SystemTime::now(), "eu", "us");
        let waited = Duration::from_millis(20);
        let arrived = traces.arrived(&trace, waited, &"eu:us".into()).unwrap();
        traces.replicated(&[arrived], &applied_now());
        let spans = told(&mut taken);
        insta::assert_snapshot!(shown(&spans).join("\n"), @r"
        propose < PUT /v1/{key}
        sync < PUT /v1/{key}
        apply < PUT /v1/{key}
        PUT /v1/{key} < outside
        ship < PUT /v1/{key}
        replicate < PUT /v1/{key}
        wait < replicate
        sync < replicate
        apply < replicate
        ");
        let trace = &KEPT[3..35];
        assert!(spans.iter().all(|span| hex(&span.trace_id) == trace));
        let keys = |of: &Told| {
            of.attributes
                .iter()
                .map(|a| a.key.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            keys(&spans[3]),
            [
                "http.request.method",
                "http.route",
                "http.response.status_code"
            ]
        );
        assert_eq!(keys(&spans[5]), ["link.from", "link.to"]);
        let [wait, sync, apply] = [6, 7, 8].map(|at: usize| &spans[at]);
        assert_eq!(
            wait.end_time_unix_nano - wait.start_time_unix_nano,
            20_000_000
        );
        assert_eq!(sync.end_time_unix_nano, apply.start_time_unix_nano);
        assert_eq!(spans[5].end_time_unix_nano, apply.end_time_unix_nano);
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn what_the_client_does_not_keep_is_not_kept_and_travels_as_it_came() {
        let (traces, mut taken) = traces(1.0);
        let mut request = headers(Some(NOT_KEPT));
        assert!(traces.request(&mut request, "PUT", "/v1/{key}").is_none());
        assert_eq!(sent(&request), NOT_KEPT);
        let held = held(&sent(&request));
        assert!(traces.follow(&held).is_none());
        assert!(traces.arrived(&held, WAIT_MIN, &"eu:us".into()).is_none());
        traces.shipped(&held, SystemTime::now(), "eu", "us");
        assert!(told(&mut taken).is_empty());
    }

    #[test]
    fn traces_begin_here_as_often_as_the_ratio_says() {
        for (ratio, kept) in [(0.0, false), (1.0, true)] {
            let (traces, _taken) = traces(ratio);
            let mut request = headers(None);
            assert_eq!(
                traces.request(&mut request, "GET", "/v1/{key}").is_some(),
                kept
            );
            assert_eq!(sent(&request).is_empty(), !kept);
        }
    }

    #[test]
    fn a_request_that_nobody_waits_for_any_more_ends_without_a_status() {
        let (traces, mut taken) = traces(1.0);
        drop(traces.request(&mut headers(None), "PUT", "/v1/{key}"));
        let spans = told(&mut taken);
        assert_eq!(shown(&spans), ["PUT /v1/{key} < outside"]);
        assert_eq!(spans[0].attributes.len(), 2);
        let request = traces.request(&mut headers(None), "PUT", "/v1/{key}");
        request.unwrap().answered(503);
        let spans = told(&mut taken);
        assert_eq!(spans[0].attributes.len(), 3);
        assert_eq!(spans[0].status.as_ref().unwrap().code, 2, "an error");
    }

    #[test]
    fn without_a_collector_nothing_is_touched() {
        let traces = Traces::default();
        let mut request = headers(Some(KEPT));
        assert!(traces.request(&mut request, "PUT", "/v1/{key}").is_none());
        assert_eq!(sent(&request), KEPT);
        assert!(traces.follow(&held(KEPT.as_bytes())).is_none() && traces.begin().is_none());
    }

    #[test]
    fn of_what_was_not_applied_here_only_the_waiting_is_told() {
        let (traces, mut taken) = traces(1.0);
        let mut followed = [traces.follow(&held(KEPT.as_bytes())).unwrap()];
        traces.proposed(&mut followed);
        traces.applied(&followed, &Application::default());
        assert_eq!(shown(&told(&mut taken)), ["propose < outside"]);
    }
}
