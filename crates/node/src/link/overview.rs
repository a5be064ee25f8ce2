//! The board of a region's incoming links: what each is doing, for people and for pausing.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use atoll_api::http::{LinkState, LinkStatus};
use atoll_api::topology::Carries;

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

struct Card {
    from: String,
    carries: Carries,
    phase: Phase,
    paused: bool,
    detail: Option<String>,
    gauge: Gauge,
    wanted: watch::Sender<bool>,
}

/// All incoming links, by their place in the configuration.
pub(crate) struct LinkBoard {
    to: String,
    cards: Mutex<Vec<Card>>,
}

impl LinkBoard {
    pub(crate) fn new(to: &str, links: &[crate::config::LinkConfig]) -> Self {
        let card = |link: &crate::config::LinkConfig| Card {
            from: link.from.clone(),
            carries: link.carries,
            phase: Phase::Connecting,
            paused: false,
            detail: None,
            gauge: Gauge::default(),
            wanted: watch::channel(true).0,
        };
        LinkBoard {
            to: to.to_owned(),
            cards: Mutex::new(links.iter().map(card).collect()),
        }
    }

    fn cards(&self) -> MutexGuard<'_, Vec<Card>> {
        self.cards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the link is to be open.
    pub(crate) fn wanted(&self, slot: usize) -> watch::Receiver<bool> {
        self.cards()[slot].wanted.subscribe()
    }

    pub(crate) fn name(&self, slot: usize) -> String {
        format!("{}:{}", self.cards()[slot].from, self.to)
    }

    pub(crate) fn phase(&self, slot: usize, phase: Phase, detail: Option<String>) {
        let card = &mut self.cards()[slot];
        if card.phase != Phase::Stopped {
            card.phase = phase;
            card.detail = detail;
        }
    }

    /// Stops the link until a person resumes it.
    pub(crate) fn stop(&self, slot: usize, why: String) {
        let card = &mut self.cards()[slot];
        card.phase = Phase::Stopped;
        card.detail = Some(why);
        card.wanted.send_replace(false);
    }

    pub(crate) fn is_stopped(&self, slot: usize) -> bool {
        self.cards()[slot].phase == Phase::Stopped
    }

    pub(crate) fn measure(&self, slot: usize, gauge: Gauge) {
        self.cards()[slot].gauge = gauge;
    }

    pub(crate) fn gauges(&self) -> Vec<(String, Gauge)> {
        self.cards()
            .iter()
            .map(|card| (card.from.clone(), card.gauge.clone()))
            .collect()
    }

    /// Pauses or resumes the link named `from:to`; `None` when there is none.
    pub(crate) fn set_paused(&self, name: &str, paused: bool) -> Option<LinkStatus> {
        let mut cards = self.cards();
        let card = cards
            .iter_mut()
            .find(|card| format!("{}:{}", card.from, self.to) == name)?;
        card.paused = paused;
        if !paused && card.phase == Phase::Stopped {
            card.phase = Phase::Connecting;
            card.detail = None;
        }
        card.wanted.send_replace(!paused);
        Some(self.status(card))
    }

    pub(crate) fn list(&self) -> Vec<LinkStatus> {
        self.cards().iter().map(|card| self.status(card)).collect()
    }

    fn status(&self, card: &Card) -> LinkStatus {
        let state = match card.phase {
            _ if card.paused => LinkState::Paused,
            Phase::Connecting => LinkState::Connecting,
            Phase::CatchingUp => LinkState::CatchingUp,
            Phase::Streaming => LinkState::Streaming,
            Phase::BackingOff => LinkState::BackingOff,
            Phase::Stopped => LinkState::Stopped,
        };
        LinkStatus {
            name: format!("{}:{}", card.from, self.to),
            from: card.from.clone(),
            to: self.to.clone(),
            state,
            lag_seconds: card.gauge.lag_seconds,
            lag_entries: card.gauge.lag_entries,
            queue: card.gauge.queue_entries,
            rtt_seconds: card.gauge.rtt_seconds,
            carries: Some(card.carries),
            detail: card.detail.clone(),
        }
    }
}
