//! `atoll node`: one storage node, until it is told to stop.

use std::path::PathBuf;

use atoll_client::otlp::Outlet;
use atoll_node::{Node, NodeConfig, Surroundings};
use clap::Args;

use crate::dev::signals::Signals;
use crate::failure::Failure;
use crate::output;

#[derive(Args, Debug)]
pub(crate) struct NodeCommand {
    /// Configuration file (YAML)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl NodeCommand {
    pub(crate) async fn run(self, logs: Outlet) -> Result<(), Failure> {
        // From here on: a container's first process that does not listen cannot be told to stop.
        let mut signals = Signals::new()?;
        let file = self.config.display().to_string();
        let text = std::fs::read_to_string(&self.config)
            .map_err(|error| Failure::usage(format!("{file} cannot be read: {error}")))?;
        let config = NodeConfig::from_yaml(&file, &text)
            .map_err(|error| Failure::usage(error.to_string()))?;
        let region = config.region.clone();
        let scheme = config.client_scheme();
        let surroundings = Surroundings {
            logs,
            ..Surroundings::default()
        };
        let running = tokio::select! {
            started = Box::pin(Node::start_in(config, surroundings)) => {
                started.map_err(|error| Failure::new(error.to_string()))?
            }
            () = signals.end() => {
                output::note(&format!("{region} stops before it has started"));
                return Ok(());
            }
        };
        output::note(&format!(
            "{region} answers on {scheme}://{}",
            running.address()
        ));
        signals.end().await;
        output::note(&format!("{region} is stopping"));
        running.stop().await;
        Ok(())
    }
}
