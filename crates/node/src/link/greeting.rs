//! Greeting sources, and parting from them: connections to what is not the region looked for are ended, and to
//! regions that were removed.

use bytes::Bytes;
use tokio::sync::mpsc;

use atoll_core::{RegionName, ReplicaId};
use atoll_replication::Now;
use atoll_replication::clock::PeerClock;
use atoll_replication::delivery::LinkId;
use atoll_replication::message::{Carries, Hello, LINK_VERSION, Upstream, Welcome};

use super::inbound::{Inbound, Link, Open};
use super::overview::Phase;

/// Bytes of entries under way on one link.
const CREDIT_BYTES: u64 = 16 << 20;

impl Inbound {
    pub(super) fn greet(&mut self, from: &RegionName, link: LinkId, upstream: mpsc::Sender<Bytes>) {
        let Some(pull) = self.pulls.get(from) else {
            return;
        };
        let pruned = if pull.is_quiet && pull.carries == Carries::Everything {
            let knowledge = self.node.peers.knowledge();
            let is_its = |origin: &ReplicaId| knowledge.region(*origin) == Some(from);
            let brought = self.inbox.brought().into_iter();
            brought.filter(|origin| !is_its(origin)).collect()
        } else {
            Vec::new()
        };
        let identity = &self.node.identity;
        let hello = Upstream::Hello(Hello {
            version: u32::from(LINK_VERSION),
            store: identity.store,
            region: identity.region.clone(),
            replica: identity.replica,
            vector: self.inbox.vector().clone(),
            carries: pull.carries,
            credit_bytes: CREDIT_BYTES,
            pruned: pruned.clone(),
        });
        let open = Open {
            link,
            upstream,
            carries: pull.carries,
            pruned,
            source: None,
            clock: PeerClock::new(),
            consumed: 0,
            revision: 0,
        };
        self.links.entry(from.clone()).or_default().open = Some(open);
        self.say(from, &hello);
    }

    pub(super) fn welcomed(&mut self, from: &RegionName, welcome: Welcome, now: Now) {
        if welcome.store != self.node.identity.store {
            let why = format!(
                "the source belongs to store {}; check the endpoint",
                welcome.store
            );
            return self.refuse(from, why);
        }
        if welcome.region != *from {
            let why = format!("the endpoint is region {}'s; check it", welcome.region);
            return self.refuse(from, why);
        }
        let catalog = self.node.published.catalog();
        if catalog.regions.is_retired(welcome.replica) {
            let who = catalog.regions.shown(welcome.replica);
            return self.refuse(from, format!("{who} is retired; take the link out"));
        }
        let Some(carries) = self.pulls.get(from).map(|pull| pull.carries) else {
            return;
        };
        let Some(link) = self.links.get_mut(from) else {
            return;
        };
        link.meter.is_of(welcome.replica, carries);
        let Some(open) = &mut link.open else { return };
        open.source = Some(welcome.replica);
        self.inbox
            .open(open.link, welcome.replica, open.carries, &open.pruned);
        // What it is to carry may have changed since it was greeted.
        self.inbox.carry(open.link, carries);
        let ping = open.clock.ping(now);
        self.node.board.phase(from, Phase::CatchingUp, None);
        self.say(from, &Upstream::Ping(ping));
        let named = (welcome.replica, welcome.region);
        self.node
            .peers
            .learn(|knowledge| knowledge.learn_regions([&named]));
    }

    /// Takes nothing more from regions that were removed by force: what counts of them others bring.
    pub(super) fn turn_away_removed(&mut self) {
        let catalog = self.node.published.catalog();
        let regions = &catalog.regions;
        let removed = |(from, link): (&RegionName, &Link)| {
            let source = link.open.as_ref()?.source?;
            let is_removed = regions.is_removed(source);
            is_removed.then(|| (from.clone(), regions.shown(source)))
        };
        let removed: Vec<(RegionName, String)> = self.links.iter().filter_map(removed).collect();
        for (from, who) in removed {
            self.refuse(&from, format!("{who} was removed; take the link out"));
        }
        let now = self.now();
        self.inbox
            .turn_away(|sender| regions.is_removed(sender), now);
    }

    /// Ends a link until a person resumes it. Other links go on.
    pub(super) fn stop(&mut self, from: &RegionName, why: String) {
        tracing::error!(link = self.node.board.name(from), %why, "link stopped");
        self.close(from);
        self.node.board.stop(from, why);
    }

    /// Ends a connection to what is not the region looked for. It is dialled again: a region may come back
    /// under another replica id, an endpoint may be put right.
    fn refuse(&mut self, from: &RegionName, why: String) {
        self.node.board.refuse(from, why);
        self.close(from);
    }

    fn close(&mut self, from: &RegionName) {
        if let Some(open) = self.links.get_mut(from).and_then(|link| link.open.take()) {
            self.inbox.close(open.link);
        }
    }
}
