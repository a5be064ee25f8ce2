//! What a run comes to, as a table.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::faults::Kind;
use super::history::{Answer, Did, Event};
use super::shape::Shape;

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Regions and nodes.
    pub shape: Shape,
    /// The seed of its schedule.
    pub seed: u64,
    /// How long faults and clients went on.
    pub length: Duration,
    /// Faults by kind.
    pub faults: BTreeMap<Kind, u64>,
    /// What clients were told.
    pub writes: Writes,
    /// Reads that were answered.
    pub reads: u64,
    /// Region → the longest time in which it acknowledged nothing.
    pub longest_pauses: BTreeMap<String, Duration>,
    /// How long after the last fault was healed all nodes had the same entries.
    pub equal_after: Duration,
    /// Keys in the end.
    pub keys: usize,
    /// Rows of the ledger in the end.
    pub conflicts: usize,
}

/// What clients were told of their writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Writes {
    /// Done.
    pub acknowledged: u64,
    /// Nothing changed.
    pub refused: u64,
    /// Nothing.
    pub unknown: u64,
}

pub(crate) fn writes(events: &[Event]) -> Writes {
    let mut writes = Writes::default();
    for event in events {
        if let Did::Write { answer, .. } = &event.did {
            match answer {
                Answer::Ok(_) => writes.acknowledged += 1,
                Answer::Refused(_) => writes.refused += 1,
                Answer::Unknown(_) => writes.unknown += 1,
            }
        }
    }
    writes
}

pub(crate) fn reads(events: &[Event]) -> u64 {
    let is_read = |event: &&Event| {
        matches!(
            event.did,
            Did::Read {
                answer: Answer::Ok(_),
                ..
            }
        )
    };
    events.iter().filter(is_read).count() as u64
}

/// Region → the longest time without an acknowledged write, the time before the first one included.
pub(crate) fn longest_pauses(events: &[Event], length: Duration) -> BTreeMap<String, Duration> {
    let mut times: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for event in events {
        if let Did::Write {
            answer: Answer::Ok(_),
            ..
        } = &event.did
        {
            let times = times.entry(&event.region).or_insert(vec![0]);
            times.push(event.answered_ms());
        }
    }
    let longest = |(region, mut times): (&str, Vec<u64>)| {
        times.push(u64::try_from(length.as_millis()).unwrap_or(u64::MAX));
        times.sort_unstable();
        let pauses = times.windows(2).map(|pair| pair[1] - pair[0]);
        let longest = Duration::from_millis(pauses.max().unwrap_or_default());
        (region.to_owned(), longest)
    };
    times.into_iter().map(longest).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |what: &str, value: String| writeln!(f, "  {what:<28} {value}");
        let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
        row("seed", self.seed.to_string())?;
        let nodes = self.shape.regions * self.shape.nodes;
        row("regions, nodes", format!("{}, {nodes}", self.shape.regions))?;
        row(
            "minutes",
            format!("{:.1}", self.length.as_secs_f64() / 60.0),
        )?;
        row("faults", self.faults.values().sum::<u64>().to_string())?;
        for (kind, count) in &self.faults {
            row(&format!("  {kind}"), count.to_string())?;
        }
        row("writes acknowledged", self.writes.acknowledged.to_string())?;
        row("writes refused", self.writes.refused.to_string())?;
        row("writes without an answer", self.writes.unknown.to_string())?;
        row("reads answered", self.reads.to_string())?;
        row("lost", "0".into())?;
        row("unexplained", "0".into())?;
        for (region, pause) in &self.longest_pauses {
            row(&format!("longest pause of {region}"), seconds(*pause))?;
        }
        row("equal after", seconds(self.equal_after))?;
        row(
            "keys, conflicts",
            format!("{}, {}", self.keys, self.conflicts),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torture::history::{Seen, Stands};

    #[test]
    fn the_longest_pause_is_between_acknowledged_writes() {
        let event = |region: &str, at_ms, answer| Event {
            at_ms,
            took_ms: 10,
            client: 0,
            region: region.into(),
            sent: None,
            did: Did::Write {
                changes: Vec::new(),
                demand: None,
                answer,
            },
        };
        let done = || {
            Answer::Ok(Stands {
                dot: None,
                seen: Seen::default(),
            })
        };
        let events = [
            event("eu", 90, done()),
            event("eu", 300, Answer::Refused("NoLeader".into())),
            event("eu", 590, done()),
            event("us", 90, done()),
        ];
        let pauses = longest_pauses(&events, Duration::from_millis(800));
        let of = |region: &str| pauses[region].as_millis();
        assert_eq!((of("eu"), of("us")), (500, 700));
        assert_eq!(writes(&events).acknowledged, 3);
    }
}
