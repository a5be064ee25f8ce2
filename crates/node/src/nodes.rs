//! Nodes of a region that come, are replaced, and go: one change at a time, made by the leader.
//!
//! A node comes as a learner, gets everything, and has a vote once it has caught up. One that comes under
//! a name that is there already takes the place of the node that had it, whose disk is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use openraft::ChangeMembers;
use serde::{Deserialize, Serialize};

use atoll_api::http::{NodeRole, NodeStatus, Reason};
use atoll_client::ClientError;

use crate::formation::{self, Introduction};
use crate::node::{Inner, Node};
use crate::raft::group::{Part, Standing};
use crate::raft::member::RegionNode;
use crate::refusal::Refusal;

/// Where a node asks to be one of the region's.
pub(crate) const JOIN_PATH: &str = "/internal/v1/nodes/join";
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// A new node may be sent all there is meanwhile.
const JOIN_WITHIN: Duration = Duration::from_secs(3600);
/// A learner this close behind gets its vote.
const CAUGHT_UP: u64 = 100;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A node that asks to join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Applicant {
    pub(crate) id: u64,
    pub(crate) member: RegionNode,
}

/// Why the nodes were not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotChanged {
    /// Another change is under way.
    #[error("the region's nodes are being changed already; try again when that is done")]
    UnderWay,
    /// It makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// There is no such node.
    #[error("the region has no node {0:?}; GET /v1/nodes lists them")]
    Unknown(String),
    /// Raft did not commit it.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Node {
    /// The region's nodes, as this one knows them.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeStatus> {
        let standings = self.0.group.standings().into_iter();
        standings.map(|standing| self.0.shown(standing)).collect()
    }

    /// Asks the node at `address` who it is and makes it one of the region's.
    pub(crate) async fn add_node(&self, address: &str) -> Result<(), NotChanged> {
        let inner = &self.0;
        let Introduction {
            store,
            region,
            replica,
            id,
            member,
        } = formation::introduce(&inner.neighbours, address)
            .await
            .map_err(NotChanged::Invalid)?;
        let identity = &inner.identity;
        let is_ours = store == identity.store.to_string() && region == identity.region.to_string();
        let is_of_this_life = replica.is_none_or(|r| r == identity.replica.to_string());
        if !is_ours || !is_of_this_life {
            return Err(NotChanged::Invalid(format!(
                "the node at {address} belongs to region {region} of store {store}; start it with an empty \
                 data directory and this region's configuration"
            )));
        }
        self.admit(Applicant { id, member }).await
    }

    /// Makes a node one of the region's, and returns when it has a vote.
    pub(crate) async fn admit(&self, applicant: Applicant) -> Result<(), NotChanged> {
        let inner = &self.0;
        let _change = inner
            .membership
            .try_lock()
            .map_err(|_| NotChanged::UnderWay)?;
        let Applicant { id, member } = applicant;
        let standings = inner.group.standings();
        let known = standings.iter().find(|standing| standing.id == id);
        let is_voter = known.is_some_and(|standing| standing.part != Part::Learner);
        if is_voter && known.is_some_and(|standing| standing.member == member) {
            return Ok(());
        }
        let replaced = standings
            .iter()
            .find(|standing| standing.member.name == member.name && standing.id != id);
        tracing::info!(node = %member, replaces = replaced.is_some(), "a node joins the region");
        if is_voter {
            // It moved: only its address changes.
            let nodes = ChangeMembers::SetNodes(BTreeMap::from([(id, member)]));
            return self.change(nodes, true).await;
        }
        self.add_learner(id, member).await?;
        self.caught_up(id).await?;
        if let Some(Standing { id: old, .. }) = replaced {
            let voters = voters(&standings);
            let voters = voters.into_iter().filter(|voter| voter != old).chain([id]);
            return self
                .change(ChangeMembers::ReplaceAllVoters(voters.collect()), false)
                .await;
        }
        self.change(ChangeMembers::AddVoterIds(BTreeSet::from([id])), true)
            .await
    }

    /// Removes a node, which may be gone already.
    pub(crate) async fn remove_node(&self, name: &str) -> Result<(), NotChanged> {
        let inner = &self.0;
        let _change = inner
            .membership
            .try_lock()
            .map_err(|_| NotChanged::UnderWay)?;
        let standings = inner.group.standings();
        let leaver = standings
            .iter()
            .find(|standing| standing.member.name == name);
        let leaver = leaver.ok_or_else(|| NotChanged::Unknown(name.to_owned()))?;
        let voters = voters(&standings);
        if voters == BTreeSet::from([leaver.id]) {
            return Err(NotChanged::Invalid(format!(
                "{name} is the region's only node; remove the region instead"
            )));
        }
        if leaver.id == inner.group.me && !inner.group.hand_over().await {
            return Err(NotChanged::Invalid(format!(
                "{name} leads the region, and no other node can; start another node first"
            )));
        }
        if !inner.group.leads() {
            return Err(NotChanged::Refused(Refusal::NoLeader)); // handed over: the new leader does it
        }
        tracing::info!(node = %leaver.member, "a node leaves the region");
        if leaver.part == Part::Learner {
            let nodes = ChangeMembers::RemoveNodes(BTreeSet::from([leaver.id]));
            return self.change(nodes, false).await;
        }
        self.change(
            ChangeMembers::RemoveVoters(BTreeSet::from([leaver.id])),
            false,
        )
        .await
    }

    async fn add_learner(&self, id: u64, member: RegionNode) -> Result<(), NotChanged> {
        let raft = &self.0.group.raft;
        let added = raft.add_learner(id, member, false).await;
        added
            .map(drop)
            .map_err(|e| crate::raft::group::refusal(&e).into())
    }

    async fn change(
        &self,
        change: ChangeMembers<u64, RegionNode>,
        retain: bool,
    ) -> Result<(), NotChanged> {
        let changed = self.0.group.raft.change_membership(change, retain).await;
        changed
            .map(drop)
            .map_err(|e| crate::raft::group::refusal(&e).into())
    }

    async fn caught_up(&self, id: u64) -> Result<(), NotChanged> {
        let looking = async {
            loop {
                let standings = self.0.group.standings();
                let learner = standings.iter().find(|standing| standing.id == id);
                if learner
                    .and_then(|l| l.behind)
                    .is_some_and(|n| n <= CAUGHT_UP)
                {
                    return Ok(());
                }
                if !self.0.group.leads() {
                    return Err(NotChanged::Refused(Refusal::NoLeader));
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let late = || NotChanged::Invalid("the node did not catch up; see its log".into());
        tokio::time::timeout(JOIN_WITHIN, looking)
            .await
            .map_err(|_| late())?
    }
}

impl Inner {
    fn shown(&self, standing: Standing) -> NodeStatus {
        let Standing {
            id,
            member,
            part,
            behind,
        } = standing;
        // Regions of one had nodes without name and address.
        let is_me = id == self.group.me;
        let member = if is_me { self.me.clone() } else { member };
        NodeStatus {
            name: member.name,
            address: member.address,
            id: id.to_string(),
            role: match part {
                Part::Leader => NodeRole::Leader,
                Part::Follower => NodeRole::Follower,
                Part::Learner => NodeRole::Learner,
            },
            commands_behind: behind,
        }
    }

    /// What a node says of itself to those that ask.
    pub(crate) fn introduction(&self) -> Introduction {
        Introduction {
            store: self.identity.store.to_string(),
            region: self.identity.region.to_string(),
            replica: Some(self.identity.replica.to_string()),
            id: self.group.me,
            member: self.me.clone(),
        }
    }
}

fn voters(standings: &[Standing]) -> BTreeSet<u64> {
    let voters = standings.iter().filter(|s| s.part != Part::Learner);
    voters.map(|standing| standing.id).collect()
}

/// Asks the region's nodes, one after the other, until this one is a voter. Also tells them a new address.
pub(crate) async fn join(inner: Arc<Inner>, others: Vec<String>) {
    let applicant = Applicant {
        id: inner.group.me,
        member: inner.me.clone(),
    };
    let Ok(body) = serde_json::to_vec(&applicant).map(Bytes::from) else {
        return;
    };
    let mut addresses = others.iter().cycle();
    loop {
        let standings = inner.group.standings();
        let mine = standings.iter().find(|s| s.id == applicant.id);
        if mine.is_some_and(|s| s.part != Part::Learner && s.member == applicant.member) {
            return;
        }
        let leader = inner.group.leader().map(|(_, member)| member.address);
        let Some(address) = leader.or_else(|| addresses.next().cloned()) else {
            return;
        };
        let headers = HeaderMap::new();
        let asked = inner
            .neighbours
            .call(&address, JOIN_PATH, headers, body.clone(), JOIN_WITHIN)
            .await;
        match asked {
            Ok(_) => {}
            Err(ClientError::Refused(problem))
                if problem.reason() == Some(Reason::InvalidValue) =>
            {
                tracing::error!(%problem, "the region does not take this node");
            }
            Err(error) => tracing::debug!(%error, address, "this node is not admitted yet"),
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}
