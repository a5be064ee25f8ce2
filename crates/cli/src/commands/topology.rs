//! `atoll topology`: how the regions are linked, what a change would do, and the change.

use std::collections::BTreeMap;
use std::path::PathBuf;

use atoll_api::http::{TopologyDeclaration, TopologyPlan, TopologyRegion, TopologyStatus};
use atoll_api::manifest::{LinkSpec, RegionName, StoreManifest, TopologyKind};
use clap::{Args, Subcommand};

use crate::dev::files;
use crate::failure::Failure;
use crate::output;
use crate::target::TargetArguments;

#[derive(Args, Debug)]
pub(crate) struct TopologyCommand {
    #[command(subcommand)]
    order: Order,
}

#[derive(Subcommand, Debug)]
enum Order {
    /// Show the declared topology
    Show,
    /// Print the steps to the topology of a manifest, and do nothing
    Plan(Declared),
    /// Declare the topology of a manifest
    Apply(Declared),
}

#[derive(Args, Debug)]
struct Declared {
    /// Manifests, or directories of them
    #[arg(short, long = "file", value_name = "FILE", num_args = 1.., required = true)]
    files: Vec<PathBuf>,
    /// Where a region's node is, for regions that are new: NAME=URL
    #[arg(long = "endpoint", value_name = "NAME=URL", value_parser = endpoint)]
    endpoints: Vec<(String, String)>,
}

fn endpoint(text: &str) -> Result<(String, String), String> {
    let (name, url) = text.split_once('=').ok_or("write NAME=URL")?;
    Ok((name.to_owned(), url.to_owned()))
}

impl TopologyCommand {
    pub(crate) async fn run(self, target: &TargetArguments) -> Result<(), Failure> {
        let client = target.client().await?;
        match self.order {
            Order::Show => output::show(target.format(), &client.topology().await?, table),
            Order::Plan(declared) => {
                let plan = client.plan_topology(&declared.read()?).await?;
                output::show(target.format(), &plan, steps)
            }
            Order::Apply(declared) => {
                let declaration = declared.read()?;
                let plan = client.plan_topology(&declaration).await?;
                output::note(&steps(&plan));
                let topology = client.put_topology(&declaration).await?;
                output::show(target.format(), &topology, table)
            }
        }
    }
}

impl Declared {
    fn read(&self) -> Result<TopologyDeclaration, Failure> {
        let manifest = files::read(&self.files)?;
        let mut endpoints = BTreeMap::<String, Vec<String>>::new();
        for (name, url) in &self.endpoints {
            if manifest.region(name).is_none() {
                return Err(Failure::usage(format!(
                    "--endpoint: {name} is not a region of the manifest"
                )));
            }
            endpoints.entry(name.clone()).or_default().push(url.clone());
        }
        Ok(declaration(&manifest, |name| {
            endpoints.get(name).cloned().unwrap_or_default()
        }))
    }
}

/// What a manifest declares, as the admin API takes it; without endpoints, regions stay where they are.
pub(crate) fn declaration(
    manifest: &StoreManifest,
    endpoints: impl Fn(&str) -> Vec<String>,
) -> TopologyDeclaration {
    let regions = manifest.regions.iter().map(|region| TopologyRegion {
        name: region.name.clone(),
        role: region.role,
        endpoints: endpoints(region.name.as_str()),
    });
    TopologyDeclaration {
        revision: None,
        topology: manifest.topology.clone().into(),
        regions: regions.collect(),
    }
}

fn steps(plan: &TopologyPlan) -> String {
    if plan.steps.is_empty() {
        return "No link changes.".to_owned();
    }
    let steps = plan.steps.iter().enumerate();
    let lines: Vec<String> = steps
        .map(|(i, step)| format!("{}. {step}", i + 1))
        .collect();
    lines.join("\n")
}

fn table(topology: &TopologyStatus) -> String {
    let Some(spec) = &topology.topology else {
        return "No topology was declared online: the links are those of the nodes' configurations."
            .to_owned();
    };
    let shape = match spec.kind {
        TopologyKind::AllToAll => "AllToAll".to_owned(),
        TopologyKind::Ring => {
            let order = spec.order.iter().flatten();
            let order: Vec<&str> = order.map(RegionName::as_str).collect();
            format!("Ring {}", order.join(" → "))
        }
        TopologyKind::Star => {
            let hub = spec.hub.as_ref().map_or("", |hub| hub.as_str());
            format!("Star round {hub}")
        }
        TopologyKind::Custom => {
            let links = spec.links.iter().flatten();
            let links: Vec<String> = links
                .map(|LinkSpec { from, to }| format!("{from}:{to}"))
                .collect();
            format!("Custom {}", links.join(" "))
        }
    };
    let rows: Vec<_> = topology
        .regions
        .iter()
        .map(|region| {
            let name = region.name.to_string();
            let knows = if topology.unheard.contains(&name) {
                "not yet"
            } else {
                "yes"
            };
            [name, region.endpoints.join(" "), knows.to_owned()]
        })
        .collect();
    format!(
        "{shape}, revision {}\n\n{}",
        topology.revision,
        output::table(["REGION", "ENDPOINTS", "KNOWS IT"], &rows)
    )
}
