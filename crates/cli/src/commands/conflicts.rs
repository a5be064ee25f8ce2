//! `atoll conflicts`: the ledger, and its resolution by a person.

use atoll_api::http::{Conflict, ConflictList, ConflictQuery, ConflictVersion, RawJson};
use clap::{ArgGroup, Args, Subcommand};

use crate::failure::Failure;
use crate::ledger::{self, Choice};
use crate::output;
use crate::target::TargetArguments;
use crate::wording;

#[derive(Args, Debug)]
pub(crate) struct ConflictsCommand {
    #[command(subcommand)]
    order: Order,
}

#[derive(Subcommand, Debug)]
enum Order {
    /// List conflicts, oldest first
    List(List),
    /// Show one conflict, losers' values included
    Show {
        /// Conflict
        id: String,
    },
    /// Write the value that shall stand, having seen all versions
    Resolve(Resolve),
}

#[derive(Args, Debug)]
struct List {
    /// Only of this collection
    #[arg(long)]
    collection: Option<String>,
    /// Only of this kind, such as write-write
    #[arg(long)]
    kind: Option<String>,
    /// Only those that are open or resolved
    #[arg(long, value_parser = ["open", "resolved"])]
    state: Option<String>,
    /// Only those detected after this time, or after an earlier page's next
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Most rows
    #[arg(long, value_name = "NUMBER", default_value = "50", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    limit: u16,
}

#[derive(Args, Debug)]
#[group(skip)]
#[command(group = ArgGroup::new("choice").required(true).args(["take", "value", "delete"]))]
struct Resolve {
    /// Conflict
    id: String,
    /// Take the version of this region (or with this dot)
    #[arg(long, value_name = "REGION")]
    take: Option<String>,
    /// Take this value (JSON)
    #[arg(long, value_name = "JSON")]
    value: Option<String>,
    /// Delete it
    #[arg(long)]
    delete: bool,
}

impl ConflictsCommand {
    pub(crate) async fn run(self, target: &TargetArguments) -> Result<(), Failure> {
        match self.order {
            Order::List(list) => list.run(target).await,
            Order::Show { id } => {
                let conflict = target.client().await?.conflict(&id).await?;
                output::show(target.format(), &conflict, detail)
            }
            Order::Resolve(resolve) => resolve.run(target).await,
        }
    }
}

impl List {
    async fn run(self, target: &TargetArguments) -> Result<(), Failure> {
        let query = ConflictQuery {
            collection: self.collection,
            kind: self.kind,
            state: self.state,
            since: self.since,
            limit: Some(usize::from(self.limit)),
        };
        let list = target.client().await?.conflicts(&query).await?;
        output::show(target.format(), &list, listed)
    }
}

impl Resolve {
    async fn run(self, target: &TargetArguments) -> Result<(), Failure> {
        let choice = match (self.take, self.value) {
            (Some(version), _) => Choice::Version(version),
            (None, Some(json)) => Choice::Value(RawJson::from_string(json).map_err(|error| {
                Failure::usage(format!("the value is not JSON: {error}"))
                    .help("text needs quotes: --value '\"Home\"'")
            })?),
            (None, None) => Choice::Delete,
        };
        let client = target.client().await?;
        let answer = ledger::resolve(&client, &self.id, &choice).await?;
        output::show(target.format(), &answer, |answer| {
            format!("resolved by {}; every region will show it", answer.dot)
        })
    }
}

fn listed(list: &ConflictList) -> String {
    if list.conflicts.is_empty() {
        return "No conflicts.".to_owned();
    }
    let rows: Vec<_> = list.conflicts.iter().map(row).collect();
    let mut text = output::table(
        [
            "ID",
            "KIND",
            "COLLECTION",
            "KEY",
            "OUTCOME",
            "REGIONS",
            "DETECTED",
            "STATE",
        ],
        &rows,
    );
    if let Some(next) = &list.next {
        text.push_str(&format!("\n\nThere are more: --since {next}"));
    }
    text
}

fn row(conflict: &Conflict) -> [String; 8] {
    let regions: Vec<_> = conflict
        .versions
        .iter()
        .map(|version| version.region.as_str())
        .collect();
    let field = conflict.field.as_deref().unwrap_or_default();
    [
        conflict.id.clone(),
        conflict.kind.clone(),
        conflict.collection.clone(),
        wording::short(&format!("{}{field}", conflict.key), 40),
        conflict.outcome.clone(),
        regions.join(" / "),
        conflict.detected.clone(),
        if conflict.resolved.is_some() {
            "resolved"
        } else {
            "open"
        }
        .to_owned(),
    ]
}

fn detail(conflict: &Conflict) -> String {
    let mut lines = vec![
        format!(
            "{} in {}, key {}",
            conflict.kind, conflict.collection, conflict.key
        ),
        format!(
            "outcome   {} (policy {})",
            conflict.outcome, conflict.policy
        ),
        format!("detected  {}", conflict.detected),
        format!(
            "resolved  {}",
            conflict.resolved.as_deref().unwrap_or("not yet")
        ),
    ];
    if let Some(field) = &conflict.field {
        lines.insert(1, format!("field     {field}"));
    }
    if let Some(seen_here) = &conflict.seen_here {
        lines.push(format!("seen here {seen_here}"));
    }
    let rows: Vec<_> = conflict.versions.iter().map(version_row).collect();
    lines.push(String::new());
    lines.push(output::table(["", "REGION", "TIME", "DOT", "VALUE"], &rows));
    lines.join("\n")
}

fn version_row(version: &ConflictVersion) -> [String; 5] {
    let value = match (&version.value, &version.value_base64) {
        _ if version.deleted => "(deleted)".to_owned(),
        (Some(value), _) => wording::short(value.get(), 400),
        (None, Some(_)) => {
            let media_type = version.media_type.as_deref().unwrap_or("bytes");
            format!("({media_type}; -o json shows it)")
        }
        (None, None) => "(no longer kept)".to_owned(),
    };
    let wins = match version.wins {
        Some(true) => "wins",
        Some(false) => "loses",
        None => "kept",
    };
    [
        wins.to_owned(),
        version.region.clone(),
        version.time.clone(),
        version.dot.clone(),
        value,
    ]
}
