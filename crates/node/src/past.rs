//! A region that is behind its own past: others hold entries of its replica id that it does not have, because its
//! disk was put back to an older state or lost what it had confirmed (DESIGN §7).
//!
//! Its next writes would get dots that others know from other entries; they would be dropped there as duplicates,
//! and the regions would stay different for ever. So it originates nothing any more, and says so. Before the
//! first write after a start it waits a moment for one peer, so that it knows before it is too late; a region
//! whose peers are all gone goes on after that moment.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::node::Inner;
use crate::refusal::Refusal;

/// Longest wait for a peer before the first write.
const HEARS_WITHIN: Duration = Duration::from_secs(1);
const LOOKED_AT_EVERY: Duration = Duration::from_millis(200);

/// What others hold of this region, and it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "others hold this region's entries up to {held}, and it has them up to {has}: its data was put back to an \
     older state. It goes on reading and writes nothing more under this replica id: stop it, remove it with \
     `atoll region remove --force` elsewhere, and let it join again with an empty data directory"
)]
pub struct RolledBack {
    /// Its own last sequence.
    pub has: u64,
    /// The highest of its sequences that another region holds.
    pub held: u64,
}

/// Whether this region has all that it ever wrote, as far as known.
#[derive(Debug, Default)]
pub(crate) struct Past {
    was_asked_for: AtomicBool,
    rolled_back: OnceLock<RolledBack>,
}

impl Past {
    /// What is missing, if something is.
    pub(crate) fn rolled_back(&self) -> Option<RolledBack> {
        self.rolled_back.get().copied()
    }

    pub(crate) fn check(&self) -> Result<(), Refusal> {
        self.rolled_back()
            .map_or(Ok(()), |found| Err(Refusal::RolledBack(found)))
    }
}

impl Inner {
    /// Before the first write: waits a moment for a peer, if there ever were any, and for what it holds.
    pub(crate) async fn ask_for_the_past(&self) {
        if self.past.was_asked_for.load(Ordering::Relaxed) {
            return;
        }
        let catalog = self.published.catalog();
        let me = self.identity.replica;
        if catalog.regions.present().any(|member| member.replica != me) {
            let mut revision = self.peers.revision();
            let testing = self.config.testing.as_ref();
            let within = testing.and_then(|testing| testing.peers_heard_within_ms);
            let within = within.map_or(HEARS_WITHIN, Duration::from_millis);
            let left = within.saturating_sub(self.clock.elapsed());
            let heard = revision.wait_for(|_| self.peers.knowledge().hears_of_others());
            let _ = tokio::time::timeout(left, heard).await;
            self.look_back().await;
        }
        self.past.was_asked_for.store(true, Ordering::Relaxed);
    }

    fn missing_of_its_own(&self) -> Option<RolledBack> {
        let held = self.peers.knowledge().held_elsewhere();
        let has = self.published.vector().get(self.identity.replica);
        (held > has).then_some(RolledBack { has, held })
    }

    /// A peer says what it holds. Of a region of one node all is applied: what it lacks now it has lost, even if
    /// the peer sends it back a moment later.
    pub(crate) fn compare_with_the_past(&self) {
        if self.group.leads_alone()
            && let Some(found) = self.missing_of_its_own()
        {
            self.note_rolled_back(found);
        }
    }

    fn note_rolled_back(&self, found: RolledBack) {
        if self.past.rolled_back.set(found).is_ok() {
            let region = &self.identity.region;
            tracing::error!(%region, "rolled back: {found}");
        }
    }

    /// Notes when others hold what this region does not have.
    async fn look_back(&self) {
        // A leader that is new has not applied all of its log yet.
        if self.missing_of_its_own().is_none() || self.group.current().await.is_err() {
            return;
        }
        if let Some(found) = self.missing_of_its_own() {
            self.note_rolled_back(found);
        }
    }
}

/// Looks again while the node runs: a peer that was away may know more than those that were asked.
pub(crate) async fn watch(inner: std::sync::Arc<Inner>) {
    while inner.past.rolled_back().is_none() {
        tokio::time::sleep(LOOKED_AT_EVERY).await;
        if inner.group.leads() {
            inner.look_back().await;
        }
    }
}
