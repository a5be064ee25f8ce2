//! The `atoll` binary: commands for people, and the local store of `atoll dev`.
//!
//! - `arguments`: the command line; `commands`: one file each, thin
//! - `target`: which server a command talks to; `kubectl`: the same commands for a store on Kubernetes
//! - `dev`: a whole store on this machine; `demo` and `bench` stand on it, and on nodes that are processes of
//!   their own (`cluster`)
//! - `output`, `wording`, `failure`: all that people see; `logging`: what nodes and the operator log

mod arguments;
mod bench;
mod certificates;
mod cluster;
mod commands;
mod demo;
mod dev;
mod failure;
mod kubectl;
mod ledger;
mod logging;
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
use failure::Failure;
use kubectl::KubectlArguments;

fn main() -> ExitCode {
    failure::init();
    if std::env::args()
        .next()
        .is_some_and(|program| kubectl::is_called(&program))
    {
        let arguments = KubectlArguments::parse();
        logging::init(arguments::QUIET);
        return run(None, arguments.run());
    }
    let arguments = Arguments::parse();
    let logs = arguments.command.init_logging();
    let threads = arguments.command.worker_threads();
    run(threads, commands::run(arguments, logs))
}

fn run(threads: Option<usize>, work: impl Future<Output = Result<(), Failure>>) -> ExitCode {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all().thread_name("atoll");
    if let Some(threads) = threads {
        runtime.worker_threads(threads);
    }
    let runtime = match runtime.build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::new(error.to_string()).report(),
    };
    match runtime.block_on(Box::pin(work)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
