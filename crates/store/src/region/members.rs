//! Members and the topology as commands change them: this region's announcement, changes of how far a member
//! is, layouts. Each is an entry, so every other region hears of it in causal order.
//!
//! A change was decided on what the decider saw; it is made only when that still holds when it is applied.
//! A region that drains or is retired writes nothing for clients, from the very entry on that says so; one that
//! joins, nothing yet: others forget things that its entries would not have seen.

use atoll_core::intent::Rejection;
use atoll_core::layout::{AgreedLayout, LayoutRefused};
use atoll_core::member::ChangeRefused;
use atoll_core::{Dot, Entry, Layout, MemberChange, MemberState, Timestamp};

use super::Work;

/// Why the membership or the topology was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotChanged {
    /// This region may not say anything any more.
    #[error("this region is retired: ask another one")]
    Retired,
    /// The membership.
    #[error(transparent)]
    Member(#[from] ChangeRefused),
    /// The topology.
    #[error(transparent)]
    Layout(#[from] LayoutRefused),
}

impl Work<'_> {
    /// The first entry of this replica id; nothing when there is one already.
    pub(super) fn announce(&mut self, now: Timestamp, state: Option<MemberState>) {
        let me = self.identity.replica;
        if self.next.vector.get(me) > 0 {
            return;
        }
        let region = self.identity.region.clone();
        let mut entry = self.next_entry(now);
        entry.member = state.map(|state| MemberChange {
            replica: me,
            region: region.clone(),
            state,
            revision: 1,
            last: 0,
        });
        entry.announces = Some(region);
        self.originate_bare(entry);
    }

    pub(super) fn change(
        &mut self,
        now: Timestamp,
        change: &MemberChange,
    ) -> Result<Dot, NotChanged> {
        self.may_speak()?;
        self.catalog.regions.check(change)?;
        let mut entry = self.next_entry(now);
        let mut change = change.clone();
        if change.replica == self.identity.replica && change.state == MemberState::Retired {
            change.last = entry.dot.seq;
        }
        entry.member = Some(change);
        Ok(self.originate_bare(entry))
    }

    pub(super) fn lay_out(&mut self, now: Timestamp, layout: &Layout) -> Result<Dot, NotChanged> {
        self.may_speak()?;
        let current = self.catalog.layout.as_ref();
        layout.check_after(current, &self.catalog.regions)?;
        let mut entry = self.next_entry(now);
        entry.layout = Some(layout.clone());
        Ok(self.originate_bare(entry))
    }

    /// Whether this region writes for clients.
    pub(super) fn may_write(&self, now: Timestamp) -> Result<(), Rejection> {
        if Timestamp::after(now, self.next.time) > Timestamp::LATEST {
            return Err(Rejection::NoTimeLeft);
        }
        match self.catalog.regions.state(self.identity.replica) {
            Some(MemberState::Joining) => Err(Rejection::Joining),
            Some(MemberState::Draining) => Err(Rejection::Leaving),
            Some(MemberState::Retired) => Err(Rejection::Retired),
            Some(MemberState::Active) | None => Ok(()),
        }
    }

    /// A retired region originates nothing, ever.
    fn may_speak(&self) -> Result<(), NotChanged> {
        let retired = self.catalog.regions.is_retired(self.identity.replica);
        if retired {
            Err(NotChanged::Retired)
        } else {
            Ok(())
        }
    }

    fn originate_bare(&mut self, entry: Entry) -> Dot {
        let dot = entry.dot;
        self.take_in(&entry);
        self.add(entry, None, None);
        dot
    }

    /// What an applied entry says of members and the topology.
    pub(super) fn take_in(&mut self, entry: &Entry) {
        let Entry {
            dot,
            time,
            announces,
            member,
            layout,
            ..
        } = entry;
        if announces.is_none() && member.is_none() && layout.is_none() {
            return;
        }
        let catalog = std::sync::Arc::make_mut(&mut self.catalog);
        // The change first: an incarnation that announces itself as Joining was never anything else.
        if let Some(change) = member {
            catalog.regions.merge(change);
            if change.state == MemberState::Retired && change.replica != dot.replica {
                catalog.regions.removed(change.replica, *dot);
            }
        }
        if let Some(region) = announces {
            catalog.regions.admit(dot.replica, region.clone());
        }
        if let Some(layout) = layout {
            let declared = AgreedLayout {
                layout: layout.clone(),
                time: *time,
                dot: *dot,
            };
            catalog.layout = Some(match catalog.layout.take() {
                None => declared,
                Some(known) => known.or_greater(declared),
            });
        }
    }
}
