"""The five dashboards. Their expressions take the first of three questions: is it bad, where, since when."""

from .grafana import Board, Panel, Row, variable

STORE = variable("store", "Store", "label_values(atoll_raft_nodes, atoll_store)", several=False)
REGION = variable("region", "Region", 'label_values(atoll_raft_nodes{atoll_store="$store"}, atoll_region)')
COLLECTION = variable("collection", "Collection", 'label_values(atoll_conflicts_total{atoll_store="$store"}, collection)')
NODE = variable("node", "Node", 'label_values(atoll_raft_nodes{atoll_store="$store",atoll_region=~"$region"}, instance)')

S = 'atoll_store="$store"'
R = 'atoll_store="$store",atoll_region=~"$region"'
N = R + ',instance=~"$node"'
TO = 'atoll_store="$store",link_to=~"$region"'
BAD, ODD = "red", "orange"
NO, YES = ((0, "green"), (1, BAD)), ((0, BAD), (1, "green"))
WINDOW = "$__rate_interval"


def quantile(share, metric, matchers, by):
    return f"histogram_quantile({share}, sum by (le, {by}) (rate({metric}_bucket{{{matchers}}}[{WINDOW}])))"


OVERVIEW = Board("atoll-overview", "Atoll: Store overview", "One row a region: is it well, how far behind, how busy, how full.", [STORE, REGION], [
    Row("The store", [
        Panel("Connected", "1: every region hears of every other.", "stat", "bool_yes_no", [(f"min(atoll_topology_connected{{{S}}})", "connected")], 4, YES, ["Atoll: Replication"]),
        Panel("Redundant", "1: and would with any one link lost.", "stat", "bool_yes_no", [(f"min(atoll_topology_redundant{{{S}}})", "redundant")], 4, ((0, ODD), (1, "green")), ["Atoll: Replication"]),
        Panel("Worst lag", "The link that is behind most.", "stat", "s", [(f"max(atoll:link_lag_seconds{{{S}}})", "lag")], 4, ((2, ODD), (10, BAD)), ["Atoll: Replication"]),
        Panel("Oldest proof", "How long ago the two regions that are least sure were known to be equal.", "stat", "s", [(f"max(atoll_converged_age_seconds{{{S}}})", "age")], 4, ((20, ODD), (60, BAD)), ["Atoll: Replication"]),
        Panel("Conflicts", "A second, as the region that notices most has them.", "stat", "cps", [(f"max(sum by (atoll_region) (atoll:conflicts:rate5m{{{S}}}))", "conflicts")], 4, ((1, ODD),), ["Atoll: Conflicts"]),
        Panel("Alerts", "Of this store that fire now.", "stat", "short", [(f'count(ALERTS{{{S},alertstate="firing"}}) or vector(0)', "alerts")], 4, NO),
    ]),
    Row("Regions", [
        Panel("Leader", "1: some node of the region leads it.", "stat", "bool_yes_no", [(f"max by (atoll_region) (atoll_raft_leads{{{R}}})", "{{atoll_region}}")], 6, YES, ["Atoll: Node"]),
        Panel("Nodes that answer", "Of each region.", "stat", "short", [(f"count by (atoll_region) (atoll_raft_nodes{{{R}}})", "{{atoll_region}}")], 6, (), ["Atoll: Node"]),
        Panel("Lag of links into the region", "Age of the oldest entry that is missing.", "timeseries", "s", [(f"max by (link_to, link_from) (atoll:link_lag_seconds{{{TO}}})", "{{link_from}} → {{link_to}}")], 12, (), ["Atoll: Replication"]),
        Panel("Requests", "A second.", "timeseries", "reqps", [(f"sum by (atoll_region) (atoll:requests:rate5m{{{R}}})", "{{atoll_region}}")], 8, (), ["Atoll: Node"]),
        Panel("Failing", "Share of answers that are 5xx.", "timeseries", "percentunit", [(f"atoll:request_errors:ratio5m{{{R}}} or 0 * atoll:requests:rate5m{{{R}}}", "{{atoll_region}}")], 8, (), ["Atoll: Node"]),
        Panel("Writes", "Median and 99th percentile of the answer.", "timeseries", "s", [
            (quantile(0.5, "atoll_http_server_request_duration_seconds", R + ',http_request_method=~"PUT|POST|PATCH|DELETE"', "atoll_region"), "{{atoll_region}} median"),
            (quantile(0.99, "atoll_http_server_request_duration_seconds", R + ',http_request_method=~"PUT|POST|PATCH|DELETE"', "atoll_region"), "{{atoll_region}} p99"),
        ], 8, (), ["Atoll: Node"]),
        Panel("Entries that arrive", "A second, from other regions.", "timeseries", "wps", [(f'sum by (link_to) (rate(atoll_replication_entries_total{{{TO},result="applied"}}[{WINDOW}]))', "{{link_to}}")], 8, (), ["Atoll: Replication"]),
        Panel("Conflicts noticed", "A second.", "timeseries", "cps", [(f"sum by (atoll_region) (atoll:conflicts:rate5m{{{R}}})", "{{atoll_region}}")], 8, (), ["Atoll: Conflicts"]),
        Panel("Disk left", "Share of the disk.", "timeseries", "percentunit", [(f"atoll:disk_free:ratio{{{R}}}", "{{instance}}")], 8, (), ["Atoll: Node"]),
        Panel("Clocks", "How far a region's clock is ahead of its peers'.", "timeseries", "s", [(f"max by (atoll_region, peer) (atoll_clock_offset_seconds{{{R}}})", "{{atoll_region}} ahead of {{peer}}")], 8),
        Panel("Certificates", "Time left of the first that ends.", "timeseries", "s", [(f"min by (atoll_region) (atoll_tls_certificate_expiry_seconds{{{R}}})", "{{atoll_region}}")], 8),
        Panel("Versions", "Of the nodes.", "table", "short", [(f"count by (atoll_region, service_version) (target_info{{{R}}})", "")], 8),
    ]),
])

REPLICATION = Board("atoll-replication", "Atoll: Replication", "Which link lags, and why: network, waiting, applying, or nothing coming at all.", [STORE, REGION], [
    Row("Links", [
        Panel("Lag, from row to column", "Seconds, now.", "table", "s", [(f"max by (link_from, link_to) (atoll:link_lag_seconds{{{TO}}})", "")], 8, ((2, ODD), (10, BAD))),
        Panel("Links that carry entries", "1: up.", "table", "short", [(f"max by (link_from, link_to) (atoll_replication_link_up{{{TO}}})", "")], 8, YES),
        Panel("Silence", "For how long nothing was heard.", "table", "s", [(f"max by (link_from, link_to) (atoll_replication_link_silent_seconds{{{TO}}})", "")], 8, ((3, ODD), (10, BAD))),
        Panel("Lag", "Age of the oldest entry that is missing.", "timeseries", "s", [(f"max by (link_from, link_to) (atoll:link_lag_seconds{{{TO}}})", "{{link_from}} → {{link_to}}")], 12),
        Panel("Entries behind", "By who wrote them.", "timeseries", "short", [(f"max by (link_from, link_to, origin) (atoll_replication_lag_entries{{{TO}}})", "{{link_from}} → {{link_to}}, of {{origin}}")], 12),
    ]),
    Row("Why", [
        Panel("Round trip", "99th percentile: the network.", "timeseries", "s", [(quantile(0.99, "atoll_replication_rtt_seconds", TO, "link_from, link_to"), "{{link_from}} → {{link_to}}")], 8),
        Panel("Waiting for what it depends on", "99th percentile: another link is late.", "timeseries", "s", [(quantile(0.99, "atoll_replication_causal_wait_seconds", R, "atoll_region, origin"), "{{origin}} in {{atoll_region}}")], 8),
        Panel("Queue", "Received and not applied: this region is slow.", "timeseries", "short", [(f"max by (link_from, link_to) (atoll_replication_queue{{{TO}}})", "{{link_from}} → {{link_to}}")], 8),
        Panel("Queue in bytes", "As above.", "timeseries", "bytes", [(f"max by (link_from, link_to) (atoll_replication_queue_bytes{{{TO}}})", "{{link_from}} → {{link_to}}")], 8),
        Panel("Until visible", "99th percentile, from commit at the origin.", "timeseries", "s", [(quantile(0.99, "atoll_replication_visibility_seconds", R, "atoll_region, origin"), "{{origin}} in {{atoll_region}}")], 8),
        Panel("Commit", "99th percentile: a command's way to the disks of a majority.", "timeseries", "s", [(quantile(0.99, "atoll_raft_commit_seconds", R, "atoll_region"), "{{atoll_region}}")], 8, (), ["Atoll: Node"]),
    ]),
    Row("What passes", [
        Panel("Entries", "A second, by what became of them.", "timeseries", "wps", [(f"sum by (link_from, link_to, result) (rate(atoll_replication_entries_total{{{TO}}}[{WINDOW}]))", "{{link_from}} → {{link_to}} {{result}}")], 8),
        Panel("Copies", "Entries received for each that was new: 1.1 at most in steady state.", "timeseries", "short", [(f'sum by (link_to) (rate(atoll_replication_entries_total{{{TO},result=~"applied|duplicate"}}[{WINDOW}])) / sum by (link_to) (rate(atoll_replication_entries_total{{{TO},result="applied"}}[{WINDOW}]))', "{{link_to}}")], 8, ((1.1, ODD), (2, BAD))),
        Panel("Taken on for others", "Entries a second that a region brings of another.", "timeseries", "wps", [(f'sum by (link_from, link_to) (rate(atoll_replication_entries_total{{{TO},result="relayed"}}[{WINDOW}])) or vector(0)', "{{link_from}} → {{link_to}}")], 8),
    ]),
    Row("The whole", [
        Panel("Ways", "Connected, redundant, and links that stand in for others.", "timeseries", "short", [
            (f"min(atoll_topology_connected{{{S}}})", "connected"), (f"min(atoll_topology_redundant{{{S}}})", "redundant"),
            (f"sum(atoll_replication_link_stands_in{{{S}}})", "links that stand in"),
        ], 8),
        Panel("Age of the proof of equality", "Each has all that the other had so long ago.", "timeseries", "s", [(f"max by (atoll_region, peer) (atoll_converged_age_seconds{{{R}}})", "{{atoll_region}} = {{peer}}")], 8),
        Panel("Log that is kept", "Of what may be kept, and for whom.", "timeseries", "percentunit", [(f"atoll:log_retained:ratio{{{R}}} or 0 * max by (atoll_store, atoll_region) (atoll_objective_log_bytes{{{R}}})", "{{atoll_region}} for {{blocked_by}}")], 8),
    ]),
])

C = R + ',collection=~"$collection"'
CONFLICTS = Board("atoll-conflicts", "Atoll: Conflicts", "Which collection conflicts, how, what becomes of it, and how long it takes.", [STORE, REGION, COLLECTION], [
    Row("How many", [
        Panel("By collection", "A second: the hottest first.", "timeseries", "cps", [(f"topk(10, max by (collection) (atoll:conflicts:rate5m{{{C}}}))", "{{collection}}")], 12),
        Panel("By kind", "A second.", "timeseries", "cps", [(f"sum by (kind) (max by (collection, kind, outcome) (rate(atoll_conflicts_total{{{C}}}[{WINDOW}])))", "{{kind}}")], 12),
        Panel("By outcome", "What the policies make of them.", "timeseries", "cps", [(f"sum by (outcome) (max by (collection, kind, outcome) (rate(atoll_conflicts_total{{{C}}}[{WINDOW}])))", "{{outcome}}")], 12),
        Panel("In all", "Since the nodes started.", "table", "short", [(f"max by (collection, kind, outcome) (atoll_conflicts_total{{{C}}})", "")], 12),
    ]),
    Row("How long", [
        Panel("Open", "That nobody has resolved.", "timeseries", "short", [(f"max by (atoll_region) (atoll_conflicts_open{{{R}}})", "{{atoll_region}}")], 8),
        Panel("Resolution", "Median and 99th percentile, from detected to resolved.", "timeseries", "s", [
            (quantile(0.5, "atoll_conflict_resolution_seconds", C, "collection"), "{{collection}} median"),
            (quantile(0.99, "atoll_conflict_resolution_seconds", C, "collection"), "{{collection}} p99"),
        ], 8),
        Panel("Resolved", "A second.", "timeseries", "cps", [(f"max by (collection) (rate(atoll_conflict_resolution_seconds_count{{{C}}}[{WINDOW}]))", "{{collection}}")], 8),
    ]),
    Row("Against what is written", [
        Panel("Conflicts for a thousand writes", "In the store.", "timeseries", "short", [(f'1000 * max(sum by (atoll_region) (atoll:conflicts:rate5m{{{S}}})) / sum(rate(atoll_http_server_request_duration_seconds_count{{{S},http_request_method=~"PUT|POST|PATCH|DELETE"}}[5m]))', "conflicts")], 12),
        Panel("Lag", "What is not seen yet can be conflicted with.", "timeseries", "s", [(f"max by (link_from, link_to) (atoll:link_lag_seconds{{{TO}}})", "{{link_from}} → {{link_to}}")], 12, (), ["Atoll: Replication"]),
    ]),
])

NODES = Board("atoll-node", "Atoll: Node", "One node: requests, its part in the region, storage, memory.", [STORE, REGION, NODE], [
    Row("Requests", [
        Panel("By route", "A second.", "timeseries", "reqps", [(f"sum by (http_request_method, http_route) (rate(atoll_http_server_request_duration_seconds_count{{{N}}}[{WINDOW}]))", "{{http_request_method}} {{http_route}}")], 8),
        Panel("Time", "99th percentile by route.", "timeseries", "s", [(quantile(0.99, "atoll_http_server_request_duration_seconds", N, "http_request_method, http_route"), "{{http_request_method}} {{http_route}}")], 8),
        Panel("By status", "A second.", "timeseries", "reqps", [(f"sum by (http_response_status_code) (rate(atoll_http_server_request_duration_seconds_count{{{N}}}[{WINDOW}]))", "{{http_response_status_code}}")], 8),
        Panel("Under way", "Requests now.", "timeseries", "short", [(f"sum by (instance) (atoll_http_server_active_requests{{{N}}})", "{{instance}}")], 8),
        Panel("Refused for a certificate", "Connections a second.", "timeseries", "cps", [(f"sum by (side, reason) (rate(atoll_tls_refused_total{{{N}}}[{WINDOW}])) or vector(0)", "{{side}} {{reason}}")], 8),
        Panel("Telemetry dropped", "A second: the collector does not take it.", "timeseries", "cps", [(f'sum by (instance, signal) (rate(atoll_telemetry_items_total{{{N},result="dropped"}}[{WINDOW}]))', "{{instance}} {{signal}}")], 8),
    ]),
    Row("The region's group", [
        Panel("Leads", "Which node does.", "timeseries", "short", [(f"max by (instance) (atoll_raft_leads{{{N}}})", "{{instance}}")], 8),
        Panel("Commit", "Median and 99th percentile.", "timeseries", "s", [(quantile(0.5, "atoll_raft_commit_seconds", N, "instance"), "{{instance}} median"), (quantile(0.99, "atoll_raft_commit_seconds", N, "instance"), "{{instance}} p99")], 8),
        Panel("Elections", "Terms begun within five minutes, and commands not applied yet.", "timeseries", "short", [(f"max by (instance) (delta(atoll_raft_term{{{N}}}[5m]))", "{{instance}} terms"), (f"max by (instance) (atoll_raft_unapplied{{{N}}})", "{{instance}} unapplied")], 8),
    ]),
    Row("RocksDB and its disk", [
        Panel("Memory", "By what it is for.", "timeseries", "bytes", [(f"sum by (instance, kind) (atoll_rocksdb_memory_bytes{{{N}}})", "{{instance}} {{kind}}")], 8),
        Panel("Data", "By kind of record.", "timeseries", "bytes", [(f"sum by (instance, family) (atoll_rocksdb_data_bytes{{{N}}})", "{{instance}} {{family}}")], 8),
        Panel("Compaction", "What waits, in bytes.", "timeseries", "bytes", [(f"sum by (instance) (atoll_rocksdb_compaction_pending_bytes{{{N}}})", "{{instance}}")], 8),
        Panel("Compactions and stops", "Under way; 1: writes wait.", "timeseries", "short", [(f"sum by (instance) (atoll_rocksdb_compactions{{{N}}})", "{{instance}} compactions"), (f"max by (instance) (atoll_rocksdb_writes_stopped{{{N}}})", "{{instance}} stopped")], 8),
        Panel("Disk", "Taken, and left.", "timeseries", "bytes", [(f"sum by (instance) (atoll_disk_used_bytes{{{N}}})", "{{instance}} used"), (f"sum by (instance) (atoll_disk_free_bytes{{{N}}})", "{{instance}} free")], 8),
        Panel("Log", "Kept, in bytes.", "timeseries", "bytes", [(f"max by (instance) (atoll_log_retained_bytes{{{N}}})", "{{instance}}")], 8),
    ]),
    Row("The process", [
        Panel("CPU", "Cores.", "timeseries", "short", [(f"sum by (instance) (rate(process_cpu_time_seconds_total{{{N}}}[{WINDOW}]))", "{{instance}}")], 8),
        Panel("Memory in use", "Resident.", "timeseries", "bytes", [(f"sum by (instance) (process_memory_usage_bytes{{{N}}})", "{{instance}}")], 8),
        Panel("Open files", "And connections.", "timeseries", "short", [(f"sum by (instance) (process_unix_file_descriptor_count{{{N}}})", "{{instance}}")], 8),
    ]),
])

OPERATOR = Board("atoll-operator", "Atoll: Operator", "Whether the operator acts, how its passes go, and what it changes.", [], [
    Row("Passes", [
        Panel("Acts", "1: this one of several.", "stat", "bool_yes_no", [("max(atoll_operator_leads)", "acts")], 4, YES),
        Panel("Stores", "Looked after.", "stat", "short", [("sum(atoll_operator_stores)", "stores")], 4),
        Panel("Waiting", "Stores that changed and wait for a pass.", "timeseries", "short", [("sum(atoll_operator_queue_depth)", "waiting")], 8),
        Panel("Passes by outcome", "A second.", "timeseries", "ops", [(f"sum by (outcome) (rate(atoll_operator_passes_total[{WINDOW}]))", "{{outcome}}")], 8),
        Panel("Time of a pass", "Median and 99th percentile.", "timeseries", "s", [(f"histogram_quantile({q}, sum by (le) (rate(atoll_operator_pass_seconds_bucket[{WINDOW}])))", name) for q, name in ((0.5, "median"), (0.99, "p99"))], 8),
        Panel("Writes to the API server", "A second, by kind.", "timeseries", "wps", [(f"sum by (kind) (rate(atoll_operator_writes_total[{WINDOW}])) or vector(0)", "{{kind}}")], 8),
        Panel("Changes of running stores", "Since it started, by reason.", "timeseries", "short", [("sum by (reason) (atoll_operator_actions_total) or vector(0)", "{{reason}}")], 8),
        Panel("Objects", "That were made, by kind.", "timeseries", "short", [("sum by (kind) (atoll_operator_objects)", "{{kind}}")], 8),
    ]),
])

BOARDS = {
    "store-overview": OVERVIEW,
    "replication": REPLICATION,
    "conflicts": CONFLICTS,
    "node": NODES,
    "operator": OPERATOR,
}
