//! Torments: seeded schedules of faults against the real core, replication and store.
