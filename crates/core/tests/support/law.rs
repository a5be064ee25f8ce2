//! Runs a law on many histories.

use atoll_core::{DataType, Policy};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};

use super::history::{History, any_policy, histories};

/// Cases of every law.
pub(crate) const CASES: u32 = 10_000;

/// Checks a law on [`CASES`] histories of a type under a policy, or under any of the three.
///
/// A failure prints the smallest history found. `PROPTEST_RNG_SEED=…` repeats a run.
pub(crate) fn holds(
    data_type: DataType,
    policy: Option<Policy>,
    law: impl Fn(&History) -> TestCaseResult,
) {
    let policy = match policy {
        Some(policy) => Just(policy).boxed(),
        None => any_policy().boxed(),
    };
    check(&histories(data_type, policy), |history| law(&history));
}

/// Checks a fact on [`CASES`] values of a strategy. Nothing is written into the tree.
pub(crate) fn check<S: Strategy>(strategy: &S, fact: impl Fn(S::Value) -> TestCaseResult) {
    let config = ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 100_000,
        ..ProptestConfig::with_cases(CASES)
    };
    if let Err(failure) = TestRunner::new(config).run(strategy, fact) {
        panic!("{failure}");
    }
}
