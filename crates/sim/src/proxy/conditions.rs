//! What a proxy does to that which passes. Everything that can be told to it is a value of this file.

use std::time::Duration;

/// What a proxy does, each way. By default it passes everything on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Conditions {
    /// From those who dial.
    pub there: WayConditions,
    /// To those who dial.
    pub back: WayConditions,
    /// New connections are reset at once.
    pub refuses: bool,
}

/// What is done to bytes that go one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct WayConditions {
    /// Bytes arrive so much later.
    pub delay: Duration,
    /// And up to so much later again, each chunk by chance; never in another order.
    pub jitter: Duration,
    /// All connections together get no more through.
    pub bytes_per_second: Option<u64>,
    /// Whether anything arrives.
    pub passage: Passage,
}

/// Whether anything arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Passage {
    /// Yes.
    #[default]
    Open,
    /// Not now: bytes wait, and pass when it is open again. A cut that TCP's retransmissions survive.
    Held,
    /// No: bytes vanish while the connection stays open. Once it is open again, connections that lost some
    /// are reset. A cut that outlives TCP's retransmissions.
    Swallowed,
}

impl Conditions {
    /// Neither way passes anything.
    #[must_use]
    pub fn cut(passage: Passage) -> Self {
        Conditions {
            there: WayConditions::cut(passage),
            back: WayConditions::cut(passage),
            refuses: false,
        }
    }

    /// Both ways so much later, and up to `jitter` later again.
    #[must_use]
    pub fn delayed(delay: Duration, jitter: Duration) -> Self {
        let way = WayConditions {
            delay,
            jitter,
            ..WayConditions::default()
        };
        Conditions {
            there: way,
            back: way,
            refuses: false,
        }
    }

    pub(super) fn there(&self) -> &WayConditions {
        &self.there
    }

    pub(super) fn back(&self) -> &WayConditions {
        &self.back
    }

    /// Whether bytes arrive both ways.
    pub(super) fn is_open(&self) -> bool {
        self.there.passage == Passage::Open && self.back.passage == Passage::Open
    }
}

impl WayConditions {
    /// Passes nothing.
    #[must_use]
    pub fn cut(passage: Passage) -> Self {
        WayConditions {
            passage,
            ..WayConditions::default()
        }
    }
}
