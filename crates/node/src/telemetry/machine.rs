//! Gauges of one node: its part in the region's Raft group, its disk, RocksDB, and telemetry itself.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use atoll_client::otlp::Counts;
use atoll_store::engine::{Family, Figures};

use super::gauges::{Gauges, Register, Sampled};

/// How a node is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MachineGauge {
    /// Its part in its region.
    pub raft: RaftGauge,
    /// The disk under its data; `None` when it cannot be asked.
    pub disk: Option<DiskGauge>,
    /// What the storage tells of itself.
    pub storage: Figures,
}

/// A node's part in its region's Raft group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RaftGauge {
    /// It leads.
    pub leads: bool,
    /// It knows who leads.
    pub has_leader: bool,
    /// Nodes of the region, as it knows them.
    pub nodes: u64,
    /// The term.
    pub term: u64,
    /// Commands logged here and not applied yet.
    pub unapplied: u64,
}

/// The disk under a node's data, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiskGauge {
    /// Taken by the node.
    pub used: u64,
    /// Left.
    pub free: u64,
    /// All of it.
    pub size: u64,
}

pub(super) fn register(meter: &Meter, sampled: &Sampled) {
    let gauges = Register { meter, sampled };
    gauges.counts(
        "atoll.raft.leads",
        "{state}",
        "1: this node leads its region.",
        |gauges, tell| tell(gauges.machine.raft.leads.into(), &[]),
    );
    gauges.counts(
        "atoll.raft.has_leader",
        "{state}",
        "1: this node knows who leads its region.",
        |gauges, tell| tell(gauges.machine.raft.has_leader.into(), &[]),
    );
    gauges.counts(
        "atoll.raft.nodes",
        "{node}",
        "Nodes of the region, as this one knows them.",
        |gauges, tell| tell(gauges.machine.raft.nodes, &[]),
    );
    gauges.counts(
        "atoll.raft.term",
        "{term}",
        "Raft's term: one more with each election.",
        |gauges, tell| tell(gauges.machine.raft.term, &[]),
    );
    gauges.counts(
        "atoll.raft.unapplied",
        "{command}",
        "Commands logged here and not applied yet.",
        |gauges, tell| tell(gauges.machine.raft.unapplied, &[]),
    );
    gauges.counts(
        "atoll.disk.used",
        "By",
        "What the node takes of its disk.",
        |gauges, tell| each_disk(gauges, |disk| tell(disk.used, &[])),
    );
    gauges.counts(
        "atoll.disk.free",
        "By",
        "What the disk has left.",
        |gauges, tell| each_disk(gauges, |disk| tell(disk.free, &[])),
    );
    gauges.counts(
        "atoll.disk.size",
        "By",
        "Size of the disk.",
        |gauges, tell| each_disk(gauges, |disk| tell(disk.size, &[])),
    );
    register_storage(&gauges);
}

fn register_storage(gauges: &Register<'_>) {
    gauges.counts(
        "atoll.rocksdb.memory",
        "By",
        "What RocksDB has in memory: buffers not in files yet, its cache, and indexes of files.",
        |gauges, tell| {
            let storage = &gauges.machine.storage;
            let kinds = [
                ("buffers", storage.buffered_bytes),
                ("cache", storage.cache_bytes),
                ("indexes", storage.index_bytes),
            ];
            for (kind, bytes) in kinds {
                tell(bytes, &[KeyValue::new("kind", kind)]);
            }
        },
    );
    gauges.counts(
        "atoll.rocksdb.data",
        "By",
        "How much there is of each kind of record.",
        |gauges, tell| {
            for family in Family::ALL {
                let named = [KeyValue::new("family", family.name())];
                tell(gauges.machine.storage.of(family), &named);
            }
        },
    );
    gauges.counts(
        "atoll.rocksdb.compaction.pending",
        "By",
        "What waits to be compacted.",
        |gauges, tell| tell(gauges.machine.storage.compaction_bytes, &[]),
    );
    gauges.counts(
        "atoll.rocksdb.compactions",
        "{compaction}",
        "Compactions under way.",
        |gauges, tell| tell(gauges.machine.storage.compactions, &[]),
    );
    gauges.counts(
        "atoll.rocksdb.writes_stopped",
        "{state}",
        "1: writes wait until compactions have caught up.",
        |gauges, tell| tell(gauges.machine.storage.writes_stopped.into(), &[]),
    );
}

fn each_disk(gauges: &Gauges, tell: impl FnMut(&DiskGauge)) {
    gauges.machine.disk.iter().for_each(tell);
}

/// What became of telemetry that a collector was to get.
pub(super) fn register_counts(meter: &Meter, counts: Counts) {
    meter
        .u64_observable_counter("atoll.telemetry.items")
        .with_unit("{item}")
        .with_description(
            "Spans, logs, and collections of metrics, that a collector took or that were dropped.",
        )
        .with_callback(move |observer| {
            let signals = [
                ("spans", counts.spans()),
                ("logs", counts.logs()),
                ("metrics", counts.collections()),
            ];
            for (signal, counted) in signals {
                for (result, count) in [("sent", counted.sent), ("dropped", counted.dropped)] {
                    let attributes = [
                        KeyValue::new("signal", signal),
                        KeyValue::new("result", result),
                    ];
                    observer.observe(count, &attributes);
                }
            }
        })
        .build();
}
