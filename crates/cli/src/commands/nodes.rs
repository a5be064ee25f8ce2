//! `atoll nodes`: the nodes of one region, and how they come and go.

use atoll_api::http::{NodeList, NodeRole};
use clap::{Args, Subcommand};

use crate::failure::Failure;
use crate::output;
use crate::target::TargetArguments;

/// Show the nodes of a region, add one, or remove one
#[derive(Args, Debug)]
pub(crate) struct NodesCommand {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Show the region's nodes, and which of them leads
    List,
    /// Make a running, empty node one of the region's; waits until it has a vote
    Add {
        /// Where the region's other nodes reach it: http://host:port
        #[arg(value_name = "ADDRESS")]
        address: String,
    },
    /// Remove a node, also one that is gone
    Remove {
        /// Its name, such as eu-2
        #[arg(value_name = "NAME")]
        name: String,
    },
}

impl NodesCommand {
    pub(crate) async fn run(&self, target: &TargetArguments) -> Result<(), Failure> {
        let client = target.client().await?;
        let list = match &self.action {
            None | Some(Action::List) => client.nodes().await?,
            Some(Action::Add { address }) => client.add_node(address).await?,
            Some(Action::Remove { name }) => client.remove_node(name).await?,
        };
        output::show(target.format(), &list, table)
    }
}

fn table(list: &NodeList) -> String {
    let rows: Vec<_> = list
        .nodes
        .iter()
        .map(|node| {
            let role = match node.role {
                NodeRole::Leader => "leader",
                NodeRole::Follower => "follower",
                NodeRole::Learner => "learner: no vote until it has caught up",
            };
            let behind = node
                .commands_behind
                .map_or_else(String::new, |n| n.to_string());
            [
                node.name.clone(),
                role.to_owned(),
                node.address.clone(),
                behind,
            ]
        })
        .collect();
    output::table(["NODE", "ROLE", "ADDRESS", "COMMANDS BEHIND"], &rows)
}
