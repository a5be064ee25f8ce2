//! The board of a region's incoming links: what each is doing, for people and for pausing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use atoll_api::http::{Connectivity, LinkRole, LinkState, LinkStatus};
use atoll_core::RegionName;
use atoll_replication::healing::{Pull, Role};

use super::declared;

/// What a link is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Connecting,
    CatchingUp,
    Streaming,
    BackingOff,
    Stopped,
}

/// What is measured on a link.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gauge {
    pub(crate) lag_seconds: f64,
    pub(crate) lag_entries: u64,
    /// Per origin, by region name.
    pub(crate) origins: Vec<(String, u64)>,
    pub(crate) queue_entries: u64,
    pub(crate) queue_bytes: u64,
    pub(crate) rtt_seconds: Option<f64>,
}

/// A link, for those who watch.
pub(crate) struct Measured {
    pub(crate) pull: Pull,
    pub(crate) gauge: Gauge,
    /// It carries entries.
    pub(crate) is_up: bool,
}

struct Card {
    pull: Pull,
    phase: Phase,
    detail: Option<String>,
    /// Why what answered was turned away.
    refused: Option<String>,
    gauge: Gauge,
    wanted: watch::Sender<bool>,
}

/// All incoming links, by the region that they come from.
pub(crate) struct LinkBoard {
    to: String,
    inner: Mutex<Cards>,
}

#[derive(Default)]
struct Cards {
    cards: BTreeMap<RegionName, Card>,
    /// By a person; also such as are not there now.
    paused: BTreeSet<RegionName>,
    topology: Option<Connectivity>,
}

impl LinkBoard {
    pub(crate) fn new(to: &str) -> Self {
        LinkBoard {
            to: to.to_owned(),
            inner: Mutex::default(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Cards> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, from: &RegionName, change: impl FnOnce(&mut Card)) {
        if let Some(card) = self.inner().cards.get_mut(from) {
            change(card);
        }
    }

    /// A link is there, and why. Answers whether it is to be open.
    pub(crate) fn show(&self, pull: &Pull) -> watch::Receiver<bool> {
        let mut inner = self.inner();
        let is_wanted = !inner.paused.contains(&pull.from);
        let card = inner
            .cards
            .entry(pull.from.clone())
            .or_insert_with(|| Card {
                pull: pull.clone(),
                phase: Phase::Connecting,
                detail: None,
                refused: None,
                gauge: Gauge::default(),
                wanted: watch::channel(is_wanted).0,
            });
        card.pull = pull.clone();
        card.wanted.subscribe()
    }

    /// A link is gone.
    pub(crate) fn remove(&self, from: &RegionName) {
        self.inner().cards.remove(from);
    }

    pub(crate) fn show_topology(&self, topology: Option<Connectivity>) {
        self.inner().topology = topology;
    }

    pub(crate) fn topology(&self) -> Option<Connectivity> {
        self.inner().topology.clone()
    }

    pub(crate) fn name(&self, from: &RegionName) -> String {
        format!("{from}:{}", self.to)
    }

    pub(crate) fn phase(&self, from: &RegionName, phase: Phase, detail: Option<String>) {
        self.with(from, |card| {
            if card.phase != Phase::Stopped {
                card.phase = phase;
                card.detail = detail;
            }
        });
    }

    /// Stops the link until a person resumes it.
    pub(crate) fn stop(&self, from: &RegionName, why: String) {
        self.with(from, |card| {
            card.phase = Phase::Stopped;
            card.detail = Some(why);
            card.wanted.send_replace(false);
        });
    }

    /// What answered at the region's endpoint is not the region: another may answer later.
    pub(crate) fn refuse(&self, from: &RegionName, why: String) {
        self.with(from, |card| card.refused = Some(why));
    }

    /// Why what answered last was turned away, asked once.
    pub(crate) fn take_refused(&self, from: &RegionName) -> Option<String> {
        let mut inner = self.inner();
        inner.cards.get_mut(from)?.refused.take()
    }

    pub(crate) fn is_stopped(&self, from: &RegionName) -> bool {
        let inner = self.inner();
        let card = inner.cards.get(from);
        card.is_some_and(|card| card.phase == Phase::Stopped)
    }

    pub(crate) fn measure(&self, from: &RegionName, gauge: Gauge) {
        self.with(from, |card| card.gauge = gauge);
    }

    pub(crate) fn gauges(&self) -> Vec<Measured> {
        let inner = self.inner();
        let measured = |(from, card): (&RegionName, &Card)| Measured {
            pull: card.pull.clone(),
            gauge: card.gauge.clone(),
            is_up: !inner.paused.contains(from)
                && matches!(card.phase, Phase::CatchingUp | Phase::Streaming),
        };
        inner.cards.iter().map(measured).collect()
    }

    /// Pauses or resumes the link from a region, also one that is not there now.
    pub(crate) fn set_paused(&self, from: &RegionName, paused: bool, now: Duration) -> LinkStatus {
        let mut inner = self.inner();
        if paused {
            inner.paused.insert(from.clone());
        } else {
            inner.paused.remove(from);
        }
        if let Some(card) = inner.cards.get_mut(from) {
            if !paused && card.phase == Phase::Stopped {
                card.phase = Phase::Connecting;
                card.detail = None;
            }
            card.wanted.send_replace(!paused);
        }
        match inner.cards.get(from) {
            Some(card) => self.status(card, paused, now),
            None => self.absent(from, paused),
        }
    }

    /// The links that are there, and those that are not to be.
    pub(crate) fn list(&self, now: Duration) -> Vec<LinkStatus> {
        let inner = self.inner();
        let there = inner.cards.iter();
        let there = there.map(|(from, card)| self.status(card, inner.paused.contains(from), now));
        let absent = inner
            .paused
            .iter()
            .filter(|from| !inner.cards.contains_key(*from));
        there
            .chain(absent.map(|from| self.absent(from, true)))
            .collect()
    }

    fn status(&self, card: &Card, is_paused: bool, now: Duration) -> LinkStatus {
        let state = match card.phase {
            _ if is_paused => LinkState::Paused,
            Phase::Connecting => LinkState::Connecting,
            Phase::CatchingUp => LinkState::CatchingUp,
            Phase::Streaming => LinkState::Streaming,
            Phase::BackingOff => LinkState::BackingOff,
            Phase::Stopped => LinkState::Stopped,
        };
        let Pull {
            from,
            carries,
            role,
            is_quiet: _,
            silent_since,
        } = &card.pull;
        let seconds = |since: Duration| now.saturating_sub(since).as_secs_f64();
        let name = |(from, to): &(RegionName, RegionName)| format!("{from}:{to}");
        let (role, since, stands_in_for) = match role {
            Role::Declared => (LinkRole::Declared, None, Vec::new()),
            Role::StandsIn { down, since } => {
                let down = down.iter().map(name).collect();
                (LinkRole::StandsIn, Some(*since), down)
            }
            Role::Tried => (LinkRole::Tried, None, Vec::new()),
            Role::Kept { since } => (LinkRole::Kept, Some(*since), Vec::new()),
        };
        LinkStatus {
            name: self.name(from),
            from: from.to_string(),
            to: self.to.clone(),
            state,
            lag_seconds: card.gauge.lag_seconds,
            lag_entries: card.gauge.lag_entries,
            queue: card.gauge.queue_entries,
            rtt_seconds: card.gauge.rtt_seconds,
            carries: Some(declared::shown(*carries)),
            role: Some(role),
            role_seconds: since.map(seconds),
            stands_in_for,
            silent_seconds: silent_since.map(seconds),
            detail: card.detail.clone(),
        }
    }

    fn absent(&self, from: &RegionName, is_paused: bool) -> LinkStatus {
        LinkStatus {
            name: self.name(from),
            from: from.to_string(),
            to: self.to.clone(),
            state: if is_paused {
                LinkState::Paused
            } else {
                LinkState::Standby
            },
            lag_seconds: 0.0,
            lag_entries: 0,
            queue: 0,
            rtt_seconds: None,
            carries: None,
            role: None,
            role_seconds: None,
            stands_in_for: Vec::new(),
            silent_seconds: None,
            detail: None,
        }
    }
}
