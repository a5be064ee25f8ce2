//! This node's part in its region's group: starting it, who leads, current reads, handing leadership over.

use std::sync::Arc;
use std::time::Duration;

use openraft::rt::WatchReceiver as _;
use openraft::{Config, Instant as _, ReadPolicy, ServerState, SnapshotPolicy};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use atoll_store::Region;

use super::member::{RegionNode, RegionNodes};
use super::network::Network;
use super::{Proposal, Raft, StateMachine, log_store};
use crate::published::Published;
use crate::refusal::Refusal;
use crate::surroundings::Work;

/// A leader that is silent for one to two of these is replaced: writes go on within 3 s.
const ELECTION_MS: (u64, u64) = (500, 1000);
const HEARTBEAT_MS: u64 = 150;
/// How many commands are applied between two flushes, and kept behind the last: a node that lacks more is
/// sent the whole state.
const COMMANDS_KEPT: u64 = 10_000;
/// How long a stop waits for another node to lead.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(3);
/// How long a leader waits for its followers to confirm it.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(3);
const CONFIRMED_EVERY: Duration = Duration::from_millis(10);
const LOOKED_AT_EVERY: Duration = Duration::from_millis(250);
const RECOVER_WITHIN: Duration = Duration::from_secs(600);

/// The region's group, as this node takes part in it.
#[derive(Clone)]
pub(crate) struct Group {
    pub(crate) raft: Raft,
    /// This node.
    pub(crate) me: u64,
    network: Network,
    leadership: watch::Receiver<bool>,
    reads: Arc<Mutex<Reads>>,
}

/// Reads that must be current share a round of heartbeats: one that began after they came.
#[derive(Default)]
struct Reads {
    next: Option<watch::Receiver<Option<bool>>>,
}

/// What a node of a region is doing in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Leader,
    Follower,
    /// Receives everything, and has no vote yet.
    Learner,
}

/// One node of the region, as the leader or this node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) id: u64,
    pub(crate) member: RegionNode,
    pub(crate) part: Part,
    /// Commands that it lacks; only the leader knows.
    pub(crate) behind: Option<u64>,
}

/// What may not be read as current here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this node cannot show that it leads the region")]
pub(crate) struct NotCurrent;

impl Group {
    /// Starts this node's part over `region`'s engine. `founders` are the nodes that begin the group; the
    /// others are told of it by their leader.
    pub(crate) async fn start(
        region: Region,
        published: Arc<Published>,
        me: u64,
        founders: RegionNodes,
        network: Network,
        commands_kept: Option<u64>,
        work: Work,
    ) -> Result<Group, String> {
        let kept = commands_kept.unwrap_or(COMMANDS_KEPT);
        let config = Config {
            cluster_name: region.store().to_string(),
            heartbeat_interval: HEARTBEAT_MS,
            election_timeout_min: ELECTION_MS.0,
            election_timeout_max: ELECTION_MS.1,
            enable_pre_vote: Some(true),
            // A leader that was killed would lead again at once, in its old term: what it had acknowledged
            // and not flushed is not applied again before its followers are heard of, and the read index of
            // that term says nothing of it. An election ends with a blank entry behind all of it.
            enable_leader_restore: Some(false),
            snapshot_policy: SnapshotPolicy::LogsSinceLast(kept),
            max_in_snapshot_log_to_keep: kept,
            ..Config::default()
        };
        let config = config.validate().map_err(|e| e.to_string())?;
        let log = log_store::LogStore::open(Arc::clone(region.engine()), work)
            .map_err(|e| e.to_string())?;
        let machine = StateMachine::open(region, published, work)?;
        let raft = Raft::new(me, Arc::new(config), network.clone(), log, machine)
            .await
            .map_err(|e| e.to_string())?;
        let is_begun = raft.is_initialized().await.map_err(|e| e.to_string())?;
        let is_alone = if is_begun {
            alone(&raft, me)
        } else {
            founders.len() == 1
        };
        if !is_begun && !founders.is_empty() {
            raft.initialize(founders).await.map_err(|e| e.to_string())?;
        }
        if is_alone && is_begun {
            // Nobody else could be elected: there is nothing to wait for.
            let begun = raft.trigger().elect(false).await;
            begun.map_err(|e| e.to_string())?;
        }
        if is_alone {
            lead_alone(&raft, me).await?;
        }
        let (lead, leadership) = watch::channel(leads(&raft));
        let mut changes = raft.server_metrics();
        let watched = raft.clone();
        // Ends with the group: its metrics end then.
        tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                let now = leads(&watched);
                lead.send_if_modified(|known| std::mem::replace(known, now) != now);
                if lead.is_closed() {
                    return;
                }
            }
        });
        Ok(Group {
            raft,
            me,
            network,
            leadership,
            reads: Arc::default(),
        })
    }

    /// Whether this node leads the region, as far as it knows; changes are told.
    pub(crate) fn leadership(&self) -> watch::Receiver<bool> {
        self.leadership.clone()
    }

    pub(crate) fn leads(&self) -> bool {
        leads(&self.raft)
    }

    /// Whether the region has no other node with a vote, and this one leads.
    pub(crate) fn leads_alone(&self) -> bool {
        alone(&self.raft, self.me) && self.leads()
    }

    /// The leader, and where this node reaches it; `None` while there is none, or it is this node.
    pub(crate) fn leader(&self) -> Option<(u64, RegionNode)> {
        let metrics = self.raft.metrics().borrow_watched().clone();
        let leader = metrics.current_leader.filter(|leader| *leader != self.me)?;
        let member = metrics.membership_config.membership().get_node(&leader)?;
        let reached = RegionNode {
            name: member.name.clone(),
            address: self.network.address_of(member),
        };
        Some((leader, reached))
    }

    /// The nodes of the region.
    pub(crate) fn standings(&self) -> Vec<Standing> {
        let metrics = self.raft.metrics().borrow_watched().clone();
        let membership = metrics.membership_config.membership();
        let voters: Vec<u64> = membership.voter_ids().collect();
        let standing = |(id, member): (&u64, &RegionNode)| {
            let part = if metrics.current_leader == Some(*id) {
                Part::Leader
            } else if voters.contains(id) {
                Part::Follower
            } else {
                Part::Learner
            };
            let known = metrics.replication.as_ref().and_then(|all| all.get(id));
            let matched = known.map(|log_id| log_id.as_ref().map_or(0, |id| id.index));
            let last = metrics.last_log_index.unwrap_or_default();
            Standing {
                id: *id,
                member: member.clone(),
                part,
                behind: matched.map(|matched| last.saturating_sub(matched)),
            }
        };
        membership.nodes().map(standing).collect()
    }

    /// Waits until what this node has applied is all that was acknowledged before the call: it leads, as a
    /// majority has just confirmed (Raft's read index; no clock is trusted).
    pub(crate) async fn current(&self) -> Result<(), NotCurrent> {
        if alone(&self.raft, self.me) {
            return Ok(());
        }
        let mut round = {
            let mut reads = self.reads.lock().await;
            match &reads.next {
                Some(next) => next.clone(),
                None => {
                    let (done, next) = watch::channel(None);
                    reads.next = Some(next.clone());
                    drop(reads);
                    tokio::spawn(self.clone().read_round(done));
                    next
                }
            }
        };
        match round.wait_for(Option::is_some).await {
            Ok(outcome) if *outcome == Some(true) => Ok(()),
            _ => Err(NotCurrent),
        }
    }

    async fn read_round(self, done: watch::Sender<Option<bool>>) {
        // From here on, readers join the next round.
        self.reads.lock().await.next = None;
        let is_current = self.raft.ensure_linearizable(ReadPolicy::ReadIndex).await;
        let _ = done.send(Some(is_current.is_ok()));
    }

    /// Makes another node lead, before this one stops. Answers whether one does.
    pub(crate) async fn hand_over(&self) -> bool {
        let best = |standings: Vec<Standing>| {
            let others = standings.into_iter().filter(|s| s.part == Part::Follower);
            others.min_by_key(|s| s.behind.unwrap_or(u64::MAX))
        };
        if !self.leads() {
            return true;
        }
        let Some(heir) = best(self.standings()) else {
            return false;
        };
        tracing::info!(node = %heir.member, "leadership is handed over");
        if self.raft.trigger().transfer_leader(heir.id).await.is_err() {
            return false;
        }
        // Until this node knows whom to hand requests on to, not only until it leads no more.
        let mut changes = self.raft.server_metrics();
        let known = async {
            while self.leads() || self.leader().is_none() {
                if changes.changed().await.is_err() {
                    return false;
                }
            }
            true
        };
        let known = tokio::time::timeout(HAND_OVER_WITHIN, known).await;
        known.unwrap_or(false)
    }

    /// As [`Group::propose`]; tries again for as long as this node leads and Raft does not take the command,
    /// as it does not before a new leader is sure of its followers. What was refused was never logged.
    ///
    /// A leader that its followers do not answer any more is most likely replaced, and would wait for ever, like one that
    /// was replaced and is not told more: it gives up, so that whoever asked can ask another node.
    pub(crate) async fn propose_as_leader(
        &self,
        proposal: &Proposal,
    ) -> Result<atoll_store::Outcome, Refusal> {
        if self.is_cut_off() {
            return Err(Refusal::NoLeader);
        }
        let deadline = Instant::now() + CONFIRMED_WITHIN;
        loop {
            let answer = tokio::select! {
                answer = self.propose(proposal.clone()) => answer,
                () = self.cut_off() => Err(Refusal::LeaderLost),
            };
            match answer {
                Err(Refusal::NoLeader) if self.leads() && Instant::now() < deadline => {
                    tokio::time::sleep(CONFIRMED_EVERY).await;
                }
                answer => return answer,
            }
        }
    }

    /// Whether this node leads, and no majority has answered it for so long that another one may lead.
    fn is_cut_off(&self) -> bool {
        if alone(&self.raft, self.me) {
            return false;
        }
        let metrics = self.raft.metrics();
        let confirmed = metrics.borrow_watched().last_quorum_acked;
        confirmed.is_some_and(|at| at.elapsed() > CONFIRMED_WITHIN)
    }

    /// Waits until nobody here is likely to learn what became of what was proposed: no majority answers this leader,
    /// or it leads no more, and has not been told what the new one made of it for as long.
    async fn cut_off(&self) {
        let mut led = Instant::now();
        loop {
            if self.leads() {
                led = Instant::now();
            }
            if self.is_cut_off() || led.elapsed() > CONFIRMED_WITHIN {
                return;
            }
            tokio::time::sleep(LOOKED_AT_EVERY).await;
        }
    }

    /// Proposes one command, and waits for what became of it.
    pub(crate) async fn propose(
        &self,
        proposal: Proposal,
    ) -> Result<atoll_store::Outcome, Refusal> {
        let answer = self.raft.client_write(proposal).await;
        answer.map(|done| done.data).map_err(|e| refusal(&e))
    }
}

/// What Raft's refusal of a command means for whoever asked for it.
pub(crate) fn refusal(
    error: &openraft::errors::RaftError<
        super::TypeConfig,
        openraft::errors::ClientWriteError<super::TypeConfig>,
    >,
) -> Refusal {
    use openraft::errors::{ClientWriteError, RaftError};
    match error {
        // Never appended.
        RaftError::APIError(ClientWriteError::ForwardToLeader(_)) => Refusal::NoLeader,
        RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)) => Refusal::LeaderLost,
        RaftError::APIError(other) => Refusal::Failed(other.to_string()),
        RaftError::Fatal(fatal) => Refusal::Failed(fatal.to_string()),
    }
}

fn leads(raft: &Raft) -> bool {
    raft.metrics().borrow_watched().state == ServerState::Leader
}

/// Whether `me` is the only node with a vote, now.
fn alone(raft: &Raft, me: u64) -> bool {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    match &metrics.membership_config.membership().get_joint_config()[..] {
        [voters] => voters.len() == 1 && voters.contains(&me),
        _ => false,
    }
}

/// A region of one leads itself at once; everything that was logged before is applied when this returns.
async fn lead_alone(raft: &Raft, me: u64) -> Result<(), String> {
    raft.wait(Some(RECOVER_WITHIN))
        .metrics(
            |m| m.current_leader == Some(me) && m.last_applied.is_some(),
            "leader",
        )
        .await
        .map_err(|e| e.to_string())?;
    // A blank entry of this term behind everything that was logged before: once it is applied, so are they.
    raft.write_blank().await.map_err(|e| e.to_string())?;
    Ok(())
}
