//! Entries that came before what they depend on. Each is filed under one dependency that it lacks, and looked
//! at again only when that one is there: as often as there are regions, however many wait.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use atoll_core::wire::EntryFrame;
use atoll_core::{Dot, ReplicaId, Timestamp, VersionVector};

use crate::delivery::LinkId;

/// A remote entry on its way to be applied.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) dot: Dot,
    pub(crate) time: Timestamp,
    pub(crate) trace: Bytes,
    pub(crate) frame: EntryFrame,
    pub(crate) link: LinkId,
    pub(crate) sender: ReplicaId,
    /// Order of arrival in this inbox.
    pub(crate) number: u64,
    pub(crate) since: Duration,
    pub(crate) waited: Duration,
}

/// An entry that lacks something.
#[derive(Debug)]
struct Waiting {
    item: Item,
    dependencies: VersionVector,
}

/// What a missing entry holds up.
#[derive(Debug)]
struct Blocked {
    waiters: Vec<Dot>,
    /// Since when the oldest waiter waits.
    since: Duration,
    /// Who delivered the oldest waiter: it had applied what is missing.
    link: LinkId,
}

/// A gap that something has been waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) origin: ReplicaId,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) link: LinkId,
}

#[derive(Debug, Default)]
pub(crate) struct Room {
    entries: BTreeMap<Dot, Waiting>,
    blocked: BTreeMap<Dot, Blocked>,
    by_link: BTreeMap<(LinkId, u64), Dot>,
    bytes_by_link: BTreeMap<LinkId, usize>,
    bytes: usize,
}

impl Room {
    pub(crate) fn contains(&self, dot: Dot) -> bool {
        self.entries.contains_key(&dot)
    }

    pub(crate) fn items(&self) -> impl Iterator<Item = &Item> {
        self.entries.values().map(|waiting| &waiting.item)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Lets an entry wait for `missing`.
    pub(crate) fn hold(&mut self, mut item: Item, dependencies: VersionVector, missing: Dot) {
        item.frame.forget();
        self.file(&item, missing);
        self.bytes += item.frame.size();
        *self.bytes_by_link.entry(item.link).or_default() += item.frame.size();
        self.by_link.insert((item.link, item.number), item.dot);
        self.entries
            .insert(item.dot, Waiting { item, dependencies });
    }

    fn file(&mut self, item: &Item, missing: Dot) {
        let blocked = self.blocked.entry(missing).or_insert_with(|| Blocked {
            waiters: Vec::new(),
            since: item.since,
            link: item.link,
        });
        if item.since < blocked.since {
            (blocked.since, blocked.link) = (item.since, item.link);
        }
        blocked.waiters.push(item.dot);
    }

    /// Appends to `ready` what can go now that `origins` advanced in `scheduled`, and advances it further.
    pub(crate) fn wake(
        &mut self,
        scheduled: &mut VersionVector,
        mut origins: Vec<ReplicaId>,
        now: Duration,
        ready: &mut VecDeque<Item>,
    ) {
        while let Some(origin) = origins.pop() {
            let there = Dot::new(origin, scheduled.get(origin));
            while let Some((&missing, _)) = self.blocked.range(Dot::new(origin, 0)..=there).next() {
                let waiters = self
                    .blocked
                    .remove(&missing)
                    .map(|b| b.waiters)
                    .unwrap_or_default();
                for dot in waiters {
                    let Some(waiting) = self.entries.get(&dot) else {
                        continue;
                    };
                    if let Some(missing) = first_missing(dot, &waiting.dependencies, scheduled) {
                        let item = waiting.item.clone();
                        self.file(&item, missing);
                    } else if let Some(mut item) = self.take(dot) {
                        item.waited = now.saturating_sub(item.since);
                        scheduled.raise(dot);
                        origins.push(dot.replica);
                        ready.push_back(item);
                    }
                }
            }
        }
    }

    /// Takes out the entries of `origin` up to `seq`: they came another way.
    pub(crate) fn take_covered(&mut self, origin: ReplicaId, seq: u64) -> Vec<Item> {
        let range = Dot::new(origin, 0)..=Dot::new(origin, seq);
        let dots: Vec<Dot> = self.entries.range(range).map(|(&dot, _)| dot).collect();
        dots.into_iter().filter_map(|dot| self.take(dot)).collect()
    }

    /// Takes out the youngest entries of the link that holds most, until at most `bytes_max` remain.
    pub(crate) fn evict(&mut self, bytes_max: usize) -> Vec<Item> {
        let mut evicted = Vec::new();
        while self.bytes > bytes_max {
            let fullest = self.bytes_by_link.iter().max_by_key(|&(_, bytes)| *bytes);
            let Some((&link, _)) = fullest else { break };
            let youngest = self.by_link.range((link, 0)..=(link, u64::MAX)).next_back();
            let Some(item) = youngest.map(|(_, &dot)| dot).and_then(|dot| self.take(dot)) else {
                break;
            };
            evicted.push(item);
        }
        evicted
    }

    fn take(&mut self, dot: Dot) -> Option<Item> {
        let item = self.entries.remove(&dot)?.item;
        self.bytes -= item.frame.size();
        self.by_link.remove(&(item.link, item.number));
        if let Some(bytes) = self.bytes_by_link.get_mut(&item.link) {
            *bytes -= item.frame.size();
            if *bytes == 0 {
                self.bytes_by_link.remove(&item.link);
            }
        }
        Some(item)
    }

    /// For each origin the next missing entries that something has waited for since `before` or longer.
    pub(crate) fn gaps(&self, scheduled: &VersionVector, before: Duration) -> Vec<Gap> {
        let mut gaps = Vec::new();
        let mut from = Dot::new(ReplicaId(0), 0);
        while let Some((&blocking, _)) = self.blocked.range(from..).next() {
            let origin = blocking.replica;
            gaps.extend(self.gap(origin, scheduled, before));
            let Some(next) = origin.0.checked_add(1) else {
                break;
            };
            from = Dot::new(ReplicaId(next), 0);
        }
        gaps
    }

    fn gap(&self, origin: ReplicaId, scheduled: &VersionVector, before: Duration) -> Option<Gap> {
        let from = scheduled.get(origin) + 1;
        let all = Dot::new(origin, from)..=Dot::new(origin, u64::MAX);
        // Up to the first that is here already; what is behind it is asked for later.
        let present = self
            .entries
            .range(all)
            .next()
            .map_or(u64::MAX, |(dot, _)| dot.seq);
        let needed = Dot::new(origin, from)..Dot::new(origin, present.max(from));
        let mut old = self.blocked.range(needed).rev();
        let (dot, blocked) = old.find(|(_, blocked)| blocked.since <= before)?;
        Some(Gap {
            origin,
            from,
            to: dot.seq,
            link: blocked.link,
        })
    }
}

/// One entry that `dot` depends on and `scheduled` lacks, its own predecessor first.
pub(crate) fn first_missing(
    dot: Dot,
    dependencies: &VersionVector,
    scheduled: &VersionVector,
) -> Option<Dot> {
    let before = Dot::new(dot.replica, dot.seq - 1);
    if !scheduled.covers(before) && before.seq > 0 {
        return Some(before);
    }
    dependencies
        .iter()
        .map(|(r, seq)| Dot::new(r, seq))
        .find(|d| !scheduled.covers(*d))
}
