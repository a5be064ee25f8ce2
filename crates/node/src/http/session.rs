//! Sessions and contexts: waiting until the region has what a client has seen, and telling what it has.

use std::time::Duration;

use http::HeaderValue;

use atoll_api::http::{Reason, Vector};
use atoll_core::collection::Regions;
use atoll_core::token::{self, TokenKind};
use atoll_core::{ReplicaId, VersionVector};

use super::Http;
use super::head::Head;
use super::problem::Refused;

/// Waits until the region has all that the request's session and context have seen.
pub(crate) async fn reach(http: &Http, head: &Head) -> Result<(), Refused> {
    for vector in [&head.session, &head.context].into_iter().flatten() {
        reach_vector(http, vector, head.timeout()).await?;
    }
    Ok(())
}

/// Waits until the region has all that `vector` has seen.
pub(crate) async fn reach_vector(
    http: &Http,
    vector: &VersionVector,
    timeout: Duration,
) -> Result<(), Refused> {
    if http.node().vector().covers_all(vector) {
        return Ok(());
    }
    let Err(missing) = http.node().reach(vector, timeout).await else {
        return Ok(());
    };
    let missing = shown_vector(&http.node().catalog().regions, &missing);
    let names: Vec<String> = missing
        .iter()
        .map(|(region, seq)| format!("{region} up to {seq}"))
        .collect();
    let detail = format!(
        "after {timeout:?} this region still lacks what was written in {}; ask the region where it was \
         written, or go on without the session",
        names.join(", ")
    );
    Err(Refused::new(Reason::SessionNotReached, detail).missing(missing))
}

/// A vector as people read it.
pub(crate) fn shown_vector(regions: &Regions, vector: &VersionVector) -> Vector {
    vector
        .iter()
        .map(|(replica, seq)| (regions.shown(replica), seq))
        .collect()
}

/// Regions as people read them.
pub(crate) fn shown_regions(regions: &Regions, replicas: &[ReplicaId]) -> Vec<String> {
    replicas
        .iter()
        .map(|replica| regions.shown(*replica))
        .collect()
}

/// A token of this store.
pub(crate) fn token(http: &Http, kind: TokenKind, vector: &VersionVector) -> String {
    token::write(kind, http.node().identity().store, vector)
}

/// A token as a header's value.
pub(crate) fn token_header(http: &Http, kind: TokenKind, vector: &VersionVector) -> HeaderValue {
    HeaderValue::try_from(token(http, kind, vector)).expect("base64 is visible ASCII")
}
