//! `/v1/regions` and `/v1/topology`: who the members are and how they are linked.

use axum::extract::{Request, State};
use http::StatusCode;

use atoll_api::http::{REQUEST_BYTES_MAX, Reason, RemoveQuery, TopologyDeclaration};
use atoll_core::member::ChangeRefused;
use atoll_store::region::NotChanged;

use super::bounds::JSON_DEPTH_MAX;
use super::head::Head;
use super::problem::Refused;
use super::{Answer, Http, batch, body, path, query, reply};
use crate::members::{MembersRefused, topology};

pub(crate) async fn list_regions(State(http): State<Http>, request: Request) -> Answer {
    query::none(request.uri())?;
    reply::json(StatusCode::OK, &http.node().0.member_list())
}

pub(crate) async fn drain_region(State(http): State<Http>, request: Request) -> Answer {
    query::none(request.uri())?;
    let name = path::region(request.uri().path())?;
    reply::json(StatusCode::OK, &http.node().0.drain(&name).await?)
}

pub(crate) async fn cancel_drain(State(http): State<Http>, request: Request) -> Answer {
    query::none(request.uri())?;
    let name = path::region(request.uri().path())?;
    reply::json(StatusCode::OK, &http.node().0.cancel_drain(&name).await?)
}

pub(crate) async fn remove_region(State(http): State<Http>, request: Request) -> Answer {
    let RemoveQuery { force, lost } = query::read(request.uri())?;
    let name = path::region(request.uri().path())?;
    let removed = http.node().0.remove(&name, force, lost).await?;
    reply::json(StatusCode::OK, &removed)
}

pub(crate) async fn get_topology(State(http): State<Http>, request: Request) -> Answer {
    query::none(request.uri())?;
    reply::json(StatusCode::OK, &http.node().0.topology())
}

pub(crate) async fn plan_topology(State(http): State<Http>, request: Request) -> Answer {
    let declaration = declaration(&http, request).await?;
    reply::json(StatusCode::OK, &http.node().0.plan(declaration).await?)
}

pub(crate) async fn put_topology(State(http): State<Http>, request: Request) -> Answer {
    let declaration = declaration(&http, request).await?;
    reply::json(StatusCode::OK, &http.node().0.declare(declaration).await?)
}

async fn declaration(http: &Http, request: Request) -> Result<TopologyDeclaration, Refused> {
    let (parts, body) = request.into_parts();
    let head = Head::read(http.node().identity().store, &parts.headers)?;
    query::none(&parts.uri)?;
    head.media.json_only()?;
    let body = body::read_json(http, &head, body, REQUEST_BYTES_MAX, JSON_DEPTH_MAX).await?;
    batch::shape(&body)
}

impl From<MembersRefused> for Refused {
    fn from(refused: MembersRefused) -> Refused {
        let reason = match &refused {
            MembersRefused::NoSuchRegion(_) => Reason::NotFound,
            MembersRefused::NotChanged(NotChanged::Retired) | MembersRefused::Own(_) => {
                Reason::WrongState
            }
            MembersRefused::NotChanged(NotChanged::Member(refused)) => match refused {
                ChangeRefused::Unknown(_) => Reason::NotFound,
                ChangeRefused::Moved { .. } => Reason::ChangeUnderWay,
                ChangeRefused::Retired(_) | ChangeRefused::NoWay { .. } => Reason::WrongState,
                ChangeRefused::LastMember(_) => Reason::CannotLeave,
            },
            MembersRefused::NotChanged(NotChanged::Layout(refused)) => topology::reason(refused),
            MembersRefused::UnderWay(_) => Reason::ChangeUnderWay,
            MembersRefused::NeededByTopology { .. } => Reason::CannotLeave,
            MembersRefused::NeedsForce(_) | MembersRefused::Incomplete(_) => Reason::InvalidValue,
            MembersRefused::Alive { .. } => Reason::RegionAlive,
            MembersRefused::LostNotConfirmed { .. } => Reason::LostNotConfirmed,
            MembersRefused::OtherStore { .. } => Reason::OtherStore,
            MembersRefused::OtherRegion { .. } => Reason::UnknownRegion,
            MembersRefused::ReplicaTwice { .. } => Reason::ReplicaTwice,
            MembersRefused::NotProposed(refusal) => return refusal.clone().into(),
        };
        let mut problem = Refused::new(reason, refused.to_string());
        if let MembersRefused::LostNotConfirmed { lost, .. } = refused {
            problem.0.lost = Some(lost);
        }
        problem
    }
}
