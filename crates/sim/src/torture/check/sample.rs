//! Small histories, written by hand.

use atoll_core::{Dot, ReplicaId};
use serde_json::Value;

use super::{Fault, check};
use crate::torture::end::{Changed, End, Held, Row};
use crate::torture::history::{
    Action, Answer, Change, Demand, Did, Event, Name, Seen, Shows, Stands,
};

/// A vector of the regions 1 and 2.
pub(super) type Vector = [u64; 2];

/// A history that is being written, and what its regions hold in the end.
#[derive(Default)]
pub(super) struct Sample {
    pub(super) events: Vec<Event>,
    pub(super) end: End,
}

pub(super) fn name(of: &str) -> Name {
    let (collection, key) = of.split_once('/').unwrap();
    Name {
        collection: collection.into(),
        key: key.into(),
    }
}

pub(super) fn dot(replica: u64, seq: u64) -> Dot {
    let replica = ReplicaId(replica);
    Dot { replica, seq }
}

pub(super) fn seen(vector: Vector) -> Seen {
    let components = vector.iter().zip(1..);
    Seen(components.map(|(seq, id)| (ReplicaId(id), *seq)).collect())
}

pub(super) fn put(text: &str) -> Action {
    Action::Put(text.into())
}

impl Sample {
    fn event(&mut self, region: usize, did: Did) -> &mut Event {
        let at_ms = 10 * self.events.len() as u64;
        self.events.push(Event {
            at_ms,
            took_ms: 5,
            client: region,
            region: ["eu", "us"][region - 1].into(),
            sent: None,
            did,
        });
        self.events.last_mut().unwrap()
    }

    pub(super) fn write(
        &mut self,
        region: usize,
        of: &str,
        action: Action,
        answer: Answer<Stands>,
    ) -> &mut Event {
        let changes = vec![Change {
            name: name(of),
            action,
        }];
        let demand = None;
        self.event(
            region,
            Did::Write {
                changes,
                demand,
                answer,
            },
        )
    }

    /// An acknowledged write of a region: its sequence is the region's component of `vector`.
    pub(super) fn done(
        &mut self,
        region: usize,
        of: &str,
        action: Action,
        vector: Vector,
    ) -> &mut Event {
        let dot = dot(region as u64, vector[region - 1]);
        self.stands(of, dot);
        let answer = Answer::Ok(Stands {
            dot: Some(dot),
            seen: seen(vector),
        });
        self.write(region, of, action, answer)
    }

    /// A write that demands something.
    pub(super) fn done_if(
        &mut self,
        region: usize,
        of: &str,
        demanded: Demand,
        action: Action,
        vector: Vector,
    ) {
        let event = self.done(region, of, action, vector);
        let Did::Write { demand, .. } = &mut event.did else {
            panic!("a write");
        };
        *demand = Some(demanded);
    }

    pub(super) fn unknown(&mut self, region: usize, of: &str, action: Action) {
        self.write(region, of, action, Answer::Unknown("Timeout".into()));
    }

    pub(super) fn refused(&mut self, region: usize, of: &str, action: Action) {
        self.write(region, of, action, Answer::Refused("NoLeader".into()));
    }

    pub(super) fn read(
        &mut self,
        region: usize,
        of: &str,
        value: Value,
        vector: Vector,
    ) -> &mut Event {
        let names = vec![name(of)];
        let answer = Answer::Ok(Shows {
            seen: Some(seen(vector)),
            values: vec![value],
        });
        self.event(region, Did::Read { names, answer })
    }

    pub(super) fn read_all(&mut self, of: &[&str], values: Vec<Value>) {
        let names = of.iter().map(|of| name(of)).collect();
        let answer = Answer::Ok(Shows { seen: None, values });
        self.event(1, Did::Read { names, answer });
    }

    /// The entry is in the log.
    pub(super) fn stands(&mut self, of: &str, dot: Dot) {
        self.end.changes.push(Changed {
            dot: Some(dot),
            name: name(of),
        });
    }

    /// What a key holds in the end.
    pub(super) fn holds(&mut self, of: &str, value: Value) {
        let values = match value {
            Value::Array(siblings) if of.starts_with("kept/") => siblings,
            value => vec![value],
        };
        self.end.keys.push(Held {
            name: name(of),
            values,
        });
        self.end.keys.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// A row of the ledger.
    pub(super) fn row(&mut self, of: &str, field: &str, dots: [Dot; 2]) {
        self.end.ledger.push(Row {
            name: name(of),
            field: field.into(),
            dots: dots.iter().map(Dot::to_string).collect(),
            text: String::new(),
        });
    }

    pub(super) fn faults(&self) -> Vec<Fault> {
        check(&self.events, std::slice::from_ref(&self.end))
    }

    #[track_caller]
    pub(super) fn is_fine(&self) {
        assert_eq!(self.faults(), []);
    }

    /// The checks that fail, each once.
    #[track_caller]
    pub(super) fn fails(&self, checks: &[&str]) {
        let mut failed: Vec<&str> = self.faults().iter().map(|fault| fault.check).collect();
        failed.dedup();
        assert_eq!(failed, checks, "{:#?}", self.faults());
    }
}
