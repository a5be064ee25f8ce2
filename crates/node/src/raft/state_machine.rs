//! Raft's view of the region's state: applies what is committed, in groups.
//!
//! Building a snapshot flushes the state and names how far it is, so that Raft purges its log only up to what
//! is on disk (SEMANTICS 8). Sending one takes a checkpoint of that moment; receiving one replaces the state.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use futures_util::{Stream, StreamExt};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::type_config::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use openraft::{EntryPayload, Snapshot, StoredMembership};

use atoll_store::engine::Engine;
use atoll_store::{Command, Outcome, Region};

use super::TypeConfig;
use super::codec::{self, Place};
use super::snapshot::{self, SnapshotData};
use crate::published::Published;
use crate::surroundings::Work;

/// Commands applied as one group at most.
const GROUP_COMMANDS: usize = 64;

pub(crate) struct StateMachine {
    region: Region,
    place: Place,
    published: Arc<Published>,
    flushed: Arc<Mutex<Place>>,
    work: Work,
}

impl StateMachine {
    pub(super) fn open(
        region: Region,
        published: Arc<Published>,
        work: Work,
    ) -> Result<Self, String> {
        let stored = &region.applied().raft;
        let place = if stored.is_empty() {
            Place::default()
        } else {
            codec::read_place(stored).map_err(|e| e.to_string())?
        };
        // What was just read from the disk is flushed.
        let flushed = Arc::new(Mutex::new(place.clone()));
        Ok(StateMachine {
            region,
            place,
            published,
            flushed,
            work,
        })
    }

    fn apply_group(&mut self, group: Vec<EntryResponder<TypeConfig>>) -> io::Result<()> {
        let mut commands: Vec<Arc<Command>> = Vec::with_capacity(group.len());
        for (entry, _) in &group {
            self.place.applied = Some(entry.log_id);
            match &entry.payload {
                EntryPayload::Blank => {}
                EntryPayload::Normal(proposal) => commands.push(Arc::clone(&proposal.command)),
                EntryPayload::Membership(membership) => {
                    self.place.membership =
                        StoredMembership::new(Some(entry.log_id), membership.clone());
                }
            }
        }
        let raft = codec::place(&self.place)?;
        let began = SystemTime::now();
        let applied = self
            .region
            .apply(&commands, raft)
            .map_err(|e| codec::invalid(&e))?;
        let outcomes = self.published.publish(&self.region, applied);
        let ended = SystemTime::now();
        let mut outcomes = outcomes.into_iter();
        for (entry, responder) in group {
            let outcome = match entry.payload {
                EntryPayload::Normal(proposal) => {
                    proposal.applied.was(began, ended);
                    outcomes.next().unwrap_or(Outcome::Done)
                }
                EntryPayload::Blank | EntryPayload::Membership(_) => Outcome::Done,
            };
            if let Some(responder) = responder {
                responder.send(outcome);
            }
        }
        Ok(())
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Flush;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogIdOf<TypeConfig>>, StoredMembershipOf<TypeConfig>), io::Error> {
        Ok((self.place.applied, self.place.membership.clone()))
    }

    async fn apply<Strm>(&mut self, entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + Send,
    {
        let mut groups = entries.ready_chunks(GROUP_COMMANDS);
        while let Some(group) = groups.next().await {
            let group = group.into_iter().collect::<Result<Vec<_>, _>>()?;
            self.apply_group(group).inspect_err(|error| {
                tracing::error!(%error, "the state cannot be changed; this node stops");
                self.published.fail(error.to_string());
            })?;
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Flush {
        Flush {
            engine: Arc::clone(self.region.engine()),
            place: self.place.clone(),
            flushed: Arc::clone(&self.flushed),
            work: self.work,
        }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMetaOf<TypeConfig>,
        snapshot: SnapshotData,
    ) -> Result<(), io::Error> {
        let SnapshotData::Received(spooled) = snapshot else {
            return Err(io::Error::other("a snapshot that came from nowhere"));
        };
        // Nothing is read here until the new state is there: half of one answers nobody.
        self.published.set_replacing(true);
        let engine = Arc::clone(self.region.engine());
        let install = move || snapshot::install(&spooled, &engine);
        self.work.run(install).await??;
        self.region.reload().map_err(|e| codec::invalid(&e))?;
        self.place = codec::read_place(&self.region.applied().raft)?;
        if self.place.applied != meta.last_log_id {
            return Err(io::Error::other(
                "the state that came is not the snapshot's",
            ));
        }
        *self.flushed.lock().unwrap_or_else(PoisonError::into_inner) = self.place.clone();
        self.published.replace(&self.region);
        self.published.set_replacing(false);
        Ok(())
    }

    /// To be sent: the state as it is now. Alone, nobody is sent anything.
    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<SnapshotOf<TypeConfig, SnapshotData>>, io::Error> {
        if self.place.applied.is_none() {
            return Ok(None);
        }
        if self.place.membership.membership().nodes().count() < 2 {
            let flushed = self.flushed.lock().unwrap_or_else(PoisonError::into_inner);
            return Ok(flushed
                .applied
                .is_some()
                .then(|| snapshot(flushed.clone(), SnapshotData::Flushed)));
        }
        let engine = Arc::clone(self.region.engine());
        let made = self.work.run(move || engine.checkpoint()).await?;
        let data = SnapshotData::Checkpoint(made.map_err(io::Error::other)?, self.work);
        Ok(Some(snapshot(self.place.clone(), data)))
    }
}

/// Flushes the state.
pub(crate) struct Flush {
    engine: Arc<dyn Engine>,
    place: Place,
    flushed: Arc<Mutex<Place>>,
    work: Work,
}

impl RaftSnapshotBuilder<TypeConfig> for Flush {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<TypeConfig, SnapshotData>, io::Error> {
        let engine = Arc::clone(&self.engine);
        let flushed = self.work.run(move || engine.flush()).await?;
        flushed.map_err(|e| io::Error::other(e.to_string()))?;
        *self.flushed.lock().unwrap_or_else(PoisonError::into_inner) = self.place.clone();
        Ok(snapshot(self.place.clone(), SnapshotData::Flushed))
    }
}

fn snapshot(place: Place, data: SnapshotData) -> SnapshotOf<TypeConfig, SnapshotData> {
    let Place {
        applied,
        membership,
    } = place;
    let meta = SnapshotMetaOf::<TypeConfig> {
        last_log_id: applied,
        last_membership: membership,
    };
    Snapshot {
        meta,
        snapshot: data,
    }
}
