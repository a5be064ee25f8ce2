//! One region of one node: the real state machine, Raft log, inbox and knowledge over a disk in memory.
//!
//! A write's way: asked → appended to the Raft log → synced → applied in groups of any size → answered. A
//! crash may come between any two of these. With one node a region, what is synced is committed.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use atoll_core::{Dot, ReplicaId, Timestamp, VersionVector};
use atoll_replication::delivery::{InboxLimits, Ready};
use atoll_replication::inbox::Inbox;
use atoll_replication::knowledge::Knowledge;
use atoll_replication::log::{Arrived, Log};
use atoll_replication::membership::Joining;
use atoll_store::engine::{Engine, MemoryEngine};
use atoll_store::log::LogReader;
use atoll_store::raft_log::RaftLog;
use atoll_store::records::applied::Applied;
use atoll_store::{Command, Group, Region, Request, StoreError};

use crate::dice::Dice;
use crate::healing::Healing;
use crate::invariants::Violation;
use crate::retries::Asker;

/// Bytes of remote entries in one proposal.
const REMOTE_BYTES: [usize; 3] = [1, 2_000, 1 << 20];

/// A running region.
pub(crate) struct Node {
    pub(crate) region: Region,
    pub(crate) inbox: Inbox,
    pub(crate) knowledge: Knowledge,
    pub(crate) healing: Healing,
    /// What it notes while it joins.
    pub(crate) joining: Joining,
    /// Something came from a region that was removed by force, and was not taken.
    pub(crate) lacks_refused: bool,
    /// Who was to stay when it first asked to be retired.
    pub(crate) leaves_to: Option<Vec<ReplicaId>>,
    raft: RaftLog,
    reader: LogReader,
    asked: Vec<Asked>,
    appended: Vec<Proposal>,
    is_committing: bool,
    next_index: u64,
}

/// Something to be committed.
#[derive(Debug)]
pub(crate) enum Asked {
    /// A client's write.
    Write(Asker, Request),
    /// Anything else.
    Command(Command),
}

/// A command in the Raft log.
pub(crate) struct Proposal {
    index: u64,
    pub(crate) command: Command,
    /// Who asked for its requests, in their order.
    pub(crate) askers: Vec<Asker>,
}

impl Node {
    /// Starts on what the disk holds, and applies what the state had not yet of the Raft log. Answers with
    /// the groups that it applied.
    pub(crate) fn start(
        disk: &Arc<MemoryEngine>,
        limits: InboxLimits,
        healing: Healing,
        dice: &mut Dice,
    ) -> Result<(Node, Vec<Group>), Violation> {
        let engine: Arc<dyn Engine> = Arc::clone(disk) as _;
        let region = Region::open(Arc::clone(&engine))?
            .ok_or_else(|| Violation::broken("a disk without an identity"))?;
        let raft = RaftLog::open(Arc::clone(&engine))?;
        let applied = place_of(&region.applied().raft);
        let entries = raft.read(applied + 1, u64::MAX)?;
        if let Some((first, _)) = entries.first()
            && *first != applied + 1
        {
            return Err(Violation::broken(format!(
                "the state stands at {applied}, and the Raft log begins at {first}"
            )));
        }
        let last = raft.last()?.map_or(0, |(index, _)| index);
        let replica = region.replica();
        let mut node = Node {
            inbox: Inbox::new(VersionVector::new(), limits.clone()),
            knowledge: Knowledge::new(replica),
            healing,
            joining: Joining::default(),
            lacks_refused: false,
            leaves_to: None,
            region,
            raft,
            reader: LogReader::new(engine),
            asked: Vec::new(),
            appended: Vec::new(),
            is_committing: false,
            next_index: last.max(applied) + 1,
        };
        let mut groups = Vec::new();
        let indexes: Vec<u64> = entries.iter().map(|(index, _)| *index).collect();
        let commands = entries.iter().map(|(_, bytes)| Command::decode(bytes));
        let commands = commands.collect::<Result<Vec<_>, _>>()?;
        for range in node_groups(commands.len(), dice) {
            let last = indexes[range.end - 1];
            groups.push(node.region.apply(&commands[range], place(last))?);
        }
        node.inbox = Inbox::new(node.region.applied().vector.clone(), limits);
        let vector = node.region.applied().vector.clone();
        node.knowledge.learn(replica, &vector);
        Ok((node, groups))
    }

    /// Asks for something to be committed.
    pub(crate) fn ask(&mut self, asked: Asked) {
        self.asked.push(asked);
    }

    /// Whether there is something to commit, and nothing being committed: says so once.
    pub(crate) fn begins_commit(&mut self) -> bool {
        let begins = !self.is_committing && self.has_work();
        self.is_committing |= begins;
        begins
    }

    /// Whether nothing is being done.
    pub(crate) fn is_idle(&self) -> bool {
        !self.is_committing && !self.has_work() && self.inbox.waiting().0 == 0
    }

    fn has_work(&self) -> bool {
        !self.asked.is_empty() || self.inbox.ready().0 > 0
    }

    /// Puts what is asked for and what came by links into the Raft log, not yet synced. When proposals fail,
    /// answers with the clients whose writes were not taken.
    pub(crate) fn append(
        &mut self,
        now: Timestamp,
        proposals_fail: bool,
        dice: &mut Dice,
    ) -> Result<Vec<(Asker, Request)>, Violation> {
        let ready = self.inbox.take_ready(*dice.pick(&REMOTE_BYTES));
        let mut asked = std::mem::take(&mut self.asked);
        let at = dice.index(asked.len() + 1);
        let remote = remote_commands(ready, now).into_iter().map(Asked::Command);
        asked.splice(at..at, remote);
        if proposals_fail {
            // A proposal of a leader that is not one any more got through all the same.
            let remote = |one: &&Asked| matches!(one, Asked::Command(Command::Remote { .. }));
            if let Some(Asked::Command(again)) = asked.iter().find(remote) {
                asked.push(Asked::Command(again.clone()));
            }
        }
        let refused = if proposals_fail {
            self.fail_some(&mut asked, dice)
        } else {
            vec![]
        };
        let proposals = self.propose(asked, now, dice);
        for range in node_groups(proposals.len(), dice) {
            let entries: Vec<(u64, Bytes)> = proposals[range]
                .iter()
                .map(|p| (p.index, p.command.encode()))
                .collect();
            self.raft.append_unsynced(&entries)?;
        }
        self.appended = proposals;
        Ok(refused)
    }

    /// The end of what was asked for finds no leader.
    fn fail_some(&mut self, asked: &mut Vec<Asked>, dice: &mut Dice) -> Vec<(Asker, Request)> {
        let from = dice.index(asked.len() + 1);
        let mut refused = Vec::new();
        for failed in asked.split_off(from) {
            match failed {
                Asked::Write(asker, request) => refused.push((asker, request)),
                Asked::Command(Command::Remote { .. }) => {}
                other @ Asked::Command(_) => asked.push(other), // asked for again at once
            }
        }
        self.inbox.proposal_failed();
        refused
    }

    /// Joins neighbouring writes into commands of any size.
    fn propose(&mut self, asked: Vec<Asked>, now: Timestamp, dice: &mut Dice) -> Vec<Proposal> {
        let mut proposals: Vec<Proposal> = Vec::new();
        for one in asked {
            let (command, askers) = match one {
                Asked::Command(command) => (command, vec![]),
                Asked::Write(asker, request) => {
                    if let Some(Proposal {
                        command: Command::Write { requests, .. },
                        askers,
                        ..
                    }) = proposals.last_mut()
                        && !dice.one_in(3)
                    {
                        requests.push(request);
                        askers.push(asker);
                        continue;
                    }
                    let requests = vec![request];
                    (Command::Write { now, requests }, vec![asker])
                }
            };
            proposals.push(Proposal {
                index: self.next_index,
                command,
                askers,
            });
            self.next_index += 1;
        }
        proposals
    }

    /// What was appended is on the disk when this returns.
    pub(crate) fn sync(&self) -> Result<(), Violation> {
        Ok(self.raft.sync()?)
    }

    /// What was appended, in groups of any size, to be applied one after the other.
    pub(crate) fn take_groups(&mut self, dice: &mut Dice) -> Vec<Vec<Proposal>> {
        let mut rest = std::mem::take(&mut self.appended);
        let mut groups = Vec::new();
        for range in node_groups(rest.len(), dice).into_iter().rev() {
            groups.push(rest.split_off(range.start));
        }
        groups.reverse();
        groups
    }

    /// Applies a group as one batch.
    pub(crate) fn apply(&mut self, group: &mut [Proposal]) -> Result<Group, Violation> {
        let last = group.last().map_or(0, |proposal| proposal.index);
        let commands: Vec<Command> = group
            .iter_mut()
            .map(|p| std::mem::replace(&mut p.command, NOTHING))
            .collect();
        let applied = self.region.apply(&commands, place(last))?;
        for (proposal, command) in group.iter_mut().zip(commands) {
            proposal.command = command;
        }
        Ok(applied)
    }

    /// All that was appended is applied.
    pub(crate) fn committed(&mut self, now: Duration) {
        self.is_committing = false;
        let vector = &self.region.applied().vector;
        self.inbox.applied(vector, now);
        let regions = &self.region.catalog().regions;
        self.inbox
            .turn_away(|sender| regions.is_removed(sender), now);
        self.lacks_refused = false;
        self.knowledge.learn(self.region.replica(), vector);
    }

    /// Makes the state durable and lets go of the Raft log below it.
    pub(crate) fn flush(&self, flushes: bool) -> Result<(), Violation> {
        let applied = place_of(&self.region.applied().raft);
        if flushes {
            self.region.engine().flush()?;
        }
        if applied > 0 {
            self.raft.purge_upto(applied, b"")?;
        }
        Ok(())
    }

    /// The region's log, as links read it.
    pub(crate) fn log(&self) -> RegionLog<'_> {
        RegionLog {
            reader: &self.reader,
            applied: self.region.applied(),
        }
    }
}

const NOTHING: Command = Command::Trim {
    before: Timestamp(0),
    rows_max: u64::MAX,
};

/// Where in the Raft log the state stands, as the state remembers it.
fn place(index: u64) -> Bytes {
    Bytes::copy_from_slice(&index.to_be_bytes())
}

fn place_of(mark: &Bytes) -> u64 {
    mark[..].try_into().map_or(0, u64::from_be_bytes)
}

/// One command for each run of entries from one sender.
fn remote_commands(ready: Vec<Ready>, now: Timestamp) -> Vec<Command> {
    let mut commands: Vec<Command> = Vec::new();
    for entry in ready {
        match commands.last_mut() {
            Some(Command::Remote { sender, frames, .. }) if *sender == entry.sender => {
                frames.push(entry.frame);
            }
            _ => commands.push(Command::Remote {
                now,
                sender: entry.sender,
                frames: vec![entry.frame],
            }),
        }
    }
    commands
}

/// Cuts a list of that length into pieces of any size.
fn node_groups(length: usize, dice: &mut Dice) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let mut start = 0;
    while start < length {
        let most = length - start;
        let size = if dice.one_in(2) {
            most
        } else {
            1 + dice.index(most)
        };
        groups.push(start..start + size);
        start += size;
    }
    groups
}

/// The log of a region, as its links read it.
pub(crate) struct RegionLog<'a> {
    reader: &'a LogReader,
    applied: &'a Applied,
}

impl Log for RegionLog<'_> {
    type Error = StoreError;

    fn end(&self) -> u64 {
        self.applied.arrival + 1
    }

    fn start_for(&self, vector: &VersionVector) -> Result<u64, StoreError> {
        self.reader.start_for(vector)
    }

    fn read(
        &self,
        from: u64,
        max_bytes: usize,
        visit: &mut dyn FnMut(Arrived) -> bool,
    ) -> Result<u64, StoreError> {
        let (mut next, mut bytes) = (from, 0);
        self.reader.read(from, &mut |arrival| {
            let (place, size) = (arrival.index, arrival.frame.len());
            next = place;
            let goes_on = visit(Arrived {
                arrival: place,
                dot: arrival.dot,
                sender: arrival.sender,
                frame: arrival.frame,
            });
            if goes_on {
                next = place + 1;
                bytes += size;
            }
            goes_on && bytes < max_bytes
        })?;
        Ok(next)
    }

    fn entry(&self, dot: Dot) -> Result<Option<Bytes>, StoreError> {
        Ok(self.reader.entry(dot)?.map(|arrival| arrival.frame))
    }

    fn vector(&self) -> VersionVector {
        self.applied.vector.clone()
    }
}
