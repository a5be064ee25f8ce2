//! Healing: which regions one region pulls from now.
//!
//! A [`Healer`] is told what its region hears and what others say that they hear ([`Row`]), and answers with
//! the links to have. It judges each region:
//!
//! - *live*: heard here lately, or its row has changed lately, by whatever way;
//! - *dead*: not live, and somebody tried to pull from it in vain;
//! - otherwise *unknown*, and taken for live until it is tried.
//!
//! A live region that somebody tried in vain is *cut* from that one. [`Topology::planned`] says which links
//! follow from that; regions that know the same decide the same. The own declared links are dialled in any
//! case; regions not heard of are tried now and then, few at a time, so that sides of a partition find each
//! other. What is open and not wanted any more is kept until all that is wanted is heard (by everyone, as far
//! as rows tell) and what ends here has caught up, and a while longer, drawn at random: so there is a way at
//! any moment, a link that comes and goes moves nothing, and not all go back at once. A change of the declared
//! topology is carried out by the same rule.

use std::collections::BTreeMap;
use std::time::Duration;

use atoll_core::{RegionName, ReplicaId, VersionVector};

use crate::Now;
use crate::hearing::Row;
use crate::message::Carries;
use crate::topology::Topology;
use crate::view::View;
use crate::ways::{Graph, Pair};

/// Regions tried at once.
const PROBES_MAX: usize = 3;

/// Decides for one region.
#[derive(Debug)]
pub struct Healer {
    pub(crate) me: RegionName,
    pub(crate) topology: Topology,
    pub(crate) failover_after: Duration,
    started: Duration,
    state: u64,
    sources: BTreeMap<RegionName, Source>,
    pub(crate) beats: BTreeMap<RegionName, (u64, Duration)>,
    /// The own last row's, and when it was told.
    beat: (u64, Option<Duration>),
    /// Since when everything wanted is there, and how much longer the rest is kept.
    settled: Option<(Duration, Duration)>,
}

/// A link to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// The region to pull from.
    pub from: RegionName,
    /// What the link is to carry.
    pub carries: Carries,
    /// Why.
    pub role: Role,
    /// Open it without what other links bring: it gets in when that stays away.
    pub is_quiet: bool,
    /// Since when nothing is heard, if that is long enough to count.
    pub silent_since: Option<Duration>,
}

/// Why a link is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// It is declared.
    Declared,
    /// It stands in.
    StandsIn {
        /// For these links, source and target.
        down: Vec<(RegionName, RegionName)>,
        /// Since then.
        since: Duration,
    },
    /// It is tried whether the region is there.
    Tried,
    /// It was wanted before, and is kept until what is wanted now has caught up.
    Kept {
        /// Since then.
        since: Duration,
    },
}

/// A region as a source of this one.
#[derive(Debug, Default)]
struct Source {
    running: Option<Running>,
    /// Tried in vain, since then.
    silent_since: Option<Duration>,
    /// Not to be tried again before.
    try_at: Duration,
}

#[derive(Debug)]
struct Running {
    role: Role,
    carries: Carries,
    since: Duration,
    is_initial: bool,
    heard_at: Option<Duration>,
    up_since: Option<Duration>,
    /// It was silent before.
    returned: bool,
    /// What was applied here and announced there at a time.
    mark: Option<(VersionVector, VersionVector, Duration)>,
    has_caught_up: bool,
}

impl Healer {
    /// The healer of region `me`. A link counts as silent `failover_after` it was last heard.
    #[must_use]
    pub fn new(
        me: RegionName,
        topology: Topology,
        failover_after: Duration,
        seed: u64,
        now: Duration,
    ) -> Healer {
        Healer {
            me,
            topology,
            failover_after,
            started: now,
            state: seed,
            sources: BTreeMap::new(),
            beats: BTreeMap::new(),
            beat: (0, None),
            settled: None,
        }
    }

    /// The declared topology is another from now on.
    pub fn declare(&mut self, topology: Topology) {
        if self.topology != topology {
            self.topology = topology;
            self.settled = None;
        }
    }

    /// The declared topology.
    #[must_use]
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// This region's next row, when it is time to tell it. `rows` is what is known of all, the own row included:
    /// others may remember one of an earlier run, whose clock was ahead.
    pub fn beat(&mut self, rows: &[Row], now: Now) -> Option<Row> {
        let (last, told_at) = self.beat;
        let every = self.failover_after / 8;
        let every = every.clamp(Duration::from_millis(50), Duration::from_secs(1));
        if told_at.is_some_and(|at| now.elapsed < at + every) {
            return None;
        }
        let mine = rows.iter().find(|row| row.region == self.me);
        let last = mine.map_or(last, |row| last.max(row.beat));
        let beat = now.wall_ms.max(last + 1);
        self.beat = (beat, Some(now.elapsed));
        Some(self.row(beat))
    }

    /// The source of an open link said something.
    pub fn heard(&mut self, from: &RegionName, now: Duration) {
        let Some(source) = self.sources.get_mut(from) else {
            return;
        };
        let was_silent = source.silent_since.take().is_some();
        if let Some(running) = &mut source.running {
            running.returned |= was_silent;
            let before = running.heard_at.replace(now);
            let gap = now.saturating_sub(before.unwrap_or(now));
            let has_gap = running.returned && gap >= self.failover_after / 3;
            if running.up_since.is_none() || has_gap {
                running.up_since = Some(now);
            }
        }
    }

    /// The source of an open link, `replica`, announced its vector; `applied` is this region's.
    pub fn announced(
        &mut self,
        from: &RegionName,
        replica: ReplicaId,
        announced: &VersionVector,
        applied: &VersionVector,
        now: Duration,
    ) {
        let in_time = self.failover_after;
        let source = self.sources.get_mut(from);
        let Some(running) = source.and_then(|source| source.running.as_mut()) else {
            return;
        };
        let Some((mine, its, at)) = &running.mark else {
            running.mark = Some((applied.clone(), announced.clone(), now));
            return;
        };
        let caught_up = match running.carries {
            Carries::OwnEntries => applied.get(replica) >= its.get(replica),
            Carries::Everything => announced.covers_all(mine) && applied.covers_all(its),
        };
        if caught_up && now.saturating_sub(*at) <= in_time {
            running.has_caught_up = true;
        } else if caught_up || now.saturating_sub(*at) > in_time {
            running.mark = Some((applied.clone(), announced.clone(), now));
        }
    }

    /// The links to have now. `rows` is what the others say, and may hold this region's own.
    pub fn decide(&mut self, rows: &[Row], now: Duration) -> Vec<Pull> {
        let Some(me) = self.topology.place(&self.me) else {
            self.sources.clear();
            return Vec::new();
        };
        self.note(rows, now);
        self.judge(now);
        let view = self.view(me, rows, now);
        let live = view.usable(self.topology.regions().len());
        let plan = self.topology.planned(&live, &view.cuts);
        let mut wanted = self.wanted(&view, &plan, now);
        self.add_tries(&view, &mut wanted, now);
        let may_drop = self.may_drop(&view, &plan, now);
        self.run(wanted, may_drop, now)
    }

    /// What this region is to say of its links; `beat` as in [`Row`].
    #[must_use]
    pub(crate) fn row(&self, beat: u64) -> Row {
        let hears = self.sources.iter().filter_map(|(name, source)| {
            let running = source.running.as_ref()?;
            let is_steady = running.is_steady(self.failover_after / 2);
            is_steady.then(|| (name.clone(), running.carries))
        });
        let silent = self.sources.iter();
        let silent = silent.filter(|(_, source)| source.silent_since.is_some());
        Row {
            region: self.me.clone(),
            beat,
            hears: hears.collect(),
            silent: silent.map(|(name, _)| name.clone()).collect(),
        }
    }

    /// Whether everything wanted is there and nothing else.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let mut running = self.sources.values().filter_map(|s| s.running.as_ref());
        self.settled.is_some() && running.all(|r| r.role == Role::Declared)
    }

    pub(crate) fn is_new(&self, now: Duration) -> bool {
        now.saturating_sub(self.started) < self.failover_after
    }

    pub(crate) fn hears(&self, name: &RegionName) -> bool {
        let running = self.sources.get(name).and_then(|s| s.running.as_ref());
        running.is_some_and(|running| running.up_since.is_some())
    }

    /// Notes which rows have changed.
    fn note(&mut self, rows: &[Row], now: Duration) {
        let me = self.me.clone();
        for row in rows.iter().filter(|row| row.region != me) {
            let news = (row.beat, now);
            let known = self.beats.entry(row.region.clone()).or_insert(news);
            if row.beat > known.0 {
                *known = news;
            }
        }
    }

    /// Notes which links have become silent.
    fn judge(&mut self, now: Duration) {
        for source in self.sources.values_mut() {
            let Some(running) = &mut source.running else {
                continue;
            };
            let (since, patience) = match (running.heard_at, &running.role) {
                (Some(heard_at), _) => (heard_at, self.failover_after),
                (None, Role::Declared) => (running.since, self.failover_after),
                (None, _) => (running.since, self.failover_after / 2),
            };
            if now.saturating_sub(since) >= patience && source.silent_since.is_none() {
                source.silent_since = Some(since);
                running.up_since = None;
                running.mark = None;
                running.has_caught_up = false;
            }
        }
    }

    /// The own declared links, and what is planned.
    fn wanted(
        &self,
        view: &View,
        plan: &Graph,
        now: Duration,
    ) -> BTreeMap<RegionName, (Carries, Role)> {
        let name = |region: usize| self.topology.regions()[region].clone();
        let declared = self.topology.declared();
        let mut wanted = BTreeMap::new();
        for (from, carries) in plan.ending_at(view.me) {
            let down = self.down(view, &declared);
            let role = Role::StandsIn { down, since: now };
            wanted.insert(name(from), (carries, role));
        }
        for (from, carries) in declared.ending_at(view.me) {
            let carries = plan.get((from, view.me)).unwrap_or(carries);
            wanted.insert(name(from), (carries, Role::Declared));
        }
        wanted
    }

    /// The declared links that are down: those into this region, or all if those are well.
    fn down(&self, view: &View, declared: &Graph) -> Vec<(RegionName, RegionName)> {
        let is_down = |(from, to): &Pair| {
            view.dead.contains(from) || view.dead.contains(to) || view.cuts.contains(&(*from, *to))
        };
        let down: Vec<Pair> = declared
            .links()
            .map(|(pair, _)| pair)
            .filter(is_down)
            .collect();
        let mine: Vec<Pair> = down
            .iter()
            .copied()
            .filter(|(_, to)| *to == view.me)
            .collect();
        let shown = if mine.is_empty() { down } else { mine };
        let name = |region: usize| self.topology.regions()[region].clone();
        shown
            .into_iter()
            .map(|(from, to)| (name(from), name(to)))
            .collect()
    }

    /// Tries regions that are not heard of, and such that were not heard before.
    fn add_tries(
        &mut self,
        view: &View,
        wanted: &mut BTreeMap<RegionName, (Carries, Role)>,
        now: Duration,
    ) {
        if self.is_new(now) {
            return;
        }
        let regions = self.topology.regions().to_vec();
        let unheard = |r: usize, source: Option<&Source>| {
            !view.live.contains(&r) || source.is_some_and(|s| s.silent_since.is_some())
        };
        let mut tried = 0;
        // Those after this one first: not everyone tries the same.
        for r in (view.me + 1..regions.len()).chain(0..view.me) {
            let name = &regions[r];
            if wanted.contains_key(name) || !unheard(r, self.sources.get(name)) {
                continue;
            }
            let source = self.sources.get(name);
            // One that was in vain before gets as long as the first one.
            let may_answer = |since| now.saturating_sub(since) < self.failover_after / 2;
            let goes_on = source.is_some_and(|s| {
                let running = s.running.as_ref().filter(|r| r.role == Role::Tried);
                running.is_some_and(|r| s.silent_since.is_none() || may_answer(r.since))
            });
            let is_due = source.is_none_or(|s| s.try_at <= now);
            if tried >= PROBES_MAX || !(goes_on || is_due) {
                continue;
            }
            tried += 1;
            if !goes_on {
                let pause = self.failover_after.mul_f64(1.5 + self.fraction());
                let source = self.sources.entry(name.clone()).or_default();
                source.try_at = now + pause;
                // In vain it was before; whether it is now is to be seen.
                source.running = None;
            }
            wanted.insert(name.clone(), (Carries::OwnEntries, Role::Tried));
        }
    }

    /// Whether what is not wanted may go.
    fn may_drop(&mut self, view: &View, plan: &Graph, now: Duration) -> bool {
        if !self.is_whole(view, plan, now) {
            self.settled = None;
            return false;
        }
        if self.settled.is_none() {
            let hold = (self.failover_after / 4).mul_f64(self.fraction());
            self.settled = Some((now, hold));
        }
        self.settled
            .is_some_and(|(since, hold)| now >= since + hold)
    }

    /// Whether all that is planned is heard, by all, and has caught up here. A link that was not heard for
    /// several beats may be dead already, though it does not count as silent yet: what stands beside it stays.
    fn is_whole(&self, view: &View, plan: &Graph, now: Duration) -> bool {
        let is_heard = |(pair, carries): (Pair, Carries)| match view.heard.get(pair) {
            Some(Carries::Everything) => true,
            Some(Carries::OwnEntries) => carries == Carries::OwnEntries,
            None => false,
        };
        let mine_have_caught_up = plan.ending_at(view.me).all(|(from, _)| {
            let source = self.sources.get(&self.topology.regions()[from]);
            let running = source.and_then(|source| source.running.as_ref());
            running.is_some_and(|running| {
                let heard_at = running.heard_at.unwrap_or_default();
                running.has_caught_up && now.saturating_sub(heard_at) < self.failover_after / 3
            })
        });
        mine_have_caught_up && plan.links().all(is_heard)
    }

    /// Starts, keeps and ends links.
    fn run(
        &mut self,
        mut wanted: BTreeMap<RegionName, (Carries, Role)>,
        may_drop: bool,
        now: Duration,
    ) -> Vec<Pull> {
        for (name, source) in &self.sources {
            let Some(running) = &source.running else {
                continue;
            };
            match wanted.get_mut(name) {
                Some((carries, _)) => {
                    if !may_drop && running.carries == Carries::Everything {
                        *carries = Carries::Everything;
                    }
                }
                None if may_drop || source.silent_since.is_some() => {}
                None => {
                    let role = Role::Kept { since: now };
                    wanted.insert(name.clone(), (running.carries, role));
                }
            }
        }
        for (name, source) in &mut self.sources {
            if !wanted.contains_key(name) {
                source.running = None;
            }
        }
        let is_first = now == self.started;
        let mut pulls = Vec::new();
        for (from, (carries, role)) in wanted {
            let source = self.sources.entry(from.clone()).or_default();
            let running = source.running.get_or_insert_with(|| Running {
                role: role.clone(),
                carries,
                since: now,
                is_initial: is_first,
                heard_at: None,
                up_since: None,
                returned: false,
                mark: None,
                has_caught_up: false,
            });
            running.take_role(role);
            if running.carries != carries {
                running.carries = carries;
                running.mark = None;
                running.has_caught_up = false;
            }
            pulls.push(Pull {
                from,
                carries,
                role: running.role.clone(),
                is_quiet: !running.is_initial || running.has_caught_up || running.returned,
                silent_since: source.silent_since,
            });
        }
        pulls
    }

    /// In 0..1, by `SplitMix64` (Steele et al., 2014).
    fn fraction(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        f64::from(u32::try_from(z >> 32).unwrap_or(u32::MAX)) / (f64::from(u32::MAX) + 1.0)
    }
}

impl Running {
    /// Whether it is heard, and for so long if it was silent before.
    fn is_steady(&self, after: Duration) -> bool {
        let heard_at = self.heard_at.unwrap_or_default();
        let is_long = |up: Duration| !self.returned || heard_at.saturating_sub(up) >= after;
        self.up_since.is_some_and(is_long)
    }

    /// What it is there for may change; since when it is there for that does not, while it does not.
    fn take_role(&mut self, role: Role) {
        match (&mut self.role, role) {
            (Role::StandsIn { down, .. }, Role::StandsIn { down: now_down, .. }) => {
                *down = now_down;
            }
            (Role::Kept { .. }, Role::Kept { .. }) => {}
            (role, new) => *role = new,
        }
    }
}
