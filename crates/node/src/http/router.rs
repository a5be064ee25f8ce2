//! The router: every route that is promised, and the one that regions use among themselves.
//!
//! Built from the table of routes that the OpenAPI document is built from, so neither has one that the
//! other lacks.

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware;
use axum::response::Response;
use axum::routing::{self, MethodRouter};

use atoll_api::http::Reason;
use atoll_api::openapi::{ROUTES, Route};

use super::forward::Forward;
use super::observe::Observe;
use super::problem::Refused;
use super::{
    Answer, Door, Http, access, admin, batch, changes, conflicts, members, neighbours, page, path,
    probes, read, several, state, write,
};

/// Where a region asks another one for its entries; no part of what is promised to people.
pub(crate) const LINK_PATH: &str = "/internal/v1/link";

/// The router of a node; the routes among nodes are there when they come by this door.
pub(crate) fn router(http: Http, door: &Door) -> Router {
    let mut router = Router::new();
    if door.takes_neighbours() {
        router = router.merge(neighbours::routes());
    }
    if door.takes_links() {
        router = router.route(LINK_PATH, routing::post(link));
    }
    let router = ROUTES
        .iter()
        .filter_map(|route| Some((route.path, handler(route)?)))
        .fold(router, |router, (path, handler)| {
            router.route(path, handler)
        })
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(nothing_there)
        .layer(Forward(http.clone()));
    let router = if door.is_open() {
        router
    } else {
        router.layer(middleware::from_fn_with_state(http.clone(), access::check))
    };
    router.layer(Observe(http.clone())).with_state(http)
}

/// What answers a route; `None` for one that was declared and not written.
fn handler(route: &Route) -> Option<MethodRouter<Http>> {
    Some(match route.id {
        "getKey" => routing::get(read::get_key),
        "putKey" => routing::put(write::put_key),
        "patchKey" => routing::patch(write::patch_key),
        "deleteKey" => routing::delete(write::delete_key),
        "operateOnKey" => routing::post(write::operate_on_key),
        "listKeys" => routing::get(page::list_keys),
        "readKeys" => routing::post(several::read_keys),
        "batch" => routing::post(batch::batch),
        "changes" => routing::get(changes::changes),
        "listConflicts" => routing::get(conflicts::list_conflicts),
        "getConflict" => routing::get(conflicts::get_conflict),
        "status" => routing::get(state::status),
        "listLinks" => routing::get(state::list_links),
        "pauseLink" => routing::post(admin::pause_link),
        "resumeLink" => routing::post(admin::resume_link),
        "listNodes" => routing::get(neighbours::list_nodes),
        "addNode" => routing::post(neighbours::add_node),
        "removeNode" => routing::delete(neighbours::remove_node),
        "listRegions" => routing::get(members::list_regions),
        "drainRegion" => routing::post(members::drain_region),
        "cancelDrain" => routing::delete(members::cancel_drain),
        "removeRegion" => routing::delete(members::remove_region),
        "getTopology" => routing::get(members::get_topology),
        "planTopology" => routing::post(members::plan_topology),
        "putTopology" => routing::put(members::put_topology),
        "putCollections" => routing::put(admin::put_collections),
        "openapi" => routing::get(probes::openapi),
        "health" => routing::get(probes::health),
        "ready" => routing::get(probes::ready),
        "metrics" => routing::get(probes::metrics),
        _ => return None,
    })
}

/// Only the leader serves links: what targets acknowledge and say is known where it is needed, for write
/// concerns, the stable vector and healing. A target tries the region's nodes in turn, and the leader as soon as
/// one names it: it may be a node that the target's endpoints do not name yet.
async fn link(State(http): State<Http>, request: Request) -> Answer {
    let group = &http.node().0.group;
    if !group.leads() {
        let detail =
            "this node does not lead its region; ask the others, and name them all as endpoints";
        let leader = group.leader().map(|(_, node)| node.address);
        return Err(Refused::new(Reason::NoLeader, detail).leader(leader));
    }
    Ok(Response::new(http.node().serve_link(request.into_body())))
}

async fn nothing_there(request: Request) -> Answer {
    Err(path::nothing_at(request.uri().path()))
}

async fn method_not_allowed(request: Request) -> Answer {
    let method = request.method();
    let detail = format!("{method} is not possible here; see the header Allow");
    Err(Refused::new(Reason::MethodNotAllowed, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_declared_route_has_a_handler() {
        let missing = ROUTES.iter().filter(|route| handler(route).is_none());
        let names: Vec<&str> = missing.map(|route| route.id).collect();
        assert!(names.is_empty(), "declared, but not written: {names:?}");
    }
}
