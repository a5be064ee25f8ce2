//! Removed is over: from the entry on that removed a region by force, no region takes anything more that comes from
//! it. What it sent before may wait in an inbox for what it depends on; taken then, it would come to regions that
//! have forgotten what it had not seen, because all that stay were known to know of the removal.
//!
//! Seen to fail, by hand: a region in the store that takes what a removed one had sent.

use std::collections::BTreeSet;

use atoll_core::{Entry, MemberState, ReplicaId};
use atoll_store::Arrival;

use super::Violation;

const NAME: &str = "removed-is-over";

/// The regions of which one region knows, by the entries that it applied, that they were removed.
#[derive(Debug, Default)]
pub(crate) struct Removed(BTreeSet<ReplicaId>);

impl Removed {
    /// An entry arrived that had not arrived before.
    pub(crate) fn arrived(
        &mut self,
        region: usize,
        arrival: &Arrival,
        entry: &Entry,
    ) -> Result<(), Violation> {
        let is_removed = |sender: &ReplicaId| self.0.contains(sender);
        let from_removed = arrival.sender.filter(is_removed);
        let change = entry.member.as_ref();
        let is_forced = |replica: &ReplicaId| *replica != entry.dot.replica;
        let retired = change.filter(|change| change.state == MemberState::Retired);
        self.0
            .extend(retired.map(|change| change.replica).filter(is_forced));
        match from_removed {
            None => Ok(()),
            Some(sender) => {
                let what = format!(
                    "r{region} took {} from {sender}, which it knew to be removed",
                    entry.dot
                );
                Err(Violation::new(NAME, what))
            }
        }
    }
}
