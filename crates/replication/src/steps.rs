//! From one topology to another, without a moment without a way: what is new is added and has caught up
//! everywhere before what is old is dropped. The same is done by [`crate::healing`], link by link.

use std::fmt;

use atoll_core::RegionName;

use crate::message::Carries;
use crate::topology::Topology;

/// One step of a change. Those before a [`Step::CatchUp`] are done in any order, and so are those after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A link is opened.
    Add {
        /// Its source.
        from: RegionName,
        /// Its target.
        to: RegionName,
        /// What it carries.
        carries: Carries,
    },
    /// A link that carried own entries carries everything from now on.
    Widen {
        /// Its source.
        from: RegionName,
        /// Its target.
        to: RegionName,
    },
    /// Wait until all links of the new topology are heard and have caught up.
    CatchUp,
    /// A link that carried everything carries own entries from now on.
    Narrow {
        /// Its source.
        from: RegionName,
        /// Its target.
        to: RegionName,
    },
    /// A link is closed.
    Drop {
        /// Its source.
        from: RegionName,
        /// Its target.
        to: RegionName,
    },
}

/// Why a change is not begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRefused {
    /// Another is under way.
    #[error("a change of the topology is under way; wait until its links have caught up")]
    UnderWay,
}

/// The steps from `old` to `new`, in order; none when they have the same links.
///
/// # Errors
/// [`ChangeRefused`], when `is_under_way`. What is wrong with a topology by itself, [`Topology::new`] says.
pub fn plan(
    old: &Topology,
    new: &Topology,
    is_under_way: bool,
) -> Result<Vec<Step>, ChangeRefused> {
    if is_under_way {
        return Err(ChangeRefused::UnderWay);
    }
    let (before, after) = (old.links(), new.links());
    let mut steps = Vec::new();
    let known =
        |links: &[(RegionName, RegionName, Carries)], from: &RegionName, to: &RegionName| {
            let link = links.iter().find(|(f, t, _)| (f, t) == (from, to));
            link.map(|(_, _, carries)| *carries)
        };
    for (from, to, carries) in &after {
        let (from, to) = (from.clone(), to.clone());
        match (known(&before, &from, &to), carries) {
            (None, &carries) => steps.push(Step::Add { from, to, carries }),
            (Some(Carries::OwnEntries), Carries::Everything) => {
                steps.push(Step::Widen { from, to });
            }
            (Some(_), _) => {}
        }
    }
    let mut last = Vec::new();
    for (from, to, carries) in &before {
        let (from, to) = (from.clone(), to.clone());
        match (carries, known(&after, &from, &to)) {
            (_, None) => last.push(Step::Drop { from, to }),
            (Carries::Everything, Some(Carries::OwnEntries)) => {
                last.push(Step::Narrow { from, to });
            }
            (_, Some(_)) => {}
        }
    }
    if !last.is_empty() {
        steps.push(Step::CatchUp);
        steps.append(&mut last);
    }
    Ok(steps)
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Add { from, to, carries } => {
                let what = match carries {
                    Carries::OwnEntries => "own entries",
                    Carries::Everything => "everything",
                };
                write!(f, "add {from}:{to}, which carries {what}")
            }
            Step::Widen { from, to } => write!(f, "let {from}:{to} carry everything"),
            Step::CatchUp => f.write_str("wait until every link has caught up"),
            Step::Narrow { from, to } => write!(f, "let {from}:{to} carry own entries only"),
            Step::Drop { from, to } => write!(f, "drop {from}:{to}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Shape;

    fn topology(shape: Shape) -> Topology {
        let names = ["a", "b", "c"].map(|name| name.parse().unwrap());
        Topology::new(names.to_vec(), shape).unwrap()
    }

    fn shown(old: Shape, new: Shape) -> Vec<String> {
        let steps = plan(&topology(old), &topology(new), false).unwrap();
        steps.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_new_comes_before_what_is_old_goes() {
        let order = ["c", "b", "a"].map(|name| name.parse().unwrap()).to_vec();
        let ring = Shape::Ring { order };
        let star = Shape::Star {
            hub: "a".parse().unwrap(),
        };
        assert_eq!(
            shown(ring.clone(), star.clone()),
            [
                "add a:b, which carries everything",
                "add c:a, which carries own entries",
                "wait until every link has caught up",
                "let b:a carry own entries only",
                "drop c:b",
            ]
        );
        assert_eq!(
            shown(star, Shape::AllToAll),
            [
                "add b:c, which carries own entries",
                "add c:b, which carries own entries",
                "wait until every link has caught up",
                "let a:b carry own entries only",
                "let a:c carry own entries only",
            ]
        );
        assert!(shown(ring.clone(), ring).is_empty());
    }

    #[test]
    fn a_change_during_a_change_is_refused() {
        let mesh = topology(Shape::AllToAll);
        assert_eq!(
            plan(&mesh, &mesh, true).unwrap_err().to_string(),
            "a change of the topology is under way; wait until its links have caught up"
        );
    }
}
