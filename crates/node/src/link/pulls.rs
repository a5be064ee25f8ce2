//! The supervisor: compares the links that are wanted with those that run, starts and ends them, and tells
//! the others who is heard here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use atoll_api::http::{Connectivity, ConnectivityState};
use atoll_core::{RegionName, ReplicaId, VersionVector};
use atoll_replication::healing::{Healer, Pull, Role};
use atoll_replication::message::Carries;
use atoll_replication::report::Connection;

use super::declared::Declared;
use super::dial::{Dial, Event};
use crate::node::Inner;

/// Which regions this one pulls from.
pub(crate) struct Pulls {
    node: Arc<Inner>,
    events: mpsc::Sender<Event>,
    healer: Option<Healer>,
    running: BTreeMap<RegionName, Running>,
}

struct Running {
    pull: Pull,
    _ends: DropGuard,
}

/// What [`Pulls::supervise`] has changed.
#[derive(Default)]
pub(crate) struct Changes {
    /// Links that carry something else from now on.
    pub(crate) carry: Vec<(RegionName, Carries)>,
    /// Links that are gone.
    pub(crate) ended: Vec<RegionName>,
}

impl Pulls {
    pub(crate) fn new(node: Arc<Inner>, events: mpsc::Sender<Event>) -> Self {
        Pulls {
            node,
            events,
            healer: None,
            running: BTreeMap::new(),
        }
    }

    pub(crate) fn get(&self, from: &RegionName) -> Option<&Pull> {
        self.running.get(from).map(|running| &running.pull)
    }

    pub(crate) fn heard(&mut self, from: &RegionName, now: Duration) {
        if let Some(healer) = &mut self.healer {
            healer.heard(from, now);
        }
    }

    pub(crate) fn announced(
        &mut self,
        from: &RegionName,
        replica: ReplicaId,
        vector: &VersionVector,
    ) {
        let (applied, now) = (self.node.published.vector(), self.node.clock.elapsed());
        if let Some(healer) = &mut self.healer {
            healer.announced(from, replica, vector, &applied, now);
        }
    }

    /// Ends all links: this node does not lead its region.
    pub(crate) fn end_all(&mut self) -> Vec<RegionName> {
        self.healer = None;
        self.node.board.show_topology(None);
        let ended: Vec<RegionName> = self.running.keys().cloned().collect();
        ended.iter().for_each(|from| self.end(from));
        ended
    }

    /// Starts and ends links as is wanted now, and says who is heard.
    pub(crate) fn supervise(&mut self) -> Changes {
        let wanted = self.wanted();
        let mut changes = Changes::default();
        let ended = self
            .running
            .keys()
            .filter(|from| !wanted.iter().any(|p| p.from == **from));
        changes.ended = ended.cloned().collect();
        changes.ended.iter().for_each(|from| self.end(from));
        for pull in wanted {
            let known = self.running.get_mut(&pull.from);
            let wanted = self.node.board.show(&pull);
            if let Some(running) = known {
                if running.pull.carries != pull.carries {
                    changes.carry.push((pull.from.clone(), pull.carries));
                }
                if running.pull.role != pull.role {
                    log(&self.node, &pull);
                }
                running.pull = pull;
                continue;
            }
            log(&self.node, &pull);
            let stop = CancellationToken::new();
            let dial = Dial {
                node: Arc::clone(&self.node),
                from: pull.from.clone(),
                events: self.events.clone(),
                wanted,
                seed: rand::random(),
                leader: None,
            };
            let ends = stop.clone().drop_guard();
            self.node.tasks.spawn_until_stopped(async move {
                tokio::select! { () = dial.keep_dialing() => {}, () = stop.cancelled() => {} }
            });
            let running = Running { pull, _ends: ends };
            self.running.insert(running.pull.from.clone(), running);
        }
        changes
    }

    fn end(&mut self, from: &RegionName) {
        if self.running.remove(from).is_some() {
            tracing::info!(link = self.node.board.name(from), "link ended");
        }
        self.node.board.remove(from);
    }

    fn wanted(&mut self) -> Vec<Pull> {
        let topology = match self.node.declared() {
            Declared::Topology(topology) => topology,
            Declared::Fixed(links) => return fixed(links),
        };
        let now = self.node.clock.now();
        let healer = self.healer.get_or_insert_with(|| {
            let me = self.node.identity.region.clone();
            let failover_after = self.node.config.failover_after.as_duration();
            Healer::new(
                me,
                topology.clone(),
                failover_after,
                rand::random(),
                now.elapsed,
            )
        });
        healer.declare(topology);
        let rows = self.node.peers.knowledge().hearing();
        let wanted = healer.decide(&rows, now.elapsed);
        if let Some(row) = healer.beat(&rows, now) {
            self.node
                .peers
                .learn(|knowledge| knowledge.learn_hearing([&row]));
            let connection = healer.connection(&rows, now.elapsed);
            self.node.board.show_topology(connection.map(shown));
        }
        wanted
    }
}

fn log(node: &Inner, pull: &Pull) {
    let link = node.board.name(&pull.from);
    match &pull.role {
        Role::Declared => tracing::info!(link, "link declared"),
        Role::StandsIn { down, .. } => tracing::warn!(link, ?down, "link stands in"),
        Role::Tried => tracing::debug!(link, "link tried"),
        Role::Kept { .. } => tracing::info!(link, "link kept until the others have caught up"),
    }
}

fn fixed(links: Vec<(RegionName, Carries)>) -> Vec<Pull> {
    let pull = |(from, carries)| Pull {
        from,
        carries,
        role: Role::Declared,
        is_quiet: false,
        silent_since: None,
    };
    links.into_iter().map(pull).collect()
}

fn shown(connection: Connection) -> Connectivity {
    let (state, sides) = match connection {
        Connection::Redundant => (ConnectivityState::Redundant, Vec::new()),
        Connection::Connected => (ConnectivityState::Connected, Vec::new()),
        Connection::Partitioned { sides } => (ConnectivityState::Partitioned, sides),
    };
    let names = |side: &Vec<RegionName>| side.iter().map(ToString::to_string).collect();
    Connectivity {
        state,
        sides: sides.iter().map(names).collect(),
    }
}
