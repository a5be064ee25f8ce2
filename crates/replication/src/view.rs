//! What one region knows of all regions at one moment: who lives, who is dead, which pairs are cut, who hears
//! whom. The words are those of [`crate::healing`].

use std::collections::BTreeSet;
use std::time::Duration;

use atoll_core::RegionName;

use crate::healing::Healer;
use crate::hearing::Row;
use crate::ways::{Graph, Pair};

/// What is known of all regions at one moment, by their places.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) me: usize,
    /// Heard of lately.
    pub(crate) live: BTreeSet<usize>,
    pub(crate) dead: BTreeSet<usize>,
    pub(crate) cuts: BTreeSet<Pair>,
    /// Who hears whom, of the live.
    pub(crate) heard: Graph,
    /// Who heard whom, of the others, by their last rows.
    pub(crate) last_heard: Vec<Pair>,
}

impl View {
    /// The regions that are not known to be dead.
    pub(crate) fn usable(&self, regions: usize) -> BTreeSet<usize> {
        (0..regions).filter(|r| !self.dead.contains(r)).collect()
    }
}

impl Healer {
    pub(crate) fn view(&self, me: usize, rows: &[Row], now: Duration) -> View {
        let regions = self.topology.regions();
        let is_fresh = |name: &RegionName| {
            let seen = self.beats.get(name).map(|(_, seen)| *seen);
            seen.is_some_and(|seen| now.saturating_sub(seen) < self.failover_after / 2)
        };
        let live: BTreeSet<usize> = (0..regions.len())
            .filter(|&r| r == me || self.hears(&regions[r]) || is_fresh(&regions[r]))
            .collect();
        let mine = self.row(u64::MAX);
        let others = rows.iter().filter(|row| row.region != self.me);
        let mut view = View {
            me,
            live,
            dead: BTreeSet::new(),
            cuts: BTreeSet::new(),
            heard: Graph::new(regions.len()),
            last_heard: Vec::new(),
        };
        for row in others.chain([&mine]) {
            let Some(to) = self.topology.place(&row.region) else {
                continue;
            };
            for from in row
                .silent
                .iter()
                .filter_map(|name| self.topology.place(name))
            {
                match (view.live.contains(&from), view.live.contains(&to)) {
                    (true, true) => drop(view.cuts.insert((from, to))),
                    (true, false) => {}
                    (false, _) => drop(view.dead.insert(from)),
                }
            }
            for (name, carries) in &row.hears {
                let Some(from) = self.topology.place(name) else {
                    continue;
                };
                match (view.live.contains(&from), view.live.contains(&to)) {
                    (true, true) => view.heard.add(from, to, *carries),
                    (false, false) => view.last_heard.push((from, to)),
                    (true, false) | (false, true) => {}
                }
            }
        }
        view
    }
}
