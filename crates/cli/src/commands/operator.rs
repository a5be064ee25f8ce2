//! `atoll operator`: looks after the GeoStores of a Kubernetes cluster, until it is told to stop.

use std::net::SocketAddr;
use std::time::Duration;

use atoll_client::otlp::Outlet;
use atoll_operator::{Scope, Settings};
use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::dev::signals;
use crate::failure::Failure;

/// The API server, or a node, may take this long to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Args, Debug)]
pub(crate) struct OperatorCommand {
    /// Namespaces to look after stores in; all of them when none is named
    #[arg(
        long = "namespace",
        value_name = "NAME",
        env = "ATOLL_NAMESPACES",
        value_delimiter = ','
    )]
    namespaces: Vec<String>,
    /// How regions' `location.cluster` names this cluster; without it, all regions are here
    #[arg(long, value_name = "NAME", env = "ATOLL_CLUSTER")]
    cluster: Option<String>,
    /// The image of nodes, without its tag
    #[arg(
        long,
        value_name = "IMAGE",
        env = "ATOLL_IMAGE",
        default_value = "ghcr.io/atoll-dev/atoll"
    )]
    image: String,
    /// The image's tag, for stores that name no version
    #[arg(long, value_name = "TAG", env = "ATOLL_VERSION", default_value = env!("CARGO_PKG_VERSION"))]
    node_version: String,
    /// Stores that are worked on at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// Seconds after which a store is looked at although nothing happened
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3600))]
    look_every: u32,
    /// Where /healthz, /readyz and /metrics are served
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// Who this operator is among several: in a pod, its name
    #[arg(long, value_name = "NAME", env = "POD_NAME")]
    identity: Option<String>,
    /// Where operators agree by a Lease on the one that acts
    #[arg(
        long,
        value_name = "NAMESPACE",
        env = "POD_NAMESPACE",
        default_value = "default"
    )]
    lease_namespace: String,
}

impl OperatorCommand {
    pub(crate) async fn run(self, logs: Outlet) -> Result<(), Failure> {
        let mut signals = signals::Signals::new()?;
        let stop = CancellationToken::new();
        let operator = atoll_operator::run(self.settings(), logs, stop.clone());
        tokio::pin!(operator);
        let ended = tokio::select! {
            ended = &mut operator => ended,
            () = signals.end() => {
                stop.cancel();
                operator.await
            }
        };
        ended.map_err(|error| Failure::new(error.to_string()))
    }

    fn settings(self) -> Settings {
        let identity = self.identity.unwrap_or_else(|| {
            // Somebody who runs it by hand: another one each time.
            format!("operator-{:08x}", rand::random::<u32>())
        });
        Settings {
            scope: if self.namespaces.is_empty() {
                Scope::All
            } else {
                Scope::Namespaces(self.namespaces)
            },
            cluster: self.cluster,
            image: self.image,
            version: self.node_version,
            concurrency: self.concurrency,
            look_every: Duration::from_secs(u64::from(self.look_every)),
            timeout: TIMEOUT,
            listen: self.listen,
            identity,
            lease_namespace: self.lease_namespace,
        }
    }
}
