//! The command line.

use atoll_client::otlp::Outlet;
use clap::{Parser, Subcommand};

use crate::commands;
use crate::logging;
use crate::target::TargetArguments;

/// Atoll: a geo-distributed, multi-leader store
#[derive(Parser, Debug)]
#[command(
    name = "atoll",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) target: TargetArguments,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run every region of some manifests on this machine
    Dev(commands::dev::DevCommand),
    /// Run one storage node
    Node(commands::node::NodeCommand),
    /// Run the Kubernetes operator
    Operator(commands::operator::OperatorCommand),
    #[command(flatten)]
    OfStore(StoreCommand),
    /// Generate load; measure latency and server CPU
    Bench(commands::bench::BenchCommand),
    /// Print the custom resource definitions, or keep them as files
    Crds(commands::crds::CrdsCommand),
    /// Print a completion script
    Completion(commands::completion::CompletionCommand),
    /// Print the version
    Version,
    /// Delay everything that passes through a TCP port
    #[command(hide = true)]
    Proxy(commands::proxy::ProxyCommand),
    /// Show what Atoll does, with every claim checked
    #[command(hide = true)]
    Demo(commands::demo::DemoCommand),
}

/// What is asked of a store, wherever it is.
#[derive(Subcommand, Debug)]
pub(crate) enum StoreCommand {
    /// Show the nodes of a region, add one, or remove one
    Nodes(commands::nodes::NodesCommand),
    /// Read a key
    Get(commands::get::GetCommand),
    /// Set a Register or a whole Document
    Put(commands::put::PutCommand),
    /// Change the named fields of a Document
    Patch(commands::patch::PatchCommand),
    /// Delete a key
    Delete(commands::delete::DeleteCommand),
    /// Apply typed operations to a Counter, a Set or a Map
    Op(commands::op::OpCommand),
    /// Write the keys of an NDJSON file
    Import(commands::import::ImportCommand),
    /// Write a collection's keys to an NDJSON file
    Export(commands::export::ExportCommand),
    /// Show regions, links, lag and conflicts
    Status(commands::status::StatusCommand),
    /// Show the members of the store; drain or remove one
    Region(commands::region::RegionCommand),
    /// Show, plan and change how regions are linked
    Topology(commands::topology::TopologyCommand),
    /// Show the links between regions, their state and lag
    Links,
    /// Show and resolve conflicts
    Conflicts(commands::conflicts::ConflictsCommand),
    /// Prove that regions are equal, or name what differs
    Verify(commands::verify::VerifyCommand),
}

impl Command {
    /// Worker threads to run on; `None` leaves it to the runtime: one a CPU, or `TOKIO_WORKER_THREADS`.
    ///
    /// A node takes half the CPUs: syncing the log, flushing and compacting run on threads of their own, and
    /// with fewer workers a request's hops between tasks wake nobody (measured on 2 CPUs: one worker puts in
    /// 0.37 ms and 9,300 writes per core-second, two in 0.50 ms and 8,000).
    pub(crate) fn worker_threads(&self) -> Option<usize> {
        let is_set = std::env::var_os("TOKIO_WORKER_THREADS").is_some();
        if is_set || !matches!(self, Command::Node(_)) {
            return None;
        }
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        Some((cpus / 2).max(1))
    }

    /// Logs go to standard error; `ATOLL_LOG` says which (as `info` or `atoll_node=debug`),
    /// `ATOLL_LOG_FORMAT=json` makes them JSON.
    pub(crate) fn init_logging(&self) -> Outlet {
        logging::init(match self {
            Command::Node(_) | Command::Operator(_) => "info,openraft=error",
            _ => QUIET,
        })
    }
}

/// What commands for people log.
pub(crate) const QUIET: &str = "warn,openraft=error";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Arguments::command().debug_assert();
    }
}
