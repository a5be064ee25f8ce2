//! `GET /v1/status` and `/v1/links`: what the node knows.

use axum::extract::{Request, State};
use http::StatusCode;

use atoll_api::http::LinkList;

use super::{Answer, Http, query, reply};

pub(crate) async fn status(State(http): State<Http>, request: Request) -> Answer {
    query::none(request.uri())?;
    reply::json(StatusCode::OK, &http.node().status())
}

pub(crate) async fn list_links(State(http): State<Http>, request: Request) -> Answer {
    query::none(request.uri())?;
    let links = http.node().links();
    reply::json(StatusCode::OK, &LinkList { links })
}
