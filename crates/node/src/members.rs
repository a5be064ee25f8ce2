//! Members as this node sees and drives them: admitting this region when it joins, proving that what it wrote is
//! elsewhere when it leaves, and changing who is a member.
//!
//! What may follow is decided by [`atoll_replication::membership`]. Every change is an entry that is decided upon
//! the catalog and refused when the catalog has changed meanwhile. [`removal`] takes dead regions out, [`topology`] declares how regions are linked.

pub(crate) mod removal;
pub(crate) mod topology;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atoll_api::http::{
    DrainProgress, DrainWait, JoinProgress, MemberList, MemberState as Shown, MemberStatus,
};
use atoll_core::layout::LayoutRefused;
use atoll_core::member::{ChangeRefused, Member, Regions};
use atoll_core::{Dot, MemberState, RegionName, ReplicaId, VersionVector};
use atoll_replication::membership::{self, Standing};
use atoll_store::region::NotChanged;
use atoll_store::{Catalog, Command, Outcome};

use crate::node::Inner;
use crate::raft::Proposal;
use crate::refusal::Refusal;

const LOOKED_AT_EVERY: Duration = Duration::from_millis(250);
/// A region heard of within this time counts as alive.
pub(crate) const ALIVE_WITHIN: Duration = Duration::from_secs(3);

/// Why the members or the topology were not changed. Nothing of it was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MembersRefused {
    #[error("there is no region {0}; /v1/regions lists them")]
    NoSuchRegion(String),
    #[error(transparent)]
    NotChanged(#[from] NotChanged),
    #[error("{0}; try again when that is done")]
    UnderWay(String),
    #[error("{region} cannot leave: {why}; declare another topology first")]
    NeededByTopology { region: String, why: LayoutRefused },
    #[error("{0} is this node's own region: ask another one")]
    Own(String),
    #[error("{0} is a member; drain it, or say force=true when it is dead for good")]
    NeedsForce(String),
    #[error("{region} is alive: {by} heard of it {ago_ms} ms ago; drain it instead")]
    Alive {
        region: String,
        by: String,
        ago_ms: u64,
    },
    #[error(
        "{lost} entries of {region} are known to be lost: it announced {announced}, and {held} are held \
         elsewhere; repeat with lost={lost}"
    )]
    LostNotConfirmed {
        region: String,
        lost: u64,
        announced: u64,
        held: u64,
    },
    #[error("{endpoint} of {region} belongs to store {store}, not to this one: check the endpoint")]
    OtherStore {
        region: RegionName,
        endpoint: String,
        store: String,
    },
    #[error("{endpoint} is said to be {region} and is {found}: check the endpoint")]
    OtherRegion {
        region: RegionName,
        endpoint: String,
        found: String,
    },
    #[error(
        "{first} and {second} have the same replica id {replica}: one is a copy of the other; remove its data and start it anew"
    )]
    ReplicaTwice {
        first: RegionName,
        second: RegionName,
        replica: String,
    },
    #[error("{0}")]
    Incomplete(String),
    #[error(transparent)]
    NotProposed(#[from] Refusal),
}

impl From<ChangeRefused> for MembersRefused {
    fn from(refused: ChangeRefused) -> Self {
        NotChanged::from(refused).into()
    }
}

/// What this region notes while it joins.
#[derive(Default)]
pub(crate) struct Joining(Mutex<membership::Joining>);

/// Takes this region where its state leads: from Joining to Active, from Draining to Retired.
pub(crate) async fn drive(inner: Arc<Inner>) {
    loop {
        tokio::time::sleep(LOOKED_AT_EVERY).await;
        if !inner.group.leads() {
            continue;
        }
        let Some(next) = inner.next_state() else {
            let regions = &inner.published.catalog().regions;
            if regions.is_retired(inner.identity.replica) {
                return;
            }
            continue;
        };
        match inner.change_member(inner.identity.replica, next, 0).await {
            Ok(_) => tracing::info!(region = %inner.identity.region, state = next.name(), "member"),
            Err(refused) => tracing::debug!(%refused, "the member's state did not change"),
        }
    }
}

impl Inner {
    /// Asks something of how members stand, as this node knows them.
    pub(crate) fn standing<T>(&self, ask: impl FnOnce(&Standing<'_>) -> T) -> T {
        let (catalog, applied) = (self.published.catalog(), self.published.vector());
        let knowledge = self.peers.knowledge();
        let configured = self.config.peers.iter();
        let configured: Vec<RegionName> = configured
            .filter_map(|peer| peer.region.parse().ok())
            .collect();
        ask(&Standing {
            me: self.identity.replica,
            configured: &configured,
            layout: catalog.layout.as_ref(),
            members: &catalog.regions,
            applied: &applied,
            knowledge: &knowledge,
        })
    }

    /// The state to which this region may go on by itself.
    fn next_state(&self) -> Option<MemberState> {
        let lag_max = self.config.objectives.max_lag.as_duration();
        let now = self.clock.elapsed();
        let mut joining = self.joining();
        self.standing(|standing| standing.next(&mut joining, lag_max, now))
    }

    fn joining(&self) -> MutexGuard<'_, membership::Joining> {
        let joining = self.joining.0.lock();
        joining.unwrap_or_else(PoisonError::into_inner)
    }

    /// Proposes a change of a member, decided upon the catalog as it is.
    pub(crate) async fn change_member(
        &self,
        replica: ReplicaId,
        state: MemberState,
        last: u64,
    ) -> Result<Dot, MembersRefused> {
        let change = self
            .published
            .catalog()
            .regions
            .change(replica, state, last)?;
        let now = self.clock.timestamp();
        self.propose_change(Command::Member { now, change }).await
    }

    pub(crate) async fn propose_change(&self, command: Command) -> Result<Dot, MembersRefused> {
        self.past.check()?;
        match self.group.propose(Proposal::new(command)).await? {
            Outcome::Changed(result) => Ok(result?),
            Outcome::Written(_) | Outcome::Merged(_) | Outcome::Configured(_) | Outcome::Done => {
                Err(Refusal::Failed("a change had no outcome".into()).into())
            }
        }
    }

    /// While this region joins: how far it is.
    pub(crate) fn join_progress(&self) -> Option<JoinProgress> {
        let catalog = self.published.catalog();
        if catalog.regions.state(self.identity.replica) != Some(MemberState::Joining) {
            return None;
        }
        let applied = self.published.vector();
        let (known, unaware) = self.standing(|s| (s.known_elsewhere(), s.unaware()));
        let known = known.unwrap_or_default();
        let missing = known.ahead_of(&applied);
        let pace = self.joining().pace(self.clock.elapsed(), &applied);
        #[allow(clippy::cast_precision_loss, reason = "an estimate")]
        let seconds_left = pace.map(|pace| missing as f64 / pace);
        let shown = |replica| self.origin_shown(&catalog.regions, replica);
        Some(JoinProgress {
            applied: applied.total(),
            known: applied.total() + missing,
            seconds_left,
            waiting_for: unaware.into_iter().map(shown).collect(),
        })
    }

    /// All that other regions were heard to have.
    #[allow(
        clippy::redundant_closure_for_method_calls,
        reason = "the method itself is not general over the standing's lifetime"
    )]
    fn known_elsewhere(&self) -> Option<VersionVector> {
        self.standing(|standing| standing.known_elsewhere())
    }

    /// How people see a replica id, also before its announcement is applied here.
    pub(crate) fn origin_shown(&self, regions: &Regions, replica: ReplicaId) -> String {
        if regions.name(replica).is_some() {
            return regions.shown(replica);
        }
        let knowledge = self.peers.knowledge();
        let name = knowledge.region(replica);
        name.map_or_else(|| regions.shown(replica), ToString::to_string)
    }

    /// What this region, or another one as last heard of, has durably.
    fn durable_at(&self, replica: ReplicaId) -> VersionVector {
        self.standing(|standing| standing.durable(replica))
    }

    /// The highest sequence of a replica id that anyone was heard to have.
    pub(crate) fn announced(&self, replica: ReplicaId) -> u64 {
        self.standing(|standing| standing.announced(replica))
    }

    /// Who, of those that stay, was not heard to have all that a region wrote.
    pub(crate) fn drain_progress(&self, catalog: &Catalog, leaver: ReplicaId) -> DrainProgress {
        let drain = self.standing(|standing| standing.drain(leaver));
        let wait = |(replica, missing)| DrainWait {
            region: catalog.regions.shown(replica),
            missing,
        };
        DrainProgress {
            entries: drain.entries,
            waiting_for: drain.waits_for.into_iter().map(wait).collect(),
        }
    }

    /// Where a region's nodes are: as the layout says, otherwise as this node was configured.
    pub(crate) fn endpoints(&self, catalog: &Catalog, region: &RegionName) -> Vec<String> {
        let declared = catalog.layout.as_ref();
        let declared = declared.and_then(|agreed| agreed.layout.region(region));
        match declared {
            Some(declared) if !declared.endpoints.is_empty() => declared.endpoints.clone(),
            Some(_) | None => {
                let peers = self.config.peers.iter();
                peers
                    .filter(|peer| peer.region == region.as_str())
                    .flat_map(crate::config::PeerConfig::addresses)
                    .collect()
            }
        }
    }

    /// All members as this node knows them.
    pub(crate) fn member_list(&self) -> MemberList {
        let catalog = self.published.catalog();
        let members = catalog.regions.members();
        MemberList {
            store: self.identity.store.to_string(),
            region: self.identity.region.to_string(),
            replica: self.identity.replica.to_string(),
            revision: catalog
                .layout
                .as_ref()
                .map_or(0, |agreed| agreed.layout.revision),
            members: members
                .map(|member| self.member_status(&catalog, member))
                .collect(),
        }
    }

    fn member_status(&self, catalog: &Catalog, member: &Member) -> MemberStatus {
        let replica = member.replica;
        let is_me = replica == self.identity.replica;
        let vector = self.durable_at(replica);
        let mut known = self.known_elsewhere().unwrap_or_default();
        known.merge(&self.published.vector());
        let shown = |(r, seq)| (catalog.regions.shown(r), seq);
        let ago = |at| self.clock.elapsed().saturating_sub(at).as_secs_f64();
        MemberStatus {
            name: catalog.regions.shown(replica),
            region: member.region.to_string(),
            replica: replica.to_string(),
            state: shown_state(member.state),
            lag_entries: if member.is_retired() {
                0
            } else {
                known.ahead_of(&vector)
            },
            vector: vector.iter().map(shown).collect(),
            held: self.published.vector().get(replica),
            announced: self.announced(replica),
            heard_seconds_ago: self.peers.heard_at(replica).map(ago),
            endpoints: self.endpoints(catalog, &member.region),
            join: if is_me { self.join_progress() } else { None },
            drain: (member.state == MemberState::Draining)
                .then(|| self.drain_progress(catalog, replica)),
            last: member.is_retired().then_some(member.last),
        }
    }

    /// The member that people mean by a name: `eu~2` exactly, `eu` its latest life.
    pub(crate) fn member_named(&self, name: &str) -> Result<Member, MembersRefused> {
        let regions = &self.published.catalog().regions;
        let exact = regions.members().find(|m| regions.shown(m.replica) == name);
        let latest = name.parse::<RegionName>().ok();
        let latest = latest.and_then(|name| regions.member(regions.replica(&name)?));
        let found = latest.or(exact).cloned();
        found.ok_or_else(|| MembersRefused::NoSuchRegion(name.to_owned()))
    }

    /// Lets a region leave.
    pub(crate) async fn drain(&self, name: &str) -> Result<MemberStatus, MembersRefused> {
        let member = self.member_named(name)?;
        let catalog = self.published.catalog();
        let shown = catalog.regions.shown(member.replica);
        let idle = || changing(&catalog).map_or(Ok(()), |who| Err(MembersRefused::UnderWay(who)));
        if member.state == MemberState::Joining {
            idle()?;
        }
        let change = catalog
            .regions
            .change(member.replica, MemberState::Draining, 0)?;
        idle()?;
        if let Some(agreed) = &catalog.layout {
            let rest = agreed.layout.without(&member.region);
            rest.check()
                .map_err(|why| MembersRefused::NeededByTopology { region: shown, why })?;
        }
        let now = self.clock.timestamp();
        self.propose_change(Command::Member { now, change }).await?;
        Ok(self.status_of(member.replica))
    }

    /// Lets a region that was leaving stay.
    pub(crate) async fn cancel_drain(&self, name: &str) -> Result<MemberStatus, MembersRefused> {
        let member = self.member_named(name)?;
        if member.state == MemberState::Joining {
            let refused = ChangeRefused::NoWay {
                region: name.to_owned(),
                from: MemberState::Joining,
                to: MemberState::Active,
            };
            return Err(refused.into());
        }
        self.change_member(member.replica, MemberState::Active, 0)
            .await?;
        Ok(self.status_of(member.replica))
    }

    fn status_of(&self, replica: ReplicaId) -> MemberStatus {
        let catalog = self.published.catalog();
        let known = catalog.regions.member(replica).cloned();
        let member = known.unwrap_or_else(|| Member {
            replica,
            region: self.identity.region.clone(),
            state: MemberState::Active,
            revision: 0,
            last: 0,
            removed_by: None,
        });
        self.member_status(&catalog, &member)
    }
}

/// A member that is changing at this moment, in words.
pub(crate) fn changing(catalog: &Catalog) -> Option<String> {
    let regions = &catalog.regions;
    regions.present().find_map(|member| match member.state {
        MemberState::Joining => Some(format!("{} is joining", regions.shown(member.replica))),
        MemberState::Draining => Some(format!("{} is draining", regions.shown(member.replica))),
        MemberState::Active | MemberState::Retired => None,
    })
}

pub(crate) fn shown_state(state: MemberState) -> Shown {
    match state {
        MemberState::Joining => Shown::Joining,
        MemberState::Active => Shown::Active,
        MemberState::Draining => Shown::Draining,
        MemberState::Retired => Shown::Retired,
    }
}
