//! `kubectl atoll`: the same commands for a store on Kubernetes, found by a kubeconfig.
//!
//! kubectl runs the program that is called `kubectl-atoll`, and takes no part in it. Nothing needs to listen on
//! this machine: connections pass through the API server to the pods of the store ([`atoll_operator::reach`]).

use std::path::{Path, PathBuf};
use std::time::Duration;

use atoll_client::{Client, Settings};
use atoll_operator::reach::{self, Found, ReachError};
use clap::{Args, Parser, Subcommand};

use crate::arguments::StoreCommand;
use crate::commands;
use crate::failure::Failure;
use crate::output;
use crate::target::{Place, Shown, TargetArguments};

/// A connection passes through the API server and a kubelet.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// What kubectl looks for on the PATH.
const PROGRAM: &str = "kubectl-atoll";

/// What installs the operator: the chart with its defaults, as plain YAML.
const MANIFESTS: &str = include_str!("../../../manifests/install.yaml");

/// Whether the program was called as kubectl calls it.
pub(crate) fn is_called(program: &str) -> bool {
    let name = Path::new(program).file_stem();
    name.is_some_and(|name| name == PROGRAM)
}

/// Atoll: a geo-distributed, multi-leader store, on Kubernetes
#[derive(Parser, Debug)]
#[command(
    name = "kubectl-atoll",
    bin_name = "kubectl atoll",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
pub(crate) struct KubectlArguments {
    #[command(flatten)]
    which: Which,
    #[command(subcommand)]
    command: Command,
}

/// Which store of which cluster.
#[derive(Args, Debug)]
struct Which {
    /// GeoStore to talk to. Default: the only one in the namespace
    #[arg(long, value_name = "NAME", global = true)]
    geostore: Option<String>,
    /// Namespace that it is in. Default: the context's
    #[arg(short, long, value_name = "NAME", global = true)]
    namespace: Option<String>,
    /// Context of the kubeconfig. Default: the current one
    #[arg(long, value_name = "NAME", global = true)]
    context: Option<String>,
    /// Kubeconfig. Default: as for kubectl, $KUBECONFIG or ~/.kube/config
    #[arg(long, value_name = "FILE", global = true)]
    kubeconfig: Option<PathBuf>,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Subcommand, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of them")]
enum Command {
    #[command(flatten)]
    OfStore(StoreCommand),
    /// Print what installs the operator: `kubectl atoll install | kubectl apply --server-side -f -`
    Install,
    /// Print the version
    Version,
}

impl KubectlArguments {
    /// Does what the command line says.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let KubectlArguments { which, command } = self;
        match command {
            Command::OfStore(command) => {
                let places = which.places().await?;
                let target = TargetArguments::of(places, which.shown);
                commands::run_on(command, &target).await
            }
            Command::Install => {
                output::bytes(MANIFESTS.as_bytes());
                Ok(())
            }
            Command::Version => {
                commands::version::run(&TargetArguments::of(Vec::new(), which.shown))
            }
        }
    }
}

impl Which {
    /// The regions of the store that run in this cluster.
    async fn places(&self) -> Result<Vec<Place>, Failure> {
        let wanted = reach::Which {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            namespace: self.namespace.clone(),
            geostore: self.geostore.clone(),
        };
        let Found { regions, dialer } = reach::find(&wanted).await?;
        if let Some(wanted) = &self.shown.region
            && !regions.contains_key(wanted)
        {
            let known: Vec<_> = regions.keys().map(String::as_str).collect();
            return Err(
                Failure::usage(format!("no pod of region {wanted} runs in this cluster"))
                    .help(format!("regions that do: {}", known.join(", "))),
            );
        }
        let place = |(region, addresses): (String, Vec<String>)| {
            let settings = Settings {
                connect_timeout: CONNECT_TIMEOUT,
                dialer: dialer.clone(),
                ..Settings::default()
            };
            Ok(Place {
                region: Some(region),
                client: Client::of_region(&addresses, settings)?,
            })
        };
        regions.into_iter().map(place).collect()
    }
}

impl From<ReachError> for Failure {
    fn from(error: ReachError) -> Self {
        let failure = if error.is_usage {
            Failure::usage(error.message)
        } else {
            Failure::new(error.message)
        };
        match error.help {
            Some(help) => failure.help(help),
            None => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        KubectlArguments::command().debug_assert();
    }

    #[test]
    fn the_program_is_known_by_its_name() {
        assert!(is_called("/usr/local/bin/kubectl-atoll"));
        assert!(is_called("kubectl-atoll"));
        assert!(!is_called("/usr/local/bin/atoll"));
    }
}
