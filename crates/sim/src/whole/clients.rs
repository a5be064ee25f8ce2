//! Clients of one region: each asks for one thing at a time, and asks again through any of the region's nodes
//! until somebody answers.
//!
//! Every value is written once, so a read tells which write it saw. Keys belong to one region, so that what is
//! read of them is that region's own doing.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use atoll_api::http::{Problem, Reason, header, media_type};
use atoll_client::{ClientError, Connection, Network, RawAnswer, Session};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::history::{Answer, Asked, Freshness, Shared};
use super::torment::Mischief;
use crate::dice::Dice;

const COLLECTION: &str = "pages";
const ATTEMPTS: u32 = 8;

/// A client.
pub(super) struct Client {
    pub(super) number: usize,
    pub(super) region: usize,
    pub(super) region_name: String,
    /// The region's nodes as `http://host:port`.
    pub(super) servers: Vec<String>,
    pub(super) keys: u64,
    pub(super) mischief: Option<Mischief>,
    pub(super) network: Network,
    pub(super) dice: Dice,
    pub(super) history: Shared,
    pub(super) stop: Rc<Cell<bool>>,
}

/// What a client carries from one request to the next.
#[derive(Default)]
struct Memory {
    session: Session,
    connection: Option<(usize, Connection)>,
    written: u64,
}

impl Client {
    /// Asks until told to stop.
    pub(super) async fn run(mut self) {
        let mut memory = Memory::default();
        while !self.stop.get() {
            tokio::time::sleep(self.dice.ms(1, 120)).await;
            let key = format!("{}-{}", self.region_name, self.dice.below(self.keys));
            if self.dice.one_in(2) {
                self.write(&mut memory, &key).await;
            } else {
                self.read(&mut memory, &key).await;
            }
        }
    }

    async fn write(&mut self, memory: &mut Memory, key: &str) {
        memory.written += 1;
        let value = self.number as u64 * 1_000_000 + memory.written;
        let name = format!("request-{value}");
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type::JSON));
        set(&mut headers, header::IDEMPOTENCY_KEY, &name);
        let asked = Asked::Write { value };
        let who = (self.number, self.region);
        let place = self.history.borrow_mut().begin(who, key, asked, Some(name));
        let body = Bytes::from(value.to_string());
        let told = self.ask(memory, &Method::PUT, key, headers, body).await;
        let answer = match told {
            Some(answer) => Answer::Written {
                dot: text(&answer, header::DOT),
            },
            None => Answer::Unknown,
        };
        self.history.borrow_mut().end(place, answer);
    }

    async fn read(&mut self, memory: &mut Memory, key: &str) {
        let how = match self.dice.below(10) {
            0..5 => Freshness::Leader,
            5..8 => Freshness::Session,
            _ => Freshness::Any,
        };
        let mut headers = HeaderMap::new();
        let asked_for = match (how, self.mischief) {
            (Freshness::Leader, Some(Mischief::StaleLeaders))
            | (Freshness::Session, Some(Mischief::StaleSessions)) => Freshness::Any,
            _ => how,
        };
        match (asked_for, memory.session.token()) {
            (Freshness::Leader, _) => set(&mut headers, header::CONSISTENCY, "leader"),
            (Freshness::Any, _) => set(&mut headers, header::CONSISTENCY, "any"),
            (Freshness::Session, None) => return,
            (Freshness::Session, Some(session)) => {
                set(&mut headers, header::SESSION, &session);
                set(&mut headers, header::TIMEOUT, "2s");
            }
        }
        let who = (self.number, self.region);
        let asked = Asked::Read { how };
        let place = self.history.borrow_mut().begin(who, key, asked, None);
        let told = self
            .ask(memory, &Method::GET, key, headers, Bytes::new())
            .await;
        let answer = match told {
            Some(answer) if answer.status == 404 => Answer::Value(None),
            Some(answer) => {
                let text = String::from_utf8_lossy(&answer.body);
                Answer::Value(Some(text.parse().unwrap_or(u64::MAX)))
            }
            None => Answer::Unknown,
        };
        self.history.borrow_mut().end(place, answer);
    }

    /// Asks one node after the other; `None` when nobody has given an answer that says what happened.
    async fn ask(
        &mut self,
        memory: &mut Memory,
        method: &Method,
        key: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Option<RawAnswer> {
        let path = format!("/v1/collections/{COLLECTION}/keys/{key}");
        for _ in 0..ATTEMPTS {
            let asked = self.ask_once(memory, method, &path, headers.clone(), body.clone());
            match asked.await {
                Ok(answer) if is_final(&answer) => {
                    let session = text(&answer, header::SESSION);
                    if !session.is_empty() {
                        memory.session.note(&session);
                    }
                    return Some(answer);
                }
                Ok(answer) => {
                    let text = String::from_utf8_lossy(&answer.body).into_owned();
                    self.tell(&format!("{} {text}", answer.status));
                }
                Err(error) => {
                    memory.connection = None;
                    self.tell(&error.to_string());
                }
            }
            if self.dice.one_in(2) {
                memory.connection = None; // another node
            }
            tokio::time::sleep(self.dice.ms(20, 300)).await;
        }
        None
    }

    fn tell(&self, what: &str) {
        let mut history = self.history.borrow_mut();
        history.attempts += 1;
        let line = format!("client {}: again: {what}", self.number);
        history.trace.say(&line);
    }

    async fn ask_once(
        &mut self,
        memory: &mut Memory,
        method: &Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<RawAnswer, ClientError> {
        let patience = Duration::from_millis(self.dice.between(300, 4000));
        let (_, connection) = match &mut memory.connection {
            Some(open) => open,
            none => {
                let place = self.dice.index(self.servers.len());
                let server = &self.servers[place];
                let opened = Connection::open_in(&self.network, server, patience).await?;
                none.insert((place, opened))
            }
        };
        connection.send_with(method, path, headers, body).await
    }
}

/// Whether an answer says what happened, for ever.
fn is_final(answer: &RawAnswer) -> bool {
    if answer.status == 200 || answer.status == 204 || answer.status == 201 {
        return true;
    }
    let problem: Option<Problem> = serde_json::from_slice(&answer.body).ok();
    problem.and_then(|problem| problem.reason()) == Some(Reason::NotFound)
}

fn text(answer: &RawAnswer, header: &str) -> String {
    let value = answer.headers.get(header);
    let value = value.and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}
