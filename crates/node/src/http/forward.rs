//! Which node of the region answers: what only the leader can do is handed on to it, once.
//!
//! | request | where |
//! |---|---|
//! | a write, and what changes the region | at the leader |
//! | a read with `Atoll-Consistency: leader` (the default without a session) | at the leader, once a majority has confirmed that it still leads |
//! | a read with `session` (the default with one) | here, when this node has what the session has seen |
//! | a read with `any` | here, at once |
//!
//! A request that was handed on is never handed on again, so two nodes that disagree about the leader refuse
//! it instead of passing it round.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use openraft::rt::WatchReceiver as _;
use tokio::time::Instant;
use tower::{Layer, Service};

use atoll_api::http::{Consistency, Problem, REQUEST_BYTES_MAX, Reason};
use atoll_api::openapi;
use atoll_client::PeerAnswer;

use super::head::Head;
use super::problem::Refused;
use super::{Http, body};
use crate::nodes::JOIN_PATH;
use crate::raft::member::RegionNode;

/// Marks a request that another node handed on.
pub(crate) const FORWARDED: HeaderName =
    HeaderName::from_static(atoll_api::http::header::FORWARDED);
/// A write that carries it may be handed on twice: it is applied once.
const IDEMPOTENCY_KEY: HeaderName =
    HeaderName::from_static(atoll_api::http::header::IDEMPOTENCY_KEY);
/// How long a request waits for the region to elect a leader.
const LEADER_WITHIN: Duration = Duration::from_secs(5);
/// The leader answers within its own bounds; this one is for a leader that is gone.
const ANSWER_WITHIN: Duration = Duration::from_secs(90);
const TRY_AGAIN: Duration = Duration::from_millis(50);
const PROBLEM_BYTES_MAX: usize = 1 << 20;

/// What is answered by the leader only.
const AT_LEADER: &[&str] = &[
    "putKey",
    "patchKey",
    "deleteKey",
    "operateOnKey",
    "batch",
    "putCollections",
    "listLinks",
    "pauseLink",
    "resumeLink",
    "addNode",
    "removeNode",
    "listNodes",
    "listRegions",
    "drainRegion",
    "cancelDrain",
    "removeRegion",
    "getTopology",
    "putTopology",
    "planTopology",
];
/// What reads data.
const READS: &[&str] = &[
    "getKey",
    "listKeys",
    "readKeys",
    "changes",
    "listConflicts",
    "getConflict",
];

#[derive(Clone)]
pub(crate) struct Forward(pub(crate) Http);

impl<S> Layer<S> for Forward {
    type Service = Forwarding<S>;
    fn layer(&self, inner: S) -> Forwarding<S> {
        Forwarding {
            inner,
            http: self.0.clone(),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Forwarding<S> {
    inner: S,
    http: Http,
}

impl<S> Service<Request> for Forwarding<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if self.http.node().0.group.leads_alone() {
            return Box::pin(self.inner.call(request));
        }
        let need = match need(&request) {
            // What is here is half a state: the leader answers.
            Ok(Need::LocalState) if self.http.node().0.published.is_replacing() => Ok(Need::Leader),
            Ok(Need::LocalState | Need::Nothing) => return Box::pin(self.inner.call(request)),
            need => need,
        };
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let http = self.http.clone();
        let was_forwarded = request.headers().contains_key(FORWARDED);
        Box::pin(async move {
            let answered = async {
                let until = Instant::now() + LEADER_WITHIN;
                let handling = Handling {
                    http: &http,
                    need: need?,
                    was_forwarded,
                    until,
                };
                handling.answer(&mut inner, request).await
            };
            Ok(answered.await.unwrap_or_else(IntoResponse::into_response))
        })
    }
}

/// What a request needs of the node that answers it.
#[derive(Clone, Copy)]
enum Need {
    Nothing,
    /// It reads what is here.
    LocalState,
    /// It changes the region, or asks for what only its leader knows.
    Leader,
    /// It reads, and wants to see all that was acknowledged before.
    CurrentState,
}

enum Place {
    Here,
    At(RegionNode),
}

fn need(request: &Request) -> Result<Need, Refused> {
    let Some(matched) = request.extensions().get::<MatchedPath>() else {
        return Ok(Need::Nothing);
    };
    if matched.as_str() == JOIN_PATH {
        return Ok(Need::Leader);
    }
    let route = openapi::route(request.method().as_str(), matched.as_str());
    let Some(route) = route else {
        return Ok(Need::Nothing);
    };
    if AT_LEADER.contains(&route.id) {
        return Ok(Need::Leader);
    }
    if !READS.contains(&route.id) {
        return Ok(Need::Nothing);
    }
    Ok(match consistency(request.headers())? {
        Consistency::Leader => Need::CurrentState,
        Consistency::Session | Consistency::Any => Need::LocalState,
    })
}

/// What a read asks for: what the header says, or what fits a request with or without a session.
fn consistency(headers: &HeaderMap) -> Result<Consistency, Refused> {
    let Some(value) = headers.get(atoll_api::http::header::CONSISTENCY) else {
        let has_session = headers.contains_key(atoll_api::http::header::SESSION);
        return Ok(if has_session {
            Consistency::Session
        } else {
            Consistency::Leader
        });
    };
    let text = value.to_str().unwrap_or_default();
    text.parse()
        .map_err(|unknown: atoll_api::http::UnknownConsistency| {
            Refused::new(Reason::InvalidHeader, unknown.to_string())
        })
}

/// A request that needs the leader, until it has found one that takes it.
struct Handling<'a> {
    http: &'a Http,
    need: Need,
    was_forwarded: bool,
    until: Instant,
}

impl Handling<'_> {
    async fn answer<S>(&self, here: &mut S, request: Request) -> Result<Response, Refused>
    where
        S: Service<Request, Response = Response, Error = Infallible>,
    {
        let (parts, body) = request.into_parts();
        let body = body::read(self.http, &Head::default(), body, REQUEST_BYTES_MAX).await?;
        let is_safe = parts.method.is_safe() || is_read(&parts);
        let is_repeatable = is_safe || parts.headers.contains_key(IDEMPOTENCY_KEY);
        let mut may_stand = false;
        loop {
            let given_up = |refused| if may_stand { unknown() } else { refused };
            let lost = match self.place().await.map_err(given_up)? {
                Place::Here => {
                    let request = Request::from_parts(parts.clone(), Body::from(body.clone()));
                    let Ok(response) = here.call(request).await;
                    if self.was_forwarded || !leads_no_more(&response) {
                        return Ok(response);
                    }
                    Lost::Unsent
                }
                Place::At(leader) => {
                    match try_hand_on(self.http, &leader, &parts, body.clone()).await {
                        Ok(response) => return Ok(response),
                        Err(lost) => lost,
                    }
                }
            };
            may_stand |= matches!(lost, Lost::Sent) && !is_safe;
            let is_late = Instant::now() + TRY_AGAIN >= self.until;
            if may_stand && (is_late || !is_repeatable) {
                return Err(unknown());
            }
            if is_late {
                return Err(no_leader());
            }
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }

    /// Where the request is answered; waits for a leader.
    async fn place(&self) -> Result<Place, Refused> {
        let group = &self.http.node().0.group;
        let mut changes = group.raft.server_metrics();
        loop {
            if group.leads() {
                return match self.need {
                    Need::CurrentState if group.current().await.is_err() => Err(no_leader()),
                    _ => Ok(Place::Here),
                };
            }
            if self.was_forwarded {
                return Err(no_leader());
            }
            if let Some((_, leader)) = group.leader() {
                return Ok(Place::At(leader));
            }
            match tokio::time::timeout_at(self.until, changes.changed()).await {
                Ok(Ok(())) => {}
                _ => return Err(no_leader()),
            }
        }
    }
}

/// Whether this node refused because it leads no more: it has changed nothing then.
fn leads_no_more(response: &Response) -> bool {
    let refused = response.extensions().get::<Refused>();
    refused.and_then(|refused| refused.0.reason()) == Some(Reason::NoLeader)
}

fn no_leader() -> Refused {
    Refused::new(
        Reason::NoLeader,
        "the region has no leader that a majority of its nodes confirms; try again",
    )
}

/// Why a request was not answered by the leader.
enum Lost {
    /// It changed nothing: it was not sent, or refused because that node leads no more.
    Unsent,
    /// It may have had an effect.
    Sent,
}

async fn try_hand_on(
    http: &Http,
    leader: &RegionNode,
    parts: &http::request::Parts,
    body: Bytes,
) -> Result<Response, Lost> {
    let mut headers = parts.headers.clone();
    drop_hop_headers(&mut headers);
    headers.insert(FORWARDED, HeaderValue::from_static("1"));
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let answer = http
        .node()
        .0
        .neighbours
        .hand_on(
            parts.method.clone(),
            &leader.address,
            path,
            headers,
            body,
            ANSWER_WITHIN,
        )
        .await;
    let answer = answer.map_err(|error| {
        tracing::debug!(%error, leader = %leader.name, "a request was not answered by the leader");
        if error.is_unsent() {
            Lost::Unsent
        } else {
            Lost::Sent
        }
    })?;
    if answer.status == StatusCode::SERVICE_UNAVAILABLE {
        return refusal(answer).await;
    }
    Ok(respond(answer))
}

/// A refusal of the leader's is passed on, unless it says that it leads no more.
async fn refusal(mut answer: PeerAnswer) -> Result<Response, Lost> {
    let (status, mut headers) = (answer.status, answer.headers.clone());
    drop_hop_headers(&mut headers);
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.next().await {
        let chunk = chunk.map_err(|_| Lost::Sent)?;
        body.extend_from_slice(&chunk);
        if body.len() > PROBLEM_BYTES_MAX {
            return Err(Lost::Sent);
        }
    }
    let problem = serde_json::from_slice::<Problem>(&body).ok();
    if problem.and_then(|problem| problem.reason()) == Some(Reason::NoLeader) {
        return Err(Lost::Unsent);
    }
    let mut response = Response::new(Body::from(body.freeze()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

fn is_read(parts: &http::request::Parts) -> bool {
    let matched = parts.extensions.get::<MatchedPath>();
    matched.is_some_and(|path| path.as_str() == "/v1/read")
}

fn unknown() -> Refused {
    Refused::new(
        Reason::OutcomeUnknown,
        "the region's leader did not answer; whether the write stands is not known: read it again, or repeat \
         it with the same Idempotency-Key",
    )
}

fn respond(answer: PeerAnswer) -> Response {
    let (status, mut headers) = (answer.status, answer.headers.clone());
    drop_hop_headers(&mut headers);
    let chunks = stream::unfold(answer, |mut answer| async {
        let chunk = answer.next().await?;
        Some((chunk, answer))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// RFC 9110 §7.6.1: what concerns one connection stays on it.
fn drop_hop_headers(headers: &mut HeaderMap) {
    for name in [
        header::CONNECTION,
        header::HOST,
        header::TE,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::TRAILER,
        header::EXPECT,
        HeaderName::from_static("keep-alive"),
    ] {
        headers.remove(name);
    }
}
