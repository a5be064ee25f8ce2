//! Equal: in the end all nodes of a region hold the same, to the byte, and all regions show the same: state,
//! conflicts, ledger.
//!
//! Seen to fail: a node that lost one record (`Mischief::LostRecord`).

use std::ops::{Bound, ControlFlow};

use atoll_store::engine::{Direction, Engine, Family};

use super::super::end::NodeEnd;
use crate::Violation;
use crate::invariants::convergence;

const NAME: &str = "nodes-are-equal";
/// What applying commands makes. `Meta` also says where in its own Raft log a node is.
const APPLIED: [Family; 5] = [
    Family::Log,
    Family::Arrival,
    Family::State,
    Family::History,
    Family::Ledger,
];

pub(in crate::whole) fn check(ends: &[NodeEnd]) -> Result<(), Violation> {
    let Some(first) = ends.first() else {
        return Ok(());
    };
    for (nth, end) in ends.iter().enumerate() {
        convergence::check(&first.shown, &end.shown, nth)?;
    }
    for pair in ends
        .windows(2)
        .filter(|pair| pair[0].region == pair[1].region)
    {
        for family in APPLIED {
            if bytes(&*pair[0].disk, family)? != bytes(&*pair[1].disk, family)? {
                let (one, other) = (&pair[0].name, &pair[1].name);
                let what = format!("{} of {one} and {other} differ", family.name());
                return Err(Violation::new(NAME, what));
            }
        }
    }
    Ok(())
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn bytes(disk: &dyn Engine, family: Family) -> Result<Pairs, Violation> {
    let mut all = Vec::new();
    let everything = Bound::Unbounded;
    disk.scan(
        family,
        everything,
        everything,
        Direction::Forward,
        &mut |key, value| {
            all.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        },
    )?;
    Ok(all)
}
