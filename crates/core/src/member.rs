//! Members: which replica ids are which regions, and how far each is in its life.
//!
//! Membership is data in the log. A replica id becomes known by its first entry, which announces its region;
//! later entries carry [`MemberChange`]s, and every region merges them in whatever order they arrive:
//! retirement wins over everything and is for ever; otherwise the greater (revision, state) wins.
//!
//! ```text
//!   Joining ──▶ Active ◀──▶ Draining ──▶ Retired        forced: any ──▶ Retired
//! ```

use crate::ids::{Dot, RegionName, ReplicaId};

/// How far a member is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberState {
    /// It takes in what the others have; not yet admitted to traffic.
    Joining,
    /// It takes writes and answers reads.
    Active,
    /// It takes no writes any more; what it wrote is being proved to be elsewhere.
    Draining,
    /// It originates nothing any more, ever.
    Retired,
}

impl MemberState {
    /// All states, in their order.
    pub const ALL: [MemberState; 4] = [
        MemberState::Joining,
        MemberState::Active,
        MemberState::Draining,
        MemberState::Retired,
    ];

    /// The name that people see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            MemberState::Joining => "Joining",
            MemberState::Active => "Active",
            MemberState::Draining => "Draining",
            MemberState::Retired => "Retired",
        }
    }

    /// Whether a person or the region itself may take a member from this state to `next`.
    fn leads_to(self, next: MemberState) -> bool {
        match (self, next) {
            (MemberState::Joining | MemberState::Draining, MemberState::Active)
            | (MemberState::Active, MemberState::Draining)
            | (
                MemberState::Joining | MemberState::Active | MemberState::Draining,
                MemberState::Retired,
            ) => true,
            (_, MemberState::Joining)
            | (MemberState::Retired, _)
            | (MemberState::Active, MemberState::Active)
            // One that drains was admitted: it may be told to stay, and those that join rely upon it.
            | (MemberState::Joining | MemberState::Draining, MemberState::Draining) => false,
        }
    }
}

/// A membership change, as an entry carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberChange {
    /// Whose.
    pub replica: ReplicaId,
    /// The region that it is an incarnation of.
    pub region: RegionName,
    /// Its state from now on.
    pub state: MemberState,
    /// One more than the revision that the change was decided on. Announcements have revision 0.
    pub revision: u64,
    /// For [`MemberState::Retired`]: the last sequence that counts. Later ones of this replica id were never
    /// seen by those who stay. 0 otherwise.
    pub last: u64,
}

/// Why a membership change is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRefused {
    /// Nobody knows such a member.
    #[error("no member of this store has the replica id {0}")]
    Unknown(ReplicaId),
    /// It is retired.
    #[error("{0} is retired, which is for ever; a region of that name can join anew")]
    Retired(String),
    /// Another change came first.
    #[error("{region} was changed meanwhile: it is {}; look again", state.name())]
    Moved {
        /// As people see it.
        region: String,
        /// What it is now.
        state: MemberState,
    },
    /// Not from there.
    #[error("{region} is {} and cannot become {}", from.name(), to.name())]
    NoWay {
        /// As people see it.
        region: String,
        /// What it is.
        from: MemberState,
        /// What was asked for.
        to: MemberState,
    },
    /// Nobody would be left.
    #[error("{0} is the only member left; a store cannot be left without one")]
    LastMember(String),
}

/// What is known of one replica id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The replica id.
    pub replica: ReplicaId,
    /// The region that it is an incarnation of.
    pub region: RegionName,
    /// How far it is.
    pub state: MemberState,
    /// Of its last change; 0 when it was announced and never changed.
    pub revision: u64,
    /// For a retired one: the last sequence that counts; 0 otherwise.
    pub last: u64,
    /// The entry that removed it in its absence, the smallest if there are several: a member that has that entry
    /// knows that it is gone. `None` while it is there, and when it retired itself.
    pub removed_by: Option<Dot>,
}

impl Member {
    /// What decides which of two changes wins: the greater one.
    fn rank(&self) -> (bool, u64, MemberState, u64) {
        let Member {
            replica: _,
            region: _,
            state,
            revision,
            last,
            removed_by: _,
        } = *self;
        (state == MemberState::Retired, revision, state, last)
    }

    /// Whether it is one still.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.state == MemberState::Retired
    }
}

/// Which replica is which region and how far it is, in order of admission.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Regions(Vec<Member>);

impl Regions {
    /// Admits an incarnation of a region that announced itself; admitting it again changes nothing.
    pub fn admit(&mut self, replica: ReplicaId, name: RegionName) {
        self.merge(&MemberChange {
            replica,
            region: name,
            state: MemberState::Active,
            revision: 0,
            last: 0,
        });
    }

    /// Takes a change in, whatever came before it. The order of changes does not show.
    pub fn merge(&mut self, change: &MemberChange) {
        let MemberChange {
            replica,
            region,
            state,
            revision,
            last,
        } = change;
        let changed = Member {
            replica: *replica,
            region: region.clone(),
            state: *state,
            revision: *revision,
            last: *last,
            removed_by: None,
        };
        match self.0.iter_mut().find(|m| m.replica == *replica) {
            None => self.0.push(changed),
            Some(known) if known.rank() < changed.rank() => {
                known.state = *state;
                known.revision = *revision;
                known.last = *last;
            }
            Some(_) => {}
        }
    }

    /// A member was removed in its absence by the entry `by`, whatever else was said of it.
    pub fn removed(&mut self, replica: ReplicaId, by: Dot) {
        if let Some(known) = self.0.iter_mut().find(|m| m.replica == replica) {
            known.removed_by = Some(known.removed_by.map_or(by, |first| first.min(by)));
        }
    }

    /// The change that takes a member to `state`.
    ///
    /// # Errors
    /// [`ChangeRefused`].
    pub fn change(
        &self,
        replica: ReplicaId,
        state: MemberState,
        last: u64,
    ) -> Result<MemberChange, ChangeRefused> {
        let member = self
            .member(replica)
            .ok_or(ChangeRefused::Unknown(replica))?;
        let change = MemberChange {
            replica,
            region: member.region.clone(),
            state,
            revision: member.revision + 1,
            last,
        };
        self.check(&change)?;
        Ok(change)
    }

    /// Whether a change may be made to what is known here.
    ///
    /// # Errors
    /// [`ChangeRefused`].
    pub fn check(&self, change: &MemberChange) -> Result<(), ChangeRefused> {
        let replica = change.replica;
        let member = self
            .member(replica)
            .ok_or(ChangeRefused::Unknown(replica))?;
        let shown = || self.shown(replica);
        if member.is_retired() {
            return Err(ChangeRefused::Retired(shown()));
        }
        if change.revision != member.revision + 1 {
            return Err(ChangeRefused::Moved {
                region: shown(),
                state: member.state,
            });
        }
        if !member.state.leads_to(change.state) {
            return Err(ChangeRefused::NoWay {
                region: shown(),
                from: member.state,
                to: change.state,
            });
        }
        let leaves = matches!(change.state, MemberState::Draining | MemberState::Retired);
        if leaves && self.present().all(|m| m.replica == replica) {
            return Err(ChangeRefused::LastMember(shown()));
        }
        Ok(())
    }

    /// What is known of a replica id.
    #[must_use]
    pub fn member(&self, replica: ReplicaId) -> Option<&Member> {
        self.0.iter().find(|m| m.replica == replica)
    }

    /// How far a replica id is; `None` while it is not known here.
    #[must_use]
    pub fn state(&self, replica: ReplicaId) -> Option<MemberState> {
        Some(self.member(replica)?.state)
    }

    /// Whether a replica id is known to have been removed in its absence.
    #[must_use]
    pub fn is_removed(&self, replica: ReplicaId) -> bool {
        let member = self.member(replica);
        member.is_some_and(|member| member.removed_by.is_some())
    }

    /// Whether a replica id is known to be retired.
    #[must_use]
    pub fn is_retired(&self, replica: ReplicaId) -> bool {
        self.member(replica).is_some_and(Member::is_retired)
    }

    /// All that were ever admitted, in order of admission.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.0.iter()
    }

    /// Those that are not retired, in order of admission.
    pub fn present(&self) -> impl Iterator<Item = &Member> {
        self.0.iter().filter(|member| !member.is_retired())
    }

    /// The region that a replica id is an incarnation of.
    #[must_use]
    pub fn name(&self, replica: ReplicaId) -> Option<&RegionName> {
        Some(&self.member(replica)?.region)
    }

    /// How people see a replica id: `eu`, its second life `eu~2`; the id itself while its region is not
    /// known here.
    #[must_use]
    pub fn shown(&self, replica: ReplicaId) -> String {
        let Some(name) = self.name(replica) else {
            return replica.to_string();
        };
        let lives = self.0.iter().filter(|m| m.region == *name);
        match lives.take_while(|m| m.replica != replica).count() {
            0 => name.to_string(),
            earlier => format!("{name}~{}", earlier + 1),
        }
    }

    /// All incarnations, in order of admission.
    pub fn iter(&self) -> impl Iterator<Item = (ReplicaId, &RegionName)> {
        self.0.iter().map(|member| (member.replica, &member.region))
    }

    /// The latest incarnation of a region, one that is not retired before one that is.
    #[must_use]
    pub fn replica(&self, name: &RegionName) -> Option<ReplicaId> {
        let lives = self.0.iter().filter(|m| m.region == *name);
        let latest = lives.reduce(|best, life| {
            if life.is_retired() && !best.is_retired() {
                best
            } else {
                life
            }
        });
        latest.map(|member| member.replica)
    }
}
