//! `GET …/keys/{key}`: one key as the collection's policy shows it.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use atoll_api::http::{ReadQuery, Reason, Siblings};
use atoll_core::view::{self, Answer as View, Lens};
use atoll_core::{DataType, Key, VersionVector};
use atoll_store::StoreError;
use atoll_store::engine::Read;
use atoll_store::query::{self, Slots};

use super::head::Head;
use super::problem::Refused;
use super::{Answer, Http, condition, path, reply, session, shown, write};

pub(crate) async fn get_key(State(http): State<Http>, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let head = Head::read(http.node().identity().store, &parts.headers)?;
    let ReadQuery { siblings } = super::query::read(&parts.uri)?;
    let (collection, key) = path::key(parts.uri.path())?;
    session::reach(&http, &head).await?;
    let catalog = http.node().catalog();
    let lens = write::lens(&catalog, &collection)?;
    let (vector, slots) = http
        .node()
        .engine()
        .snapshot(|read| -> Result<_, StoreError> {
            Ok((query::applied(read)?.vector, slots_of(read, &lens, &key)?))
        })?;
    answer(&http, &head, &lens, &slots, siblings, &vector)
}

/// The slots that make up a key: for most, the one at the root is all.
pub(crate) fn slots_of(read: &dyn Read, lens: &Lens<'_>, key: &Key) -> Result<Slots, StoreError> {
    match lens.spec.data_type {
        DataType::Register | DataType::Counter => query::root(read, &lens.spec.name, key),
        DataType::Document | DataType::Set | DataType::Map => {
            query::slots(read, &lens.spec.name, key)
        }
    }
}

fn answer(
    http: &Http,
    head: &Head,
    lens: &Lens<'_>,
    slots: &Slots,
    siblings_wanted: bool,
    vector: &VersionVector,
) -> Answer {
    let tag = condition::tag(lens, slots);
    let mut response = if siblings_wanted {
        all_versions(lens, slots)?
    } else {
        by_policy(lens, slots)?
    };
    if response.status() != StatusCode::NOT_FOUND {
        if let Some(known) = &head.if_none_match
            && condition::is_known(tag, known)?
        {
            response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        reply::tag(&mut response, tag);
    }
    reply::saw(http, &mut response, vector);
    Ok(response)
}

fn by_policy(lens: &Lens<'_>, slots: &Slots) -> Answer {
    match view::answer(lens, slots) {
        View::Absent => Ok(absent()),
        View::One(value) => Ok(reply::value(value)),
        View::Several(siblings) => several(StatusCode::MULTIPLE_CHOICES, lens, &siblings),
    }
}

/// Whatever the policy: also what a delete won against, and the delete.
fn all_versions(lens: &Lens<'_>, slots: &Slots) -> Answer {
    let siblings = view::siblings(lens, slots);
    if siblings.iter().all(|sibling| sibling.value.is_none()) {
        return Ok(absent());
    }
    several(StatusCode::OK, lens, &siblings)
}

fn several(status: StatusCode, lens: &Lens<'_>, siblings: &[view::Sibling]) -> Answer {
    let siblings = shown::siblings(lens.regions, siblings);
    reply::json(status, &Siblings { siblings })
}

/// Carries a context like any answer: a write that follows can say that it saw nothing.
fn absent() -> Response {
    Refused::new(Reason::NotFound, "there is nothing under this key").into_response()
}
