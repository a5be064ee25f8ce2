//! Which link brings which origin's entries.
//!
//! Where links make a circle, entries of one origin would arrive by several. After Plumtree (Leitão et al.,
//! "Epidemic Broadcast Trees", 2007): the link whose entries keep coming second is told to leave that origin
//! out (*pruned*), and told to bring it again (*grafted*) when its heartbeats announce entries that do not
//! come, or when no other link is left. At least one link per origin is never pruned. Where all links carry own
//! entries, an origin that is no source any more (retired, or gone) is brought by none: when its entries stay away
//! for long, a link that announces them is widened, and leaves out what the others bring.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use atoll_core::{Dot, ReplicaId, VersionVector};

use crate::delivery::LinkId;
use crate::message::Carries;

#[derive(Debug)]
pub(crate) struct Routes {
    links: BTreeMap<LinkId, Route>,
    prune_after: u32,
    graft_after: Duration,
    /// Origins with announced entries that no link is to bring: what is here of them, and since when.
    unserved: BTreeMap<ReplicaId, (u64, Duration)>,
}

/// How many times `graft_after` an origin goes unserved: whoever fails over does so in that time.
const WIDEN_AFTER: u32 = 8;

#[derive(Debug)]
struct Route {
    sender: ReplicaId,
    carries: Carries,
    announced: VersionVector,
    pruned: BTreeSet<ReplicaId>,
    /// Duplicates in a row, by origin.
    second: BTreeMap<ReplicaId, u32>,
    /// Pruned origins with announced entries that are missing: up to where, and since when.
    overdue: BTreeMap<ReplicaId, (u64, Duration)>,
    told: Told,
}

/// What a link still has to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing.
    UpToDate,
    /// To leave more origins out.
    Prune,
    /// To start over, with some origin back in.
    Resume,
}

impl Route {
    fn brings(&self, origin: ReplicaId) -> bool {
        self.could_bring(origin) && !self.pruned.contains(&origin)
    }

    fn could_bring(&self, origin: ReplicaId) -> bool {
        match self.carries {
            Carries::OwnEntries => self.sender == origin,
            Carries::Everything => true,
        }
    }

    fn graft(&mut self, origin: ReplicaId) {
        self.pruned.remove(&origin);
        self.second.remove(&origin);
        self.overdue.remove(&origin);
        self.told = Told::Resume;
    }
}

impl Routes {
    pub(crate) fn new(prune_after: u32, graft_after: Duration) -> Self {
        Routes {
            links: BTreeMap::new(),
            prune_after,
            graft_after,
            unserved: BTreeMap::new(),
        }
    }

    /// A link whose source was told to leave out `pruned`.
    pub(crate) fn open(
        &mut self,
        link: LinkId,
        sender: ReplicaId,
        carries: Carries,
        pruned: &[ReplicaId],
    ) {
        let told: BTreeSet<ReplicaId> = pruned.iter().copied().collect();
        let brought = self.brought(None);
        let is_brought = |origin: &ReplicaId| *origin != sender && brought.contains(origin);
        let pruned: BTreeSet<_> = told.iter().copied().filter(is_brought).collect();
        let is_as_told = pruned == told;
        let route = Route {
            sender,
            carries,
            announced: VersionVector::new(),
            pruned,
            second: BTreeMap::new(),
            overdue: BTreeMap::new(),
            told: if is_as_told {
                Told::UpToDate
            } else {
                Told::Resume
            },
        };
        self.links.insert(link, route);
    }

    /// The origins that links other than `except` bring.
    pub(crate) fn brought(&self, except: Option<LinkId>) -> BTreeSet<ReplicaId> {
        let others = self.links.iter().filter(|(link, _)| Some(**link) != except);
        let origins = |(_, route): (&LinkId, &'_ Route)| {
            let announced = route.announced.iter().map(|(origin, _)| origin);
            let brought: Vec<_> = announced.filter(|origin| route.brings(*origin)).collect();
            brought
        };
        others.flat_map(origins).collect()
    }

    pub(crate) fn close(&mut self, link: LinkId) {
        self.links.remove(&link);
        self.keep_all_served();
    }

    /// From now on the link carries something else, without what others bring; it has to be told.
    pub(crate) fn carry(&mut self, link: LinkId, carries: Carries) {
        let mut brought = self.brought(Some(link));
        if let Some(route) = self.links.get_mut(&link).filter(|r| r.carries != carries) {
            brought.remove(&route.sender);
            route.carries = carries;
            route.pruned = match carries {
                Carries::OwnEntries => BTreeSet::new(),
                Carries::Everything => brought,
            };
            route.told = Told::Resume;
        }
        self.keep_all_served();
    }

    pub(crate) fn announced(&mut self, link: LinkId, vector: &VersionVector) {
        if let Some(route) = self.links.get_mut(&link) {
            route.announced.merge(vector);
        }
    }

    /// An entry came by this link first.
    pub(crate) fn first(&mut self, link: LinkId, origin: ReplicaId) {
        if let Some(route) = self.links.get_mut(&link) {
            route.second.remove(&origin);
        }
    }

    /// An entry came by this link, and by another before.
    pub(crate) fn second(&mut self, link: LinkId, origin: ReplicaId) {
        let Some(route) = self.links.get_mut(&link) else {
            return;
        };
        let in_a_row = route.second.entry(origin).or_default();
        *in_a_row += 1;
        if *in_a_row < self.prune_after || route.pruned.contains(&origin) {
            return;
        }
        let other_brings = self
            .links
            .iter()
            .any(|(&l, r)| l != link && r.brings(origin));
        if let Some(route) = self.links.get_mut(&link).filter(|_| other_brings) {
            route.pruned.insert(origin);
            if route.told == Told::UpToDate {
                route.told = Told::Prune;
            }
        }
    }

    /// Grafts where announced entries stay away.
    pub(crate) fn check(&mut self, scheduled: &VersionVector, now: Duration) {
        for route in self.links.values_mut() {
            let pruned: Vec<_> = route.pruned.iter().copied().collect();
            for origin in pruned {
                let (announced, here) = (route.announced.get(origin), scheduled.get(origin));
                if announced <= here {
                    route.overdue.remove(&origin);
                    continue;
                }
                let overdue = route.overdue.entry(origin).or_insert((announced, now));
                if here >= overdue.0 {
                    *overdue = (announced, now);
                } else if now.saturating_sub(overdue.1) >= self.graft_after {
                    route.graft(origin);
                }
            }
        }
    }

    /// Widens a link where an origin's announced entries are brought by none.
    pub(crate) fn serve_all(&mut self, scheduled: &VersionVector, now: Duration) {
        let missing = |(origin, seq): &(ReplicaId, u64)| *seq > scheduled.get(*origin);
        let routes = || self.links.values();
        let announced: BTreeSet<ReplicaId> = routes()
            .flat_map(|route| route.announced.iter().filter(missing))
            .map(|(origin, _)| origin)
            .filter(|origin| !routes().any(|route| route.could_bring(*origin)))
            .collect();
        self.unserved.retain(|origin, _| announced.contains(origin));
        for origin in announced {
            let here = scheduled.get(origin);
            let (before, since) = self.unserved.entry(origin).or_insert((here, now));
            if here > *before {
                (*before, *since) = (here, now);
            }
            if now.saturating_sub(*since) < WIDEN_AFTER * self.graft_after {
                continue;
            }
            let links = self.links.iter();
            let best = links.max_by_key(|(_, route)| route.announced.get(origin));
            if let Some(link) = best.map(|(link, _)| *link) {
                self.unserved.remove(&origin);
                self.carry(link, Carries::Everything);
            }
        }
    }

    /// Links that say they have an entry.
    pub(crate) fn having(&self, dot: Dot) -> impl Iterator<Item = LinkId> + '_ {
        self.links
            .iter()
            .filter(move |(_, r)| r.announced.covers(dot))
            .map(|(&link, _)| link)
    }

    /// What each link has to be told, once.
    pub(crate) fn tell(&mut self) -> Vec<(LinkId, Told)> {
        let told = |(&link, route): (&LinkId, &mut Route)| {
            let told = std::mem::replace(&mut route.told, Told::UpToDate);
            (told != Told::UpToDate).then_some((link, told))
        };
        self.links.iter_mut().filter_map(told).collect()
    }

    pub(crate) fn needs_telling(&self) -> bool {
        self.links
            .values()
            .any(|route| route.told != Told::UpToDate)
    }

    /// Whether a pruned origin may have to be grafted later.
    pub(crate) fn is_watching(&self) -> bool {
        self.links.values().any(|route| !route.pruned.is_empty())
    }

    pub(crate) fn resume(&mut self, link: LinkId) {
        if let Some(route) = self.links.get_mut(&link) {
            route.told = Told::Resume;
        }
    }

    pub(crate) fn terms(&self, link: LinkId) -> Option<(Carries, Vec<ReplicaId>)> {
        let route = self.links.get(&link)?;
        Some((route.carries, route.pruned.iter().copied().collect()))
    }

    /// Grafts every origin that no link brings any more where most of it is announced.
    fn keep_all_served(&mut self) {
        let pruned: BTreeSet<_> = self
            .links
            .values()
            .flat_map(|r| r.pruned.iter().copied())
            .collect();
        for origin in pruned {
            if self.links.values().any(|route| route.brings(origin)) {
                continue;
            }
            let could = self.links.values_mut().filter(|r| r.could_bring(origin));
            if let Some(best) = could.max_by_key(|route| route.announced.get(origin)) {
                best.graft(origin);
            }
        }
    }
}
