//! One region: a log in memory, an inbox, and a stand-in for the Raft group that commits after a while.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use atoll_core::wire::encode_entry;
use atoll_core::{Dot, Entry, RegionName, ReplicaId, Timestamp, VersionVector};
use atoll_replication::delivery::{InboxLimits, Ready};
use atoll_replication::inbox::Inbox;
use atoll_replication::knowledge::Knowledge;
use atoll_replication::log::{Arrived, Log};

#[derive(Default)]
pub(crate) struct MemoryLog {
    entries: Vec<Arrived>,
    by_dot: BTreeMap<Dot, usize>,
    vector: VersionVector,
}

impl MemoryLog {
    fn push(&mut self, dot: Dot, sender: Option<ReplicaId>, frame: Bytes) {
        let arrival = self.entries.len();
        self.by_dot.insert(dot, arrival);
        self.entries.push(Arrived {
            arrival: arrival as u64,
            dot,
            sender,
            frame,
        });
        self.vector.raise(dot);
    }
}

impl Log for MemoryLog {
    type Error = std::convert::Infallible;

    fn end(&self) -> u64 {
        self.entries.len() as u64
    }

    fn start_for(&self, vector: &VersionVector) -> Result<u64, Self::Error> {
        let missing = |r, seq| (seq > vector.get(r)).then(|| Dot::new(r, vector.get(r) + 1));
        let first = self.vector.iter().filter_map(|(r, seq)| missing(r, seq));
        Ok(first
            .map(|dot| self.by_dot[&dot] as u64)
            .min()
            .unwrap_or(self.end()))
    }

    fn read(
        &self,
        from: u64,
        max_bytes: usize,
        visit: &mut dyn FnMut(Arrived) -> bool,
    ) -> Result<u64, Self::Error> {
        let mut bytes = 0;
        for entry in &self.entries[usize::try_from(from).unwrap()..] {
            if bytes >= max_bytes || !visit(entry.clone()) {
                return Ok(entry.arrival);
            }
            bytes += entry.frame.len();
        }
        Ok(self.end())
    }

    fn entry(&self, dot: Dot) -> Result<Option<Bytes>, Self::Error> {
        Ok(self
            .by_dot
            .get(&dot)
            .map(|&i| self.entries[i].frame.clone()))
    }

    fn vector(&self) -> VersionVector {
        self.vector.clone()
    }
}

pub(crate) struct Region {
    pub(crate) me: ReplicaId,
    pub(crate) name: RegionName,
    pub(crate) log: MemoryLog,
    pub(crate) inbox: Inbox,
    pub(crate) knowledge: Knowledge,
    pub(crate) waited: Duration,
    pub(crate) applied_remotely: u64,
    lost_some: bool,
    /// Commit time, entries, whether the proposer hears of a failure (it may have been committed all the same).
    proposals: VecDeque<(u64, Vec<Ready>, Fate)>,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Fate {
    Committed,
    Lost,
    CommittedUnknown,
}

impl Region {
    pub(crate) fn new(number: usize, limits: InboxLimits) -> Self {
        let me = ReplicaId(100 + number as u64);
        let name: RegionName = format!("r{number}").parse().unwrap();
        let mut knowledge = Knowledge::new(me);
        knowledge.learn_regions([&(me, name.clone())]);
        Region {
            me,
            name,
            log: MemoryLog::default(),
            inbox: Inbox::new(VersionVector::new(), limits),
            knowledge,
            waited: Duration::ZERO,
            applied_remotely: 0,
            lost_some: false,
            proposals: VecDeque::new(),
        }
    }

    pub(crate) fn write(&mut self, now_ms: u64, size: usize) {
        let dependencies = self.log.vector();
        let entry = Entry {
            dot: Dot::new(self.me, dependencies.get(self.me) + 1),
            time: Timestamp::from_millis(now_ms),
            dependencies,
            operations: Vec::new(),
            trace: vec![b'x'; size].into(),
            announces: None,
            member: None,
            layout: None,
            idempotency: None,
        };
        self.log.push(entry.dot, None, encode_entry(&entry));
        self.committed(now_ms);
    }

    pub(crate) fn propose(&mut self, commit_at: u64, fate: Fate) {
        let ready = self.inbox.take_ready(10_000);
        if !ready.is_empty() {
            self.proposals.push_back((commit_at, ready, fate));
        }
    }

    pub(crate) fn commit_due(&mut self, now_ms: u64) {
        while self.proposals.front().is_some_and(|(at, ..)| *at <= now_ms) {
            let (_, ready, fate) = self.proposals.pop_front().unwrap();
            if fate == Fate::Lost {
                self.lost_some = true;
            } else {
                ready.iter().for_each(|entry| self.apply(entry));
            }
            if fate == Fate::Committed && !self.lost_some {
                self.committed(now_ms);
            } else if fate == Fate::Committed {
                self.committed(now_ms);
                self.inbox.proposal_failed();
            } else {
                self.inbox.proposal_failed();
            }
        }
    }

    /// What the store's apply does: the vector drops a second copy. Nothing comes early, but behind a lost
    /// proposal; then it is offered again.
    fn apply(&mut self, ready: &Ready) {
        let entry = ready.frame.take().unwrap();
        assert_eq!(entry.dot, ready.dot);
        if self.log.vector.covers(entry.dot) {
            return;
        }
        if self.log.vector.covers_all(&entry.dependencies) {
            self.waited = self.waited.max(ready.waited);
            self.applied_remotely += 1;
            self.log
                .push(entry.dot, Some(ready.sender), ready.frame.bytes().clone());
        } else {
            assert!(
                self.lost_some,
                "{} at {} before its dependencies",
                entry.dot, self.me
            );
        }
    }

    fn committed(&mut self, now_ms: u64) {
        let vector = self.log.vector();
        self.inbox.applied(&vector, Duration::from_millis(now_ms));
        self.knowledge.learn(self.me, &vector);
    }
}
