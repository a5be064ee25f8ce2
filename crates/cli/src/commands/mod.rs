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

use crate::arguments::{Arguments, Command};
use crate::failure::Failure;

/// Does what the command line says.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { target, command } = arguments;
    match command {
        Command::Dev(command) => command.run(&target).await,
        Command::Node(command) => command.run().await,
        Command::Operator(command) => command.run().await,
        Command::Nodes(command) => command.run(&target).await,
        Command::Get(command) => command.run(&target).await,
        Command::Put(command) => command.run(&target).await,
        Command::Patch(command) => command.run(&target).await,
        Command::Delete(command) => command.run(&target).await,
        Command::Op(command) => command.run(&target).await,
        Command::Import(command) => command.run(&target).await,
        Command::Export(command) => command.run(&target).await,
        Command::Status(command) => command.run(&target).await,
        Command::Region(command) => command.run(&target).await,
        Command::Topology(command) => command.run(&target).await,
        Command::Conflicts(command) => command.run(&target).await,
        Command::Verify(command) => command.run(&target).await,
        Command::Bench(command) => command.run(&target).await,
        Command::Crds(command) => command.run(&target),
        Command::Completion(command) => command.run(),
        Command::Version => version::run(&target),
        Command::Proxy(command) => command.run().await,
        Command::Demo(command) => command.run().await,
    }
}
