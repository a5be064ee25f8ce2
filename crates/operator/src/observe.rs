//! What is there: the objects of each region, and what its nodes say.
//!
//! Plain data, so that plans can be made of worlds that tests write down. [`crate::ask`] fills in what nodes
//! say, [`crate::caches`] the objects.

use std::collections::BTreeMap;

use atoll_api::http::{
    ClockState, ConnectivityState, JoinProgress, LinkStatus, MemberState, MemberStatus, NodeStatus,
    TlsStatus, TopologyStatus,
};
use atoll_api::manifest::{ByteSize, CollectionSettings, RegionName};
use serde::{Deserialize, Serialize};

/// All that was seen of one store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observed {
    /// By name: those declared, and those with objects here.
    pub regions: BTreeMap<RegionName, RegionSeen>,
}

/// What was seen of one region.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct RegionSeen {
    /// Its objects in this cluster; absent: none yet, or it runs elsewhere.
    pub objects: Option<RegionObjects>,
    /// Whether configurations or volumes of it are here: then it was made before.
    pub was_made: bool,
    /// Whether it was made to join a store that was there; absent when nothing says so.
    pub joined: Option<bool>,
    /// Whether volumes of it are here: then it may hold what nobody else has.
    pub has_volumes: bool,
    /// What its nodes say.
    pub answer: Answer,
}

/// A region's StatefulSet, pods and volumes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct RegionObjects {
    /// Nodes that the StatefulSet has.
    pub replicas: u8,
    /// The size that volumes are made with.
    pub claim_size: Option<ByteSize>,
    /// The revision that pods made now have; absent while the API server has not said.
    pub update_revision: Option<String>,
    /// The pods, by ordinal.
    pub pods: Vec<PodSeen>,
    /// The volume claims, by ordinal.
    pub claims: Vec<ClaimSeen>,
}

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct PodSeen {
    /// Which of the region's nodes it is.
    pub ordinal: u8,
    /// Its uid.
    pub uid: String,
    /// Its address, once it has one.
    pub ip: Option<String>,
    /// Whether it takes requests.
    pub is_ready: bool,
    /// Whether it is on its way out.
    pub is_leaving: bool,
    /// Its revision.
    pub revision: String,
    /// Why it does not run, in words.
    pub trouble: Option<String>,
}

/// A volume claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ClaimSeen {
    /// Its name.
    pub name: String,
    /// What it asks for.
    pub wanted: Option<ByteSize>,
    /// What it has.
    pub has: Option<ByteSize>,
    /// Whether there is a volume.
    pub is_bound: bool,
}

/// What a region's nodes say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// There is nobody to ask yet.
    #[default]
    Nobody,
    /// Nobody answered. That says nothing about whether the region lives.
    Silent(String),
    /// One did.
    Said(Box<Said>),
}

/// What a region's node says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Said {
    /// How far its region is as a member of the store.
    pub state: Option<MemberState>,
    /// How far it is while it joins.
    pub join: Option<JoinProgress>,
    /// Where the node that leads is.
    pub leader: Option<String>,
    /// The program's version.
    pub version: String,
    /// The greatest lag of the links into it, in seconds.
    pub lag_seconds: f64,
    /// Whether all that any region was last heard to have is everywhere.
    pub is_converged: bool,
    /// Whether there is a way between all regions.
    pub connectivity: Option<ConnectivityState>,
    /// Of a partition: who hears whom.
    pub sides: Vec<Vec<String>>,
    /// Its clock.
    pub clock: Option<ClockState>,
    /// Its certificates.
    pub tls: Option<TlsStatus>,
    /// Its collections.
    pub collections: Vec<CollectionSettings>,
    /// The members of the store, as it knows them.
    pub members: Vec<MemberStatus>,
    /// Its nodes.
    pub nodes: Vec<NodeStatus>,
    /// The links into it.
    pub links: Vec<LinkStatus>,
    /// The topology, as it knows it.
    pub topology: Option<TopologyStatus>,
    /// Conflicts that it found since it started.
    pub conflicts: Option<f64>,
}

impl Said {
    /// Whether its region is as the others are, or at most so far behind. A lag counts only while every region is
    /// heard of: of one that was never heard, none is measured.
    pub(crate) fn is_in_step(&self, lag_seconds_max: f64) -> bool {
        let hears_of_all = self
            .connectivity
            .is_some_and(|state| state != ConnectivityState::Partitioned);
        self.is_converged || (hears_of_all && self.lag_seconds <= lag_seconds_max)
    }
}

impl RegionSeen {
    /// What its nodes say, when they do.
    #[must_use]
    pub fn said(&self) -> Option<&Said> {
        match &self.answer {
            Answer::Said(said) => Some(said),
            Answer::Nobody | Answer::Silent(_) => None,
        }
    }

    /// Whether it answers and takes part in the store.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.said()
            .is_some_and(|said| said.state.is_none_or(|state| state == MemberState::Active))
    }
}

impl Observed {
    /// What a region says, when it answers.
    #[must_use]
    pub fn said(&self, region: &RegionName) -> Option<&Said> {
        self.regions.get(region).and_then(RegionSeen::said)
    }

    /// The regions that answer, with what they say.
    pub fn answering(&self) -> impl Iterator<Item = (&RegionName, &Said)> {
        let regions = self.regions.iter();
        regions.filter_map(|(name, seen)| Some((name, seen.said()?)))
    }

    /// The present life of a region, as the others or it itself know it: the one that is furthest in its life,
    /// because news of it may not have arrived everywhere.
    #[must_use]
    pub fn member(&self, region: &RegionName) -> Option<&MemberStatus> {
        let lists = self.answering().map(|(_, said)| &said.members);
        let last = lists.filter_map(|members| {
            members
                .iter()
                .rfind(|member| member.region == region.as_str())
        });
        last.max_by_key(|member| member.state as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Caught: the lag alone, which is 0 over a link that never opened.
    #[test]
    fn a_region_that_does_not_hear_of_all_is_not_in_step_however_small_its_lag() {
        let said = |connectivity, is_converged| Said {
            connectivity,
            is_converged,
            lag_seconds: 0.0,
            ..Said::default()
        };
        assert!(said(Some(ConnectivityState::Connected), false).is_in_step(1.0));
        assert!(!said(Some(ConnectivityState::Partitioned), false).is_in_step(1.0));
        assert!(!said(None, false).is_in_step(1.0));
        assert!(said(None, true).is_in_step(1.0), "the only region");
    }
}
