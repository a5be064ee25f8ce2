//! Random histories: writes and deliveries of two to four replicas with clocks that disagree.
//!
//! Proptest draws small arrays of bytes, which are read as steps: generation stays cheap, and a failing
//! history shrinks by leaving steps out. What is shown is the steps.

use std::rc::Rc;

use atoll_core::collection::Regions;
use atoll_core::intent::{Action, Intent, Rejection};
use atoll_core::view::Lens;
use atoll_core::{
    CollectionSpec, DataType, Entry, Key, Policy, Timestamp, UpdateDelete, Value, VersionVector,
};
use proptest::prelude::*;
use serde_json::json;

use super::replica::Replica;

const HOUR_MS: i64 = 3_600_000;
/// 2024-05-01T00:00:00Z, milliseconds since 1970.
const START_MS: i64 = 1_714_521_600_000;
const ORDER_BYTES: usize = 24;
const STEPS_MAX: usize = 20;

/// A history, not yet played.
#[derive(Clone)]
pub(crate) struct History {
    pub(crate) spec: CollectionSpec,
    /// Each replica's clock against the true time, in milliseconds.
    pub(crate) clocks: Vec<i64>,
    pub(crate) steps: Vec<Step>,
    /// Choices of what is delivered next in the end.
    pub(crate) order: [u8; ORDER_BYTES],
}

/// One step.
#[derive(Clone)]
pub(crate) enum Step {
    Write {
        by: usize,
        after_ms: i64,
        changes: Vec<(Key, Action)>,
        /// Another replica, and one of its earlier moments counted back from now: what the client had read.
        context: Option<(usize, usize)>,
    },
    Deliver {
        from: usize,
        to: usize,
        most: usize,
    },
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Step::Deliver { from, to, most } => write!(f, "r{to} gets up to {most} from r{from}"),
            Step::Write {
                by,
                after_ms,
                changes,
                context,
            } => {
                write!(f, "r{by} writes {after_ms} ms later")?;
                for (key, action) in changes {
                    write!(f, " {key}: {}", shown(action))?;
                }
                match context {
                    Some((reader, back)) => {
                        write!(f, " having read at r{reader}, {back} moments ago")
                    }
                    None => Ok(()),
                }
            }
        }
    }
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let CollectionSpec {
            data_type,
            policy,
            update_delete,
            ..
        } = &self.spec;
        writeln!(
            f,
            "{data_type:?}, {policy:?}, {update_delete:?}, clocks {:?}",
            self.clocks
        )?;
        for step in &self.steps {
            writeln!(f, "  {step:?}")?;
        }
        write!(f, "  order {:?}", self.order)
    }
}

fn shown(action: &Action) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match action {
        Action::Put(value) => format!("PUT {}", text(&value.data)),
        Action::Patch(patch) => format!("PATCH {}", text(patch)),
        Action::Delete => "DELETE".into(),
        Action::Ops(ops) => format!("ops {}", text(ops)),
    }
}

/// The policies that laws are tried under. Replica 2 comes first, then 0; the others are not listed.
pub(crate) fn policies() -> [Policy; 3] {
    let origins = ["r2", "r0"].map(|name| name.parse().expect("a region name"));
    [
        Policy::LastWriterWins,
        Policy::OriginPriority(origins.to_vec()),
        Policy::KeepSiblings,
    ]
}

pub(crate) fn spec(
    data_type: DataType,
    policy: Policy,
    update_delete: UpdateDelete,
) -> CollectionSpec {
    CollectionSpec {
        name: "c".parse().expect("a collection name"),
        data_type,
        policy,
        update_delete,
    }
}

pub(crate) fn key(name: &str) -> Key {
    name.parse().expect("a key")
}

/// Every policy with every update-delete policy, for one type.
pub(crate) fn all_specs(data_type: DataType) -> impl Iterator<Item = CollectionSpec> {
    policies().into_iter().flat_map(move |policy| {
        UpdateDelete::ALL.map(|update_delete| spec(data_type, policy.clone(), update_delete))
    })
}

/// Histories of a type under a policy; each updateDelete in turn.
pub(crate) fn histories(
    data_type: DataType,
    policy: impl Strategy<Value = Policy>,
) -> impl Strategy<Value = History> {
    let clocks = prop::collection::vec(any::<u8>(), 2..=4);
    let steps = prop::collection::vec(any::<[u8; 6]>(), 3..=STEPS_MAX);
    let order = any::<[u8; ORDER_BYTES]>();
    (policy, 0..3_usize, clocks, steps, order).prop_map(
        move |(policy, update_delete, clocks, steps, order)| {
            let spec = spec(data_type, policy, UpdateDelete::ALL[update_delete]);
            let clock = |&byte: &u8| [0, 0, 1, -1, HOUR_MS, -HOUR_MS][usize::from(byte) % 6];
            History {
                clocks: clocks.iter().map(clock).collect(),
                steps: (1..)
                    .zip(steps)
                    .map(|(n, raw)| step(data_type, clocks.len(), n, raw))
                    .collect(),
                spec,
                order,
            }
        },
    )
}

/// Any of the three policies.
pub(crate) fn any_policy() -> impl Strategy<Value = Policy> {
    (0..3_usize).prop_map(|i| policies()[i].clone())
}

fn step(data_type: DataType, replicas: usize, n: u64, raw: [u8; 6]) -> Step {
    let [kind, who, whom, when, what, detail] = raw.map(usize::from);
    let (by, other) = (who % replicas, whom % replicas);
    if kind % 8 >= 5 {
        let most = [1, 1, 2, 3, 100][detail % 5];
        return Step::Deliver {
            from: other,
            to: by,
            most,
        };
    }
    let first = key(if when % 8 == 7 { "k2" } else { "k" });
    let mut changes = vec![(first, change(data_type, n, what, detail))];
    if let 5 | 6 = when % 8 {
        // A batch: of two keys, or the same one twice.
        let second = key(if when % 8 == 6 { "k2" } else { "k" });
        changes.push((second, change(data_type, n + 1000, detail, what)));
    }
    Step::Write {
        by,
        after_ms: [0, 0, 1, 1, 2, 1000][(when / 8) % 6],
        changes,
        context: (kind % 8 == 4).then_some((other, detail % 6)),
    }
}

/// A change of a key. `n` makes its values unlike all others of the history.
fn change(data_type: DataType, n: u64, what: usize, detail: usize) -> Action {
    let text = |value: serde_json::Value| value.to_string().into_bytes().into();
    let value = |slot: u64| 10_000 + 10 * n + slot;
    match data_type {
        DataType::Register => match what % 4 {
            0 => Action::Delete,
            _ => Action::Put(Value::json(value(0).to_string())),
        },
        DataType::Document => {
            let patch = match what % 16 {
                0 => json!({ "a": value(0) }),
                1 => json!({ "b": value(0) }),
                2 | 3 => json!({ "a": { "x": value(0) } }),
                4 => json!({ "a": { "y": value(0) } }),
                5 => json!({ "a": null }),
                6 => json!({ "a": { "x": null } }),
                7 => json!({ "a": {} }),
                8 => json!({ "a": { "x": { "z": value(0) } } }),
                9 => json!({ "a": value(0), "b": value(1) }),
                10 => json!({ "a": { "x": value(0), "y": value(1) }, "b": null }),
                11 => json!({}),
                12 => json!({ "b": { "x": [value(0)] } }),
                13 => json!({ "a": null, "b": value(0) }),
                _ => return Action::Delete,
            };
            match detail % 3 {
                0 => Action::Put(Value::json(patch.to_string())),
                _ => Action::Patch(text(patch)),
            }
        }
        DataType::Counter => {
            let by = [1, 2, 3, -1, -5][detail % 5];
            match what % 8 {
                0 => Action::Delete,
                1 => Action::Ops(text(json!({ "reset": true }))),
                2 => Action::Ops(text(json!({ "reset": true, "increment": by }))),
                3 => Action::Ops(text(json!({ "decrement": by }))),
                _ => Action::Ops(text(json!({ "increment": by }))),
            }
        }
        DataType::Set => {
            let (e, f) = [("p", "q"), ("q", "p"), ("p", "r")][detail % 3];
            match what % 8 {
                0 => Action::Delete,
                1 => Action::Ops(text(json!({ "add": [e, f] }))),
                2 | 3 => Action::Ops(text(json!({ "remove": [e] }))),
                4 => Action::Ops(text(json!({ "add": [f], "remove": [e] }))),
                _ => Action::Ops(text(json!({ "add": [e] }))),
            }
        }
        DataType::Map => {
            let field = ["f", "f", "g"][detail % 3];
            match what % 16 {
                0 => Action::Delete,
                1 | 2 => Action::Ops(text(json!({ "increment": { field: detail } }))),
                3 | 4 => Action::Ops(text(json!({ "add": { field: ["p", value(0)] } }))),
                5 => Action::Ops(text(json!({ "remove": { field: ["p"] } }))),
                6..=8 => Action::Ops(text(json!({ "remove": [field] }))),
                9 => Action::Ops(text(
                    json!({ "remove": [field], "put": { field: value(0) } }),
                )),
                10 => Action::Ops(text(
                    json!({ "remove": [field], "increment": { field: 1 } }),
                )),
                11 => Action::Ops(text(json!({ "remove": [field], "add": { field: ["p"] } }))),
                _ => Action::Ops(text(json!({ "put": { field: value(0) } }))),
            }
        }
    }
}

/// Several regions, and what clients asked of them.
pub(crate) struct World {
    /// The declaration under which readers look.
    pub(crate) spec: CollectionSpec,
    /// The one that each region writes under: it may lag behind the others.
    pub(crate) revisions: Vec<CollectionSpec>,
    pub(crate) regions: Regions,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) asked: Vec<Asked>,
    clocks: Vec<i64>,
    now_ms: i64,
}

/// An intent that was accepted, and what came of it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) intent: Intent,
    /// What the writer had seen.
    pub(crate) context: VersionVector,
    /// The entry; none when there was nothing to do.
    pub(crate) entry: Option<Rc<Entry>>,
}

impl World {
    /// Regions `r0`, `r1`, …: the greater the number, the smaller the replica id.
    pub(crate) fn new(spec: CollectionSpec, clocks: &[i64]) -> Self {
        let replicas: Vec<Replica> = (0..clocks.len())
            .map(|i| Replica::new(50 - 10 * i as u64))
            .collect();
        let mut regions = Regions::default();
        for (i, replica) in replicas.iter().enumerate() {
            regions.admit(replica.id, format!("r{i}").parse().expect("a region name"));
        }
        World {
            revisions: vec![spec.clone(); clocks.len()],
            spec,
            regions,
            replicas,
            asked: Vec::new(),
            clocks: clocks.to_vec(),
            now_ms: START_MS,
        }
    }

    /// The world after a history.
    pub(crate) fn after(history: &History) -> Self {
        let mut world = World::new(history.spec.clone(), &history.clocks);
        for step in &history.steps {
            world.step(step);
        }
        world
    }

    /// The same after everybody got everything, in an order that the history draws.
    pub(crate) fn settled(history: &History) -> Self {
        let mut world = World::after(history);
        world.settle(&history.order);
        world
    }

    pub(crate) fn lens(&self) -> Lens<'_> {
        Lens {
            spec: &self.spec,
            regions: &self.regions,
        }
    }

    pub(crate) fn step(&mut self, step: &Step) {
        match step {
            Step::Deliver { from, to, most } => {
                let lacking = self.replicas[*to].lacking(&self.replicas[*from]);
                for entry in lacking.iter().take(*most) {
                    self.replicas[*to].receive(entry);
                }
            }
            Step::Write {
                by,
                after_ms,
                changes,
                context,
            } => {
                self.pass(*after_ms);
                let context = context.map(|(reader, back)| {
                    let moments = &self.replicas[reader].moments;
                    moments[moments.len().saturating_sub(1 + back)].clone()
                });
                // A refused write changes nothing.
                let _ = self.write(*by, changes, context);
            }
        }
    }

    /// Lets the true time pass.
    pub(crate) fn pass(&mut self, ms: i64) {
        self.now_ms += ms;
    }

    /// Writes at a replica, by its clock.
    pub(crate) fn write(
        &mut self,
        by: usize,
        changes: &[(Key, Action)],
        context: Option<VersionVector>,
    ) -> Result<Option<Rc<Entry>>, Rejection> {
        let now = u64::try_from(self.now_ms + self.clocks[by]).expect("after 1970");
        let lens = Lens {
            spec: &self.revisions[by],
            regions: &self.regions,
        };
        let intent = |(key, action): &(Key, Action)| Intent {
            collection: self.spec.name.clone(),
            key: key.clone(),
            action: action.clone(),
            precondition: None,
            context: context.clone(),
        };
        let intents: Vec<Intent> = changes.iter().map(intent).collect();
        let applied = self.replicas[by].applied.clone();
        let entry = self.replicas[by].write(lens, &intents, Timestamp::from_millis(now))?;
        let seen = context.map_or(applied.clone(), |c| c.meet(&applied));
        self.asked.extend(intents.into_iter().map(|intent| Asked {
            intent,
            context: seen.clone(),
            entry: entry.clone(),
        }));
        Ok(entry)
    }

    /// All entries, in an order that respects causality.
    pub(crate) fn entries(&self) -> Vec<Rc<Entry>> {
        let mut all: Vec<Rc<Entry>> = Vec::new();
        for entry in self.asked.iter().filter_map(|asked| asked.entry.as_ref()) {
            // One entry for all intents of a write.
            if all.last().is_none_or(|last| last.dot != entry.dot) {
                all.push(Rc::clone(entry));
            }
        }
        all
    }

    /// Everybody gets everything, in an order that `order` chooses.
    pub(crate) fn settle(&mut self, order: &[u8]) {
        let entries = self.entries();
        for (i, replica) in self.replicas.iter_mut().enumerate() {
            deliver_all(replica, &entries, &order[i..]);
        }
    }

    /// Everybody gets everything at once: what one replica wrote, the next one to write has seen.
    pub(crate) fn sync(&mut self) {
        self.settle(&[0; 8]);
    }

    /// A region that has only watched, and got everything in the order that `order` chooses.
    pub(crate) fn watcher(&self, order: &[u8]) -> Replica {
        let mut watcher = Replica::new(99);
        deliver_all(&mut watcher, &self.entries(), order);
        watcher
    }
}

/// Delivers what is lacking, always one of those entries whose dependencies are there.
fn deliver_all(replica: &mut Replica, entries: &[Rc<Entry>], order: &[u8]) {
    let mut waiting: Vec<&Rc<Entry>> = entries
        .iter()
        .filter(|e| !replica.applied.covers(e.dot))
        .collect();
    let mut choices = order.iter().cycle();
    while !waiting.is_empty() {
        let ready = |e: &&Rc<Entry>| replica.applied.covers_all(&e.dependencies);
        let count = waiting.iter().filter(|e| ready(e)).count();
        let choice = usize::from(*choices.next().expect("an order")) % count;
        let at = (0..waiting.len())
            .filter(|&i| ready(&waiting[i]))
            .nth(choice);
        let entry = waiting.remove(at.expect("one is always ready"));
        replica.receive(entry);
    }
}
