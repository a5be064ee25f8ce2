//! Clients: sessions that read and write, move between regions, remember what they read, and wait.
//!
//! A client does one thing at a time. It learns that a write is done, or that it was not taken, or nothing:
//! then it goes on as after a lost connection, and the write may or may not be there.

use std::sync::Arc;

use bytes::Bytes;

use atoll_core::intent::{Intent, Precondition, Rejection};
use atoll_core::{VersionVector, view};
use atoll_store::{Request, Written, query};

use crate::book::KeyName;
use crate::events::Event;
use crate::intents;
use crate::invariants::Violation;
use crate::invariants::sessions::Shown;
use crate::invariants::{no_resurrection, one_application};
use crate::mischief::Mischief;
use crate::node::Asked;
use crate::retries::{self, Asker};
use crate::world::World;

/// What a client remembers of its reads.
const NOTES: usize = 6;

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    /// The region that it talks to.
    pub(crate) place: usize,
    session: VersionVector,
    shown: Shown,
    notes: Vec<Note>,
    left: u64,
    doing: Option<Operation>,
    /// A write of which it does not know what became.
    pub(crate) again: Option<Request>,
    /// Counts what it did.
    number: u64,
}

/// A read that the client remembers.
#[derive(Debug, Clone)]
struct Note {
    key: KeyName,
    context: VersionVector,
    fingerprint: u128,
}

/// What a client is doing.
#[derive(Debug, Clone)]
enum Operation {
    /// Waits for its region, to read.
    Read(KeyName),
    /// Waits for its region to have what the write has seen, to write.
    Write(Request),
    /// Waits for the answer.
    Asked(Request),
}

impl Client {
    pub(crate) fn new(place: usize) -> Self {
        Client {
            place,
            session: VersionVector::new(),
            shown: Shown::default(),
            notes: Vec::new(),
            left: 0,
            doing: None,
            again: None,
            number: 0,
        }
    }

    fn forget(&mut self) {
        self.session = VersionVector::new();
        self.shown = Shown::default();
    }
}

impl World {
    /// Every client gets to work.
    pub(crate) fn begin_round(&mut self) {
        self.is_calm = self.schedule.is_steady;
        self.give_work(self.schedule.operations);
    }

    /// Every client has so many operations to do.
    pub(crate) fn give_work(&mut self, operations: u64) {
        for client in 0..self.clients.len() {
            self.clients[client].left = operations;
            self.think(client);
        }
    }

    pub(crate) fn clients_are_done(&self) -> bool {
        let is_done = |client: &Client| client.left == 0 && client.doing.is_none();
        self.clients.iter().all(is_done)
    }

    fn think(&mut self, client: usize) {
        let delay = self.dice.ms(0, self.schedule.think_ms);
        self.time.after(delay, Event::Act(client));
    }

    /// A client does its next operation.
    pub(crate) fn act(&mut self, client: usize) -> Result<(), Violation> {
        let one = &mut self.clients[client];
        if one.left == 0 || one.doing.is_some() {
            return Ok(());
        }
        one.left -= 1;
        one.number += 1;
        self.report.operations += 1;
        if self.dice.one_in(12) {
            self.clients[client].place = self.any_place();
        }
        if self.dice.one_in(25) {
            self.clients[client].forget();
        }
        let again = self.clients[client].again.take();
        let operation = match again {
            Some(request) => Operation::Write(request),
            None if self.dice.one_in(3) => Operation::Read(self.any_key()),
            None => Operation::Write(self.any_request(client)),
        };
        self.clients[client].doing = Some(operation);
        self.serve(client)?;
        let number = self.clients[client].number;
        let patience = match &self.clients[client].doing {
            Some(Operation::Read(_) | Operation::Write(_)) => self.dice.ms(50, 800),
            // Some do not wait long for an answer: they can ask again.
            Some(Operation::Asked(request)) if request.idempotency.is_some() => {
                self.dice.ms(0, 4 * self.schedule.commit_ms + 10)
            }
            Some(Operation::Asked(_)) | None => return Ok(()),
        };
        self.time.after(patience, Event::GiveUp(client, number));
        Ok(())
    }

    /// Serves a client if its region is there and has what the client has seen.
    fn serve(&mut self, client: usize) -> Result<(), Violation> {
        let place = self.clients[client].place;
        let Some(operation) = self.clients[client].doing.clone() else {
            return Ok(());
        };
        let here = &self.places[place];
        let Some(node) = here.node.as_ref().filter(|_| here.serves()) else {
            return Ok(());
        };
        let applied = &node.region.applied().vector;
        let is_new_enough = |vector: &VersionVector| {
            applied.covers_all(vector) || self.does(Mischief::AnswerAtOnce)
        };
        if !is_new_enough(&self.clients[client].session) {
            return Ok(());
        }
        match operation {
            Operation::Asked(_) => Ok(()),
            Operation::Read(key) => self.read(client, place, key),
            Operation::Write(request) => {
                let contexts = request.intents.iter().filter_map(|i| i.context.as_ref());
                if contexts.into_iter().all(is_new_enough) {
                    self.trace(|_| format!("client {client} asks r{place}: {}", told(&request)));
                    let one = &mut self.clients[client];
                    one.doing = Some(Operation::Asked(request.clone()));
                    let number = one.number;
                    self.ask(place, Asked::Write(Asker { client, number }, request));
                }
                Ok(())
            }
        }
    }

    /// Serves whoever waits for a region.
    pub(crate) fn retry_clients(&mut self, place: usize) -> Result<(), Violation> {
        for client in 0..self.clients.len() {
            if self.clients[client].place == place {
                self.serve(client)?;
            }
        }
        Ok(())
    }

    /// Those whose writes were under way in a region that died learn nothing.
    pub(crate) fn drop_clients(&mut self, place: usize) {
        for client in 0..self.clients.len() {
            let one = &self.clients[client];
            if let Some(Operation::Asked(request)) = &one.doing
                && one.place == place
            {
                let request = request.clone();
                self.unknown(client, request);
            }
        }
    }

    pub(crate) fn give_up(&mut self, client: usize, number: u64) {
        let one = &mut self.clients[client];
        match &one.doing {
            Some(_) if one.number != number => {}
            None => {}
            Some(Operation::Asked(request)) => {
                let request = request.clone();
                self.unknown(client, request);
            }
            Some(Operation::Read(_) | Operation::Write(_)) => {
                self.clients[client].place = self.any_place();
                if self.has_seen_lost(&self.clients[client].session) {
                    self.clients[client].forget();
                }
                self.report.given_up += 1;
                self.done(client);
            }
        }
    }

    /// The operation of a client is over.
    pub(crate) fn done(&mut self, client: usize) {
        self.clients[client].doing = None;
        self.think(client);
    }

    fn read(&mut self, client: usize, place: usize, key: KeyName) -> Result<(), Violation> {
        let Some(node) = &self.places[place].node else {
            return Ok(());
        };
        let applied = node.region.applied().vector.clone();
        let slots = query::slots(&**node.region.engine(), &key.0, &key.1)?;
        let one = &mut self.clients[client];
        let mut checked = one.shown.reads(place, &key, &slots, &applied, &self.book);
        if let Some(lens) = node.region.catalog().lens(&key.0) {
            let answer =
                no_resurrection::check_answer(place, &key, lens, &slots, &applied, &self.book);
            checked = checked.and(answer);
        }
        one.session.merge(&applied);
        if one.notes.len() >= NOTES {
            one.notes.remove(0);
        }
        one.notes.push(Note {
            key,
            context: applied,
            fingerprint: view::fingerprint(&slots),
        });
        checked.or_else(|violation| self.found(violation))?;
        self.done(client);
        Ok(())
    }

    /// Whether a client still waits for the answer to what it asked then.
    pub(crate) fn waits(&self, asker: Asker) -> bool {
        let one = &self.clients[asker.client];
        one.number == asker.number && matches!(one.doing, Some(Operation::Asked(_)))
    }

    /// A write of a client was applied or refused.
    pub(crate) fn written(
        &mut self,
        asker: Asker,
        place: usize,
        request: &Request,
        result: Result<Written, Rejection>,
    ) -> Result<(), Violation> {
        self.check_repeated(place, request, &result)?;
        if !self.waits(asker) {
            return Ok(()); // it has gone on
        }
        let client = asker.client;
        if retries::loses_answer(request, &mut self.dice) {
            self.unknown(client, request.clone());
            return Ok(());
        }
        match result {
            Err(rejection) => {
                self.report.refused += 1;
                let leads_away = [Rejection::Joining, Rejection::Leaving, Rejection::Retired];
                if leads_away.contains(&rejection) {
                    self.clients[client].place = self.any_place();
                }
                self.trace(|_| format!("r{place} refuses client {client}: {rejection}"));
            }
            Ok(Written {
                entry,
                session,
                repeats: _,
            }) => {
                self.clients[client].session.merge(&session);
                if let Some((dot, _)) = entry {
                    self.report.acknowledged += 1;
                    let Some(original) = self.book.original(dot) else {
                        let what = format!("r{place} acknowledged {dot}, which did not arrive");
                        return Err(Violation::broken(what));
                    };
                    let entry = Arc::clone(&original.entry);
                    self.clients[client].shown.wrote(&entry);
                    self.book.acknowledge(place, dot, request);
                }
                self.trace(|w| {
                    let entry = entry.map(|(dot, _)| w.dot(dot));
                    format!("r{place} acknowledges client {client}: {entry:?}")
                });
            }
        }
        self.done(client);
        Ok(())
    }

    /// A request that was written before is answered with an entry of its own.
    fn check_repeated(
        &mut self,
        place: usize,
        request: &Request,
        result: &Result<Written, Rejection>,
    ) -> Result<(), Violation> {
        let Ok(Written {
            entry: Some((dot, _)),
            repeats: true,
            ..
        }) = result
        else {
            return Ok(());
        };
        self.report.repeated += 1;
        let Some(original) = self.book.original(*dot) else {
            let what = format!("r{place} answers with {dot}, which did not arrive");
            return Err(Violation::broken(what));
        };
        let key = request.idempotency.as_ref();
        let checked = one_application::check_answer(place, &original.entry, key);
        checked.or_else(|violation| self.found(violation))
    }

    fn any_key(&mut self) -> KeyName {
        let spec = self.dice.index(self.declared.len());
        let number = self.dice.below(self.schedule.keys);
        let key = format!("k{number}").parse().expect("a letter and digits");
        (self.declared[spec].name.clone(), key)
    }

    fn any_request(&mut self, client: usize) -> Request {
        let count = if self.dice.one_in(5) {
            2 + self.dice.index(2)
        } else {
            1
        };
        let mut intents: Vec<Intent> = Vec::new();
        for _ in 0..count {
            let again = intents
                .last()
                .map(|i| (i.collection.clone(), i.key.clone()));
            let key = again.filter(|_| self.dice.one_in(4));
            let key = key.unwrap_or_else(|| self.any_key());
            intents.push(self.any_intent(client, key));
        }
        let mut request = Request {
            intents,
            trace: Bytes::new(),
            idempotency: None,
        };
        self.name_sometimes(client, &mut request);
        request
    }

    fn any_intent(&mut self, client: usize, key: KeyName) -> Intent {
        let data_type = self.declared.iter().find(|spec| spec.name == key.0);
        let data_type = data_type.map_or(atoll_core::DataType::Register, |spec| spec.data_type);
        self.changes += 1;
        let action = intents::change(data_type, self.changes, &mut self.dice);
        let mut notes = std::mem::take(&mut self.clients[client].notes);
        notes.retain(|note| !self.has_seen_lost(&note.context));
        self.clients[client].notes = notes;
        let notes = &self.clients[client].notes;
        let of_key: Vec<Note> = notes
            .iter()
            .filter(|note| note.key == key)
            .cloned()
            .collect();
        let note = (!of_key.is_empty()).then(|| self.dice.pick(&of_key).clone());
        let context = note.as_ref().map(|note| note.context.clone());
        let precondition = match (self.dice.below(16), note) {
            (0 | 1, Some(note)) => Some(Precondition::Matches(note.fingerprint)),
            (2, _) => Some(Precondition::Absent),
            (3, _) => Some(Precondition::Present),
            _ => None,
        };
        Intent {
            collection: key.0,
            key: key.1,
            action,
            precondition,
            context: context.filter(|_| self.dice.one_in(2)),
        }
    }
}

fn told(request: &Request) -> String {
    let told = |intent: &Intent| {
        let context = intent.context.as_ref().map_or("", |_| " by what it read");
        let (collection, key) = (&intent.collection, &intent.key);
        let condition = intent.precondition.map(|p| format!(" if {p:?}"));
        let condition = condition.unwrap_or_default();
        format!("{collection}/{key} {:?}{condition}{context}", intent.action)
    };
    request
        .intents
        .iter()
        .map(told)
        .collect::<Vec<_>>()
        .join("; ")
}
