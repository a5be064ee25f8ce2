//! What this node is like at this moment, for those who watch it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::rt::WatchReceiver as _;

use atoll_api::http::ConnectivityState;
use atoll_core::{ReplicaId, VersionVector};
use atoll_replication::healing::Role;
use atoll_store::engine::{Family, Figures};

use crate::link::overview::Measured;
use crate::node::Inner;
use crate::telemetry::{
    DiskGauge, Gauges, LinkGauge, LogGauge, MachineGauge, ObjectivesGauge, OriginLag, RaftGauge,
    TopologyGauge,
};
use crate::tls::NodeTls;

impl Inner {
    pub(crate) fn gauges(&self) -> Gauges {
        let catalog = self.published.catalog();
        let shown = |replica: ReplicaId| catalog.regions.shown(replica);
        let now = self.clock.elapsed();
        let (storage, disk) = (self.engine.figures(), self.engine.disk().ok());
        let links = self.board.gauges().into_iter();
        // Measured is the peer's clock minus this one's; shown is how far this one is ahead.
        let offsets = self.peers.offsets(now).into_iter();
        let proved = self.peers.proved().into_iter();
        let age = |since: Option<Duration>| now.saturating_sub(since.unwrap_or_default());
        let objectives = &self.config.objectives;
        Gauges {
            links: links.map(|link| self.link_gauge(link, now)).collect(),
            clock_offsets: offsets.map(|(r, ms)| (shown(r), seconds(-ms))).collect(),
            log: self.log_gauge(&storage),
            own_missing: self
                .past
                .rolled_back()
                .map_or(0, |found| found.held - found.has),
            converged_ages: proved
                .map(|(replica, since)| (shown(replica), age(since).as_secs_f64()))
                .collect(),
            topology: self.board.topology().map(|topology| TopologyGauge {
                connected: topology.state != ConnectivityState::Partitioned,
                redundant: topology.state == ConnectivityState::Redundant,
                sides: topology.sides.len().max(1) as u64,
            }),
            tls: self.tls.as_ref().map(NodeTls::gauge),
            objectives: ObjectivesGauge {
                lag_seconds: objectives.max_lag.as_duration().as_secs_f64(),
                clock_skew_seconds: objectives.max_clock_skew.as_duration().as_secs_f64(),
                log_bytes: self.config.log_retention.max_size.as_bytes(),
            },
            open_conflicts: self.open_conflicts.load(Ordering::Relaxed),
            machine: MachineGauge {
                raft: self.raft_gauge(),
                disk: disk.map(|disk| DiskGauge {
                    used: disk.used_bytes,
                    free: disk.free_bytes,
                    size: disk.total_bytes,
                }),
                storage,
            },
        }
    }

    fn link_gauge(&self, measured: Measured, now: Duration) -> LinkGauge {
        let Measured { pull, gauge, is_up } = measured;
        let (from, seconds) = (pull.from.to_string(), gauge.lag_seconds);
        let origins = if gauge.origins.is_empty() {
            vec![(from.clone(), gauge.lag_entries)]
        } else {
            gauge.origins
        };
        let lag = |(origin, entries)| OriginLag {
            origin,
            seconds,
            entries,
        };
        let silent = |since| now.saturating_sub(since).as_secs_f64();
        LinkGauge {
            from,
            to: self.config.region.clone(),
            origins: origins.into_iter().map(lag).collect(),
            queue_entries: gauge.queue_entries,
            queue_bytes: gauge.queue_bytes,
            stands_in: matches!(pull.role, Role::StandsIn { .. }),
            silent_seconds: pull.silent_since.map_or(0.0, silent),
            is_up,
        }
    }

    /// The log, and the region that lacks most of it: what it lacks must be kept.
    fn log_gauge(&self, storage: &Figures) -> LogGauge {
        let (catalog, mine) = (self.published.catalog(), self.published.vector());
        let knowledge = self.peers.knowledge();
        let nothing = VersionVector::new();
        let lacks = |replica: ReplicaId| {
            let has = knowledge.durable(replica).unwrap_or(&nothing);
            mine.ahead_of(has)
        };
        let others = catalog.regions.iter().map(|(replica, _)| replica);
        let others = others.filter(|replica| *replica != self.identity.replica);
        let others = others.filter(|replica| !catalog.regions.is_retired(*replica));
        let most = others.map(|replica| (lacks(replica), replica)).max();
        LogGauge {
            entries: self.published.arrival(),
            bytes: storage.of(Family::Log) + storage.of(Family::Arrival),
            blocked_by: most
                .filter(|(lacks, _)| *lacks > 0)
                .map(|(_, replica)| catalog.regions.shown(replica)),
        }
    }

    fn raft_gauge(&self) -> RaftGauge {
        let metrics = self.group.raft.metrics();
        let metrics = metrics.borrow_watched();
        let index = |id: Option<u64>| id.unwrap_or_default();
        let applied = metrics.last_applied.as_ref().map(|id| id.index);
        RaftGauge {
            leads: self.group.leads(),
            has_leader: metrics.current_leader.is_some(),
            nodes: metrics.membership_config.membership().nodes().count() as u64,
            term: metrics.current_term,
            unapplied: index(metrics.last_log_index).saturating_sub(index(applied)),
        }
    }
}

fn seconds(ms: i64) -> f64 {
    let whole = Duration::from_millis(ms.unsigned_abs()).as_secs_f64();
    if ms < 0 { -whole } else { whole }
}
