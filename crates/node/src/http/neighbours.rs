//! What the nodes of one region ask of each other, and what administrators ask about them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{self, MethodRouter};
use axum::{Json, Router};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Limited};

use atoll_api::http::{NodeAddress, NodeList, REQUEST_BYTES_MAX, Reason};

use super::bounds::JSON_DEPTH_MAX;
use super::head::Head;
use super::problem::Refused;
use super::{Answer, Http, batch, body, query, reply};
use crate::formation::{self, Introduction};
use crate::nodes::{Applicant, JOIN_PATH, NotChanged};
use crate::raft::network;
use crate::raft::serve::{self, Unanswered};

/// A group of commands is bounded well below.
const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// The routes among the nodes of a region; no part of what is promised to people.
pub(crate) fn routes() -> Router<Http> {
    Router::new()
        .route(formation::PATH, routing::get(introduce))
        .route(JOIN_PATH, routing::post(join))
        .route(&format!("{}{{what}}", network::PATH), message())
}

fn message() -> MethodRouter<Http> {
    routing::post(raft)
}

async fn introduce(State(http): State<Http>) -> Json<Introduction> {
    Json(http.node().0.introduction())
}

async fn raft(State(http): State<Http>, Path(what): Path<String>, request: Request) -> Answer {
    let inner = Arc::clone(&http.node().0);
    let (parts, body) = request.into_parts();
    let expected = network::envelope(&inner.identity, inner.group.me);
    check_envelope(&expected, &parts.headers)?;
    let answered = if what == "snapshot" {
        serve::take_snapshot(&inner, body).await
    } else {
        let body = whole(body).await?;
        serve::answer(&inner.group.raft, &what, body).await
    };
    let bytes = answered.map_err(|error| match error {
        Unanswered::Unknown => Refused::new(Reason::NotFound, error.to_string()),
        Unanswered::Unreadable(_) => Refused::new(Reason::InvalidValue, error.to_string()),
        Unanswered::Refused(_) => Refused::new(Reason::NoLeader, error.to_string()),
        Unanswered::Stopped(_) => Refused::new(Reason::StorageFailed, error.to_string()),
    })?;
    Ok(Response::new(Body::from(bytes)))
}

/// A message for another node, store or life of the region changes nothing here.
fn check_envelope(expected: &HeaderMap, headers: &HeaderMap) -> Result<(), Refused> {
    let wrong = expected
        .iter()
        .find(|(name, value)| headers.get(*name) != Some(*value));
    wrong.map_or(Ok(()), |(name, value)| {
        let detail = format!("{name} must be {value:?}: the message is for another node");
        Err(Refused::new(Reason::InvalidHeader, detail))
    })
}

async fn whole(body: Body) -> Result<Bytes, Refused> {
    let collected = Limited::new(body, MESSAGE_BYTES_MAX).collect().await;
    let unreadable = |error| {
        Refused::new(
            Reason::InvalidValue,
            format!("the message broke off: {error}"),
        )
    };
    Ok(collected.map_err(unreadable)?.to_bytes())
}

async fn join(State(http): State<Http>, request: Request) -> Answer {
    let body = whole(request.into_body()).await?;
    let applicant: Applicant = serde_json::from_slice(&body)
        .map_err(|error| Refused::new(Reason::InvalidValue, error.to_string()))?;
    http.node().admit(applicant).await?;
    Ok(Response::new(Body::empty()))
}

pub(crate) async fn list_nodes(State(http): State<Http>, request: Request) -> Answer {
    query::none(request.uri())?;
    list(&http)
}

pub(crate) async fn add_node(State(http): State<Http>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let head = Head::read(http.node().identity().store, &parts.headers)?;
    query::none(&parts.uri)?;
    head.media.json_only()?;
    let body = body::read_json(&http, &head, body, REQUEST_BYTES_MAX, JSON_DEPTH_MAX).await?;
    let NodeAddress { address } = batch::shape(&body)?;
    http.node().add_node(&address).await?;
    list(&http)
}

pub(crate) async fn remove_node(
    State(http): State<Http>,
    Path(name): Path<String>,
    request: Request,
) -> Answer {
    query::none(request.uri())?;
    http.node().remove_node(&name).await?;
    list(&http)
}

fn list(http: &Http) -> Answer {
    let nodes = http.node().nodes();
    reply::json(StatusCode::OK, &NodeList { nodes })
}

impl From<NotChanged> for Refused {
    fn from(not_changed: NotChanged) -> Refused {
        let reason = match not_changed {
            NotChanged::UnderWay => Reason::ChangeUnderWay,
            NotChanged::Invalid(_) => Reason::InvalidValue,
            NotChanged::Unknown(_) => Reason::NotFound,
            NotChanged::Refused(refusal) => return refusal.into(),
        };
        Refused::new(reason, not_changed.to_string())
    }
}
