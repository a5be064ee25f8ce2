//! How a region commits: what was asked is appended, synced, applied and answered, each in its own time, so
//! that anything may happen in between.

use std::collections::BTreeSet;

use atoll_core::layout::LayoutRefused;
use atoll_store::region::NotChanged;
use atoll_store::{Command, Group, Outcome};

use crate::events::Event;
use crate::invariants::{Violation, causal_order};
use crate::mischief::Mischief;
use crate::node::{Asked, Node, Proposal};
use crate::schedule::FaultKind;
use crate::world::World;

impl World {
    /// Asks a region to commit something; a region that is down does not hear it.
    pub(crate) fn ask(&mut self, place: usize, asked: Asked) {
        if let Some(node) = &mut self.places[place].node {
            node.ask(asked);
            self.commit(place);
        }
    }

    /// Begins to commit what there is, unless that is under way.
    pub(crate) fn commit(&mut self, place: usize) {
        let here = &mut self.places[place];
        if here.node.as_mut().is_some_and(Node::begins_commit) {
            let life = here.life;
            self.soon(Event::Append(place, life));
        }
    }

    fn soon(&mut self, event: Event) {
        let delay = self.dice.ms(0, self.schedule.commit_ms);
        self.time.after(delay, event);
    }

    pub(crate) fn append(&mut self, place: usize) -> Result<(), Violation> {
        let now = self.timestamp(place);
        let fails = !self.is_calm
            && self.schedule.faults.contains(&FaultKind::FailProposals)
            && self.dice.one_in(6);
        let here = &mut self.places[place];
        let Some(node) = &mut here.node else {
            return Ok(());
        };
        let refused = node.append(now, fails, &mut self.dice)?;
        let life = here.life;
        for (asker, request) in refused {
            if self.waits(asker) {
                self.trace(|_| format!("r{place} has no leader for client {}", asker.client));
                self.unknown(asker.client, request);
            }
        }
        self.soon(Event::Sync(place, life));
        Ok(())
    }

    pub(crate) fn sync(&mut self, place: usize) -> Result<(), Violation> {
        let here = &self.places[place];
        if let Some(node) = &here.node
            && !self.does(Mischief::ForgetSync)
        {
            node.sync()?;
        }
        let life = here.life;
        self.soon(Event::Apply(place, life));
        Ok(())
    }

    pub(crate) fn apply(&mut self, place: usize) -> Result<(), Violation> {
        let Some(node) = &mut self.places[place].node else {
            return Ok(());
        };
        for mut proposals in node.take_groups(&mut self.dice) {
            let Some(node) = &mut self.places[place].node else {
                return Ok(());
            };
            let group = node.apply(&mut proposals)?;
            self.applied(place, &proposals, group)?;
        }
        let now = self.time.now();
        if let Some(node) = &mut self.places[place].node {
            node.committed(now);
        }
        self.flush_sometimes(place)?;
        self.retry_clients(place)?;
        self.pump_all(place)?;
        self.acknowledge_all(place, false);
        self.commit(place);
        Ok(())
    }

    fn applied(
        &mut self,
        place: usize,
        proposals: &[Proposal],
        group: Group,
    ) -> Result<(), Violation> {
        let mut touched = BTreeSet::new();
        self.note(place, &group.arrivals, &mut touched)?;
        self.trace(|w| {
            let dots = group.arrivals.iter().map(|a| w.dot(a.dot));
            let dots: Vec<String> = dots.collect();
            format!(
                "r{place} applies {} commands: {}",
                proposals.len(),
                dots.join(" ")
            )
        });
        self.check_gone(place, &touched)?;
        if let Some(node) = &self.places[place].node {
            let stable = node.region.applied().stable.clone();
            self.places[place].stable = stable;
        }
        for (proposal, outcome) in proposals.iter().zip(group.outcomes) {
            match outcome {
                Outcome::Written(written) => {
                    let Command::Write { requests, .. } = &proposal.command else {
                        continue;
                    };
                    for ((asker, request), result) in
                        proposal.askers.iter().zip(requests).zip(written)
                    {
                        self.written(*asker, place, request, result)?;
                    }
                }
                Outcome::Merged(merged) => {
                    self.report.duplicates += merged.duplicates as u64;
                    self.report.turned_away += merged.refused as u64;
                    let node = self.places[place].node.as_mut();
                    let lacks = node.is_some_and(|node| {
                        node.lacks_refused |= merged.refused > 0;
                        node.lacks_refused
                    });
                    // What follows an entry that was not taken cannot be either.
                    if merged.early > 0 && !lacks {
                        self.found(causal_order::early(place, merged.early))?;
                    }
                }
                Outcome::Configured(Err(problem)) => return Err(Violation::broken(problem)),
                // Somebody else was first.
                Outcome::Changed(Err(
                    NotChanged::Retired
                    | NotChanged::Member(_)
                    | NotChanged::Layout(
                        LayoutRefused::Moved { .. } | LayoutRefused::MemberLeftOut(_),
                    ),
                )) => {}
                Outcome::Changed(Err(why)) => return Err(Violation::broken(why)),
                Outcome::Configured(Ok(())) | Outcome::Changed(Ok(_)) | Outcome::Done => {}
            }
        }
        Ok(())
    }

    fn flush_sometimes(&mut self, place: usize) -> Result<(), Violation> {
        if !self.dice.one_in(self.schedule.flush_every) {
            return Ok(());
        }
        let unflushed = self.does(Mischief::PurgeUnflushed);
        if let Some(node) = &self.places[place].node {
            node.flush(!unflushed)?;
        }
        Ok(())
    }
}
