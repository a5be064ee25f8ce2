//! One file for each command, and no more in it than asking and showing.

pub(crate) mod bench;
pub(crate) mod completion;
pub(crate) mod conditions;
pub(crate) mod conflicts;
pub(crate) mod crds;
pub(crate) mod delete;
pub(crate) mod demo;
pub(crate) mod dev;
pub(crate) mod export;
pub(crate) mod get;
pub(crate) mod import;
pub(crate) mod links;
pub(crate) mod node;
pub(crate) mod nodes;
pub(crate) mod op;
pub(crate) mod operator;
pub(crate) mod patch;
pub(crate) mod proxy;
pub(crate) mod put;
pub(crate) mod region;
pub(crate) mod status;
pub(crate) mod topology;
pub(crate) mod verify;
pub(crate) mod version;

use atoll_client::otlp::Outlet;

use crate::arguments::{Arguments, Command, StoreCommand};
use crate::failure::Failure;
use crate::target::TargetArguments;

/// Does what the command line says.
pub(crate) async fn run(arguments: Arguments, logs: Outlet) -> Result<(), Failure> {
    let Arguments { target, command } = arguments;
    match command {
        Command::Dev(command) => command.run(&target).await,
        Command::Node(command) => command.run(logs).await,
        Command::Operator(command) => command.run(logs).await,
        Command::OfStore(command) => run_on(command, &target).await,
        Command::Bench(command) => command.run(&target).await,
        Command::Crds(command) => command.run(&target),
        Command::Completion(command) => command.run(),
        Command::Version => version::run(&target),
        Command::Proxy(command) => command.run().await,
        Command::Demo(command) => command.run().await,
    }
}

/// Asks a store.
pub(crate) async fn run_on(command: StoreCommand, target: &TargetArguments) -> Result<(), Failure> {
    match command {
        StoreCommand::Nodes(command) => command.run(target).await,
        StoreCommand::Get(command) => command.run(target).await,
        StoreCommand::Put(command) => command.run(target).await,
        StoreCommand::Patch(command) => command.run(target).await,
        StoreCommand::Delete(command) => command.run(target).await,
        StoreCommand::Op(command) => command.run(target).await,
        StoreCommand::Import(command) => command.run(target).await,
        StoreCommand::Export(command) => command.run(target).await,
        StoreCommand::Status(command) => command.run(target).await,
        StoreCommand::Region(command) => command.run(target).await,
        StoreCommand::Topology(command) => command.run(target).await,
        StoreCommand::Links => links::run(target).await,
        StoreCommand::Conflicts(command) => command.run(target).await,
        StoreCommand::Verify(command) => command.run(target).await,
    }
}
