//! Proof that regions are equal at a vector, or the names of what differs.
//!
//! First all regions must have the same entries (`agree`); then every key's answer (`keys`) and the
//! ledger (`ledger`) are compared. Writes that go on meanwhile make regions differ for a moment, so what
//! looks different is looked at again once the regions agree.

mod agree;
mod keys;
mod ledger;

use std::time::Duration;

use atoll_api::http::Vector;
use serde::Serialize;

use crate::failure::Failure;
use crate::output;
use crate::target::Place;
use crate::wording;
pub(crate) use agree::agree;

/// Differences that are named; more are only counted.
const NAMED_MAX: usize = 100;

/// What was compared, and what differs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verdict {
    /// The regions.
    pub(crate) regions: Vec<String>,
    /// What all of them had when the comparison began.
    pub(crate) vector: Vector,
    /// By collection.
    pub(crate) collections: Vec<Compared>,
    /// Rows of the ledger, in the first region.
    pub(crate) ledger_rows: u64,
    /// How many keys and rows differ.
    pub(crate) different: u64,
    /// The first of them.
    pub(crate) differences: Vec<Difference>,
}

/// One collection.
#[derive(Debug, Serialize)]
pub(crate) struct Compared {
    pub(crate) collection: String,
    pub(crate) keys: u64,
    pub(crate) different: u64,
}

/// Something that is not the same everywhere.
#[derive(Debug, Serialize)]
pub(crate) struct Difference {
    /// The collection, or `ledger`.
    pub(crate) place: String,
    /// The key, or the row's id.
    pub(crate) name: String,
    /// Region → what it has, in short.
    pub(crate) seen: Vec<(String, String)>,
}

/// Compares all regions, of one collection or of all.
pub(crate) async fn verify(
    places: &[Place],
    collection: Option<&str>,
    patience: Duration,
) -> Result<Verdict, Failure> {
    let statuses = agree(places, patience).await?;
    let Some(first) = statuses.first() else {
        return Err(Failure::usage("there is no region to look at"));
    };
    let mut verdict = Verdict {
        regions: statuses
            .iter()
            .map(|status| status.region.clone())
            .collect(),
        vector: first.vector.clone(),
        collections: Vec::new(),
        ledger_rows: 0,
        different: 0,
        differences: Vec::new(),
    };
    let names = first.collections.iter().map(|known| known.name.as_str());
    for name in names.filter(|name| collection.is_none_or(|wanted| *name == wanted)) {
        let (keys, differences) = keys::compare(places, name, patience).await?;
        verdict.collections.push(Compared {
            collection: name.to_owned(),
            keys,
            different: differences.len() as u64,
        });
        verdict.take(differences);
    }
    if verdict.collections.is_empty() && collection.is_some() {
        let known: Vec<_> = first
            .collections
            .iter()
            .map(|known| known.name.as_str())
            .collect();
        return Err(Failure::usage("there is no such collection")
            .help(format!("there are {}", known.join(", "))));
    }
    let (rows, differences) = ledger::compare(places, collection, patience).await?;
    verdict.ledger_rows = rows;
    verdict.take(differences);
    Ok(verdict)
}

impl Verdict {
    fn take(&mut self, differences: Vec<Difference>) {
        self.different += differences.len() as u64;
        let room = NAMED_MAX.saturating_sub(self.differences.len());
        self.differences.extend(differences.into_iter().take(room));
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let rows: Vec<_> = self
            .collections
            .iter()
            .map(
                |Compared {
                     collection,
                     keys,
                     different,
                 }| {
                    [
                        collection.clone(),
                        wording::count(*keys),
                        wording::count(*different),
                    ]
                },
            )
            .collect();
        let regions = self.regions.join(", ");
        let mut text = output::table(["COLLECTION", "KEYS", "DIFFERENT"], &rows);
        text.push_str(&format!(
            "\n\nLedger: {}.\n",
            wording::counted(self.ledger_rows, "row", "rows")
        ));
        for Difference { place, name, seen } in &self.differences {
            text.push_str(&format!("✗ {place} {name}\n"));
            for (region, seen) in seen {
                text.push_str(&format!("    {region}: {}\n", wording::short(seen, 100)));
            }
        }
        match self.different {
            0 => text.push_str(&format!(
                "✓ {regions} are equal at {}",
                wording::vector(&self.vector)
            )),
            different => text.push_str(&format!(
                "✗ {} in {regions}",
                wording::counted(different, "difference", "differences")
            )),
        }
        text
    }
}
