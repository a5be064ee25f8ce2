//! HTTP v1: turns requests into core types, asks the node, and turns its answers into responses.
//!
//! connection ([`server`], [`door`]) → [`observe`] (admission, metrics, session header) → [`access`] → [`router`] → [`forward`]
//! (here, or at the region's leader) → one file a
//! subject: [`read`], [`page`], [`several`], [`mod@write`], [`batch`], [`changes`], [`conflicts`], [`state`],
//! [`admin`], [`members`], [`probes`]. What they share: [`head`] reads headers, [`body`] bodies, [`path`] and [`query`]
//! the address; [`problem`] is the one mapping of refusals.
//!
//! Everything is checked here, at the boundary, before it is proposed: nothing that is refused changes
//! anything. Reads come from one snapshot each, and their session from the same snapshot.

mod access;
mod activity;
mod admin;
mod batch;
mod body;
mod bounds;
mod change_feed;
mod changes;
mod condition;
mod conflicts;
mod depth;
mod door;
mod forward;
mod head;
mod media;
mod members;
mod neighbours;
mod observe;
mod page;
mod path;
mod probes;
mod problem;
mod query;
mod read;
mod reply;
mod router;
mod server;
mod session;
mod several;
mod shown;
#[cfg(test)]
mod slow_clients;
mod state;
mod time;
mod write;

use std::sync::Arc;

use axum::response::Response;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use self::bounds::Bounds;
use self::problem::Refused;
use crate::node::Node;

pub(crate) use self::access::{Belonging, Caller, Matter};
pub(crate) use self::door::Door;
pub(crate) use self::server::serve;

/// What a handler ends in.
type Answer = Result<Response, Refused>;

/// What all requests share.
#[derive(Clone)]
struct Http(Arc<Shared>);

struct Shared {
    node: Node,
    bounds: Bounds,
    /// Kibibytes of request bodies that may be held.
    bodies: Arc<Semaphore>,
    /// Followers of the changes feed that may be served.
    followers: Arc<Semaphore>,
    /// Cancelled when the node is about to stop: streams without an end then end.
    stopping: CancellationToken,
}

impl Http {
    fn new(node: Node, bounds: Bounds, stopping: CancellationToken) -> Http {
        let bodies = Arc::new(Semaphore::new(bounds.body_memory_bytes / 1024));
        let followers = Arc::new(Semaphore::new(bounds::FOLLOWERS_MAX));
        Http(Arc::new(Shared {
            node,
            bounds,
            bodies,
            followers,
            stopping,
        }))
    }

    fn node(&self) -> &Node {
        &self.0.node
    }

    fn bounds(&self) -> &Bounds {
        &self.0.bounds
    }
}
