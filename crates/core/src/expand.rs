//! What an intent means: the slot writes it becomes, given the state of its region.
//!
//! Runs once, where the write originates, inside apply; every other region applies the result. It may
//! therefore look at the collection's declared type and policy, which a remote apply never does.

use crate::collection::DataType;
use crate::content::{Content, Value};
use crate::counter::Floor;
use crate::entry::{Operation, SlotWrite};
use crate::ids::Dot;
use crate::intent::{self, Action, Intent, Ops, Precondition, Rejection};
use crate::path::{PATH_BYTES_MAX, Path};
use crate::slot::Slot;
use crate::state::{ReadState, SlotName};
use crate::version_vector::VersionVector;
use crate::view::{self, Lens};
use crate::{document, map, set};

/// A storage error, or the intent's rejection.
#[derive(Debug)]
pub enum Failure<E> {
    /// The intent is refused.
    Rejected(Rejection),
    /// The state could not be read.
    State(E),
}

impl<E> From<Rejection> for Failure<E> {
    fn from(rejection: Rejection) -> Self {
        Failure::Rejected(rejection)
    }
}

/// Turns an intent into an operation. `applied` is all that the region has applied: the dependencies of the
/// entry to come. The operation has no writes when there was nothing to do.
///
/// # Errors
/// [`Failure`].
pub fn expand<S: ReadState>(
    state: &S,
    lens: Lens<'_>,
    intent: &Intent,
    applied: &VersionVector,
) -> Result<Operation, Failure<S::Error>> {
    expand_within(state, lens, intent, applied, None)
}

/// The same for an intent that follows others in one entry: it has seen what they did to the state,
/// whatever its context. (A context cannot say so: a vector that covers the entry's dot covers all that
/// its origin wrote before.)
///
/// # Errors
/// [`Failure`].
pub fn expand_within<S: ReadState>(
    state: &S,
    lens: Lens<'_>,
    intent: &Intent,
    applied: &VersionVector,
    entry: Option<Dot>,
) -> Result<Operation, Failure<S::Error>> {
    let context = intent
        .context
        .as_ref()
        .map(|c| c.meet(applied))
        .filter(|c| !c.covers_all(applied));
    let keyed = Keyed {
        state,
        lens,
        root: SlotName {
            collection: intent.collection.clone(),
            key: intent.key.clone(),
            path: Path::root(),
        },
        context: context.as_ref().unwrap_or(applied),
        narrowed: context.is_some(),
        entry,
    };
    intent.action.check(lens.spec.data_type)?;
    if let Some(precondition) = intent.precondition {
        keyed.demand(precondition)?;
    }
    let writes = keyed.writes(&intent.action)?;
    if writes.len() > intent::PARTS_MAX {
        return Err(Rejection::TooLarge(format!("more than {} fields", intent::PARTS_MAX)).into());
    }
    if writes
        .iter()
        .any(|w| w.path().as_bytes().len() > PATH_BYTES_MAX)
    {
        let limit = format!("a field or element name is over {PATH_BYTES_MAX} bytes");
        return Err(Rejection::TooLarge(limit).into());
    }
    Ok(Operation {
        collection: intent.collection.clone(),
        key: intent.key.clone(),
        context,
        writes,
    })
}

/// One key, as a writer with a given context sees it.
pub(crate) struct Keyed<'a, S> {
    pub(crate) state: &'a S,
    pub(crate) lens: Lens<'a>,
    root: SlotName,
    context: &'a VersionVector,
    narrowed: bool,
    entry: Option<Dot>,
}

impl<S: ReadState> Keyed<'_, S> {
    fn writes(&self, action: &Action) -> Result<Vec<SlotWrite>, Failure<S::Error>> {
        let data_type = self.lens.spec.data_type;
        match (action, data_type) {
            (Action::Put(value), DataType::Document) => {
                document::put(self, &intent::parse_object(&value.data)?)
            }
            (Action::Put(value), _) => {
                let slot = self.slot(&Path::root())?;
                Ok(vec![self.assign(
                    Path::root(),
                    &slot,
                    Content::Value(value.clone()),
                )])
            }
            (Action::Patch(patch), _) => document::patch(self, &intent::parse_object(patch)?),
            (Action::Ops(ops), _) => match intent::parse_ops(data_type, ops)? {
                Ops::Counter { reset, increment } => self.count(&Path::root(), reset, increment),
                Ops::Set { add, remove } => set::change(self, &Path::root(), &add, &remove),
                Ops::Map(ops) => map::change(self, &ops),
            },
            (Action::Delete, DataType::Register) => {
                let slot = self.slot(&Path::root())?;
                let seen = self.sees_live(&slot);
                let tombstone = self.assign(Path::root(), &slot, Content::Tombstone);
                Ok(if seen { vec![tombstone] } else { vec![] })
            }
            (Action::Delete, DataType::Document) => document::delete(self),
            (Action::Delete, DataType::Counter) => self.reset(&Path::root()),
            (Action::Delete, DataType::Set) => set::clear(self, &Path::root()),
            (Action::Delete, DataType::Map) => map::clear(self),
        }
    }

    fn demand(&self, precondition: Precondition) -> Result<(), Failure<S::Error>> {
        let slots = self.all()?;
        let present = || view::is_present(&self.lens, &slots);
        let (holds, problem) = match precondition {
            Precondition::Matches(tag) => (
                view::fingerprint(&slots) == tag,
                "the key has changed since it was read; read it again and decide anew",
            ),
            Precondition::Absent => (!present(), "the key exists already"),
            Precondition::Present => (present(), "the key does not exist"),
        };
        if holds {
            Ok(())
        } else {
            Err(Rejection::PreconditionFailed(problem.into()).into())
        }
    }

    /// All slots of the key, in path order.
    pub(crate) fn all(&self) -> Result<Vec<(Path, Slot)>, Failure<S::Error>> {
        let mut slots = vec![(Path::root(), self.slot(&Path::root())?)];
        slots.extend(self.below(&Path::root())?);
        Ok(slots)
    }

    pub(crate) fn slot(&self, path: &Path) -> Result<Slot, Failure<S::Error>> {
        let at = SlotName {
            path: path.clone(),
            ..self.root.clone()
        };
        self.state.slot(&at).map_err(Failure::State)
    }

    pub(crate) fn below(&self, path: &Path) -> Result<Vec<(Path, Slot)>, Failure<S::Error>> {
        let at = SlotName {
            path: path.clone(),
            ..self.root.clone()
        };
        self.state.below(&at).map_err(Failure::State)
    }

    /// Whether the writer has seen a value or object in this slot.
    pub(crate) fn sees_live(&self, slot: &Slot) -> bool {
        let mut siblings = slot.siblings.iter();
        siblings.any(|v| v.content.is_live() && self.has_seen(v.dot))
    }

    fn has_seen(&self, dot: Dot) -> bool {
        self.entry == Some(dot) || self.context.covers(dot)
    }

    /// A version for a slot that may have slots below it.
    pub(crate) fn assign(&self, path: Path, slot: &Slot, content: Content) -> SlotWrite {
        let creates = !self.sees_live(slot);
        SlotWrite::Assign {
            path,
            content,
            clear: false,
            creates,
        }
    }

    /// The same, which also takes everything seen below.
    pub(crate) fn replace(&self, path: Path, slot: &Slot, content: Content) -> SlotWrite {
        let creates = !self.sees_live(slot);
        SlotWrite::Assign {
            path,
            content,
            clear: true,
            creates,
        }
    }

    /// Resets and adds to the counter at `path`, within the range of 64 bits.
    pub(crate) fn count(
        &self,
        path: &Path,
        reset: bool,
        increment: i64,
    ) -> Result<Vec<SlotWrite>, Failure<S::Error>> {
        let mut writes = if reset { self.reset(path)? } else { vec![] };
        let before = if reset {
            0
        } else {
            self.slot(path)?.counter.value()
        };
        let after = before + i128::from(increment);
        if i64::try_from(after).is_err() {
            let problem = format!("the counter would leave the range of 64 bits: {after}");
            return Err(Rejection::InvalidValue(problem).into());
        }
        writes.push(SlotWrite::Add {
            path: path.clone(),
            delta: increment,
        });
        Ok(writes)
    }

    /// Forgets what was counted at `path`.
    pub(crate) fn reset(&self, path: &Path) -> Result<Vec<SlotWrite>, Failure<S::Error>> {
        let floors = self.slot(path)?.counter.floors();
        let unseen = |f: &Floor| !self.has_seen(Dot::new(f.replica, f.position.seq));
        if self.narrowed && floors.iter().any(unseen) {
            let problem = "the counter has moved since the context was read; read it again";
            return Err(Rejection::PreconditionFailed(problem.into()).into());
        }
        Ok(if floors.is_empty() {
            vec![]
        } else {
            vec![SlotWrite::Reset {
                path: path.clone(),
                floors,
            }]
        })
    }
}

/// A JSON value as stored content.
pub(crate) fn json_content(value: &serde_json::Value) -> Content {
    Content::Value(Value::json(value.to_string()))
}
