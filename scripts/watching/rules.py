"""Recording rules and alerts, each alert with a case that fires and clears it.

`charts/atoll/files/rules.yaml` is what the chart's PrometheusRule and a plain Prometheus' `rule_files` read; the cases
become `promtool test rules`.
"""

from collections import namedtuple

Record = namedtuple("Record", "name expr labels")
# `fires` are series by which the alert fires at `at`; `clears` are the values that they go on with, after which it is
# silent at `calm`. Values are promtool's: `1+0x9` is ten times 1.
Alert = namedtuple("Alert", "name expr wait severity summary fires at clears calm", defaults=[""])

STORE = "atoll_store"
REGION = "atoll_store, atoll_region"
LINK = "atoll_store, link_from, link_to"

RECORDS = [
    Record("atoll:link_lag_seconds", f"max by ({LINK}) (atoll_replication_lag_seconds)", ["atoll_store", "link_from", "link_to"]),
    Record("atoll:conflicts:rate5m",
           "sum by (atoll_store, atoll_region, collection) (max by (atoll_store, atoll_region, collection, kind, outcome) "
           "(rate(atoll_conflicts_total[5m])))", ["atoll_store", "atoll_region", "collection"]),
    Record("atoll:requests:rate5m", f"sum by ({REGION}) (rate(atoll_http_server_request_duration_seconds_count[5m]))",
           ["atoll_store", "atoll_region"]),
    Record("atoll:request_errors:ratio5m",
           f'sum by ({REGION}) (rate(atoll_http_server_request_duration_seconds_count{{http_response_status_code=~"5.."}}[5m])) / '
           f"sum by ({REGION}) (rate(atoll_http_server_request_duration_seconds_count[5m]))", ["atoll_store", "atoll_region"]),
    Record("atoll:log_retained:ratio",
           f'max by ({REGION}, blocked_by) (atoll_log_retained_bytes{{blocked_by!=""}}) / on ({REGION}) group_left '
           f"max by ({REGION}) (atoll_objective_log_bytes)", ["atoll_store", "atoll_region", "blocked_by"]),
    Record("atoll:disk_free:ratio", f"min by ({REGION}, instance) (atoll_disk_free_bytes / atoll_disk_size_bytes)",
           ["atoll_store", "atoll_region", "instance"]),
]

S = 'atoll_store="shop"'
R = f'{S},atoll_region="eu"'
L = f'{S},link_from="us",link_to="eu"'

ALERTS = [
    Alert("AtollLagAboveObjective",
          f"atoll:link_lag_seconds > on ({STORE}) group_left max by ({STORE}) (atoll_objective_lag_seconds)", "2m", "warning",
          "{{ $labels.link_to }} is {{ $value | humanizeDuration }} behind {{ $labels.link_from }}",
          {f'atoll_replication_lag_seconds{{{L},origin="us"}}': "0x2 9x9", f"atoll_objective_lag_seconds{{{R}}}": "2x60"}, "8m",
          {f'atoll_replication_lag_seconds{{{L},origin="us"}}': "0.1x20"}, "20m"),
    Alert("AtollLinkDown", f"max by ({LINK}) (atoll_replication_link_up) == 0", "1m", "warning",
          "Nothing comes from {{ $labels.link_from }} to {{ $labels.link_to }}",
          {f"atoll_replication_link_up{{{L}}}": "1x2 0x9"}, "6m", {f"atoll_replication_link_up{{{L}}}": "1x20"}, "20m"),
    Alert("AtollRegionsCutOff", f"min by ({STORE}) (atoll_topology_connected) == 0", "30s", "critical",
          "Some regions of {{ $labels.atoll_store }} do not hear of others",
          {f"atoll_topology_connected{{{R}}}": "1x2 0x9"}, "6m", {f"atoll_topology_connected{{{R}}}": "1x20"}, "20m"),
    Alert("AtollNotRedundant",
          f"min by ({STORE}) (atoll_topology_redundant) == 0 and on ({STORE}) min by ({STORE}) (atoll_topology_connected) == 1 "
          f"and on ({STORE}) max by ({STORE}) (max_over_time(atoll_topology_redundant[1d])) == 1", "5m", "warning",
          "One more lost link would cut regions of {{ $labels.atoll_store }} off",
          {f"atoll_topology_redundant{{{R}}}": "1x2 0x12", f"atoll_topology_connected{{{R}}}": "1x60"}, "12m",
          {f"atoll_topology_redundant{{{R}}}": "1x20"}, "25m"),
    Alert("AtollConflictRateJump",
          "atoll:conflicts:rate5m > 0.1 and atoll:conflicts:rate5m > 4 * avg_over_time(atoll:conflicts:rate5m[6h] offset 10m)", "5m", "warning",
          'Collection {{ $labels.collection }} has {{ $value | printf "%.1f" }} conflicts a second, far more than usual',
          {f'atoll_conflicts_total{{{R},collection="pages",kind="write-write",outcome="latest-kept"}}': "0+1x40 160+120x15"}, "55m",
          {f'atoll_conflicts_total{{{R},collection="pages",kind="write-write",outcome="latest-kept"}}': "1961+1x40"}, "80m"),
    Alert("AtollNotConverged",
          f"max by ({REGION}, peer) (atoll_converged_age_seconds) > on ({STORE}) group_left clamp_min(10 * max by ({STORE}) "
          "(atoll_objective_lag_seconds), 60)", "2m", "warning",
          "{{ $labels.atoll_region }} and {{ $labels.peer }} have not been proved equal for {{ $value | humanizeDuration }}",
          {f'atoll_converged_age_seconds{{{R},peer="us"}}': "1x2 100+60x9", f"atoll_objective_lag_seconds{{{R}}}": "2x60"}, "8m",
          {f'atoll_converged_age_seconds{{{R},peer="us"}}': "1x20"}, "20m"),
    Alert("AtollClockSkew",
          f"max by ({REGION}, peer) (abs(atoll_clock_offset_seconds)) > on ({STORE}) group_left max by ({STORE}) "
          "(atoll_objective_clock_skew_seconds)", "30s", "critical",
          "The clocks of {{ $labels.atoll_region }} and {{ $labels.peer }} differ by {{ $value | humanizeDuration }}",
          {f'atoll_clock_offset_seconds{{{R},peer="us"}}': "0x2 -0.9x9", f"atoll_objective_clock_skew_seconds{{{R}}}": "0.5x60"}, "6m",
          {f'atoll_clock_offset_seconds{{{R},peer="us"}}': "0.01x20"}, "20m"),
    Alert("AtollLogNearBound", "atoll:log_retained:ratio > 0.8", "10m", "warning",
          "{{ $labels.atoll_region }} keeps {{ $value | humanizePercentage }} of the log that it may, for {{ $labels.blocked_by }}",
          {f'atoll_log_retained_bytes{{{R},blocked_by="us"}}': "10x2 90x20", f"atoll_objective_log_bytes{{{R}}}": "100x60"}, "16m",
          {f'atoll_log_retained_bytes{{{R},blocked_by="us"}}': "10x20"}, "35m"),
    Alert("AtollDiskFilling", "atoll:disk_free:ratio < 0.15", "5m", "critical",
          "{{ $labels.instance }} has {{ $value | humanizePercentage }} of its disk left",
          {f'atoll_disk_free_bytes{{{R},instance="eu-0"}}': "60x2 10x12", f'atoll_disk_size_bytes{{{R},instance="eu-0"}}': "100x60"}, "12m",
          {f'atoll_disk_free_bytes{{{R},instance="eu-0"}}': "60x20"}, "30m"),
    Alert("AtollDiskFullSoon", f"min by ({REGION}, instance) (predict_linear(atoll_disk_free_bytes[1h], 86400)) < 0", "30m", "warning",
          "The disk of {{ $labels.instance }} is full within a day, if it goes on like this",
          {f'atoll_disk_free_bytes{{{R},instance="eu-0"}}': "6000-10x90"}, "90m",
          {f'atoll_disk_free_bytes{{{R},instance="eu-0"}}': "5100x90"}, "170m"),
    Alert("AtollLeaderMissing", f"max by ({REGION}) (atoll_raft_leads) == 0", "30s", "critical",
          "Region {{ $labels.atoll_region }} has no leader: it takes no writes",
          {f'atoll_raft_leads{{{R},instance="eu-0"}}': "1x2 0x9", f'atoll_raft_leads{{{R},instance="eu-1"}}': "0x60"}, "6m",
          {f'atoll_raft_leads{{{R},instance="eu-0"}}': "1x20"}, "20m"),
    Alert("AtollRegionSilent",
          f"group by ({REGION}) (max_over_time(atoll_raft_nodes[1h])) unless on ({REGION}) group by ({REGION}) (atoll_raft_nodes)", "1m", "critical",
          "No node of region {{ $labels.atoll_region }} answers Prometheus",
          {f"atoll_raft_nodes{{{R}}}": "3x2 _x15"}, "12m", {f"atoll_raft_nodes{{{R}}}": "3x20"}, "25m"),
    Alert("AtollCertificateExpiring",
          f"min by ({REGION}, instance) (atoll_tls_certificate_expiry_seconds) < 7 * 86400 or "
          f"min by ({REGION}, instance) (atoll_tls_ca_expiry_seconds) < 14 * 86400", "10m", "critical",
          "A certificate that {{ $labels.instance }} needs is over in {{ $value | humanizeDuration }}",
          {f'atoll_tls_certificate_expiry_seconds{{{R},instance="eu-0"}}': "600000-60x20"}, "15m",
          {f'atoll_tls_certificate_expiry_seconds{{{R},instance="eu-0"}}': "2000000x20"}, "30m"),
    Alert("AtollEntryQuarantined",
          f'sum by ({LINK}) (atoll_replication_entries_total{{result="quarantined"}} unless atoll_replication_entries_total{{result="quarantined"}} '
          f'offset 10m) > 0 or sum by ({LINK}) (increase(atoll_replication_entries_total{{result="quarantined"}}[10m])) > 0', "0m", "critical",
          "{{ $labels.link_from }} sent {{ $labels.link_to }} an entry that it does not understand: the link has stopped",
          {f'atoll_replication_entries_total{{{L},result="quarantined"}}': "_x2 1x50"}, "6m",
          {}, "30m"),
    Alert("AtollRolledBack", f"max by ({REGION}) (atoll_log_own_missing) > 0", "0m", "critical",
          "Region {{ $labels.atoll_region }} lacks {{ $value }} entries that it wrote itself: its data was put back",
          {f"atoll_log_own_missing{{{R}}}": "0x2 7x9"}, "6m", {f"atoll_log_own_missing{{{R}}}": "0x20"}, "20m"),
    Alert("AtollWritesStopped", f"max by ({REGION}, instance) (atoll_rocksdb_writes_stopped) == 1", "1m", "critical",
          "The storage of {{ $labels.instance }} holds writes back: its disk does not keep up",
          {f'atoll_rocksdb_writes_stopped{{{R},instance="eu-0"}}': "0x2 1x9"}, "6m",
          {f'atoll_rocksdb_writes_stopped{{{R},instance="eu-0"}}': "0x20"}, "20m"),
    Alert("AtollRequestsFailing", "atoll:request_errors:ratio5m > 0.05", "5m", "critical",
          "{{ $value | humanizePercentage }} of the requests to region {{ $labels.atoll_region }} fail",
          {f'atoll_http_server_request_duration_seconds_count{{{R},http_request_method="PUT",http_route="/v1/x",http_response_status_code="503"}}': "0+60x20",
           f'atoll_http_server_request_duration_seconds_count{{{R},http_request_method="PUT",http_route="/v1/x",http_response_status_code="200"}}': "0+60x60"}, "18m",
          {f'atoll_http_server_request_duration_seconds_count{{{R},http_request_method="PUT",http_route="/v1/x",http_response_status_code="503"}}': "1200x30"}, "40m"),
    Alert("AtollTelemetryDropped",
          f'sum by ({REGION}, signal) (rate(atoll_telemetry_items_total{{result="dropped"}}[5m])) > 0', "10m", "info",
          "Region {{ $labels.atoll_region }} drops {{ $labels.signal }}: the collector does not take them",
          {f'atoll_telemetry_items_total{{{R},signal="spans",result="dropped"}}': "0+10x20"}, "18m",
          {f'atoll_telemetry_items_total{{{R},signal="spans",result="dropped"}}': "200x30"}, "40m"),
    Alert("AtollOperatorDown", "max(max_over_time(atoll_operator_leads[1d])) == 1 unless max(atoll_operator_leads) == 1", "2m", "warning",
          "No operator acts: stores go on, and nothing of them is changed or reported",
          {'atoll_operator_leads{instance="a"}': "1x2 0x9"}, "8m", {'atoll_operator_leads{instance="a"}': "1x20"}, "20m"),
    Alert("AtollOperatorFailing",
          'sum by (outcome) (rate(atoll_operator_passes_total{outcome!="ok"}[10m])) / on () group_left sum(rate(atoll_operator_passes_total[10m])) > 0.5',
          "10m", "warning", "Most passes of the operator fail: {{ $labels.outcome }}",
          {'atoll_operator_passes_total{outcome="remote"}': "0+6x30", 'atoll_operator_passes_total{outcome="ok"}': "0+1x90"}, "25m",
          {'atoll_operator_passes_total{outcome="remote"}': "180x60"}, "60m"),
]


def rules():
    """charts/atoll/files/rules.yaml."""
    lines = ["# Made from scripts/watching/rules.py by `make fix`.", "groups:", "  - name: atoll.records", "    rules:"]
    for record in RECORDS:
        lines += [f"      - record: {record.name}", f"        expr: {quote(record.expr)}"]
    lines += ["  - name: atoll.alerts", "    rules:"]
    for alert in ALERTS:
        lines += [
            f"      - alert: {alert.name}",
            f"        expr: {quote(alert.expr)}",
            *([] if alert.wait == "0m" else [f"        for: {alert.wait}"]),
            f"        labels: {{ severity: {alert.severity} }}",
            "        annotations:",
            f"          summary: {quote(alert.summary)}",
            f"          runbook: {quote(f'docs/runbooks/{alert.name}.md')}",
        ]
    return "\n".join(lines) + "\n"


def cases(rule_file):
    """What `promtool test rules` reads: every alert fires, and clears."""
    lines = [f"rule_files: [{rule_file}]", "evaluation_interval: 30s", "tests:"]
    for alert in ALERTS:
        lines += ["  - interval: 1m", f"    name: {alert.name}", "    input_series:"]
        for series, values in alert.fires.items():
            after = alert.clears.get(series, "")
            lines += [f"      - series: {quote(series)}", f"        values: {quote(f'{values} {after}'.strip())}"]
        lines.append("    promql_expr_test:")
        for at, count in ((alert.at, 1), (alert.calm, 0)):
            firing = f'count(ALERTS{{alertname="{alert.name}",alertstate="firing"}}) or vector(0)'
            lines += [f"      - expr: {quote(firing)}", f"        eval_time: {at}", f"        exp_samples: [{{ labels: '{{}}', value: {count} }}]"]
    return "\n".join(lines) + "\n"


def quote(text):
    return "'" + text.replace("'", "''") + "'"
