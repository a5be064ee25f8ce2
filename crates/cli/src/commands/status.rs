//! `atoll status`: regions, links, lag and conflicts on one screen.

use std::time::Duration;

use atoll_api::http::{
    ClockState, ConnectivityState, LinkRole, LinkState, LinkStatus, NodeRole, NodeStatus, Status,
};
use atoll_api::manifest::{Policy, Role};
use clap::Args;
use futures_util::future;
use serde::Serialize;

use crate::dev::signals::{Signal, Signals};
use crate::failure::Failure;
use crate::output::{self, Format};
use crate::target::{Place, TargetArguments};
use crate::wording;

const REDRAW_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Args, Debug)]
pub(crate) struct StatusCommand {
    /// Go on showing it as it changes
    #[arg(short, long)]
    watch: bool,
}

/// All regions at hand, as they see themselves.
#[derive(Serialize)]
pub(crate) struct Overview {
    regions: Vec<Region>,
}

#[derive(Serialize)]
struct Region {
    region: String,
    server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    links: Vec<LinkStatus>,
    nodes: Vec<NodeStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl StatusCommand {
    pub(crate) async fn run(self, target: &TargetArguments) -> Result<(), Failure> {
        let places = target.regions().await?;
        if !self.watch {
            let overview = Overview::of(&places).await;
            output::show(target.format(), &overview, Overview::table)?;
            return overview.check();
        }
        if target.format() != Format::Table || !output::is_watched() {
            return Err(Failure::usage("--watch draws on a terminal")
                .help("without it, -o json prints the state once"));
        }
        let mut signals = Signals::new()?;
        loop {
            output::redraw(&Overview::of(&places).await.table());
            tokio::select! {
                () = tokio::time::sleep(REDRAW_INTERVAL) => {}
                signal = signals.next() => if signal == Signal::End { return Ok(()) },
            }
        }
    }
}

impl Overview {
    pub(crate) async fn of(places: &[Place]) -> Self {
        let regions = future::join_all(places.iter().map(Region::of)).await;
        Overview { regions }
    }

    /// A region that does not answer is shown, and makes the command fail.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let silent: Vec<_> = self
            .regions
            .iter()
            .filter(|region| region.status.is_none())
            .map(|region| region.region.as_str())
            .collect();
        match silent.as_slice() {
            [] => Ok(()),
            silent => Err(Failure::new(format!(
                "no answer from {}",
                silent.join(", ")
            ))),
        }
    }

    pub(crate) fn table(&self) -> String {
        let mut parts = vec![self.heading()];
        parts.extend(self.topology());
        parts.extend([self.regions_table(), self.nodes_table(), self.links_table()]);
        parts.extend(self.errors());
        parts.push(self.collections_table());
        parts.retain(|part| !part.is_empty());
        parts.join("\n\n")
    }

    fn statuses(&self) -> impl Iterator<Item = &Status> {
        self.regions
            .iter()
            .filter_map(|region| region.status.as_ref())
    }

    fn heading(&self) -> String {
        let Some(first) = self.statuses().next() else {
            return "No region answers.".to_owned();
        };
        let (answering, all) = (self.statuses().count(), self.regions.len());
        let vectors_differ = self.statuses().any(|status| status.vector != first.vector);
        let behind: u64 = self
            .statuses()
            .map(|status| status.convergence.lag_entries)
            .sum();
        let state = match (vectors_differ, behind) {
            (false, 0) if answering == all => "all regions have the same entries".to_owned(),
            (_, 0) => "entries are on their way".to_owned(),
            (_, behind) => {
                format!(
                    "{} still to arrive",
                    wording::counted(behind, "entry", "entries")
                )
            }
        };
        format!(
            "Store {} · {answering} of {all} regions answer · {state}",
            first.store
        )
    }

    /// What the regions say of the ways between them; only what is not as it should be, and once.
    fn topology(&self) -> Option<String> {
        let known = self
            .statuses()
            .filter_map(|status| status.topology.as_ref());
        let worst = known.max_by_key(|topology| match topology.state {
            ConnectivityState::Redundant => 0,
            ConnectivityState::Connected => 1,
            ConnectivityState::Partitioned => 2 + topology.sides.len(),
        })?;
        match worst.state {
            ConnectivityState::Redundant => None,
            ConnectivityState::Connected => {
                Some("Topology: connected; some link has no other way, should it be lost".into())
            }
            ConnectivityState::Partitioned => {
                let sides: Vec<String> = worst.sides.iter().map(|side| side.join(" ")).collect();
                Some(format!(
                    "✗ Topology: partitioned into {}",
                    sides.join(" | ")
                ))
            }
        }
    }

    fn regions_table(&self) -> String {
        let rows: Vec<_> = self.regions.iter().map(Region::row).collect();
        output::table(
            [
                "REGION",
                "ADDRESS",
                "ROLE",
                "LEADER",
                "CLOCK",
                "HAS",
                "LACKS",
                "LAG",
                "OPEN CONFLICTS",
            ],
            &rows,
        )
    }

    /// Regions of one node have nothing to show here.
    fn nodes_table(&self) -> String {
        let several = self.regions.iter().filter(|region| region.nodes.len() > 1);
        let rows: Vec<_> = several
            .flat_map(|region| region.nodes.iter().map(|node| node_row(region, node)))
            .collect();
        if rows.is_empty() {
            return String::new();
        }
        output::table(["NODE", "ADDRESS", "ROLE", "LACKS"], &rows)
    }

    /// Of all regions that answer.
    pub(crate) fn links(&self) -> impl Iterator<Item = &LinkStatus> {
        self.regions.iter().flat_map(|region| &region.links)
    }

    pub(crate) fn links_table(&self) -> String {
        let rows: Vec<_> = self.links().map(link_row).collect();
        if rows.is_empty() {
            return String::new();
        }
        output::table(
            [
                "LINK",
                "STATE",
                "ROUND TRIP",
                "LAG",
                "LACKS",
                "QUEUE",
                "DETAIL",
            ],
            &rows,
        )
    }

    fn errors(&self) -> impl Iterator<Item = String> + '_ {
        self.regions
            .iter()
            .filter_map(|region| region.error.as_ref().map(|error| format!("✗ {error}")))
    }

    fn collections_table(&self) -> String {
        let Some(status) = self.statuses().next() else {
            return String::new();
        };
        let rows: Vec<_> = status
            .collections
            .iter()
            .map(|collection| {
                let conflicts = collection.conflicts.as_ref();
                let policy = conflicts.map(|conflicts| policy_word(conflicts.policy));
                let update_delete = conflicts.and_then(|conflicts| conflicts.update_delete);
                [
                    collection.name.clone(),
                    collection.data_type.name().to_owned(),
                    policy.unwrap_or("merges").to_owned(),
                    update_delete.map_or(String::new(), |word| format!("{word:?}")),
                ]
            })
            .collect();
        output::table(
            [
                "COLLECTION",
                "TYPE",
                "CONCURRENT WRITES",
                "UPDATE AND DELETE",
            ],
            &rows,
        )
    }
}

impl Region {
    async fn of(place: &Place) -> Self {
        let client = &place.client;
        let asked = future::join3(client.status(), client.links(), client.nodes()).await;
        let (status, links, nodes, error) = match asked {
            (Ok(status), Ok(links), Ok(nodes)) => (Some(status), links.links, nodes.nodes, None),
            (Err(error), _, _) | (_, Err(error), _) | (_, _, Err(error)) => {
                (None, Vec::new(), Vec::new(), Some(error.to_string()))
            }
        };
        Region {
            region: status
                .as_ref()
                .map_or_else(|| place.name(), |status| status.region.clone()),
            server: place.client.server().to_owned(),
            status,
            links,
            nodes,
            error,
        }
    }

    /// By name, when it is known.
    fn leader(&self, status: &Status) -> String {
        let mut nodes = self.nodes.iter();
        match nodes.find(|node| node.role == NodeRole::Leader) {
            Some(node) => node.name.clone(),
            None => status.leader.clone().unwrap_or_else(|| "none".to_owned()),
        }
    }

    fn row(&self) -> [String; 9] {
        let Some(status) = &self.status else {
            let mut row: [String; 9] = Default::default();
            row[0].clone_from(&self.region);
            row[1].clone_from(&self.server);
            row[2] = "no answer".to_owned();
            return row;
        };
        let convergence = &status.convergence;
        let entries = status.vector.values().sum();
        [
            status.region.clone(),
            self.server.clone(),
            match status.role {
                Role::Leader => "leader".to_owned(),
                Role::ReadOnly => "read-only".to_owned(),
            },
            self.leader(status),
            clock(status),
            wording::counted(entries, "entry", "entries"),
            wording::count(convergence.lag_entries),
            wording::seconds(convergence.lag_seconds),
            wording::count(convergence.open_conflicts),
        ]
    }
}

fn node_row(region: &Region, node: &NodeStatus) -> [String; 4] {
    let role = match node.role {
        NodeRole::Leader => "leader",
        NodeRole::Follower => "follower",
        NodeRole::Learner => "learner",
    };
    let behind = node.commands_behind.unwrap_or_default();
    [
        format!("{} of {}", node.name, region.region),
        node.address.clone(),
        role.to_owned(),
        wording::counted(behind, "command", "commands"),
    ]
}

fn clock(status: &Status) -> String {
    let offsets = status.clock.offset_seconds.values();
    let offset = offsets.copied().fold(0.0_f64, |most, offset| {
        if offset.abs() > most.abs() {
            offset
        } else {
            most
        }
    });
    match status.clock.state {
        ClockState::Good => "good".to_owned(),
        ClockState::Unknown => "unknown".to_owned(),
        ClockState::Skewed => format!("off by {}", wording::seconds(offset.abs())),
    }
}

fn link_row(link: &LinkStatus) -> [String; 7] {
    let state = match link.state {
        LinkState::Connecting => "connecting",
        LinkState::CatchingUp => "catching up",
        LinkState::Streaming => "streaming",
        LinkState::BackingOff => "backing off",
        LinkState::Standby => "standby",
        LinkState::Paused => "paused",
        LinkState::Stopped => "STOPPED",
    };
    [
        format!("{} → {}", link.from, link.to),
        state.to_owned(),
        link.rtt_seconds
            .map_or_else(|| "-".to_owned(), wording::seconds),
        wording::seconds(link.lag_seconds),
        wording::count(link.lag_entries),
        wording::count(link.queue),
        link_detail(link),
    ]
}

/// Why it is there if it is not declared, for how long it is silent, and what to do.
fn link_detail(link: &LinkStatus) -> String {
    let lasted = link.role_seconds.map_or(String::new(), |seconds| {
        format!(" since {} ago", wording::seconds(seconds))
    });
    let role = match link.role {
        Some(LinkRole::StandsIn) => {
            let down = link.stands_in_for.join(", ");
            Some(format!("stands in for {down}{lasted}"))
        }
        Some(LinkRole::Tried) => Some("tried: its source was not heard of".to_owned()),
        Some(LinkRole::Kept) => Some(format!("kept until the others have caught up{lasted}")),
        Some(LinkRole::Declared) | None => None,
    };
    let silent = link
        .silent_seconds
        .map(|seconds| format!("silent for {}", wording::seconds(seconds)));
    let parts: Vec<String> = [role, silent, link.detail.clone()]
        .into_iter()
        .flatten()
        .collect();
    parts.join("; ")
}

fn policy_word(policy: Option<Policy>) -> &'static str {
    match policy.unwrap_or_default() {
        Policy::LastWriterWins => "LastWriterWins",
        Policy::OriginPriority => "OriginPriority",
        Policy::KeepSiblings => "KeepSiblings",
    }
}
