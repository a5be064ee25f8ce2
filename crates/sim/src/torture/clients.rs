//! Clients that write and read through every fault, and take down what they did and were told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use atoll_api::http::{
    Add, BatchOperation, BatchRequest, Increment, KeyRef, Operations, RawJson, ReadRequest, Reason,
    Remove, media_type,
};
use atoll_client::{Client, ClientError, Content, Read, ReadOptions, WriteOptions};
use atoll_core::VersionVector;
use atoll_core::token::{self, TokenKind};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::cluster::{Cluster, STORE};
use super::history::{
    Action, Answer, Change, Demand, Did, Event, Name, Recorder, Seen, Shows, Stands,
};
use super::progress::Progress;
use super::shape::{NodeId, region_name};
use super::workload::{Step, Workload};

/// How long a region may take to catch up with a session.
const SESSION_WITHIN: Duration = Duration::from_secs(2);
/// After a failure, as every client should.
const BACK_OFF: Duration = Duration::from_millis(50);

/// What all clients share.
#[derive(Clone)]
pub(crate) struct Floor {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) started: Instant,
    pub(crate) pause: Duration,
}

/// One client. It does one thing after the other, and takes its session along.
pub(crate) struct Customer {
    floor: Floor,
    number: usize,
    workload: Workload,
    region: usize,
    seen: VersionVector,
}

impl Customer {
    pub(crate) fn new(floor: Floor, seed: u64, number: usize) -> Customer {
        let regions = floor.cluster.shape.regions;
        Customer {
            floor,
            number,
            workload: Workload::new(seed, number),
            region: number % regions,
            seen: VersionVector::new(),
        }
    }

    /// Until told to stop.
    pub(crate) async fn run(mut self) {
        while !self.floor.stop.load(Ordering::Relaxed) {
            let step = self.workload.next(self.now_ms());
            let is_done = self.take(step).await;
            let pause = if is_done { self.floor.pause } else { BACK_OFF };
            tokio::time::sleep(pause).await;
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.floor.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn client(&mut self) -> Client {
        let place = self.workload.node(self.floor.cluster.shape.nodes);
        let region = self.region;
        let node = self.floor.cluster.node(NodeId { region, place });
        node.client.clone()
    }

    async fn take(&mut self, step: Step) -> bool {
        match step {
            Step::Write(changes) => self.write(changes, None, None).await,
            Step::WriteIfAbsent(change) => {
                self.write(vec![change], Some(Demand::Absence), None).await
            }
            Step::WriteIfUnchanged(change) => self.write_if_unchanged(change).await,
            Step::Read(name) => self.read(name, self.sent()).await.is_some(),
            // Without a session the region's leader answers.
            Step::ReadCurrent(name) => self.read(name, None).await.is_some(),
            Step::ReadTogether(names) => self.read_together(names).await,
            Step::Move => {
                let regions = self.floor.cluster.shape.regions;
                // One client of each region stays: no region is ever without any.
                if self.number >= regions {
                    self.region = self.workload.other_region(self.region, regions);
                }
                true
            }
        }
    }

    async fn write_if_unchanged(&mut self, change: Change) -> bool {
        let Some(read) = self.read(change.name.clone(), self.sent()).await else {
            return false;
        };
        match (shown(&read.content), read.etag) {
            (Value::String(text), Some(etag)) => {
                let demand = Some(Demand::Value(text));
                self.write(vec![change], demand, Some(etag)).await
            }
            _ => self.write(vec![change], Some(Demand::Absence), None).await,
        }
    }

    async fn write(
        &mut self,
        changes: Vec<Change>,
        demand: Option<Demand>,
        etag: Option<String>,
    ) -> bool {
        let client = self.client();
        let (sent, at_ms) = (self.sent(), self.now_ms());
        let options = WriteOptions {
            if_match: etag,
            if_absent: demand == Some(Demand::Absence),
            session: sent.as_ref().map(session),
            timeout: Some(SESSION_WITHIN),
            ..WriteOptions::default()
        };
        let answer = match send(&client, &changes, &options).await {
            Ok((dot, session)) => self.stands(&dot, &session),
            Err(error) => failed(&error),
        };
        if let Answer::Ok(stands) = &answer {
            self.seen.merge(&stands.seen.0);
        }
        self.floor.progress.wrote(self.region, &answer);
        let is_done = matches!(answer, Answer::Ok(_));
        let did = Did::Write {
            changes,
            demand,
            answer,
        };
        self.record(at_ms, sent, did);
        is_done
    }

    fn stands(&self, dot: &str, session: &str) -> Answer<Stands> {
        match (read_dot(dot), read_session(session)) {
            (Ok(dot), Ok(seen)) => Answer::Ok(Stands { dot, seen }),
            (dot, seen) => Answer::Unknown(format!("answered with {dot:?} and {seen:?}")),
        }
    }

    async fn read(&mut self, name: Name, sent: Option<Seen>) -> Option<Read> {
        let client = self.client();
        let options = read_options(sent.as_ref());
        let at_ms = self.now_ms();
        let read = client.get(&name.collection, &name.key, &options).await;
        let answer = match &read {
            Ok(read) => {
                let seen = read.session.as_deref().and_then(|s| read_session(s).ok());
                Answer::Ok(Shows {
                    seen,
                    values: vec![shown(&read.content)],
                })
            }
            Err(error) => failed(error),
        };
        if let Answer::Ok(Shows {
            seen: Some(seen), ..
        }) = &answer
        {
            self.seen.merge(&seen.0);
        }
        let names = vec![name];
        self.record(at_ms, sent, Did::Read { names, answer });
        read.ok()
    }

    async fn read_together(&mut self, names: Vec<Name>) -> bool {
        let client = self.client();
        let (sent, at_ms) = (self.sent(), self.now_ms());
        let options = read_options(sent.as_ref());
        let key = |name: &Name| KeyRef {
            collection: name.collection.clone(),
            key: name.key.clone(),
        };
        let request = ReadRequest {
            keys: names.iter().map(key).collect(),
        };
        let answer = match client.read(&request, &options).await {
            Ok(answer) => {
                let values = answer
                    .items
                    .into_iter()
                    .map(|item| json_of(item.value.as_ref()));
                Answer::Ok(Shows {
                    seen: None,
                    values: values.collect(),
                })
            }
            Err(error) => failed(&error),
        };
        let is_done = matches!(answer, Answer::Ok(_));
        self.record(at_ms, sent, Did::Read { names, answer });
        is_done
    }

    fn sent(&self) -> Option<Seen> {
        let has_seen = !self.seen.is_empty();
        has_seen.then(|| Seen(self.seen.clone()))
    }

    fn record(&self, at_ms: u64, sent: Option<Seen>, did: Did) {
        self.floor.recorder.record(Event {
            at_ms,
            took_ms: self.now_ms().saturating_sub(at_ms),
            client: self.number,
            region: region_name(self.region).to_owned(),
            sent,
            did,
        });
    }
}

fn read_options(sent: Option<&Seen>) -> ReadOptions {
    ReadOptions {
        session: sent.map(session),
        timeout: Some(SESSION_WITHIN),
        ..ReadOptions::default()
    }
}

fn session(seen: &Seen) -> String {
    token::write(TokenKind::Session, STORE, &seen.0)
}

/// Sends changes, one by the route that it has, several as a batch.
async fn send(
    client: &Client,
    changes: &[Change],
    options: &WriteOptions,
) -> Result<(String, String), ClientError> {
    let [Change { name, action }] = changes else {
        let operations = changes.iter().map(operation).collect();
        let answer = client.batch(&BatchRequest { operations }, options).await?;
        return Ok((answer.dot, answer.session));
    };
    let (collection, key) = (name.collection.as_str(), name.key.as_str());
    let receipt = match action {
        Action::Put(text) => {
            let text = json!(text).to_string();
            client
                .put(collection, key, media_type::JSON, text, options)
                .await?
        }
        Action::Patch(fields) => {
            client
                .patch(collection, key, &raw(&json!(fields)), options)
                .await?
        }
        Action::Delete => client.delete(collection, key, options).await?,
        Action::Increment(_) | Action::Add(_) | Action::Remove(_) => {
            client
                .operate(collection, key, &operations(action), options)
                .await?
        }
    };
    Ok((receipt.dot, receipt.session))
}

fn operation(change: &Change) -> BatchOperation {
    let Change { name, action } = change;
    let mut operation = BatchOperation {
        collection: name.collection.clone(),
        key: name.key.clone(),
        ..BatchOperation::default()
    };
    match action {
        Action::Put(text) => operation.put = Some(raw(&json!(text))),
        Action::Patch(fields) => operation.patch = Some(raw(&json!(fields))),
        Action::Delete => operation.delete = true,
        Action::Increment(_) | Action::Add(_) | Action::Remove(_) => {
            operation.ops = Some(raw(&json!(operations(action))));
        }
    }
    operation
}

fn operations(action: &Action) -> Operations {
    let mut operations = Operations::default();
    match action {
        Action::Increment(by) => operations.increment = Some(Increment::Whole(*by)),
        Action::Add(element) => operations.add = Some(Add::Elements(vec![json!(element)])),
        Action::Remove(element) => operations.remove = Some(Remove::Listed(vec![json!(element)])),
        Action::Put(_) | Action::Patch(_) | Action::Delete => {}
    }
    operations
}

fn raw(value: &Value) -> RawJson {
    RawJson::try_from(value).expect("texts and numbers are JSON")
}

/// Whether a failed request may have been done all the same.
fn failed<T>(error: &ClientError) -> Answer<T> {
    let word = error.to_string();
    if error.is_unsent() {
        return Answer::Refused(word);
    }
    let Some(problem) = error.problem() else {
        return Answer::Unknown(word);
    };
    let is_unchanged = problem.reason().is_some_and(|reason| match reason {
        Reason::Timeout
        | Reason::Internal
        | Reason::StorageFailed
        | Reason::DiskFull
        | Reason::WriteConcernTimeout => false,
        other => other.is_retryable() || other.status() < 500,
    });
    let word = problem.reason_word.clone();
    match is_unchanged {
        true => Answer::Refused(word),
        false => Answer::Unknown(word),
    }
}

/// What a key is shown to hold.
fn shown(content: &Content) -> Value {
    match content {
        Content::Absent => Value::Null,
        Content::Value { bytes, .. } => serde_json::from_slice(bytes).unwrap_or_else(|_| {
            let text = String::from_utf8_lossy(bytes);
            json!({"notJson": text})
        }),
        Content::Siblings(siblings) => {
            let standing = siblings.iter().filter(|sibling| !sibling.deleted);
            standing.map(|s| json_of(s.value.as_ref())).collect()
        }
    }
}

/// A value as it was answered; absent and what is no JSON are null.
pub(crate) fn json_of(raw: Option<&RawJson>) -> Value {
    let text = raw.map(RawJson::get);
    let value = text.and_then(|text| serde_json::from_str(text).ok());
    value.unwrap_or(Value::Null)
}

fn read_dot(text: &str) -> Result<Option<atoll_core::Dot>, String> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| text.to_owned()),
    }
}

fn read_session(text: &str) -> Result<Seen, String> {
    let read = token::read(TokenKind::Session, STORE, text);
    read.map(Seen).map_err(|error| error.to_string())
}
