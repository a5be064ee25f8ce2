//! What a reader sees: pure functions of the stored siblings and the declared policy.
//!
//! The same set gives the same answer in every region, and a policy can be changed later: a view changes
//! nothing that is stored.

use std::collections::BTreeMap;

use crate::collection::{CollectionSpec, DataType, Policy, Regions, UpdateDelete};
use crate::content::{Class, Content, Value};
use crate::hash::Hash;
use crate::hlc::Timestamp;
use crate::ids::{Dot, ReplicaId};
use crate::map::FieldKind;
use crate::path::{Path, read_segment};
use crate::slot::{Slot, Version};
use crate::state::LedgerRow;

/// What decides a view: the collection's declaration and which replica is which region.
#[derive(Debug, Clone, Copy)]
pub struct Lens<'a> {
    /// The declaration.
    pub spec: &'a CollectionSpec,
    /// The regions.
    pub regions: &'a Regions,
}

/// What a reader gets for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Never written, deleted, or empty.
    Absent,
    /// One value.
    One(Value),
    /// Several, which the policy keeps. For documents and maps the merged value comes first.
    Several(Vec<Sibling>),
}

/// One of several concurrent versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sibling {
    /// The field, as a JSON Pointer; `None` for the whole value.
    pub field: Option<String>,
    /// The value; `None` for a delete.
    pub value: Option<Value>,
    /// The version's dot.
    pub dot: Dot,
    /// The version's time.
    pub time: Timestamp,
}

/// The versions of one slot that its policies show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice<'a> {
    /// The version that stands for the slot; `None` when it is absent.
    pub winner: Option<&'a Version>,
    /// All that are shown; more than one only where a policy keeps several that disagree.
    pub shown: Vec<&'a Version>,
}

/// Chooses among the siblings of a slot.
#[must_use]
pub fn choose<'a>(lens: &Lens<'_>, slot: &'a Slot) -> Choice<'a> {
    let (live, deleted): (Vec<&Version>, Vec<&Version>) =
        slot.siblings.iter().partition(|v| v.content.is_live());
    let best = live
        .iter()
        .copied()
        .max_by_key(|v| preference(lens, v.dot, v.time));
    if best.is_none()
        || (!deleted.is_empty() && lens.spec.update_delete == UpdateDelete::DeleteWins)
    {
        return Choice {
            winner: None,
            shown: vec![],
        };
    }
    let mut shown: Vec<&Version> = match lens.spec.policy {
        Policy::KeepSiblings => live,
        Policy::LastWriterWins | Policy::OriginPriority(_) => best.into_iter().collect(),
    };
    if lens.spec.update_delete == UpdateDelete::KeepBoth {
        shown.extend(deleted);
        shown.sort_by_key(|v| v.dot);
    }
    let disagree = |a: &Version, b: &Version| a.content.class().disagrees_with(b.content.class());
    if !shown.iter().skip(1).any(|v| disagree(shown[0], v)) {
        shown = best.into_iter().collect();
    }
    Choice {
        winner: best,
        shown,
    }
}

/// The order in which a policy prefers versions: the greatest wins. Unlisted regions rank last.
fn preference(lens: &Lens<'_>, dot: Dot, time: Timestamp) -> (usize, Timestamp, ReplicaId, u64) {
    let rank = match &lens.spec.policy {
        Policy::LastWriterWins | Policy::KeepSiblings => 0,
        Policy::OriginPriority(origins) => {
            let place = |name| origins.iter().position(|o| o == name);
            let place = lens.regions.name(dot.replica).and_then(place);
            origins.len() - place.unwrap_or(origins.len())
        }
    };
    (rank, time, dot.replica, dot.seq)
}

/// Whether a slot is seen as an object.
#[must_use]
pub fn shows_object(lens: &Lens<'_>, slot: &Slot) -> bool {
    choose(lens, slot)
        .winner
        .is_some_and(|v| v.content == Content::Object)
}

/// Whether a reader finds the key.
#[must_use]
pub fn is_present(lens: &Lens<'_>, slots: &[(Path, Slot)]) -> bool {
    match lens.spec.data_type {
        DataType::Register => root(slots).is_some_and(|slot| choose(lens, slot).winner.is_some()),
        DataType::Document => root(slots).is_some_and(|slot| shows_object(lens, slot)),
        DataType::Counter => root(slots).is_some_and(|slot| slot.counter.is_live()),
        DataType::Set => slots.iter().any(|(_, slot)| slot.has_live_sibling()),
        DataType::Map => slots
            .iter()
            .any(|(_, slot)| slot.counter.is_live() || choose(lens, slot).winner.is_some()),
    }
}

/// What a reader gets. `slots` are all slots of the key in path order.
#[must_use]
pub fn answer(lens: &Lens<'_>, slots: &[(Path, Slot)]) -> Answer {
    if !is_present(lens, slots) {
        return Answer::Absent;
    }
    match lens.spec.data_type {
        DataType::Register => register(lens, slots),
        DataType::Counter => {
            let sum = root(slots).map_or(0, |slot| slot.counter.value());
            Answer::One(Value::json(sum.to_string()))
        }
        DataType::Set => Answer::One(Value::json(elements(
            slots.iter().map(|(p, s)| (p.as_bytes(), s)),
        ))),
        DataType::Document | DataType::Map => {
            let text = Value::json(merged(lens, slots));
            let mut kept = kept_fields(lens, slots);
            if kept.is_empty() {
                return Answer::One(text);
            }
            kept.insert(0, newest(slots, text));
            Answer::Several(kept)
        }
    }
}

/// The same as a list of siblings, whether there are several or not. Registers list every stored one.
#[must_use]
pub fn siblings(lens: &Lens<'_>, slots: &[(Path, Slot)]) -> Vec<Sibling> {
    if lens.spec.data_type == DataType::Register {
        return root(slots).map_or(vec![], |slot| slot.siblings.iter().map(sibling).collect());
    }
    match answer(lens, slots) {
        Answer::Absent => vec![],
        Answer::One(value) => vec![newest(slots, value)],
        Answer::Several(siblings) => siblings,
    }
}

/// A hash of everything that a reader could see of a key (see [`struct@Hash`]): equal fingerprints mean
/// that nothing changed between two reads.
#[must_use]
pub fn fingerprint(slots: &[(Path, Slot)]) -> u128 {
    let mut hash = Hash::new();
    let mut feed = |bytes: &[u8]| hash.feed(bytes);
    for (path, slot) in slots
        .iter()
        .filter(|(_, s)| !s.siblings.is_empty() || !s.counter.is_empty())
    {
        feed(path.as_bytes());
        for version in &slot.siblings {
            feed(&version.dot.replica.0.to_be_bytes());
            feed(&version.dot.seq.to_be_bytes());
        }
        for c in &slot.counter.contributions {
            feed(&c.replica.0.to_be_bytes());
            for position in [c.position, c.floor] {
                feed(&position.seq.to_be_bytes());
                feed(&position.index.to_be_bytes());
            }
        }
        for d in &slot.counter.discounts {
            feed(b"repeated");
            feed(&d.replica.0.to_be_bytes());
            feed(&d.position.seq.to_be_bytes());
            feed(&d.position.index.to_be_bytes());
        }
    }
    hash.value()
}

fn root(slots: &[(Path, Slot)]) -> Option<&Slot> {
    slots
        .iter()
        .find(|(path, _)| path.is_root())
        .map(|(_, slot)| slot)
}

fn register(lens: &Lens<'_>, slots: &[(Path, Slot)]) -> Answer {
    let Some(choice) = root(slots).map(|slot| choose(lens, slot)) else {
        return Answer::Absent;
    };
    match (choice.shown.as_slice(), choice.winner) {
        ([_, _, ..], _) => Answer::Several(choice.shown.into_iter().map(sibling).collect()),
        (
            _,
            Some(Version {
                content: Content::Value(value),
                ..
            }),
        ) => Answer::One(value.clone()),
        _ => Answer::Absent,
    }
}

fn sibling(version: &Version) -> Sibling {
    let value = match &version.content {
        Content::Value(value) => Some(value.clone()),
        Content::Object => Some(Value::json("{}")),
        Content::Tombstone => None,
    };
    Sibling {
        field: None,
        value,
        dot: version.dot,
        time: version.time,
    }
}

/// The whole value, under the name of the newest version in it.
fn newest(slots: &[(Path, Slot)], value: Value) -> Sibling {
    let versions = slots.iter().flat_map(|(_, slot)| &slot.siblings);
    let newest = versions.max_by_key(|v| (v.time, v.dot.replica));
    let counted = slots
        .iter()
        .flat_map(|(_, slot)| &slot.counter.contributions)
        .map(|c| (c.position.seq, c.replica));
    let (dot, time) = match (newest, counted.max()) {
        (Some(version), _) => (version.dot, version.time),
        (None, Some((seq, replica))) => (Dot { replica, seq }, Timestamp::default()),
        (None, None) => (
            Dot {
                replica: ReplicaId(0),
                seq: 0,
            },
            Timestamp::default(),
        ),
    };
    Sibling {
        field: None,
        value: Some(value),
        dot,
        time,
    }
}

/// Fields of which the policy keeps several versions; what lies below something hidden is not listed.
fn kept_fields(lens: &Lens<'_>, slots: &[(Path, Slot)]) -> Vec<Sibling> {
    let mut kept = Vec::new();
    let mut closed: Option<&Path> = None;
    for (path, slot) in slots {
        if closed.is_some_and(|above| path.as_bytes().starts_with(above.as_bytes())) {
            continue;
        }
        let choice = choose(lens, slot);
        let is_open = choice.shown.iter().any(|v| v.content == Content::Object);
        if lens.spec.data_type == DataType::Document && !is_open {
            closed = Some(path);
        }
        if choice.shown.len() > 1 {
            let path = match lens.spec.data_type {
                DataType::Map => path.segments().first().map(|s| Path::root().child(s)),
                _ => Some(path.clone()),
            };
            let field = path.map(|p| p.pointer());
            kept.extend(choice.shown.into_iter().map(|v| Sibling {
                field: field.clone(),
                ..sibling(v)
            }));
        }
    }
    kept
}

/// The elements of a set, sorted: null, booleans, numbers, strings, arrays, objects.
fn elements<'a>(slots: impl Iterator<Item = (&'a [u8], &'a Slot)>) -> String {
    let live = slots.filter(|(_, slot)| slot.has_live_sibling());
    let texts = live.filter_map(|(path, _)| String::from_utf8(read_segment(path)?.0).ok());
    let mut sorted: Vec<(ElementOrder, String)> =
        texts.map(|t| (ElementOrder::of(&t), t)).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
    format!(
        "[{}]",
        sorted
            .into_iter()
            .map(|(_, text)| text)
            .collect::<Vec<_>>()
            .join(",")
    )
}

/// Where an element sorts: its type, then its number.
struct ElementOrder(u8, f64);

impl ElementOrder {
    fn of(text: &str) -> Self {
        match text.as_bytes().first() {
            Some(b'n') => ElementOrder(0, 0.0),
            Some(b'f' | b't') => ElementOrder(1, 0.0),
            Some(b'"') => ElementOrder(3, 0.0),
            Some(b'[') => ElementOrder(4, 0.0),
            Some(b'{') => ElementOrder(5, 0.0),
            _ => ElementOrder(2, text.parse().unwrap_or_default()),
        }
    }

    fn total_cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0
            .cmp(&other.0)
            .then_with(|| self.1.total_cmp(&other.1))
    }
}

/// A document's or map's slots as a tree.
#[derive(Default)]
struct Node<'a> {
    slot: Option<&'a Slot>,
    below: BTreeMap<Vec<u8>, Node<'a>>,
}

fn merged(lens: &Lens<'_>, slots: &[(Path, Slot)]) -> String {
    let mut tree = Node::default();
    for (path, slot) in slots {
        let leaf = path
            .segments()
            .into_iter()
            .fold(&mut tree, |n, s| n.below.entry(s).or_default());
        leaf.slot = Some(slot);
    }
    let mut out = String::new();
    match lens.spec.data_type {
        DataType::Map => tree.write_map(lens, &mut out),
        _ => tree.write_object(lens, &mut out),
    }
    out
}

impl Node<'_> {
    fn write_object(&self, lens: &Lens<'_>, out: &mut String) {
        let fields = self.below.iter().filter_map(|(name, node)| {
            let winner = choose(lens, node.slot?).winner?;
            Some((name, node, winner))
        });
        write_fields(out, fields, |out, (name, node, winner)| {
            write_name(out, name);
            match &winner.content {
                Content::Value(value) => {
                    out.push_str(std::str::from_utf8(&value.data).unwrap_or("null"));
                }
                Content::Object | Content::Tombstone => node.write_object(lens, out),
            }
        });
    }

    fn write_map(&self, lens: &Lens<'_>, out: &mut String) {
        let fields = self
            .below
            .iter()
            .filter_map(|(name, node)| Some((name, node.map_field(lens)?)));
        write_fields(out, fields, |out, (name, text)| {
            write_name(out, name);
            out.push_str(&text);
        });
    }

    /// What a map's field shows: its register before its set before its counter.
    fn map_field(&self, lens: &Lens<'_>) -> Option<String> {
        let of = |kind: FieldKind| {
            self.below
                .iter()
                .find(|(s, _)| FieldKind::from_segment(s) == Some(kind))
                .map(|(_, n)| n)
        };
        let register = of(FieldKind::Register).and_then(|node| choose(lens, node.slot?).winner);
        if let Some(Version {
            content: Content::Value(value),
            ..
        }) = register
        {
            return Some(String::from_utf8_lossy(&value.data).into_owned());
        }
        if let Some(set) = of(FieldKind::Set) {
            let marks: Vec<(Path, &Slot)> = set
                .below
                .iter()
                .filter_map(|(element, node)| Some((Path::root().child(element), node.slot?)))
                .collect();
            if marks.iter().any(|(_, slot)| slot.has_live_sibling()) {
                return Some(elements(
                    marks.iter().map(|(path, slot)| (path.as_bytes(), *slot)),
                ));
            }
        }
        let counter = &of(FieldKind::Counter)?.slot?.counter;
        counter.is_live().then(|| counter.value().to_string())
    }
}

fn write_fields<T>(
    out: &mut String,
    fields: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut String, T),
) {
    out.push('{');
    for (i, field) in fields.enumerate() {
        if i > 0 {
            out.push(',');
        }
        write(out, field);
    }
    out.push('}');
}

fn write_name(out: &mut String, name: &[u8]) {
    out.push_str(&serde_json::Value::from(String::from_utf8_lossy(name)).to_string());
    out.push(':');
}

/// What the policies make of a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// `write-write`, `create-create` or `update-delete`.
    pub kind: &'static str,
    /// The policy that decides: `LastWriterWins`, … or `UpdateWins`, ….
    pub policy: &'static str,
    /// `latest-kept`, `origin-kept`, `siblings-kept`, `update-kept`, `delete-kept` or `both-kept`.
    pub outcome: &'static str,
    /// The version that is kept; `None` when both are.
    pub winner: Option<Dot>,
}

/// What the collection's policies make of a conflict: a view, like every answer.
#[must_use]
pub fn verdict(lens: &Lens<'_>, row: &LedgerRow) -> Verdict {
    let (first, second) = (row.first, row.second);
    let deleted = (
        row.classes.0 == Class::Tombstone,
        row.classes.1 == Class::Tombstone,
    );
    if deleted.0 || deleted.1 {
        let (update, delete) = if deleted.0 {
            (second, first)
        } else {
            (first, second)
        };
        let policy = lens.spec.update_delete;
        let (outcome, winner) = match policy {
            UpdateDelete::UpdateWins => ("update-kept", Some(update.dot)),
            UpdateDelete::DeleteWins => ("delete-kept", Some(delete.dot)),
            UpdateDelete::KeepBoth => ("both-kept", None),
        };
        return Verdict {
            kind: "update-delete",
            policy: policy.name(),
            outcome,
            winner,
        };
    }
    let better =
        if preference(lens, first.dot, first.time) > preference(lens, second.dot, second.time) {
            first
        } else {
            second
        };
    let (outcome, winner) = match lens.spec.policy {
        Policy::LastWriterWins => ("latest-kept", Some(better.dot)),
        Policy::OriginPriority(_) => ("origin-kept", Some(better.dot)),
        Policy::KeepSiblings => ("siblings-kept", None),
    };
    let kind = if row.creates {
        "create-create"
    } else {
        "write-write"
    };
    Verdict {
        kind,
        policy: lens.spec.policy.name(),
        outcome,
        winner,
    }
}
