//! `atoll dev`: every region of some manifests on this machine.

use std::path::PathBuf;

use atoll_api::manifest::TimeSpan;
use clap::{Args, Subcommand};

use crate::dev;
use crate::dev::cut;
use crate::failure::Failure;
use crate::target::TargetArguments;

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct DevCommand {
    #[command(subcommand)]
    order: Option<Order>,
    /// Manifests, or directories of them; reread on SIGHUP
    #[arg(short, long = "file", value_name = "FILE", num_args = 1.., required = true)]
    files: Vec<PathBuf>,
    /// Keep the data here; default: a temporary directory
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Round trip between any two regions, such as 80ms
    #[arg(long, value_name = "TIME")]
    wan: Option<TimeSpan>,
    /// Port of the first region; the others take the next ones; 0 takes any
    #[arg(long, value_name = "PORT", default_value_t = 7400)]
    port: u16,
}

#[derive(Subcommand, Debug)]
enum Order {
    /// Cut a region of the running dev store off from all others
    Partition {
        /// Region
        region: String,
    },
    /// Bring a region back, or all of them
    Heal {
        /// Region; default: all
        region: Option<String>,
    },
}

impl DevCommand {
    pub(crate) async fn run(self, target: &TargetArguments) -> Result<(), Failure> {
        match self.order {
            Some(Order::Partition { region }) => cut::partition(&target.places()?, &region).await,
            Some(Order::Heal { region }) => cut::heal(&target.places()?, region.as_deref()).await,
            None => {
                let settings = dev::Settings {
                    files: self.files,
                    data: self.data,
                    wan: self.wan.map(TimeSpan::as_duration),
                    port: self.port,
                };
                Box::pin(dev::run(settings)).await
            }
        }
    }
}
