//! Linearizable: reads with `leader` and writes of one key happen as if one after the other, each at some
//! moment between question and answer.
//!
//! The search of Wing & Gong ("Testing and Verifying Concurrent Objects", 1993) with Lowe's memory of where it
//! has been ("Testing for Linearizability", 2017). A key is a register, and every value is written once. A
//! write of which nobody said what became of it may happen at any time from its question on, or never; when
//! nobody read its value it never need, so it is left out. A write that was acknowledged, or read, must.
//!
//! Seen to fail: `leader` reads that whoever is asked answers (`Mischief::StaleLeaders`), and histories made by hand, in
//! the tests below.

use std::collections::HashSet;

use super::super::history::{Answer, Asked, Freshness, History, Moment};
use crate::Violation;

const NAME: &str = "linearizable";
/// Places in the search that are looked at before it is given up; histories here take some thousands.
const PLACES_MAX: usize = 2_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    began: Moment,
    ended: Moment,
    /// The value written, or the value read.
    write: Option<u64>,
    read: Option<Option<u64>>,
}

/// Checks every key.
pub(in crate::whole) fn check(history: &History) -> Result<(), Violation> {
    let mut keys: Vec<&String> = history.operations.iter().map(|o| &o.key).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        let steps = steps(history, key);
        if !can_be_ordered(&steps)? {
            let what = format!("{key}: no order explains {}", shown(&steps));
            return Err(Violation::new(NAME, what));
        }
    }
    Ok(())
}

fn steps(history: &History, key: &str) -> Vec<Step> {
    let of_key = || history.operations.iter().filter(|o| o.key == key);
    let read: HashSet<u64> = of_key()
        .filter(|o| is_current_read(&o.asked))
        .filter_map(|o| match o.answer {
            Answer::Value(value) => value,
            Answer::Written { .. } | Answer::Unknown => None,
        })
        .collect();
    let step = |operation: &super::super::history::Operation| {
        let (began, ended) = (operation.began, operation.ended);
        match (operation.asked, &operation.answer) {
            (Asked::Write { value }, Answer::Written { .. }) => Some(Step {
                began,
                ended: ended?,
                write: Some(value),
                read: None,
            }),
            (Asked::Write { value }, _) => read.contains(&value).then_some(Step {
                began,
                ended: Moment::MAX,
                write: Some(value),
                read: None,
            }),
            (
                Asked::Read {
                    how: Freshness::Leader,
                },
                Answer::Value(value),
            ) => Some(Step {
                began,
                ended: ended?,
                write: None,
                read: Some(*value),
            }),
            (Asked::Read { .. }, _) => None,
        }
    };
    let mut steps: Vec<Step> = of_key().filter_map(step).collect();
    steps.sort_by_key(|step| step.began);
    steps
}

fn is_current_read(asked: &Asked) -> bool {
    *asked
        == Asked::Read {
            how: Freshness::Leader,
        }
}

/// Depth first, with an explicit stack. A place is what has happened and what the register holds.
fn can_be_ordered(steps: &[Step]) -> Result<bool, Violation> {
    let words = steps.len().div_ceil(64);
    let mut seen = HashSet::new();
    let mut stack = vec![(vec![0_u64; words], None::<u64>)];
    while let Some((done, holds)) = stack.pop() {
        if !seen.insert((done.clone(), holds)) {
            continue;
        }
        if seen.len() > PLACES_MAX {
            return Err(Violation::new(NAME, "the search took too long"));
        }
        let is_done = |i: usize| done[i / 64] >> (i % 64) & 1 == 1;
        let open = || (0..steps.len()).filter(|&i| !is_done(i));
        // What ends first bounds what may come next.
        let Some(first_end) = open().map(|i| steps[i].ended).min() else {
            return Ok(true);
        };
        if first_end == Moment::MAX {
            return Ok(true); // only what may never happen is left
        }
        for i in open() {
            let step = &steps[i];
            if step.began > first_end {
                break; // in order of beginning
            }
            let holds_then = match (step.write, step.read) {
                (Some(value), _) => Some(value),
                (None, Some(value)) if value == holds => holds,
                (None, _) => continue,
            };
            let mut then = done.clone();
            then[i / 64] |= 1 << (i % 64);
            stack.push((then, holds_then));
        }
    }
    Ok(false)
}

fn shown(steps: &[Step]) -> String {
    let show = |step: &Step| {
        let end = if step.ended == Moment::MAX {
            "?".to_owned()
        } else {
            step.ended.to_string()
        };
        match (step.write, step.read) {
            (Some(value), _) => format!("\n  {}..{end} write {value}", step.began),
            (None, read) => format!("\n  {}..{end} read {:?}", step.began, read.flatten()),
        }
    };
    steps.iter().map(show).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    fn write(began: Moment, ended: Moment, value: u64) -> Step {
        Step {
            began,
            ended,
            write: Some(value),
            read: None,
        }
    }

    fn read(began: Moment, ended: Moment, value: Option<u64>) -> Step {
        Step {
            began,
            ended,
            write: None,
            read: Some(value),
        }
    }

    #[test]
    fn what_overlaps_may_happen_in_any_order() {
        let steps = [
            write(1, 10, 7),
            read(2, 3, None),
            read(4, 5, Some(7)),
            write(6, 12, 8),
            read(11, 13, Some(8)),
        ];
        assert!(can_be_ordered(&steps).unwrap());
    }

    #[test]
    fn an_old_value_after_a_new_one_has_no_order() {
        let stale = [write(1, 2, 7), write(3, 4, 8), read(5, 6, Some(7))];
        assert!(!can_be_ordered(&stale).unwrap());
        let back = [
            write(1, 2, 7),
            write(3, 20, 8),
            read(5, 6, Some(8)),
            read(7, 8, Some(7)),
        ];
        assert!(!can_be_ordered(&back).unwrap());
        assert!(!can_be_ordered(&[write(1, 2, 7), read(3, 4, None)]).unwrap());
    }

    #[test]
    fn a_write_that_nobody_answered_may_come_late() {
        let steps = [
            write(1, Moment::MAX, 7),
            write(2, 3, 8),
            read(4, 5, Some(8)),
            read(6, 7, Some(7)),
        ];
        assert!(can_be_ordered(&steps).unwrap());
        let twice = [
            write(1, Moment::MAX, 7),
            write(2, 3, 8),
            read(4, 5, Some(7)),
            read(6, 7, Some(8)),
            read(8, 9, Some(7)),
        ];
        assert!(!can_be_ordered(&twice).unwrap());
    }
}
