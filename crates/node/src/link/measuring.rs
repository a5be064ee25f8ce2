//! What is done now and then: gauges, clock probes, gossip, and the region's housekeeping.

use std::time::Duration;

use atoll_core::{RegionName, ReplicaId, Timestamp};
use atoll_replication::lag::LagMeter;
use atoll_replication::message::{Carries, Upstream};
use atoll_store::{Command, query};

use super::inbound::Inbound;
use super::overview::{Gauge, Phase};

/// Clock probes, gauges, gossip, and whether links are to come or go.
pub(super) const TICK: Duration = Duration::from_millis(250);
const STABLE_EVERY: Duration = Duration::from_secs(1);
const TRIM_EVERY: Duration = Duration::from_secs(60);
/// A source unheard of for this long counts as silent.
const SILENT_AFTER: Duration = Duration::from_secs(3);

/// What is measured of a link, also while it is down.
#[derive(Default)]
pub(super) struct Meter {
    pub(super) lag: Option<LagMeter>,
    of: Option<(ReplicaId, Carries)>,
    pub(super) offset_ms: i64,
    pub(super) rtt: Option<Duration>,
}

impl Meter {
    /// Whom it measures.
    pub(super) fn source(&self) -> Option<ReplicaId> {
        self.of.map(|(source, _)| source)
    }

    /// From now on it measures a link from `source` that carries this.
    pub(super) fn is_of(&mut self, source: ReplicaId, carries: Carries) {
        if self.of.replace((source, carries)) != Some((source, carries)) {
            self.lag = Some(LagMeter::new(source, carries, SILENT_AFTER));
        }
    }
}

impl Inbound {
    pub(super) fn tick(&mut self) {
        let now = self.node.clock.now();
        if now.elapsed < self.ticked_at + TICK {
            return;
        }
        self.ticked_at = now.elapsed;
        self.supervise();
        self.turn_away_removed();
        self.acknowledge(true);
        let links: Vec<RegionName> = self.links.keys().cloned().collect();
        for from in links {
            self.measure(&from);
            let open = self
                .links
                .get_mut(&from)
                .and_then(|link| link.open.as_mut());
            if let Some(open) = open.filter(|open| open.source.is_some()) {
                let ping = open.clock.ping(now);
                self.say(&from, &Upstream::Ping(ping));
            }
        }
        self.prove(now.elapsed);
        self.housekeep(now.elapsed);
    }

    /// Says since when the regions that are pulled from are known to be equal to this one.
    fn prove(&mut self, now: Duration) {
        let mine = self.node.published.vector();
        let knowledge = self.node.peers.knowledge();
        self.proofs
            .look(&mine, |replica| knowledge.durable(replica), now);
        drop(knowledge);
        let sources: Vec<ReplicaId> = self
            .links
            .values()
            .filter_map(|link| link.meter.source())
            .collect();
        let proved = self
            .proofs
            .proved()
            .filter(|(replica, _)| sources.contains(replica));
        self.node.peers.prove(proved.collect());
    }

    fn measure(&self, from: &RegionName) {
        let now = self.node.clock.now();
        let applied = self.node.published.vector();
        let Some(link) = self.links.get(from) else {
            return;
        };
        let Meter {
            lag,
            offset_ms,
            rtt,
            ..
        } = &link.meter;
        let Some(meter) = lag else { return };
        let lag = meter.read(&applied, *offset_ms, *rtt, now);
        let (waiting, waiting_bytes) = self.inbox.waiting();
        let (ready, ready_bytes) = self.inbox.ready();
        let catalog = self.node.published.catalog();
        let origins = lag
            .by_origin
            .iter()
            .map(|(r, entries)| (catalog.regions.shown(*r), *entries));
        let gauge = Gauge {
            lag_seconds: lag.time.unwrap_or_default().as_secs_f64(),
            lag_entries: lag.entries,
            origins: origins.collect(),
            queue_entries: (waiting + ready) as u64,
            queue_bytes: (waiting_bytes + ready_bytes) as u64,
            rtt_seconds: rtt.map(|rtt| rtt.as_secs_f64()),
        };
        if link.open.is_some() && lag.entries == 0 && lag.time.is_some() {
            self.node.board.phase(from, Phase::Streaming, None);
        }
        self.node.board.measure(from, gauge);
    }

    fn housekeep(&mut self, now: Duration) {
        if now >= self.stable_at + STABLE_EVERY {
            self.stable_at = now;
            if let Some(vector) = self.node.stable()
                && !self.stable.covers_all(&vector)
            {
                self.stable.merge(&vector);
                self.node.propose_quietly(Command::Stable { vector });
            }
        }
        if now >= self.trimmed_at + TRIM_EVERY {
            self.trimmed_at = now;
            let retention = &self.node.config.conflict_retention;
            let kept_ms =
                u64::try_from(retention.max_age.as_duration().as_millis()).unwrap_or(u64::MAX);
            let before = Timestamp::from_millis(self.node.clock.wall_ms().saturating_sub(kept_ms));
            self.node.propose_quietly(Command::Trim {
                before,
                rows_max: retention.max_rows,
            });
        }
        self.forget_keys();
    }

    /// Has idempotency keys forgotten that are too old or too many.
    fn forget_keys(&self) {
        let kept = &self.node.config.idempotency;
        let age_ms = u64::try_from(kept.max_age.as_duration().as_millis()).unwrap_or(u64::MAX);
        let before = Timestamp::from_millis(self.node.clock.wall_ms().saturating_sub(age_ms));
        let keys_max = kept.max_keys;
        // A disk that cannot be read stops the node where it applies.
        let engine = &*self.node.engine;
        if query::remembers_too_much(engine, before, keys_max).unwrap_or(false) {
            self.node
                .propose_quietly(Command::Forget { before, keys_max });
        }
    }
}
