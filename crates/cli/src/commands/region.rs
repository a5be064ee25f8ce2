//! `atoll region`: who the members of the store are; letting one leave; removing one that is dead.

use std::time::Duration;

use atoll_api::http::{MemberList, MemberState, MemberStatus};
use atoll_client::Client;
use clap::{Args, Subcommand};

use crate::failure::Failure;
use crate::output;
use crate::target::TargetArguments;
use crate::wording;

const LOOKED_AT_EVERY: Duration = Duration::from_millis(200);

#[derive(Args, Debug)]
pub(crate) struct RegionCommand {
    #[command(subcommand)]
    order: Order,
}

#[derive(Subcommand, Debug)]
enum Order {
    /// Show the members of the store
    List,
    /// Let a region leave: no more writes, proof that all it wrote is elsewhere, retirement
    Drain {
        /// Region
        name: String,
        /// Let it stay after all
        #[arg(long)]
        cancel: bool,
        /// Do not wait until it is retired
        #[arg(long, conflicts_with = "cancel")]
        no_wait: bool,
    },
    /// Retire a dead region; ask one that remains
    Remove {
        /// Region
        name: String,
        /// It is dead and cannot be drained
        #[arg(long, required = true)]
        force: bool,
        /// How many of its entries are lost: repeat the number that the command without it names
        #[arg(long, value_name = "NUMBER")]
        lost: Option<u64>,
    },
}

impl RegionCommand {
    pub(crate) async fn run(self, target: &TargetArguments) -> Result<(), Failure> {
        let client = target.client().await?;
        match self.order {
            Order::List => output::show(target.format(), &client.members().await?, table),
            Order::Drain { name, cancel, .. } if cancel => {
                let member = client.cancel_drain(&name).await?;
                output::show(target.format(), &member, |_| format!("{name} stays."))
            }
            Order::Drain { name, no_wait, .. } => {
                let member = client.drain_region(&name).await?;
                let member = if no_wait {
                    member
                } else {
                    retired(&client, &member).await?
                };
                output::show(target.format(), &member, |member| match member.last {
                    Some(last) => format!(
                        "{name} is retired; all its {} are in every other region. Its process can be stopped.",
                        wording::counted(last, "entry", "entries")
                    ),
                    None => progress(member),
                })
            }
            Order::Remove { name, lost, .. } => {
                let removed = client.remove_region(&name, lost).await?;
                output::show(target.format(), &removed, |removed| {
                    format!(
                        "{} is removed; {} of it are lost.",
                        removed.region,
                        wording::counted(removed.lost, "entry", "entries")
                    )
                })
            }
        }
    }
}

/// Waits until a region that drains is retired, and says who is waited for whenever that changes.
pub(crate) async fn retired(
    client: &Client,
    draining: &MemberStatus,
) -> Result<MemberStatus, Failure> {
    let mut told = String::new();
    loop {
        let members = client.members().await?.members;
        let member = members.into_iter().find(|m| m.replica == draining.replica);
        let Some(member) = member else {
            return Err(Failure::new(format!(
                "{} is no longer known",
                draining.name
            )));
        };
        match member.state {
            MemberState::Retired => return Ok(member),
            MemberState::Joining | MemberState::Active => {
                let told = format!("{} stays: its drain was cancelled", member.name);
                return Err(Failure::new(told));
            }
            MemberState::Draining => {}
        }
        let now = progress(&member);
        if now != told {
            output::note(&now);
            told = now;
        }
        tokio::time::sleep(LOOKED_AT_EVERY).await;
    }
}

fn progress(member: &MemberStatus) -> String {
    let waits = member.drain.iter().flat_map(|drain| &drain.waiting_for);
    let waits: Vec<String> = waits
        .map(|wait| {
            let missing = wording::counted(wait.missing, "entry", "entries");
            format!("{} lacks {missing}", wait.region)
        })
        .collect();
    if waits.is_empty() {
        format!(
            "{} is draining: every other region has all of it",
            member.name
        )
    } else {
        format!("{} is draining: {}", member.name, waits.join(", "))
    }
}

fn table(list: &MemberList) -> String {
    let rows: Vec<_> = list
        .members
        .iter()
        .map(|member| {
            [
                member.name.clone(),
                format!("{:?}", member.state),
                wording::count(member.announced),
                wording::count(member.lag_entries),
                match member.heard_seconds_ago {
                    _ if member.replica == list.replica => "here".to_owned(),
                    Some(ago) => format!("{} ago", wording::seconds(ago)),
                    None => "-".to_owned(),
                },
                remark(member),
            ]
        })
        .collect();
    output::table(
        ["REGION", "STATE", "WROTE", "LACKS", "HEARD", "REMARK"],
        &rows,
    )
}

fn remark(member: &MemberStatus) -> String {
    if let Some(join) = &member.join {
        let left = join.seconds_left.map(wording::seconds);
        let left = left.map_or_else(String::new, |left| format!(", {left} left"));
        return format!(
            "{} of {} entries{left}{}",
            wording::count(join.applied),
            wording::count(join.known),
            join.waits()
        );
    }
    match &member.drain {
        Some(drain) if !drain.waiting_for.is_empty() => progress(member),
        Some(_) | None => String::new(),
    }
}
