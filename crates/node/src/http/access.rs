//! Who may ask for what, in a store whose nodes have certificates.
//!
//! | | clients | nodes of the region | nodes of other regions | administrators |
//! |---|---|---|---|---|
//! | probes | yes, also without the certificate that others must show | yes | yes | yes |
//! | state: status, links, members, metrics | yes | yes | yes | yes |
//! | data | yes | yes: handed on | no | yes |
//! | administration | no | yes: handed on | no | yes |
//! | links | no | yes | yes | no |
//! | the region's own: Raft, formation | no | yes | no | no |

use std::fmt;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::Method;

use atoll_api::certificate::CertificateName;
use atoll_api::http::Reason;
use atoll_api::manifest::RegionName;
use atoll_api::openapi;
use atoll_client::tls::{TlsFault, TlsFaultKind};

use super::problem::Refused;
use super::router::LINK_PATH;
use super::{Answer, Http};
use crate::tls::{NodeTls, Side};

/// Who asks, by the way they came and the certificate that they showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Came by the listener of clients.
    Client {
        /// Showed a certificate, where clients must.
        is_known: bool,
    },
    /// A node of the store.
    Node { region: RegionName, node: String },
    /// An administrator of the store.
    Administrator { name: String },
    /// Somebody of another store under the same CA.
    OtherStore(CertificateName),
    /// Somebody with a certificate of the CA that does not say whose it is.
    Nobody,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Matter {
    Probe,
    State,
    Data,
    Administration,
    Link,
    Region,
}

/// What tells nothing but whether the node is well.
const PROBES: &[&str] = &["health", "ready"];
/// What tells how the store is.
const STATE: &[&str] = &[
    "status",
    "listLinks",
    "listNodes",
    "listRegions",
    "getTopology",
    "planTopology",
    "openapi",
    "metrics",
];
/// What reads and writes data.
const DATA: &[&str] = &[
    "getKey",
    "putKey",
    "patchKey",
    "deleteKey",
    "operateOnKey",
    "listKeys",
    "readKeys",
    "batch",
    "changes",
    "listConflicts",
    "getConflict",
];

impl Matter {
    /// What a route is about; what is new is the administrators' until it is sorted in.
    fn of_route(id: &str) -> Matter {
        if PROBES.contains(&id) {
            Matter::Probe
        } else if STATE.contains(&id) {
            Matter::State
        } else if DATA.contains(&id) {
            Matter::Data
        } else {
            Matter::Administration
        }
    }

    /// What a request is about; `None` where there is nothing.
    fn of(path: Option<&str>, method: &Method) -> Option<Matter> {
        let path = path?;
        if path == LINK_PATH {
            return Some(Matter::Link);
        }
        if path.starts_with("/internal/") {
            return Some(Matter::Region);
        }
        openapi::route(method.as_str(), path).map(|route| Matter::of_route(route.id))
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Caller::Client { .. } => f.write_str("a client"),
            Caller::Node { region, node } => write!(f, "node {node} of region {region}"),
            Caller::Administrator { name } => write!(f, "administrator {name}"),
            Caller::OtherStore(name) => name.fmt(f),
            Caller::Nobody => f.write_str("somebody without a name"),
        }
    }
}

impl Caller {
    /// Whether the caller may have what is asked for, of a node of `region`.
    pub(crate) fn may(&self, matter: Matter, tls: &Belonging<'_>) -> Result<(), Denied> {
        use Matter::{Administration, Data, Link, Probe, Region, State};
        let is_allowed = match (self, matter) {
            (Caller::OtherStore(_), _) => return Err(self.of_other_store(tls)),
            (Caller::Nobody, _) => return Err(nobody()),
            (Caller::Client { .. }, Probe) => true,
            (Caller::Client { is_known: false }, _) => return Err(unknown()),
            (Caller::Client { is_known: true }, State | Data) => true,
            (Caller::Client { .. }, Administration | Link | Region) => false,
            (Caller::Node { region, .. }, _) if region == tls.region => true,
            (Caller::Node { .. }, Probe | State | Link) => true,
            (Caller::Node { .. }, Data | Administration | Region) => false,
            (Caller::Administrator { .. }, Probe | State | Data | Administration) => true,
            (Caller::Administrator { .. }, Link | Region) => false,
        };
        if is_allowed {
            return Ok(());
        }
        Err(self.denied(matter, tls))
    }

    fn denied(&self, matter: Matter, tls: &Belonging<'_>) -> Denied {
        let detail = match (self, matter) {
            (Caller::Client { .. }, _) => {
                "the store is administered at node.listen, with a certificate that names an administrator: \
                 atoll://STORE/-/NAME"
                    .to_owned()
            }
            (Caller::Administrator { .. }, _) => {
                format!("{self} may not take the part of a node; nodes have certificates of their own")
            }
            _ => format!(
                "{self} may not ask this of a node of region {}: check the address, or the region in its \
                 certificate",
                tls.region
            ),
        };
        Denied {
            reason: Reason::Forbidden,
            kind: TlsFaultKind::OtherRegion,
            detail,
        }
    }

    fn of_other_store(&self, tls: &Belonging<'_>) -> Denied {
        let detail = format!(
            "this node belongs to store {}, and the certificate is {self}: check the address, or the store in \
             the certificate",
            tls.store
        );
        Denied {
            reason: Reason::Forbidden,
            kind: TlsFaultKind::OtherStore,
            detail,
        }
    }
}

fn nobody() -> Denied {
    Denied {
        reason: Reason::Forbidden,
        kind: TlsFaultKind::NoName,
        detail: "the certificate does not say whose it is: give it one URI as subject alternative name, \
                 atoll://STORE/REGION/NODE for a node, atoll://STORE/-/NAME for an administrator"
            .to_owned(),
    }
}

fn unknown() -> Denied {
    Denied {
        reason: Reason::Unauthorized,
        kind: TlsFaultKind::NoCertificate,
        detail: "clients of this node show a certificate: give --cert and --key".to_owned(),
    }
}

/// Whose node is asked.
pub(crate) struct Belonging<'a> {
    pub(crate) store: atoll_api::certificate::StoreId,
    pub(crate) region: &'a RegionName,
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) reason: Reason,
    pub(crate) kind: TlsFaultKind,
    pub(crate) detail: String,
}

impl Denied {
    /// Told to the caller, and noted here when it came with a certificate.
    pub(crate) fn told(self, caller: &Caller, tls: &NodeTls) -> Refused {
        let Denied {
            reason,
            kind,
            detail,
        } = self;
        if !matches!(caller, Caller::Client { .. }) {
            let fault = TlsFault {
                kind,
                detail: detail.clone(),
            };
            tls.refused(Side::Accepting, &caller.to_string(), &fault);
        }
        Refused::new(reason, detail)
    }
}

/// The middleware: refuses what the caller may not have.
pub(crate) async fn check(State(http): State<Http>, request: Request, next: Next) -> Answer {
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map(MatchedPath::as_str);
    let matter = Matter::of(path, request.method());
    // Whoever came past the door without a name is nobody.
    let caller = request.extensions().get().unwrap_or(&Caller::Nobody);
    if let (Some(matter), Some(tls)) = (matter, &http.node().0.tls) {
        let belonging = tls.belonging();
        caller
            .may(matter, &belonging)
            .map_err(|denied| denied.told(caller, tls))?;
    }
    Ok::<Response, Refused>(next.run(request).await)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use atoll_api::certificate::StoreId;

    use super::*;

    const MATTERS: [Matter; 6] = [
        Matter::Probe,
        Matter::State,
        Matter::Data,
        Matter::Administration,
        Matter::Link,
        Matter::Region,
    ];

    fn node(region: &str) -> Caller {
        Caller::Node {
            region: region.parse().unwrap(),
            node: "n".into(),
        }
    }

    /// The table at the top of the file.
    #[test]
    fn everybody_may_have_what_the_table_says() {
        let region: RegionName = "eu".parse().unwrap();
        let store = StoreId(7);
        let belonging = Belonging {
            store,
            region: &region,
        };
        let foreign = CertificateName::node(StoreId(8), "eu".parse().unwrap(), "eu-0");
        let administrator = Caller::Administrator { name: "ada".into() };
        for (caller, expected) in [
            (Caller::Client { is_known: true }, "yyynnn"),
            (Caller::Client { is_known: false }, "ynnnnn"),
            (node("eu"), "yyyyyy"),
            (node("us"), "yynnyn"),
            (administrator, "yyyynn"),
            (Caller::OtherStore(foreign), "nnnnnn"),
            (Caller::Nobody, "nnnnnn"),
        ] {
            let may = |matter: &Matter| match caller.may(*matter, &belonging) {
                Ok(()) => 'y',
                Err(_) => 'n',
            };
            let found: String = MATTERS.iter().map(may).collect();
            assert_eq!(found, expected, "{caller}");
        }
    }

    /// What is new is in one of the lists, or the administrators' alone.
    #[test]
    fn every_route_that_changes_the_store_is_the_administrators() {
        let mut others: Vec<&str> = openapi::ROUTES
            .iter()
            .map(|route| route.id)
            .filter(|id| Matter::of_route(id) == Matter::Administration)
            .collect();
        others.sort_unstable();
        let expected = [
            "addNode",
            "cancelDrain",
            "drainRegion",
            "pauseLink",
            "putCollections",
            "putTopology",
            "removeNode",
            "removeRegion",
            "resumeLink",
        ];
        assert_eq!(others, expected);
        let key = Some("/v1/collections/{collection}/keys/{key}");
        for method in [Method::GET, Method::HEAD, Method::PUT] {
            assert_eq!(Matter::of(key, &method), Some(Matter::Data), "{method}");
        }
        for id in PROBES.iter().chain(STATE).chain(DATA) {
            assert!(openapi::ROUTES.iter().any(|route| route.id == *id), "{id}");
        }
    }
}
