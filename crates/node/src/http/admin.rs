//! What administrators change: links paused and resumed, collections declared.

use axum::extract::{Request, State};
use http::StatusCode;

use atoll_api::http::{CollectionList, REQUEST_BYTES_MAX, Reason};
use atoll_api::manifest::{
    CollectionSettings, DeclaredCollection, RegionName, declare_collections,
};

use super::bounds::JSON_DEPTH_MAX;
use super::head::Head;
use super::problem::Refused;
use super::query::invalid;
use super::{Answer, Http, batch, body, path, query, reply};

pub(crate) async fn pause_link(State(http): State<Http>, request: Request) -> Answer {
    set_paused(&http, &request, true)
}

pub(crate) async fn resume_link(State(http): State<Http>, request: Request) -> Answer {
    set_paused(&http, &request, false)
}

fn set_paused(http: &Http, request: &Request, paused: bool) -> Answer {
    query::none(request.uri())?;
    let name = path::link(request.uri().path())?;
    let link = http.node().set_link_paused(&name, paused).ok_or_else(|| {
        let detail = "there is no such link into this region; /v1/links lists them";
        Refused::new(Reason::NotFound, detail)
    })?;
    reply::json(StatusCode::OK, &link)
}

pub(crate) async fn put_collections(State(http): State<Http>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let head = Head::read(http.node().identity().store, &parts.headers)?;
    query::none(&parts.uri)?;
    head.media.json_only()?;
    let body = body::read_json(&http, &head, body, REQUEST_BYTES_MAX, JSON_DEPTH_MAX).await?;
    let CollectionList { collections } = batch::shape(&body)?;
    let declared = declare_collections(&collections, &regions(&http)).map_err(|errors| {
        let problems: Vec<String> = errors.iter().map(ToString::to_string).collect();
        invalid(problems.join("; "))
    })?;
    let specs = declared.into_iter().map(Into::into).collect();
    http.node().configure(specs).await?;
    let catalog = http.node().catalog();
    let specs = catalog.collections.values().cloned();
    let collections = specs.map(|spec| CollectionSettings::from(DeclaredCollection::from(spec)));
    let collections = collections.collect();
    reply::json(StatusCode::OK, &CollectionList { collections })
}

/// The regions that a policy may name.
fn regions(http: &Http) -> Vec<RegionName> {
    let config = http.node().config();
    let names = std::iter::once(&config.region).chain(config.peers.iter().map(|p| &p.region));
    names.filter_map(|name| name.parse().ok()).collect()
}
