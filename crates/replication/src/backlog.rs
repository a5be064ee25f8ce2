//! What links that were just opened have still to bring. While it comes, nobody else is asked for it: a region
//! that joins an all-to-all store gets what each region wrote from that region alone, though each runs ahead of
//! the others.

use std::collections::BTreeMap;
use std::time::Duration;

use atoll_core::{ReplicaId, VersionVector};

use crate::room::Gap;

/// By origin.
#[derive(Debug, Default)]
pub(crate) struct Backlogs {
    to: BTreeMap<ReplicaId, u64>,
    came_at: BTreeMap<ReplicaId, Duration>,
}

impl Backlogs {
    /// A link was opened, and brings these entries of an origin first.
    pub(crate) fn announced(&mut self, origin: ReplicaId, to: u64) {
        let known = self.to.entry(origin).or_default();
        *known = (*known).max(to);
    }

    /// A new entry of the origin came.
    pub(crate) fn came(&mut self, origin: ReplicaId, now: Duration) {
        if self.to.contains_key(&origin) {
            self.came_at.insert(origin, now);
        }
    }

    /// What is there by now is no backlog any more.
    pub(crate) fn forget(&mut self, scheduled: &VersionVector) {
        self.to.retain(|origin, to| scheduled.get(*origin) < *to);
        let to = &self.to;
        self.came_at.retain(|origin, _| to.contains_key(origin));
    }

    /// Whether what is missing is part of a backlog of which something came within `patience`.
    pub(crate) fn is_coming(&self, gap: &Gap, patience: Duration, now: Duration) -> bool {
        let is_part = self.to.get(&gap.origin).is_some_and(|to| gap.from <= *to);
        let came = self.came_at.get(&gap.origin);
        is_part && came.is_some_and(|at| now.saturating_sub(*at) < patience)
    }
}
