//! Whether there is a way between all regions, as one of them sees it.

use std::time::Duration;

use atoll_core::RegionName;

use crate::healing::Healer;
use crate::hearing::Row;
use crate::message::Carries;
use crate::ways::Graph;

/// Whether all declared regions hear of each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// They do, and would with any one of the links lost: there is another way for it.
    Redundant,
    /// They do; for some link there is no other way, should it be lost.
    Connected,
    /// They do not. A region that is dead is a side, too: from here it looks the same.
    Partitioned {
        /// The regions that hear of each other, in declared order; the own side first.
        sides: Vec<Vec<RegionName>>,
    },
}

impl Healer {
    /// The state of the topology; `None` in a region that started a moment ago and has not heard of all.
    #[must_use]
    pub fn connection(&self, rows: &[Row], now: Duration) -> Option<Connection> {
        let regions = self.topology.regions();
        let me = self.topology.place(&self.me)?;
        let view = self.view(me, rows, now);
        let mut contact = view.heard.clone();
        for &(from, to) in &view.last_heard {
            contact.add(from, to, Carries::Everything);
            contact.add(to, from, Carries::Everything);
        }
        let mut sides = contact.sides();
        if sides.len() > 1 {
            sides.sort_by_key(|side| !side.contains(&me));
            let name = |region: usize| regions[region].clone();
            let named = |side: Vec<usize>| side.into_iter().map(name).collect();
            let sides = sides.into_iter().map(named).collect();
            return (!self.is_new(now)).then_some(Connection::Partitioned { sides });
        }
        let mut usable = Graph::new(regions.len());
        for (from, to) in (0..regions.len()).flat_map(|a| (0..regions.len()).map(move |b| (a, b))) {
            if !view.cuts.contains(&(from, to)) {
                usable.add(from, to, Carries::Everything);
            }
        }
        let has_another_way = |pair: (usize, usize)| {
            let mut without = usable.clone();
            without.retain(|link| link != pair);
            without.reached_from(pair.0).contains(&pair.1)
        };
        let is_redundant = regions.len() > 2
            && view.live.len() == regions.len()
            && view.heard.links().all(|(pair, _)| has_another_way(pair));
        Some(if is_redundant {
            Connection::Redundant
        } else {
            Connection::Connected
        })
    }
}
