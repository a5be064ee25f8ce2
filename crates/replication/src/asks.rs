//! Which missing entries to ask for, whom, and when again. Nothing is asked for twice within the interval.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use atoll_core::ReplicaId;

use crate::delivery::LinkId;
use crate::message::Want;
use crate::room::Gap;

const DOUBLINGS: u32 = 4;

/// Questions under way, by origin; in ascending order of what was asked for.
#[derive(Debug, Default)]
pub(crate) struct Asks {
    asked: BTreeMap<ReplicaId, VecDeque<Asked>>,
}

#[derive(Debug)]
struct Asked {
    to: u64,
    again_at: Duration,
    attempt: u32,
}

impl Asks {
    /// The questions to send now. `others` names the links that may also have entries of an origin.
    pub(crate) fn questions(
        &mut self,
        gaps: &[Gap],
        interval: Duration,
        now: Duration,
        others: impl Fn(&Gap) -> Vec<LinkId>,
    ) -> Vec<(LinkId, Want)> {
        self.asked
            .retain(|origin, _| gaps.iter().any(|gap| gap.origin == *origin));
        let mut questions = Vec::new();
        for gap in gaps {
            let links = others(gap);
            if links.is_empty() {
                continue;
            }
            let asked = self.asked.entry(gap.origin).or_default();
            while asked.front().is_some_and(|a| a.to < gap.from) {
                asked.pop_front();
            }
            let mut ask = |attempt: u32, from: u64, to: u64| {
                let link = links[attempt as usize % links.len()];
                questions.push((
                    link,
                    Want {
                        origin: gap.origin,
                        from,
                        to,
                    },
                ));
                // Every round over the links doubles the interval.
                let round = attempt / u32::try_from(links.len()).unwrap_or(u32::MAX);
                let again_at = now + interval * (1 << round.min(DOUBLINGS));
                Asked {
                    to,
                    again_at,
                    attempt,
                }
            };
            if let Some(first) = asked.front_mut().filter(|first| first.again_at <= now) {
                *first = ask(
                    first.attempt.wrapping_add(1),
                    gap.from,
                    first.to.min(gap.to),
                );
            }
            let from = asked
                .back()
                .map_or(gap.from, |last| gap.from.max(last.to + 1));
            if from <= gap.to {
                let next = ask(0, from, gap.to);
                asked.push_back(next);
            }
        }
        questions
    }
}
