//! Random histories, played on both engines at once, must look the same after every step.

use std::ops::{
    Bound::{Excluded, Included, Unbounded},
    ControlFlow,
};

use proptest::prelude::*;

use super::{MemoryRig, Rig, RocksRig};
use crate::engine::{Batch, Direction, Family, Read};

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Write>),
    Append(Vec<Write>),
    Flush,
    Checkpoint,
    Restart,
    Crash,
}

#[derive(Clone, Debug)]
enum Write {
    Put(Family, Vec<u8>, Vec<u8>),
    Delete(Family, Vec<u8>),
    DeleteRange(Family, Vec<u8>, Vec<u8>),
}

fn batch(writes: &[Write]) -> Batch {
    let mut batch = Batch::new();
    for write in writes {
        match write {
            Write::Put(family, key, value) => batch.put(*family, key, value),
            Write::Delete(family, key) => batch.delete(*family, key),
            Write::DeleteRange(family, from, to) => batch.delete_range(*family, from, to),
        }
    }
    batch
}

fn play<R: Rig>(mut rig: R, step: &Step) -> R {
    match step {
        Step::Commit(writes) => rig.engine().commit(&batch(writes)).unwrap(),
        Step::Append(writes) => rig.engine().append(&batch(writes), false).unwrap(),
        Step::Flush => rig.engine().flush().unwrap(),
        Step::Checkpoint => {
            let checkpoint = rig.engine().checkpoint().unwrap();
            let mut expected = everything(rig.engine(), Direction::Forward);
            expected.retain(|(family, _, _)| *family != Family::Raft);
            assert_eq!(everything(&*checkpoint, Direction::Forward), expected);
        }
        Step::Restart => rig = rig.restart(),
        Step::Crash => rig = rig.crash(),
    }
    rig
}

type Pairs = Vec<(Family, Vec<u8>, Vec<u8>)>;

fn everything(read: &dyn Read, direction: Direction) -> Pairs {
    let mut pairs = Pairs::new();
    for family in Family::ALL {
        let mut visit = |key: &[u8], value: &[u8]| {
            pairs.push((family, key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        };
        read.scan(family, Unbounded, Unbounded, direction, &mut visit)
            .unwrap();
    }
    pairs
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(
        prop_oneof![Just(0), Just(b'a'), Just(b'b'), Just(255)],
        0..3,
    )
}

fn writes(family: impl Strategy<Value = Family> + Clone) -> impl Strategy<Value = Vec<Write>> {
    let value = proptest::collection::vec(any::<u8>(), 0..40);
    let write = prop_oneof![
        6 => (family.clone(), key(), value).prop_map(|(family, key, value)| Write::Put(family, key, value)),
        2 => (family.clone(), key()).prop_map(|(family, key)| Write::Delete(family, key)),
        1 => (family, key(), key()).prop_map(|(family, from, to)| Write::DeleteRange(family, from, to)),
    ];
    proptest::collection::vec(write, 0..12)
}

fn step() -> impl Strategy<Value = Step> {
    let committed = proptest::sample::select(vec![Family::Meta, Family::State, Family::Ledger]);
    prop_oneof![
        8 => writes(committed).prop_map(Step::Commit),
        8 => writes(Just(Family::Raft)).prop_map(Step::Append),
        2 => Just(Step::Flush),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Restart),
        2 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn both_engines_look_the_same_after_any_history(
        steps in proptest::collection::vec(step(), 1..30),
        from in key(),
        to in key(),
    ) {
        let (mut memory, mut rocks) = (MemoryRig::new(), RocksRig::new());
        for step in &steps {
            memory = play(memory, step);
            rocks = play(rocks, step);
            for direction in [Direction::Forward, Direction::Backward] {
                let pairs = everything(memory.engine(), direction);
                prop_assert_eq!(&pairs, &everything(rocks.engine(), direction), "after {:?}", step);
            }
        }
        let mut seen = [Pairs::new(), Pairs::new()];
        for (engine, seen) in [memory.engine(), rocks.engine()].into_iter().zip(&mut seen) {
            let (from, to) = (Excluded(from.as_slice()), Included(to.as_slice()));
            let mut visit = |key: &[u8], value: &[u8]| {
                seen.push((Family::State, key.to_vec(), value.to_vec()));
                ControlFlow::Continue(())
            };
            engine.scan(Family::State, from, to, Direction::Backward, &mut visit).unwrap();
        }
        prop_assert_eq!(&seen[0], &seen[1]);
    }
}
