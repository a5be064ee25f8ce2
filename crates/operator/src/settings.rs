//! What an operator is told by its command line.

use std::net::SocketAddr;
use std::time::Duration;

/// How the operator behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where stores are looked after.
    pub scope: Scope,
    /// The name of this cluster in `location.cluster`; absent: every region is here.
    pub cluster: Option<String>,
    /// The image of nodes, without its tag.
    pub image: String,
    /// The tag, for stores that name no version.
    pub version: String,
    /// Stores that are worked on at once.
    pub concurrency: u16,
    /// How often a store is looked at when nothing happens.
    pub look_every: Duration,
    /// How long the API server, or a node, may take to answer.
    pub timeout: Duration,
    /// Where health and metrics are served.
    pub listen: SocketAddr,
    /// Who this operator is among several: its pod's name.
    pub identity: String,
    /// The namespace of the lease by which several operators agree on one.
    pub lease_namespace: String,
}

/// Where stores are looked after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In every namespace.
    All,
    /// In these.
    Namespaces(Vec<String>),
}
