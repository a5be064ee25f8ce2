//! Virtual time: what happens when. Events of one instant happen in the order in which they were planned.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// Which process of a region: it gets a new number with every start.
pub(crate) type Life = u32;

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// A client does its next operation.
    Act(usize),
    /// A client that waits for a region gives up its operation of that number.
    GiveUp(usize, u64),
    /// A region puts what waits into its Raft log.
    Append(usize, Life),
    /// The Raft log of a region reaches the disk.
    Sync(usize, Life),
    /// A region applies what is in its Raft log.
    Apply(usize, Life),
    /// A region looks after its links.
    Tend(usize, Life),
    /// A region dials the source of a link, which was wanted so many times then.
    Dial(usize, u32),
    /// The next message arrives at an end of a connection.
    Arrive(usize, End),
    /// A source looks whether there is more to send.
    Pump(usize),
    /// An end of a connection finds it dead.
    Lost(usize, End),
    /// Something breaks.
    Fault,
    /// A region comes back up.
    Start(usize),
    /// A region goes on after a pause.
    Resume(usize),
    /// The first region reaches the second again.
    Heal(usize, usize),
    /// A link is as fast as before.
    SpeedUp(usize, usize),
    /// Whether there is a way is looked at.
    Look,
    /// Somebody looks after the members.
    Operate,
}

/// An end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// The region that sends entries.
    Source,
    /// The region that pulls them.
    Target,
}

impl Event {
    /// The region whose process does it, which it cannot while it is paused.
    pub(crate) fn runs_in(&self) -> Option<(usize, Life)> {
        match *self {
            Event::Append(region, life)
            | Event::Sync(region, life)
            | Event::Apply(region, life)
            | Event::Tend(region, life) => Some((region, life)),
            Event::Act(_)
            | Event::GiveUp(..)
            | Event::Dial(..)
            | Event::Arrive(..)
            | Event::Pump(_)
            | Event::Lost(..)
            | Event::Fault
            | Event::Start(_)
            | Event::Resume(_)
            | Event::Heal(..)
            | Event::SpeedUp(..)
            | Event::Look
            | Event::Operate => None,
        }
    }
}

/// What is planned.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    now: Duration,
    planned: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    count: u64,
}

impl Timeline {
    /// Since the beginning.
    pub(crate) fn now(&self) -> Duration {
        self.now
    }

    /// Plans an event.
    pub(crate) fn at(&mut self, time: Duration, event: Event) {
        self.count += 1;
        let time = time.max(self.now);
        self.planned.push(Reverse((time, self.count, event)));
    }

    /// Plans an event so long from now.
    pub(crate) fn after(&mut self, delay: Duration, event: Event) {
        self.at(self.now + delay, event);
    }

    /// The next event: it is then.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let Reverse((time, _, event)) = self.planned.pop()?;
        self.now = time;
        Some(event)
    }
}
