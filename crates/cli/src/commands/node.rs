//! `atoll node`: one storage node, until it is told to stop.

use std::path::PathBuf;

use atoll_node::{Node, NodeConfig};
use clap::Args;

use crate::dev::signals;
use crate::failure::Failure;
use crate::output;

#[derive(Args, Debug)]
pub(crate) struct NodeCommand {
    /// Configuration file (YAML)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl NodeCommand {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let file = self.config.display().to_string();
        let text = std::fs::read_to_string(&self.config)
            .map_err(|error| Failure::usage(format!("{file} cannot be read: {error}")))?;
        let config = NodeConfig::from_yaml(&file, &text)
            .map_err(|error| Failure::usage(error.to_string()))?;
        let region = config.region.clone();
        let running = Box::pin(Node::start(config))
            .await
            .map_err(|error| Failure::new(error.to_string()))?;
        output::note(&format!("{region} answers on http://{}", running.address()));
        signals::wait_for_end().await?;
        output::note(&format!("{region} is stopping"));
        running.stop().await;
        Ok(())
    }
}
