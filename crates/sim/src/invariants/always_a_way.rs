//! Always a way: between live regions that can reach each other, over others or not, there is a way of open
//! links within a bound after the last thing that changed (a cut, its end, a crash, a start, a broken stream),
//! and from then on at every moment, whatever topology is declared meanwhile. What a region has comes to
//! every region that can hear of it. And when all is well again, the links are those declared.
//!
//! The bound ([`crate::schedule::Schedule::way_within`]), with F for `failoverAfter` and *news* for the time in
//! which all hear what one says (as many hops as there are regions, each a message, a heartbeat's pause and a
//! look at the links):
//!
//! - F until a silent source is noticed, and news until all know;
//! - of up to six others three are tried at a time; each is given F/2, and is tried again after at most 2.5 F:
//!   6 F until all have been tried;
//! - F/2 for a stand-in that is dead, too, and F for one that dies as it is chosen; news again.
//!
//! So 9 F, twice news, and a second for dials that back off.
//!
//! Seen to fail: regions that never pull from others than declared (`Mischief::NeverStandIn`), and a change of
//! topology that drops what is old at once (`Mischief::DropAtOnce`).

use std::collections::BTreeSet;

use atoll_replication::message::Carries;

use super::Violation;

const NAME: &str = "always-a-way";

/// Who could pull from whom at one moment, and who does. Regions by their places.
pub(crate) struct Ground {
    pub(crate) live: Vec<usize>,
    /// Source and target between which connections are well.
    pub(crate) possible: BTreeSet<(usize, usize)>,
    /// Source and target of links that are open and well, and what they carry.
    pub(crate) pulls: Vec<(usize, usize, Carries)>,
}

impl Ground {
    /// The regions that could hear of what a region has.
    pub(crate) fn could_reach(&self, from: usize) -> BTreeSet<usize> {
        let passes = |at, to| self.possible.contains(&(at, to));
        self.spread(from, passes)
    }

    /// The regions that hear of what a region writes.
    fn reached(&self, from: usize) -> BTreeSet<usize> {
        let passes = |at, to| {
            let brings = |carries| carries == Carries::Everything || at == from;
            let mut pulls = self.pulls.iter();
            pulls.any(|&(source, target, carries)| (source, target) == (at, to) && brings(carries))
        };
        self.spread(from, passes)
    }

    fn spread(&self, from: usize, passes: impl Fn(usize, usize) -> bool) -> BTreeSet<usize> {
        let mut reached = BTreeSet::from([from]);
        let mut edge = vec![from];
        while let Some(at) = edge.pop() {
            for &to in &self.live {
                if !reached.contains(&to) && passes(at, to) {
                    reached.insert(to);
                    edge.push(to);
                }
            }
        }
        reached
    }
}

/// Looks for a way wherever one is possible.
pub(crate) fn check(ground: &Ground) -> Result<(), Violation> {
    for &from in &ground.live {
        let reached = ground.reached(from);
        let could = ground.could_reach(from);
        if let Some(to) = could.difference(&reached).next() {
            let links = ground.pulls.iter().map(|(a, b, carries)| match carries {
                Carries::OwnEntries => format!(" r{a}:r{b}'"),
                Carries::Everything => format!(" r{a}:r{b}"),
            });
            let what = format!(
                "what r{from} writes does not reach r{to}, though it could; the links are{}",
                links.collect::<String>()
            );
            return Err(Violation::new(NAME, what));
        }
    }
    Ok(())
}

/// What regions have did not come to others in time, though there is a way.
pub(crate) fn held_up(what: impl std::fmt::Display) -> Violation {
    Violation::new(NAME, what)
}
