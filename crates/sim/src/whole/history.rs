//! What clients asked and were told, in one order: the harness is one thread, so a counter is a clock.

use std::cell::RefCell;
use std::rc::Rc;

/// A point in the order of all that clients saw.
pub(super) type Moment = u64;

/// How current a read was to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    Leader,
    Session,
    Any,
}

/// A request to one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// To hold this value, which nobody else writes.
    Write {
        value: u64,
    },
    Read {
        how: Freshness,
    },
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The write was acknowledged; under this dot.
    Written { dot: String },
    /// The key held this.
    Value(Option<u64>),
    /// Nobody said: a write may stand, now or later.
    Unknown,
}

/// A request and its answer.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) client: usize,
    pub(super) region: usize,
    pub(super) key: String,
    pub(super) asked: Asked,
    pub(super) idempotency_key: Option<String>,
    pub(super) began: Moment,
    /// Absent while nobody has answered.
    pub(super) ended: Option<Moment>,
    pub(super) answer: Answer,
}

/// All requests.
#[derive(Debug, Default)]
pub(super) struct History {
    now: Moment,
    pub(super) operations: Vec<Operation>,
    /// Acknowledged since the harness last looked: places in `operations`.
    pub(super) fresh: Vec<usize>,
    pub(super) attempts: u64,
    pub(super) trace: super::trace::Trace,
}

/// Shared by the clients and the harness.
pub(super) type Shared = Rc<RefCell<History>>;

impl History {
    fn tick(&mut self) -> Moment {
        self.now += 1;
        self.now
    }

    /// A request begins; answers with its place.
    pub(super) fn begin(
        &mut self,
        (client, region): (usize, usize),
        key: &str,
        asked: Asked,
        idempotency_key: Option<String>,
    ) -> usize {
        let began = self.tick();
        self.operations.push(Operation {
            client,
            region,
            key: key.to_owned(),
            asked,
            idempotency_key,
            began,
            ended: None,
            answer: Answer::Unknown,
        });
        self.operations.len() - 1
    }

    /// It was answered.
    pub(super) fn end(&mut self, place: usize, answer: Answer) {
        let ended = self.tick();
        let operation = &mut self.operations[place];
        if matches!(answer, Answer::Written { .. }) {
            self.fresh.push(place);
        }
        if answer != Answer::Unknown {
            operation.ended = Some(ended);
        }
        operation.answer = answer;
        let Operation {
            client,
            key,
            asked,
            answer,
            ..
        } = operation;
        let line = format!("client {client}: {key} {asked:?} -> {answer:?}");
        self.trace.say(&line);
    }
}
