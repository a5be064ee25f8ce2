//! Serves: HTTP, the region's Raft group, links, background work, telemetry.
