//! Three regions in memory that write, and get each other's entries by hand.

use std::collections::BTreeMap;

use atoll_core::intent::Intent;
use atoll_core::{CollectionSpec, Dot, VersionVector, wire};
use atoll_store::log::LogReader;
use atoll_store::region::Merged;
use atoll_store::{Arrival, Command, Group, Outcome};
use bytes::Bytes;

use crate::commands::{at, configure, request};
use crate::engines::{Kind, Seat, identity};

/// Regions, and the commands that each applied.
pub(crate) struct Regions {
    pub(crate) seats: Vec<Seat>,
    pub(crate) commands: Vec<Vec<Command>>,
    /// What each had applied at every moment.
    pub(crate) moments: Vec<Vec<VersionVector>>,
    /// The dependencies of every entry.
    dependencies: BTreeMap<Dot, VersionVector>,
}

impl Regions {
    pub(crate) fn new(regions: usize) -> Self {
        Regions {
            seats: (0..regions)
                .map(|place| Seat::new(Kind::Memory, &identity(place)))
                .collect(),
            commands: vec![Vec::new(); regions],
            moments: vec![vec![VersionVector::new()]; regions],
            dependencies: BTreeMap::new(),
        }
    }

    /// The same with these collections declared everywhere.
    pub(crate) fn of(regions: usize, collections: &[CollectionSpec]) -> Self {
        let mut all = Regions::new(regions);
        for place in 0..regions {
            all.apply(place, configure(collections.to_vec()));
        }
        all
    }

    /// Applies a command as a group of its own.
    pub(crate) fn apply(&mut self, place: usize, command: Command) -> Group {
        let group = self.seats[place].apply(std::slice::from_ref(&command));
        self.commands[place].push(command);
        for arrival in &group.arrivals {
            let entry = wire::decode_entry(&arrival.frame).unwrap();
            self.dependencies.insert(entry.dot, entry.dependencies);
        }
        let applied = self.applied(place).clone();
        if self.moments[place].last() != Some(&applied) {
            self.moments[place].push(applied);
        }
        group
    }

    /// Writes intents as one entry and answers with its dot.
    pub(crate) fn write(&mut self, place: usize, ms: u64, intents: &[Intent]) -> Option<Dot> {
        let command = Command::Write {
            now: at(ms),
            requests: vec![request(intents)],
        };
        let outcome = self.apply(place, command).outcomes.remove(0);
        let Outcome::Written(mut written) = outcome else {
            panic!("{outcome:?}");
        };
        Some(written.remove(0).unwrap().entry?.0)
    }

    pub(crate) fn applied(&self, place: usize) -> &VersionVector {
        &self.seats[place].region().applied().vector
    }

    /// What one region has and another lacks, in order of arrival.
    pub(crate) fn lacking(&self, from: usize, to: usize) -> Vec<Arrival> {
        let (log, applied) = (
            LogReader::new(self.seats[from].engine().clone()),
            self.applied(to),
        );
        let mut lacking = Vec::new();
        log.read(log.start_for(applied).unwrap(), &mut |arrival| {
            if !applied.covers(arrival.dot) {
                lacking.push(arrival);
            }
            true
        })
        .unwrap();
        lacking
    }

    /// Sends frames from one region to another.
    pub(crate) fn send(&mut self, from: usize, to: usize, frames: Vec<Bytes>) -> Merged {
        let command = Command::Remote {
            now: at(0),
            sender: identity(from).replica,
            frames: frames.into_iter().map(Into::into).collect(),
        };
        let outcome = self.apply(to, command).outcomes.remove(0);
        let Outcome::Merged(merged) = outcome else {
            panic!("{outcome:?}");
        };
        merged
    }

    /// All that a region has, in order of arrival.
    pub(crate) fn log(&self, place: usize) -> Vec<Arrival> {
        let mut all = Vec::new();
        let mut visit = |arrival| {
            all.push(arrival);
            true
        };
        let log = LogReader::new(self.seats[place].engine().clone());
        log.read(1, &mut visit).unwrap();
        all
    }

    /// The frames of a region's log.
    pub(crate) fn frames(&self, place: usize) -> Vec<Bytes> {
        self.log(place).into_iter().map(|a| a.frame).collect()
    }

    /// Delivers what is lacking, at most so much.
    pub(crate) fn deliver(&mut self, from: usize, to: usize, most: usize) {
        let frames = self.lacking(from, to).into_iter().map(|a| a.frame);
        let frames: Vec<Bytes> = frames.take(most).collect();
        let merged = self.send(from, to, frames.clone());
        assert_eq!(merged.applied, frames.len(), "{merged:?}");
    }

    /// Everybody gets everything.
    pub(crate) fn settle(&mut self) {
        for from in 0..self.seats.len() {
            for to in 0..self.seats.len() {
                if from != to {
                    self.deliver(from, to, usize::MAX);
                }
            }
        }
    }

    /// A vector that all regions have applied and that every entry still to come to this region depends on:
    /// those that others have and it lacks, and those that nobody has written yet.
    pub(crate) fn stable(&self, place: usize) -> VersionVector {
        let mine = self.applied(place).clone();
        let all = (0..self.seats.len()).fold(mine.clone(), |v, p| v.meet(self.applied(p)));
        let to_come = self
            .dependencies
            .iter()
            .filter(|(dot, _)| !mine.covers(**dot));
        to_come.fold(all, |stable, (_, dependencies)| stable.meet(dependencies))
    }

    /// Tells a region what is stable.
    pub(crate) fn tell_stable(&mut self, place: usize) {
        let vector = self.stable(place);
        self.apply(place, Command::Stable { vector });
    }
}
