"""Every metric there is: what docs/metrics.md says, and what dashboards and rules may name.

A test of atoll-node and one of atoll-operator compare docs/metrics.md with a real scrape, name by name and label by label.
"""

from collections import namedtuple

# `value` is what to expect of a healthy store; `act` what to do when it is otherwise.
Metric = namedtuple("Metric", "name kind unit labels text value act")

LINK = ["link_from", "link_to"]

# On every series of a node, besides what Prometheus adds.
NODE_LABELS = ["atoll_store", "atoll_region"]
SCRAPE_LABELS = ["job", "instance"]

NODE = [
    Metric("atoll_replication_lag_seconds", "gauge", "s", [*LINK, "origin"],
           "Age of the oldest entry that a link has not brought here.",
           "half the round trip", "[AtollLagAboveObjective](runbooks/AtollLagAboveObjective.md)"),
    Metric("atoll_replication_lag_entries", "gauge", "entries", [*LINK, "origin"],
           "Entries that a link has not brought here.", "0, or what is written in half a round trip", "as above"),
    Metric("atoll_replication_visibility_seconds", "histogram", "s", ["origin"],
           "From commit at the origin until visible here.", "half the round trip and two syncs",
           "compare with the round trip: the rest is waiting and applying"),
    Metric("atoll_replication_queue", "gauge", "entries", LINK, "Entries received and not applied yet.", "near 0",
           "this region applies slower than it receives: look at its disk"),
    Metric("atoll_replication_queue_bytes", "gauge", "bytes", LINK, "Their bytes.", "near 0", "as above"),
    Metric("atoll_replication_rtt_seconds", "histogram", "s", LINK, "Round trip of a link.", "the network's", "ask the network"),
    Metric("atoll_replication_causal_wait_seconds", "histogram", "s", ["origin"],
           "Time that entries waited here for what they depend on.", "0 with one way for each origin",
           "one link brings late what others depend on: compare the lags of links"),
    Metric("atoll_replication_entries_total", "counter", "entries", [*LINK, "result"],
           "Entries that came over a link (`applied`, `duplicate`, `quarantined`), or that a link took on from another "
           "region (`relayed`).", "duplicates and relayed near 0 in a mesh",
           "`quarantined`: [AtollEntryQuarantined](runbooks/AtollEntryQuarantined.md)"),
    Metric("atoll_replication_link_up", "gauge", "", LINK, "1: the link carries entries; 0: it is connecting, paused or stopped.",
           "1", "[AtollLinkDown](runbooks/AtollLinkDown.md)"),
    Metric("atoll_replication_link_silent_seconds", "gauge", "s", LINK, "For how long nothing is heard over a link; 0 while something is.",
           "0", "[AtollLinkDown](runbooks/AtollLinkDown.md)"),
    Metric("atoll_replication_link_stands_in", "gauge", "", LINK, "1: the link is not declared, and stands in for one that is down.",
           "0", "look for the declared link that is down"),
    Metric("atoll_topology_connected", "gauge", "", [], "1: every region hears of every other.", "1",
           "[AtollRegionsCutOff](runbooks/AtollRegionsCutOff.md)"),
    Metric("atoll_topology_redundant", "gauge", "", [], "1: every region would hear of every other with any one link lost.",
           "1, where there are three regions or more", "[AtollNotRedundant](runbooks/AtollNotRedundant.md)"),
    Metric("atoll_topology_sides", "gauge", "groups", [], "Groups of regions that hear of each other.", "1", "as AtollRegionsCutOff"),
    Metric("atoll_converged_age_seconds", "gauge", "s", ["peer"],
           "Since when this region and a peer that it pulls from are known to be equal: each has all that the other had then.",
           "the lag and a second", "[AtollNotConverged](runbooks/AtollNotConverged.md)"),
    Metric("atoll_conflicts_total", "counter", "conflicts", ["collection", "kind", "outcome"],
           "Conflicts noticed here. Every node of every region counts each: do not add them up.", "what the application makes",
           "[AtollConflictRateJump](runbooks/AtollConflictRateJump.md)"),
    Metric("atoll_conflicts_open", "gauge", "conflicts", [],
           "Conflicts whose versions are all shown (KeepSiblings, KeepBoth), and that nobody has resolved.", "what people keep up with",
           "`atoll conflicts` lists them"),
    Metric("atoll_conflict_resolution_seconds", "histogram", "s", ["collection", "kind"], "From detected to resolved.",
           "near 0 with automatic policies", "somebody has to resolve what a policy keeps"),
    Metric("atoll_http_server_request_duration_seconds", "histogram", "s",
           ["http_request_method", "http_route", "http_response_status_code"], "From a request's head to its answer's head.",
           "a sync for writes, less for reads", "[AtollRequestsFailing](runbooks/AtollRequestsFailing.md)"),
    Metric("atoll_http_server_active_requests", "gauge", "requests", [], "Requests under way.", "few", "more than the node takes on are refused"),
    Metric("atoll_clock_offset_seconds", "gauge", "s", ["peer"], "How far this clock is ahead of a peer's.", "some ms",
           "[AtollClockSkew](runbooks/AtollClockSkew.md)"),
    Metric("atoll_log_retained", "gauge", "entries", ["blocked_by"], "Entries of log kept; `blocked_by` lacks most of them.", "grows",
           "[AtollLogNearBound](runbooks/AtollLogNearBound.md)"),
    Metric("atoll_log_retained_bytes", "gauge", "bytes", ["blocked_by"], "Bytes of log kept.", "below `atoll_objective_log_bytes`", "as above"),
    Metric("atoll_log_own_missing", "gauge", "entries", [],
           "Own entries that others hold and this region lacks: its data was put back to an older state.", "0",
           "[AtollRolledBack](runbooks/AtollRolledBack.md)"),
    Metric("atoll_objective_lag_seconds", "gauge", "s", [], "How far a link may be behind: `objectives.maxLag`.", "as declared", ""),
    Metric("atoll_objective_clock_skew_seconds", "gauge", "s", [], "How far clocks may differ: `objectives.maxClockSkew`.", "as declared", ""),
    Metric("atoll_objective_log_bytes", "gauge", "bytes", [], "How much log is kept for a silent region: `retention.log.maxSize`.", "as declared", ""),
    Metric("atoll_raft_leads", "gauge", "", [], "1: this node leads its region.", "1 on one node of a region",
           "[AtollLeaderMissing](runbooks/AtollLeaderMissing.md)"),
    Metric("atoll_raft_has_leader", "gauge", "", [], "1: this node knows who leads its region.", "1", "as above"),
    Metric("atoll_raft_nodes", "gauge", "nodes", [], "Nodes of the region, as this one knows them.", "as declared",
           "[AtollRegionSilent](runbooks/AtollRegionSilent.md)"),
    Metric("atoll_raft_term", "gauge", "", [], "Raft's term: one more with each election.", "stays", "many elections: look at the network between the nodes"),
    Metric("atoll_raft_unapplied", "gauge", "commands", [], "Commands logged here and not applied yet.", "few", "the node is catching up, or its disk is slow"),
    Metric("atoll_raft_commit_seconds", "histogram", "s", [], "From a command's proposal until it is on a majority's disks and applied.",
           "a sync and a round trip between nodes", "look at the disk's sync times"),
    Metric("atoll_disk_used_bytes", "gauge", "bytes", [], "What the node takes of its disk.", "grows with data and log", ""),
    Metric("atoll_disk_free_bytes", "gauge", "bytes", [], "What the disk has left.", "over 15 %", "[AtollDiskFilling](runbooks/AtollDiskFilling.md)"),
    Metric("atoll_disk_size_bytes", "gauge", "bytes", [], "Size of the disk.", "as declared", ""),
    Metric("atoll_rocksdb_memory_bytes", "gauge", "bytes", ["kind"], "What RocksDB has in memory: `buffers` not in files yet, its `cache`, and `indexes` of files.",
           "up to `memory` of the configuration", ""),
    Metric("atoll_rocksdb_data_bytes", "gauge", "bytes", ["family"], "How much there is of each kind of record.", "", ""),
    Metric("atoll_rocksdb_compaction_pending_bytes", "gauge", "bytes", [], "What waits to be compacted.", "falls again", "the disk is too slow for what is written"),
    Metric("atoll_rocksdb_compactions", "gauge", "", [], "Compactions under way.", "0 to 2", ""),
    Metric("atoll_rocksdb_writes_stopped", "gauge", "", [], "1: writes wait until compactions have caught up.", "0",
           "[AtollWritesStopped](runbooks/AtollWritesStopped.md)"),
    Metric("atoll_tls_certificate_expiry_seconds", "gauge", "s", [], "Time until this node's certificate is over; below zero when it is.", "over a week",
           "[AtollCertificateExpiring](runbooks/AtollCertificateExpiring.md)"),
    Metric("atoll_tls_ca_expiry_seconds", "gauge", "s", [], "Time until the first of the trusted CAs is over; below zero when all are.", "over a month", "as above"),
    Metric("atoll_tls_refused_total", "counter", "connections", ["side", "reason"], "Connections that did not come about, or requests refused, for a certificate.",
           "stays", "docs/tls.md has the reasons"),
    Metric("atoll_telemetry_items_total", "counter", "", ["signal", "result"], "Spans, lines of the log, and collections of metrics, that a collector took (`sent`) or that were `dropped`.",
           "dropped stays", "[AtollTelemetryDropped](runbooks/AtollTelemetryDropped.md)"),
    Metric("process_cpu_time_seconds_total", "counter", "s", [], "CPU time that the process took.", "", ""),
    Metric("process_memory_usage_bytes", "gauge", "bytes", [], "Memory that the process has in use.", "", ""),
    Metric("process_unix_file_descriptor_count", "gauge", "", [], "Files and connections that the process has open.", "", ""),
    Metric("target_info", "gauge", "", ["service_name", "service_version", "service_instance_id"],
           "What the node is. `k8s_…` and the like come from `OTEL_RESOURCE_ATTRIBUTES`.", "1", ""),
]

OPERATOR = [
    Metric("atoll_operator_passes_total", "counter", "passes", ["outcome"], "Passes over stores: `ok`, or the class of what failed.", "ok",
           "[AtollOperatorFailing](runbooks/AtollOperatorFailing.md)"),
    Metric("atoll_operator_pass_seconds", "histogram", "s", [], "How long passes take, answers of nodes and of the API server included.", "below 1 s", "the API server or a node is slow"),
    Metric("atoll_operator_queue_depth", "gauge", "stores", [], "Stores that changed and are waiting for a pass.", "0", "more `--concurrency`"),
    Metric("atoll_operator_stores", "gauge", "stores", [], "Stores that are looked after.", "as declared", ""),
    Metric("atoll_operator_objects", "gauge", "objects", ["kind"], "Objects that were made for stores and are there.", "as declared", ""),
    Metric("atoll_operator_writes_total", "counter", "writes", ["kind"], "Writes to the API server.", "stays while nothing changes", "something else writes the same objects"),
    Metric("atoll_operator_actions_total", "counter", "changes", ["reason"], "Changes of running stores, by reason.", "", ""),
    Metric("atoll_operator_leads", "gauge", "", [], "1 while this operator is the one that acts.", "1 on one", "[AtollOperatorDown](runbooks/AtollOperatorDown.md)"),
]


def series():
    """Names that may stand in an expression → labels that may stand with them."""
    # Prometheus' own.
    known = {"up": set(SCRAPE_LABELS), "ALERTS": {"alertname", "alertstate", "severity", *NODE_LABELS}}
    for metrics, common in ((NODE, NODE_LABELS), (OPERATOR, [])):
        for metric in metrics:
            labels = {*metric.labels, *common, *SCRAPE_LABELS}
            if metric.kind == "histogram":
                known[metric.name + "_bucket"] = labels | {"le"}
                known[metric.name + "_sum"] = known[metric.name + "_count"] = labels
            else:
                known[metric.name] = labels
    return known


def page():
    """docs/metrics.md."""
    lines = [
        "# Metrics",
        "",
        "Every node serves `/metrics` in Prometheus' format, on the port of its clients, and sends the same to a collector when one is",
        "declared (`spec.telemetry.otlp`) or named by `OTEL_EXPORTER_OTLP_ENDPOINT`. OpenTelemetry's names have dots where Prometheus has",
        "underscores, and no unit at the end. [watching.md](watching.md) says how it all is set up.",
        "",
        "There are no exemplars: the OpenTelemetry SDK for Rust (0.33) keeps none, and what its Prometheus exporter writes with (the",
        "`prometheus` crate 0.14) has no form for them. The log and `atoll.store`, `atoll.region` lead from a panel to traces.",
        "",
        "## Nodes",
        "",
        "Every series has `atoll_store` and `atoll_region`. Series of links are shown by the region's leader, for the links that end there.",
        "",
        *table(NODE),
        "",
        "## Operator",
        "",
        *table(OPERATOR),
        "",
        "<!-- Made from scripts/watching/metrics.py by `make fix`. -->",
    ]
    return "\n".join(lines) + "\n"


def table(metrics):
    yield "| metric | kind | unit | labels | meaning | to expect | otherwise |"
    yield "|---|---|---|---|---|---|---|"
    for m in metrics:
        labels = ", ".join(f"`{label}`" for label in m.labels)
        yield f"| `{m.name}` | {m.kind} | {m.unit} | {labels} | {m.text} | {m.value} | {m.act} |"
