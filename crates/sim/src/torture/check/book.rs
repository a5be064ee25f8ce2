//! The history by what it is about: which writes of a slot stand, which may, and what each had seen.
//!
//! A slot is what has versions of its own: a register, a field of a document, an element of a set. What a
//! write had seen is known from the session of its answer: the vector of its region right after it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use atoll_core::{Dot, ReplicaId, VersionVector};
use serde_json::Value;

use crate::torture::end::End;
use crate::torture::history::{Action, Answer, Change, Did, Event, Name, Shows, Stands};

/// A key and a field of it: a JSON Pointer, an element, or nothing.
pub(super) type SlotName<'a> = (&'a Name, String);

pub(super) struct Book<'a> {
    pub(super) events: &'a [Event],
    pub(super) end: &'a End,
    pub(super) slots: BTreeMap<SlotName<'a>, Slot<'a>>,
    /// Entries of a key that stand though no client was told so, and at most what they had seen.
    unanswered: BTreeMap<&'a Name, Vec<(Dot, VersionVector)>>,
}

/// The writes of one slot.
#[derive(Default)]
pub(super) struct Slot<'a> {
    /// Acknowledged.
    pub(super) stands: Vec<Write<'a>>,
    /// Sent, and never answered for sure.
    pub(super) unknown: Vec<Write<'a>>,
    /// What refused writes would have said.
    pub(super) refused: BTreeSet<&'a str>,
    by_text: HashMap<&'a str, usize>,
    all: Ordered<'a>,
    removals: Ordered<'a>,
}

/// A write of one slot.
#[derive(Clone, Copy)]
pub(super) struct Write<'a> {
    /// Its entry; the zero dot when it is not known.
    pub(super) dot: Dot,
    /// What it says; absent: it removes.
    pub(super) text: Option<&'a str>,
    /// All that its region had right after it; as far as that is known.
    pub(super) seen: Option<&'a VersionVector>,
    pub(super) event: &'a Event,
}

/// Acknowledged writes by origin, in order: a later one of the same origin has seen more.
#[derive(Default)]
struct Ordered<'a>(BTreeMap<ReplicaId, Vec<(u64, &'a VersionVector)>>);

impl<'a> Book<'a> {
    pub(super) fn new(events: &'a [Event], end: &'a End) -> Self {
        let mut book = Book {
            events,
            end,
            slots: BTreeMap::new(),
            unanswered: unanswered(events, end),
        };
        let fields = fields(events);
        for event in events {
            let Did::Write {
                changes, answer, ..
            } = &event.did
            else {
                continue;
            };
            for Change { name, action } in changes {
                for (field, text) in said(name, action, &fields) {
                    let slot = book.slots.entry((name, field)).or_default();
                    slot.add(event, text, answer);
                }
            }
        }
        book.slots.values_mut().for_each(Slot::sort);
        book
    }

    pub(super) fn slot(&self, name: &'a Name, field: &str) -> Option<&Slot<'a>> {
        self.slots.get(&(name, field.to_owned()))
    }

    /// Whether a write is replaced, or may be by one that nobody was told of.
    pub(super) fn may_be_replaced(
        &self,
        name: &Name,
        slot: &Slot<'_>,
        dot: Dot,
        within: Option<&VersionVector>,
    ) -> bool {
        slot.is_replaced(dot, within) || self.may_be_undone(name, slot, dot, within)
    }

    /// Whether something that nobody was told of may have replaced or removed a write.
    pub(super) fn may_be_undone(
        &self,
        name: &Name,
        slot: &Slot<'_>,
        dot: Dot,
        within: Option<&VersionVector>,
    ) -> bool {
        let standing = self.unanswered.get(name).into_iter().flatten();
        let mut standing =
            standing.filter(|(by, _)| within.is_none_or(|within| within.covers(*by)));
        !slot.unknown.is_empty() && standing.any(|(by, seen)| *by != dot && seen.covers(dot))
    }

    /// A value that was there for sure, for whoever had all of `seen`.
    pub(super) fn present<'s>(
        &self,
        name: &Name,
        slot: &'s Slot<'a>,
        seen: &VersionVector,
    ) -> Option<&'s Write<'a>> {
        let mut puts = slot.stands.iter().filter(|write| write.text.is_some());
        puts.find(|put| {
            seen.covers(put.dot) && !self.may_be_replaced(name, slot, put.dot, Some(seen))
        })
    }

    /// Writes that were answered with success, with their answers.
    pub(super) fn acknowledged(
        &self,
    ) -> impl Iterator<Item = (&'a Event, &'a [Change], &'a Stands)> {
        self.events.iter().filter_map(|event| match &event.did {
            Did::Write {
                changes,
                answer: Answer::Ok(stands),
                ..
            } => Some((event, changes.as_slice(), stands)),
            Did::Write { .. } | Did::Read { .. } => None,
        })
    }

    /// Keys read, with what was answered.
    pub(super) fn reads(
        &self,
    ) -> impl Iterator<Item = (&'a Event, &'a Shows, &'a Name, &'a Value)> + use<'a> {
        let answered = self.events.iter().filter_map(|event| match &event.did {
            Did::Read {
                names,
                answer: Answer::Ok(shows),
            } => Some((event, names, shows)),
            Did::Read { .. } | Did::Write { .. } => None,
        });
        answered.flat_map(|(event, names, shows)| {
            let values = names.iter().zip(&shows.values);
            values.map(move |(name, value)| (event, shows, name, value))
        })
    }

    /// Entries of a key that nobody was told of.
    pub(super) fn unanswered_of(&self, name: &Name) -> usize {
        self.unanswered.get(name).map_or(0, Vec::len)
    }

    /// The slots of a key.
    pub(super) fn slots_of(&self, name: &'a Name) -> impl Iterator<Item = (&str, &Slot<'a>)> {
        let from = (name, String::new());
        let slots = self.slots.range(from..);
        slots
            .take_while(move |((of, _), _)| *of == name)
            .map(|((_, field), slot)| (field.as_str(), slot))
    }
}

impl<'a> Slot<'a> {
    fn add(&mut self, event: &'a Event, text: Option<&'a str>, answer: &'a Answer<Stands>) {
        let zero = Dot {
            replica: ReplicaId(0),
            seq: 0,
        };
        let write = |dot, seen| Write {
            dot,
            text,
            seen,
            event,
        };
        match answer {
            Answer::Ok(Stands { dot: None, .. }) => {}
            Answer::Ok(Stands {
                dot: Some(dot),
                seen,
            }) => {
                self.stands.push(write(*dot, Some(&seen.0)));
                self.all.add(*dot, &seen.0);
                if text.is_none() {
                    self.removals.add(*dot, &seen.0);
                }
            }
            Answer::Unknown(_) => self.unknown.push(write(zero, None)),
            Answer::Refused(_) => self.refused.extend(text),
        }
    }

    fn sort(&mut self) {
        self.all.sort();
        self.removals.sort();
        let texts = self.stands.iter().enumerate();
        self.by_text = texts
            .filter_map(|(i, write)| Some((write.text?, i)))
            .collect();
    }

    /// The acknowledged write that says this.
    pub(super) fn saying(&self, text: &str) -> Option<&Write<'a>> {
        self.by_text.get(text).map(|i| &self.stands[*i])
    }

    pub(super) fn is_unknown(&self, text: &str) -> bool {
        self.unknown.iter().any(|write| write.text == Some(text))
    }

    /// Whether an acknowledged write had seen this one. `within`: one of these entries.
    pub(super) fn is_replaced(&self, dot: Dot, within: Option<&VersionVector>) -> bool {
        self.all.any_saw(dot, within)
    }

    /// Whether an acknowledged removal had seen it.
    pub(super) fn is_removed(&self, dot: Dot, within: Option<&VersionVector>) -> bool {
        self.removals.any_saw(dot, within)
    }
}

impl<'a> Ordered<'a> {
    fn add(&mut self, dot: Dot, seen: &'a VersionVector) {
        self.0.entry(dot.replica).or_default().push((dot.seq, seen));
    }

    fn sort(&mut self) {
        for of_origin in self.0.values_mut() {
            of_origin.sort_by_key(|(seq, _)| *seq);
        }
    }

    fn any_saw(&self, dot: Dot, within: Option<&VersionVector>) -> bool {
        self.0.iter().any(|(origin, writes)| {
            let known = within.map_or(u64::MAX, |within| within.get(*origin));
            let count = writes.partition_point(|(seq, _)| *seq <= known);
            let last = count.checked_sub(1).map(|last| writes[last]);
            last.is_some_and(|(seq, seen)| {
                (*origin, seq) != (dot.replica, dot.seq) && seen.covers(dot)
            })
        })
    }
}

/// All that an entry's region had right before it.
pub(super) fn before(seen: &VersionVector, dot: Dot) -> VersionVector {
    let own = |(replica, seq)| match replica == dot.replica {
        true => (replica, dot.seq - 1),
        false => (replica, seq),
    };
    seen.iter().map(own).collect()
}

/// The fields of each document that were ever named.
fn fields(events: &[Event]) -> BTreeMap<&Name, BTreeSet<&str>> {
    let mut fields: BTreeMap<&Name, BTreeSet<&str>> = BTreeMap::new();
    for event in events {
        let Did::Write { changes, .. } = &event.did else {
            continue;
        };
        for change in changes {
            if let Action::Patch(patch) = &change.action {
                let of = fields.entry(&change.name).or_default();
                of.extend(patch.keys().map(String::as_str));
            }
        }
    }
    fields
}

/// What a change says of which slots.
fn said<'a>(
    name: &Name,
    action: &'a Action,
    fields: &BTreeMap<&Name, BTreeSet<&str>>,
) -> Vec<(String, Option<&'a str>)> {
    match action {
        Action::Put(text) => vec![(String::new(), Some(text))],
        Action::Patch(patch) => patch
            .iter()
            .map(|(field, text)| (format!("/{field}"), text.as_deref()))
            .collect(),
        Action::Delete => match fields.get(name) {
            None => vec![(String::new(), None)],
            Some(fields) => fields.iter().map(|f| (format!("/{f}"), None)).collect(),
        },
        Action::Add(element) => vec![(element.clone(), Some(element))],
        Action::Remove(element) => vec![(element.clone(), None)],
        Action::Increment(_) => Vec::new(),
    }
}

/// Entries that stand and were not acknowledged. They had seen no more than the next acknowledged write of
/// their origin; after the last one, anything.
fn unanswered<'a>(
    events: &'a [Event],
    end: &'a End,
) -> BTreeMap<&'a Name, Vec<(Dot, VersionVector)>> {
    let mut known: BTreeMap<ReplicaId, BTreeMap<u64, &VersionVector>> = BTreeMap::new();
    let mut all = VersionVector::new();
    for event in events {
        if let Did::Write {
            answer: Answer::Ok(Stands { dot, seen }),
            ..
        } = &event.did
        {
            all.merge(&seen.0);
            if let Some(dot) = dot {
                known
                    .entry(dot.replica)
                    .or_default()
                    .insert(dot.seq, &seen.0);
            }
        }
    }
    let mut unanswered: BTreeMap<&Name, Vec<(Dot, VersionVector)>> = BTreeMap::new();
    for change in &end.changes {
        let Some(dot) = change.dot else { continue };
        let of_origin = known.get(&dot.replica);
        if of_origin.is_some_and(|of_origin| of_origin.contains_key(&dot.seq)) {
            continue;
        }
        let next = of_origin.and_then(|of_origin| of_origin.range(dot.seq..).next());
        let seen = next.map_or(&all, |(_, seen)| seen).clone();
        unanswered
            .entry(&change.name)
            .or_default()
            .push((dot, seen));
    }
    unanswered
}

/// The texts that a value shows of a field. Siblings are a list; what is no text is nobody's.
pub(super) fn texts<'v>(value: &'v Value, field: &str) -> Vec<&'v str> {
    match value {
        Value::Array(siblings) if field.is_empty() => {
            siblings.iter().filter_map(Value::as_str).collect()
        }
        value => value
            .pointer(field)
            .and_then(Value::as_str)
            .into_iter()
            .collect(),
    }
}

/// Whether a key is a set's or a counter's: those have checks of their own.
pub(super) fn merges(name: &Name) -> bool {
    use crate::torture::collections::{CARTS, VOTES};
    [CARTS, VOTES].contains(&name.collection.as_str())
}
