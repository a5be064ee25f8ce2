//! What clients did and were told, one JSON object a line. The [checks](super::check) know nothing else of
//! a run than this and what the regions hold in the end.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use atoll_core::{Dot, ReplicaId, VersionVector};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A key of a collection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name {
    /// The collection.
    pub collection: String,
    /// The key.
    pub key: String,
}

/// One request of a client and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When it was sent, in milliseconds since the beginning.
    pub at_ms: u64,
    /// How long its answer took, in milliseconds.
    pub took_ms: u64,
    /// Who sent it. A client does one thing after the other.
    pub client: usize,
    /// The region that was asked.
    pub region: String,
    /// The session that was sent along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<Seen>,
    /// What was asked and answered.
    #[serde(flatten)]
    pub did: Did,
}

/// What was asked and answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "camelCase")]
pub enum Did {
    /// Changes that stand or fall together.
    Write {
        /// The changes.
        changes: Vec<Change>,
        /// What the only key among them must hold.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        demand: Option<Demand>,
        /// How it went.
        answer: Answer<Stands>,
    },
    /// Keys read from one snapshot.
    Read {
        /// Which.
        names: Vec<Name>,
        /// How it went.
        answer: Answer<Shows>,
    },
}

/// How a request went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer<T> {
    /// As asked.
    Ok(T),
    /// Refused by a reason that says that nothing has changed.
    Refused(String),
    /// No answer, or none that says whether it was done.
    Unknown(String),
}

/// A write that stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stands {
    /// Its entry; absent: there was nothing to change.
    #[serde(default, with = "dot_text", skip_serializing_if = "Option::is_none")]
    pub dot: Option<Dot>,
    /// All that its region had right after it.
    pub seen: Seen,
}

/// An answer to a read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shows {
    /// All that the region had; absent when the answer did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
    /// For each key what it was shown to hold: null for nothing, a list of several siblings or elements.
    pub values: Vec<Value>,
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The key.
    #[serde(flatten)]
    pub name: Name,
    /// What is done to it.
    #[serde(flatten)]
    pub action: Action,
}

/// What is done to a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// A register is set to this text, which no other write ever says.
    Put(String),
    /// Fields of a document are set to such texts, or removed.
    Patch(BTreeMap<String, Option<String>>),
    /// A register or document is deleted.
    Delete,
    /// A counter grows.
    Increment(i64),
    /// A set gets an element.
    Add(String),
    /// A set loses an element.
    Remove(String),
}

/// What a key must hold for a write to stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Demand {
    /// Nothing.
    Absence,
    /// What it held when it was read with this text.
    Value(String),
}

/// A version vector, readable.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, u64>", into = "BTreeMap<String, u64>")]
pub struct Seen(pub VersionVector);

impl From<Seen> for BTreeMap<String, u64> {
    fn from(seen: Seen) -> Self {
        let components = seen.0.iter();
        components.map(|(id, seq)| (id.to_string(), seq)).collect()
    }
}

impl TryFrom<BTreeMap<String, u64>> for Seen {
    type Error = String;

    fn try_from(components: BTreeMap<String, u64>) -> Result<Self, String> {
        let read = |(id, seq): (String, u64)| {
            let id: ReplicaId = id.parse().map_err(|_| format!("{id} is no replica id"))?;
            Ok((id, seq))
        };
        let vector: Result<VersionVector, String> = components.into_iter().map(read).collect();
        vector.map(Seen)
    }
}

impl Event {
    /// When its answer came, in milliseconds since the beginning.
    #[must_use]
    pub fn answered_ms(&self) -> u64 {
        self.at_ms + self.took_ms
    }
}

/// Takes down events as they end, from any number of clients.
#[derive(Debug)]
pub(crate) struct Recorder {
    taken: Mutex<Taken>,
}

#[derive(Debug)]
struct Taken {
    events: Vec<Event>,
    file: BufWriter<File>,
    failed: Option<io::Error>,
}

impl Recorder {
    pub(crate) fn new(file: &Path) -> io::Result<Recorder> {
        let taken = Taken {
            events: Vec::new(),
            file: BufWriter::new(File::create(file)?),
            failed: None,
        };
        Ok(Recorder {
            taken: Mutex::new(taken),
        })
    }

    pub(crate) fn record(&self, event: Event) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let Taken {
            events,
            file,
            failed,
        } = &mut *taken;
        let written = serde_json::to_writer(&mut *file, &event).map_err(io::Error::from);
        if let Err(error) = written.and_then(|()| file.write_all(b"\n")) {
            failed.get_or_insert(error);
        }
        events.push(event);
    }

    /// All events, in the order in which they ended.
    pub(crate) fn finish(&self) -> io::Result<Vec<Event>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = taken.failed.take() {
            return Err(error);
        }
        taken.file.flush()?;
        Ok(std::mem::take(&mut taken.events))
    }
}

/// Reads a recorded history.
///
/// # Errors
/// When the file cannot be read or holds something else.
pub fn read(file: &Path) -> io::Result<Vec<Event>> {
    let lines = BufReader::new(File::open(file)?).lines();
    lines
        .map(|line| Ok(serde_json::from_str(&line?)?))
        .collect()
}

pub(crate) mod dot_text {
    //! A dot as people write it; the empty text is none.

    use atoll_core::Dot;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    #[allow(clippy::ref_option, reason = "serde passes references")]
    pub(crate) fn serialize<S: Serializer>(dot: &Option<Dot>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&dot.map(|dot| dot.to_string()).unwrap_or_default())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Dot>, D::Error> {
        let text = String::deserialize(from)?;
        if text.is_empty() {
            return Ok(None);
        }
        let parsed = text.parse();
        parsed
            .map(Some)
            .map_err(|_| D::Error::custom(format!("{text} is no dot")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn what_is_recorded_is_read_back() {
        let name = Name {
            collection: "shared".into(),
            key: "3".into(),
        };
        let dot = Dot {
            replica: ReplicaId(0xab),
            seq: 4,
        };
        let seen = Seen(
            [(ReplicaId(0xab), 4), (ReplicaId(7), 1)]
                .into_iter()
                .collect(),
        );
        let event = |did| Event {
            at_ms: 5,
            took_ms: 6,
            client: 1,
            region: "eu".into(),
            sent: Some(seen.clone()),
            did,
        };
        let change = |action| Change {
            name: name.clone(),
            action,
        };
        let fields = [
            ("a".to_owned(), None),
            ("b".to_owned(), Some("x".to_owned())),
        ];
        let stands = Stands {
            dot: Some(dot),
            seen: seen.clone(),
        };
        let events = [
            event(Did::Write {
                changes: vec![
                    change(Action::Put("v".into())),
                    change(Action::Patch(fields.into_iter().collect())),
                    change(Action::Delete),
                    change(Action::Increment(-2)),
                    change(Action::Remove("e".into())),
                ],
                demand: Some(Demand::Absence),
                answer: Answer::Ok(stands),
            }),
            event(Did::Write {
                changes: vec![change(Action::Add("e".into()))],
                demand: None,
                answer: Answer::Unknown("Timeout".into()),
            }),
            event(Did::Read {
                names: vec![name],
                answer: Answer::Ok(Shows {
                    seen: Some(seen.clone()),
                    values: vec![Value::Null],
                }),
            }),
        ];
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("history.jsonl");
        let recorder = Recorder::new(&file).unwrap();
        for event in &events {
            recorder.record(event.clone());
        }
        assert_eq!(recorder.finish().unwrap(), events);
        assert_eq!(read(&file).unwrap(), events);
    }
}
