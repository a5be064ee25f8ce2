//! Random histories of three regions: writes of all types, some of them refused, deliveries in and out of
//! order, other policies, stable vectors, trims, idempotency keys.
//!
//! Proptest draws small arrays of bytes, which are read as steps, so that a failing history shrinks by
//! leaving steps out.

use atoll_core::intent::{Action, Intent, Precondition};
use atoll_core::{CollectionSpec, Policy, UpdateDelete};
use atoll_store::{Command, Request};
use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::commands::{
    all_types, at, configure, having_seen, intent, ops, patch, provided, put, request,
};
use crate::regions::Regions;

pub(crate) const REGIONS: usize = 3;
const HOUR_MS: u64 = 3_600_000;
/// Each region's clock against the true time.
const CLOCKS_MS: [u64; REGIONS] = [HOUR_MS, 2 * HOUR_MS, HOUR_MS];

/// What a history is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mix {
    /// All there is: all types, writes that are refused, frames that come twice, too early or damaged, other
    /// policies, trims.
    Everything,
    /// Many writes of a register and a document, and much that is stable.
    Pruning,
}

/// A history, not yet played.
#[derive(Clone)]
pub(crate) struct History {
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Write {
        by: usize,
        after_ms: u64,
        requests: Vec<Vec<(&'static str, &'static str, Action)>>,
        /// Another region, and one of its earlier moments counted back from now: what the client had read.
        context: Option<(usize, usize)>,
        /// The idempotency key of the first request, if it has one.
        key: Option<&'static str>,
        /// Which request cannot be accepted, and why.
        refused: Option<(usize, Refusal)>,
    },
    Deliver {
        from: usize,
        to: usize,
        most: usize,
        spoilt: Spoilt,
    },
    /// Everybody gets everything.
    Sync,
    Configure {
        who: usize,
        policy: usize,
    },
    /// These learn what is stable.
    Stable {
        who: std::ops::Range<usize>,
    },
    Trim {
        who: usize,
        before_ms: u64,
        rows_max: u64,
    },
    Forget {
        who: usize,
        before_ms: u64,
        keys_max: u64,
    },
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Refusal {
    Precondition,
    Type,
    Collection,
    Overflow,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Spoilt {
    No,
    Twice,
    Backwards,
    Damaged,
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for step in &self.steps {
            writeln!(f, "  {step:?}")?;
        }
        Ok(())
    }
}

/// Checks a law on many histories. Nothing is written into the tree.
pub(crate) fn holds(cases: u32, mix: Mix, law: impl Fn(&History) -> Result<(), TestCaseError>) {
    let config = ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 50_000,
        ..ProptestConfig::with_cases(cases)
    };
    let most = match mix {
        Mix::Everything => 24,
        Mix::Pruning => 40,
    };
    let steps = prop::collection::vec(any::<[u8; 8]>(), 4..=most);
    let histories = steps.prop_map(move |raw| History {
        steps: (1..).zip(raw).map(|(n, raw)| step(mix, n, raw)).collect(),
    });
    if let Err(failure) = TestRunner::new(config).run(&histories, |history| law(&history)) {
        panic!("{failure}");
    }
}

/// Plays a history on regions in memory, each command a group of its own.
pub(crate) fn play(history: &History) -> Regions {
    let mut regions = Regions::of(REGIONS, &policies(0));
    let mut now_ms = 0;
    for step in &history.steps {
        play_step(&mut regions, step, &mut now_ms);
    }
    regions
}

/// All collections under one of a few policies. An odd number declares one more.
fn policies(nth: usize) -> Vec<CollectionSpec> {
    let policy = [
        Policy::LastWriterWins,
        Policy::KeepSiblings,
        Policy::OriginPriority(vec!["r2".parse().unwrap(), "r0".parse().unwrap()]),
    ][nth % 3]
        .clone();
    let mut specs = all_types(&policy, UpdateDelete::ALL[nth / 3 % 3]);
    if nth % 2 == 1 {
        specs.push(CollectionSpec {
            name: "extra".parse().unwrap(),
            ..specs[0].clone()
        });
    }
    specs
}

fn play_step(regions: &mut Regions, step: &Step, now_ms: &mut u64) {
    match step.clone() {
        Step::Write {
            by,
            after_ms,
            requests,
            context,
            key,
            refused,
        } => {
            *now_ms += after_ms;
            let now = at(*now_ms + CLOCKS_MS[by]);
            let context = context.map(|(reader, back)| {
                let moments = &regions.moments[reader];
                moments[moments.len().saturating_sub(1 + back)].clone()
            });
            let of = |(collection, key, action)| {
                let plain = intent(collection, key, action);
                match &context {
                    Some(context) => having_seen(context.clone(), plain),
                    None => plain,
                }
            };
            let mut requests: Vec<Vec<Intent>> = requests
                .into_iter()
                .map(|changes| changes.into_iter().map(of).collect())
                .collect();
            if let Some((nth, refusal)) = refused {
                let nth = nth % requests.len();
                requests[nth].extend(refusal.intents());
            }
            let mut requests: Vec<Request> =
                requests.iter().map(|intents| request(intents)).collect();
            requests[0].idempotency = key.map(|key| key.parse().unwrap());
            regions.apply(by, Command::Write { now, requests });
        }
        Step::Deliver {
            from,
            to,
            most,
            spoilt,
        } => {
            let lacking = regions.lacking(from, to);
            let mut frames: Vec<Bytes> = lacking.into_iter().take(most).map(|a| a.frame).collect();
            match spoilt {
                Spoilt::No => {}
                Spoilt::Twice => frames.extend(frames.clone()),
                Spoilt::Backwards => frames.reverse(),
                Spoilt::Damaged => {
                    frames.insert(frames.len() / 2, Bytes::from_static(b"At\x01\x00 damaged"));
                }
            }
            if !frames.is_empty() {
                regions.send(from, to, frames);
            }
        }
        Step::Configure { who, policy } => {
            regions.apply(who, configure(policies(policy)));
        }
        Step::Sync => regions.settle(),
        Step::Stable { who } => who.for_each(|place| regions.tell_stable(place)),
        Step::Trim {
            who,
            before_ms,
            rows_max,
        } => {
            let before = at(before_ms);
            regions.apply(who, Command::Trim { before, rows_max });
        }
        Step::Forget {
            who,
            before_ms,
            keys_max,
        } => {
            let before = at(before_ms);
            regions.apply(who, Command::Forget { before, keys_max });
        }
    }
}

impl Refusal {
    fn intents(self) -> Vec<Intent> {
        match self {
            Refusal::Precondition => vec![provided(
                Precondition::Matches(1),
                intent("r", "k", put("0")),
            )],
            Refusal::Type => vec![intent("r", "k", ops(r#"{"increment": 1}"#))],
            Refusal::Collection => vec![intent("nowhere", "k", put("0"))],
            // Two of them leave the range of 64 bits, whatever was there.
            Refusal::Overflow => {
                vec![intent("c", "k", ops(r#"{"increment": 9223372036854775807}"#)); 2]
            }
        }
    }
}

fn step(mix: Mix, n: u64, raw: [u8; 8]) -> Step {
    match mix {
        Mix::Everything => any_step(n, raw.map(usize::from)),
        Mix::Pruning => pruning_step(n, raw.map(usize::from)),
    }
}

fn any_step(n: u64, raw: [usize; 8]) -> Step {
    let [kind, who, whom, when, what, detail, more, odd] = raw;
    let (by, other) = (who % REGIONS, whom % REGIONS);
    match kind % 16 {
        0..=7 => Step::Write {
            by,
            after_ms: [0, 0, 1, 1, 2, 1000][when % 6],
            // Few keys, and few requests for each: often the same one, sometimes another one.
            requests: match when % 16 {
                4..8 => requests((when % 2) as u64, 3, 82 + what % 2, 0),
                _ => requests(n, what, detail, more),
            },
            key: (4..8)
                .contains(&(when % 16))
                .then_some(["a", "b"][when % 2]),
            context: matches!(odd % 8, 2 | 3 | 7).then_some((other, detail % 8)),
            refused: (odd % 4 == 2).then(|| {
                let refusal = [
                    Refusal::Precondition,
                    Refusal::Type,
                    Refusal::Collection,
                    Refusal::Overflow,
                ];
                (when, refusal[whom % 4])
            }),
        },
        14 if odd % 2 == 0 => Step::Configure {
            who: by,
            policy: what,
        },
        15 if odd % 2 == 0 => Step::Forget {
            who: by,
            before_ms: [0, HOUR_MS, HOUR_MS + 2, 2 * HOUR_MS + 1][when % 4],
            keys_max: [0, 1, 3, 1000][what % 4],
        },
        15 => Step::Trim {
            who: by,
            before_ms: [0, HOUR_MS, HOUR_MS + 2, 2 * HOUR_MS + 1][when % 4],
            rows_max: [0, 1, 3, 1000][what % 4],
        },
        12..=14 => Step::Stable { who: by..by + 1 },
        _ => Step::Deliver {
            from: other,
            to: by,
            most: [1, 2, 4, 100][detail % 4],
            spoilt: match odd % 8 {
                1 => Spoilt::Twice,
                3 => Spoilt::Backwards,
                5 => Spoilt::Damaged,
                _ => Spoilt::No,
            },
        },
    }
}

fn pruning_step(n: u64, raw: [usize; 8]) -> Step {
    let [kind, who, whom, when, what, detail, more, odd] = raw;
    let (by, other) = (who % REGIONS, whom % REGIONS);
    match kind % 8 {
        0..=3 => {
            let collection = ["r", "d", "d"][odd / 16 % 3];
            let action = change(collection, 10 * n, what, more);
            Step::Write {
                by,
                after_ms: [0, 1, 1, 2, 1000][when % 5],
                requests: vec![vec![(collection, "k", action)]],
                context: (odd % 4 == 3).then_some((other, detail % 8)),
                key: None,
                refused: None,
            }
        }
        4 => Step::Sync,
        5 => Step::Stable { who: 0..REGIONS },
        6 => Step::Stable { who: by..by + 1 },
        _ => Step::Deliver {
            from: other,
            to: by,
            most: [1, 2, 100, 100][detail % 4],
            spoilt: Spoilt::No,
        },
    }
}

/// One to three requests of one or two changes.
fn requests(
    n: u64,
    what: usize,
    detail: usize,
    more: usize,
) -> Vec<Vec<(&'static str, &'static str, Action)>> {
    let one = |i: usize| {
        let shape = what / 16 + more * i;
        let collection = ["r", "r", "d", "d", "d", "c", "s", "m"][(detail / 16 + i) % 8];
        let key = if shape % 8 == 7 { "k2" } else { "k" };
        let n = 10 * n + i as u64;
        (
            collection,
            key,
            change(collection, n, what + 3 * i, detail + i * more),
        )
    };
    match more % 8 {
        0..=4 => vec![vec![one(0)]],
        5 => vec![vec![one(0), one(0)]],
        6 => vec![vec![one(0), one(1)], vec![one(2)]],
        _ => vec![vec![one(0)], vec![one(1)], vec![one(0)]],
    }
}

/// A change of a key. `n` makes its values unlike all others of the history.
fn change(collection: &str, n: u64, what: usize, detail: usize) -> Action {
    let v = 10_000 + 10 * n;
    match collection {
        "r" => match what % 4 {
            0 => Action::Delete,
            _ => put(&v.to_string()),
        },
        "d" => {
            let text = match what % 16 {
                0 | 1 => format!(r#"{{"a": {v}}}"#),
                2 => format!(r#"{{"b": {v}}}"#),
                3 | 4 => format!(r#"{{"a": {{"x": {v}}}}}"#),
                5 => format!(r#"{{"a": {{"y": {v}}}}}"#),
                6 | 7 => r#"{"a": null}"#.to_owned(),
                8 => r#"{"a": {"x": null}}"#.to_owned(),
                9 => r#"{"a": {}}"#.to_owned(),
                10 => format!(r#"{{"a": {{"x": {{"z": {v}}}}}}}"#),
                11 => format!(r#"{{"a": {{"x": {v}, "y": 1}}, "b": null}}"#),
                12 => "{}".to_owned(),
                _ => return Action::Delete,
            };
            if detail.is_multiple_of(3) {
                put(&text)
            } else {
                patch(&text)
            }
        }
        "c" => match what % 8 {
            0 => Action::Delete,
            1 => ops(r#"{"reset": true, "increment": 2}"#),
            2 => ops(r#"{"decrement": 3}"#),
            _ => ops(&format!(r#"{{"increment": {}}}"#, detail % 5)),
        },
        "s" => {
            let element = ["p", "q", "r"][detail % 3];
            match what % 8 {
                0 => Action::Delete,
                1 | 2 => ops(&format!(r#"{{"remove": ["{element}"]}}"#)),
                _ => ops(&format!(r#"{{"add": ["{element}", "p"]}}"#)),
            }
        }
        _ => {
            let field = ["f", "f", "g"][detail % 3];
            match what % 8 {
                0 => Action::Delete,
                1 => ops(&format!(r#"{{"increment": {{"{field}": 1}}}}"#)),
                2 => ops(&format!(r#"{{"add": {{"{field}": ["p"]}}}}"#)),
                3 | 4 => ops(&format!(r#"{{"remove": ["{field}"]}}"#)),
                _ => ops(&format!(r#"{{"put": {{"{field}": {v}}}}}"#)),
            }
        }
    }
}
