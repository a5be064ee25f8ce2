//! Plan: from what is declared and what was seen to what is to be there, and to the one thing to do next.
//!
//! Pure. Objects are made for all regions at once; what moves nodes, regions or the topology of a store that
//! runs is done one at a time, each when the one before is over. Whoever does not answer is waited for, never
//! acted on as if it were down.
//!
//! The questions are asked in this order, and the first that is not settled says what is next:
//! formed? scaled? linked? joined? left? up to date?

mod leaving;
mod rolling;
mod scaling;
mod topology;

use std::collections::{BTreeMap, BTreeSet};

use atoll_api::http::{CollectionList, MemberState, TopologyDeclaration};
use atoll_api::manifest::conditions::ConditionReason;
use atoll_api::manifest::{ByteSize, CollectionSettings, DeclaredRegion, RegionName};
use serde::Serialize;

use crate::observe::{Answer, Observed, RegionSeen};
pub use crate::validate::Declared;

/// What is to be there, and what is to be done.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The regions whose objects are made or kept as declared.
    pub regions: Vec<RegionPlan>,
    /// Regions that leave: their objects stay as they are.
    pub kept: BTreeSet<RegionName>,
    /// Regions that have left: their objects and volumes go.
    pub dropped: BTreeSet<RegionName>,
    /// What may be done at any time.
    pub chores: Vec<Chore>,
    /// The one thing that is next.
    pub next: Next,
}

/// What a region's objects are to be like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegionPlan {
    /// Its name.
    pub name: RegionName,
    /// Nodes, those included that are still to be removed from the region.
    pub nodes: u8,
    /// Whether it joins a store that is there.
    pub joined: bool,
    /// The size that its volumes are made with: the StatefulSet's template cannot change.
    pub claim_size: Option<ByteSize>,
}

/// What may be done at any time, without risk.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Chore {
    /// Tell a region its collections.
    PutCollections {
        /// Whom.
        region: RegionName,
        /// All of them.
        collections: CollectionList,
    },
    /// Let a volume grow.
    GrowClaim {
        /// The claim.
        claim: String,
        /// To this size.
        size: ByteSize,
    },
}

/// The one thing that is next.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Next {
    /// Nothing: all is as declared.
    Nothing,
    /// Something is under way, or waits for something.
    Wait(Told),
    /// Nothing more will happen before somebody does something.
    Blocked(Told),
    /// One change of the running store.
    Act {
        /// The change.
        action: Action,
        /// What it is for.
        told: Told,
    },
}

/// A reason with its words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// The condition's reason.
    #[serde(serialize_with = "reason_word")]
    pub reason: ConditionReason,
    /// What, of whom, how far, and what to do.
    pub message: String,
}

/// A change of the running store, by its admin API or by a pod's restart.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Action {
    /// Declare the topology.
    DeclareTopology {
        /// The region that is asked to.
        by: RegionName,
        /// What is declared, on top of which revision.
        declaration: TopologyDeclaration,
    },
    /// Let a region leave.
    DrainRegion {
        /// The region that is asked to.
        by: RegionName,
        /// The region that leaves.
        region: RegionName,
    },
    /// Let a region that was leaving stay.
    CancelDrain {
        /// The region that is asked to.
        by: RegionName,
        /// The region that stays.
        region: RegionName,
    },
    /// Remove a node from its region.
    RemoveNode {
        /// The region.
        region: RegionName,
        /// The node.
        node: String,
    },
    /// Delete a pod, which is made again as its StatefulSet says now.
    RestartPod {
        /// The pod.
        pod: String,
        /// Exactly this one.
        uid: String,
    },
}

fn reason_word<S: serde::Serializer>(
    reason: &ConditionReason,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(reason.as_str())
}

impl Next {
    fn wait(reason: ConditionReason, message: String) -> Next {
        Next::Wait(Told { reason, message })
    }

    fn blocked(reason: ConditionReason, message: String) -> Next {
        Next::Blocked(Told { reason, message })
    }

    /// The same once the objects were made: when nodes were changed, nothing is settled until that was seen.
    pub(crate) fn after_making(self, are_nodes_as_seen: bool) -> Next {
        match self {
            Next::Nothing if !are_nodes_as_seen => {
                let message = "what nodes are to be was changed".to_owned();
                Next::wait(ConditionReason::Applying, message)
            }
            next => next,
        }
    }

    fn act(action: Action, reason: ConditionReason, message: String) -> Next {
        let told = Told { reason, message };
        Next::Act { action, told }
    }
}

impl Plan {
    /// How many nodes have certificates in each region: those that are to be there, and those that leave.
    #[must_use]
    pub fn nodes(&self, observed: &Observed) -> BTreeMap<RegionName, u8> {
        let made = self.regions.iter();
        let made = made.map(|region| (region.name.clone(), region.nodes));
        let kept = self.kept.iter().map(|region| {
            let seen = observed.regions.get(region);
            let objects = seen.and_then(|seen| seen.objects.as_ref());
            (
                region.clone(),
                objects.map_or(0, |objects| objects.replicas),
            )
        });
        made.chain(kept).collect()
    }
}

/// Makes the plan.
#[must_use]
pub fn plan(declared: &Declared, observed: &Observed) -> Plan {
    let world = World { declared, observed };
    let leavers: BTreeSet<RegionName> = world.leavers().into_iter().collect();
    let (dropped, kept) = leavers
        .into_iter()
        .partition(|region| world.has_left(region));
    let questions: [fn(&World<'_>) -> Next; 5] = [
        forming,
        scaling::next,
        topology::next,
        leaving::next,
        rolling::next,
    ];
    let mut answers = questions.iter().map(|ask| ask(&world));
    let next = answers.find(|next| *next != Next::Nothing);
    Plan {
        regions: world.regions(),
        kept,
        dropped,
        chores: world.chores(),
        next: next.unwrap_or(Next::Nothing),
    }
}

/// Whether a running store is linked as declared.
#[must_use]
pub(crate) fn agrees(
    declared: &Declared,
    observed: &Observed,
    is: &atoll_api::http::TopologyStatus,
) -> bool {
    let world = World { declared, observed };
    topology::agrees(&world, is, &topology::declaration(&world))
}

/// What all questions are about.
pub(crate) struct World<'a> {
    declared: &'a Declared,
    observed: &'a Observed,
}

impl World<'_> {
    fn seen(&self, region: &RegionName) -> Option<&RegionSeen> {
        self.observed.regions.get(region)
    }

    fn has_objects(&self, region: &RegionName) -> bool {
        self.seen(region).is_some_and(|seen| seen.objects.is_some())
    }

    fn was_made(&self, region: &RegionName) -> bool {
        let seen = self.seen(region);
        seen.is_some_and(|seen| seen.objects.is_some() || seen.was_made)
    }

    /// Whether the store is about to be made: no node of it is here, nor was. Configurations alone make none: the rest
    /// could not be made yet.
    fn is_new(&self) -> bool {
        let mut seen = self.observed.regions.values();
        !seen.any(|seen| seen.objects.is_some() || seen.has_volumes)
    }

    /// Whether the region was ever a member, as far as anyone who answers knows.
    fn is_member(&self, region: &RegionName) -> bool {
        self.observed.member(region).is_some()
    }

    /// Regions with objects here that are not declared any more.
    fn leavers(&self) -> Vec<RegionName> {
        let manifest = &self.declared.manifest;
        let seen = self.observed.regions.iter();
        let gone = seen.filter(|(name, seen)| {
            seen.objects.is_some() && manifest.region(name.as_str()).is_none()
        });
        gone.map(|(name, _)| name.clone()).collect()
    }

    /// Whether a region is retired and not declared: nobody tells it any more what becomes of others.
    fn is_out(&self, region: &RegionName) -> bool {
        let member = self.observed.member(region);
        member.is_some_and(|member| member.state == MemberState::Retired)
            && self.declared.manifest.region(region.as_str()).is_none()
    }

    /// Whether a region that leaves is retired, or never was, and everybody who answers links without it.
    fn has_left(&self, region: &RegionName) -> bool {
        let has_volumes = self.seen(region).is_some_and(|seen| seen.has_volumes);
        let mut others = self
            .observed
            .answering()
            .filter(|(name, _)| *name != region && !self.is_out(name))
            .peekable();
        others.peek().is_some()
            && others.all(|(_, said)| {
                let knows = said.members.iter().rfind(|m| m.region == region.as_str());
                let links = said.topology.as_ref().map(|topology| &topology.regions);
                let is_gone = match knows {
                    Some(member) => member.state == MemberState::Retired,
                    None => !has_volumes && !self.is_member(region),
                };
                is_gone && links.is_some_and(|all| all.iter().all(|linked| linked.name != *region))
            })
    }

    /// Whether the running store links a region: then its nodes may be started.
    fn is_linked(&self, region: &RegionName) -> bool {
        let topologies = self.observed.answering();
        topologies
            .filter_map(|(_, said)| said.topology.as_ref())
            .any(|topology| {
                topology.revision > 0 && topology.regions.iter().any(|r| r.name == *region)
            })
    }

    fn regions(&self) -> Vec<RegionPlan> {
        let here = self.declared.here();
        let made = here.filter(|region| {
            let name = &region.name;
            self.is_new() || self.was_made(name) || self.is_linked(name)
        });
        made.map(|region| self.region(region)).collect()
    }

    fn region(&self, region: &DeclaredRegion) -> RegionPlan {
        let seen = self.seen(&region.name);
        let objects = seen.and_then(|seen| seen.objects.as_ref());
        let wanted = region.template.storage.as_ref().and_then(|s| s.size);
        RegionPlan {
            name: region.name.clone(),
            nodes: scaling::nodes(self, region),
            joined: seen
                .and_then(|seen| seen.joined)
                .unwrap_or_else(|| !self.is_new()),
            claim_size: objects.and_then(|objects| objects.claim_size).or(wanted),
        }
    }

    fn chores(&self) -> Vec<Chore> {
        let here = self.declared.here();
        here.flat_map(|region| {
            let collections = self.collections(region).into_iter();
            collections.chain(self.growing(region))
        })
        .collect()
    }

    /// What a region is to be told of collections. What it has and nobody declares any more stays: there is
    /// data in it.
    fn collections(&self, region: &DeclaredRegion) -> Option<Chore> {
        let seen = self.seen(&region.name).filter(|seen| seen.is_active())?;
        let said = seen.said()?;
        let declared = &self.declared.collections;
        let is_declared =
            |has: &&CollectionSettings| declared.iter().any(|wanted| wanted.name == has.name);
        let left = said.collections.iter().filter(|has| !is_declared(has));
        let mut wanted: Vec<_> = declared.iter().chain(left).cloned().collect();
        wanted.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
        let mut has = said.collections.clone();
        has.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
        (has != wanted && said.leader.is_some()).then(|| Chore::PutCollections {
            region: region.name.clone(),
            collections: CollectionList {
                collections: wanted,
            },
        })
    }

    /// Volumes that are smaller than declared.
    fn growing(&self, region: &DeclaredRegion) -> Vec<Chore> {
        let size = region.template.storage.as_ref().and_then(|s| s.size);
        let objects = self.seen(&region.name).and_then(|s| s.objects.as_ref());
        let (Some(size), Some(objects)) = (size, objects) else {
            return Vec::new();
        };
        let small = objects
            .claims
            .iter()
            .filter(|claim| claim.is_bound && claim.wanted.is_some_and(|wanted| wanted < size));
        small
            .map(|claim| Chore::GrowClaim {
                claim: claim.name.clone(),
                size,
            })
            .collect()
    }

    /// Somebody who can be asked to change the store: a region of this cluster that takes part and is not to
    /// leave.
    fn speaker(&self) -> Option<&RegionName> {
        let here = self.declared.here();
        let mut active = here.filter(|region| {
            let seen = self.seen(&region.name);
            seen.is_some_and(|seen| {
                seen.is_active() && seen.said().is_some_and(|said| said.leader.is_some())
            })
        });
        active.next().map(|region| &region.name)
    }
}

/// Regions that the store begins with elect their first leaders; none waits for another one.
fn forming(world: &World<'_>) -> Next {
    let here: Vec<_> = world.declared.here().collect();
    if here.is_empty() {
        return Next::Nothing;
    }
    let is_begun = here.iter().any(|region| world.is_member(&region.name));
    let is_forming = |region: &&&DeclaredRegion| {
        let seen = world.seen(&region.name);
        let joins = seen.and_then(|seen| seen.joined) == Some(true);
        !joins && !seen.is_some_and(RegionSeen::is_active) && !world.is_member(&region.name)
    };
    let waits: Vec<&RegionName> = here
        .iter()
        .filter(is_forming)
        .map(|region| &region.name)
        // A region without objects in a store that has begun is one that joins.
        .filter(|name| !is_begun || world.has_objects(name))
        .collect();
    if waits.is_empty() {
        return Next::Nothing;
    }
    let waits: Vec<String> = waits
        .into_iter()
        .map(|name| format!("{name}{}", trouble(world, name)))
        .collect();
    Next::wait(
        ConditionReason::Forming,
        format!("waiting for the first leader of {}", waits.join(", ")),
    )
}

/// Why a region is not there, as far as it can be told, in brackets.
fn trouble(world: &World<'_>, region: &RegionName) -> String {
    let Some(seen) = world.seen(region) else {
        return String::new();
    };
    let pods = seen.objects.iter().flat_map(|objects| &objects.pods);
    let mut troubles = pods.filter_map(|pod| {
        let trouble = pod.trouble.as_ref()?;
        let names = world.declared.names(region);
        Some(format!("{}: {trouble}", names.pod(pod.ordinal)))
    });
    let missing = seen.objects.as_ref().filter(|objects| {
        let is_seen = objects.update_revision.is_some();
        is_seen && objects.pods.len() < usize::from(objects.replicas)
    });
    match (troubles.next(), missing, &seen.answer) {
        (Some(trouble), _, _) => format!(" ({trouble})"),
        (None, Some(objects), _) => {
            let (set, pods) = (world.declared.names(region).object(), objects.pods.len());
            let all = objects.replicas;
            format!(
                " ({pods} of {all} pods are made; `kubectl describe statefulset {set}` says why)"
            )
        }
        (None, None, Answer::Silent(why)) => format!(" ({why})"),
        (None, None, Answer::Nobody | Answer::Said(_)) => String::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
pub(crate) mod scenarios;
