//! The `atoll` binary: commands for people, and the local store of `atoll dev`.
//!
//! - `arguments`: the command line; `commands`: one file each, thin
//! - `target`: which server a command talks to
//! - `dev`: a whole store on this machine; `demo` and `bench` stand on it, and on nodes that are processes of
//!   their own (`cluster`)
//! - `output`, `wording`, `failure`: all that people see

mod arguments;
mod bench;
mod certificates;
mod cluster;
mod commands;
mod demo;
mod dev;
mod failure;
mod ledger;
mod metrics;
mod output;
mod progress;
mod target;
mod transfer;
mod verify;
mod wording;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::Arguments;

fn main() -> ExitCode {
    failure::init();
    let arguments = Arguments::parse();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all().thread_name("atoll");
    if let Some(threads) = arguments.command.worker_threads() {
        runtime.worker_threads(threads);
    }
    let runtime = match runtime.build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::Failure::new(error.to_string()).report(),
    };
    arguments.command.init_logging();
    match runtime.block_on(Box::pin(commands::run(arguments))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
