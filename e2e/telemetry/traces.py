"""One write's trace, from the client to the last region, as the collector has it."""

import secrets
import time

from parts import Client, until


def one_write(site):
    """Writes as a client that keeps its trace, and prints the tree."""
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    begun = time.time_ns()
    site.clients["eu"].put("pages", "zqkey-traced", "zqvalue-traced", traceparent=f"00-{trace}-{span}-01")
    site.send_spans([{
        "traceId": trace, "spanId": span, "name": "client", "kind": 3, "startTimeUnixNano": str(begun),
        "endTimeUnixNano": str(time.time_ns()),
    }])
    want = {("client", "client"), ("eu", "apply"), ("us", "replicate"), ("ap", "replicate"), ("eu", "ship")}

    def whole():
        spans = [(where(resource), span) for resource, span in site.spans(trace)]
        return spans if want <= {(region, span["name"]) for region, span in spans} else None

    spans = until("the collector has the whole trace", 30, whole)
    site.rest(1.5)
    spans = [(where(resource), span) for resource, span in site.spans(trace)]
    lines = list(tree(spans, ""))
    print("\n".join(f"  {line}" for line in lines), flush=True)
    regions = {region for region, _ in spans}
    assert regions == {"client", "eu", "us", "ap"}, regions
    names = lambda of: sorted(span["name"] for region, span in spans if region == of)
    assert names("eu") == ["PUT /v1/collections/{collection}/keys/{key}", "apply", "propose", "ship", "ship", "sync"], names("eu")
    for region in ("us", "ap"):
        assert {"replicate", "sync", "apply"} <= set(names(region)), names(region)
    ids = {span["spanId"] for _, span in spans}
    assert all(not span.get("parentSpanId") or span["parentSpanId"] in ids for _, span in spans), "a span hangs in the air"
    assert len(lines) == len(spans), "the tree has all spans"
    assert f'"trace_id":"{trace}"' in site.nodes["eu"].log.read_text(), "the log does not name the trace"


def where(resource):
    named = {attribute["key"]: attribute["value"].get("stringValue") for attribute in resource["attributes"]}
    return named.get("atoll.region") or named["service.name"]


def tree(spans, parent, depth=0, zero=None):
    """Lines, by the time of their begin."""
    below = sorted((s for s in spans if s[1].get("parentSpanId", "") == parent), key=lambda s: int(s[1]["startTimeUnixNano"]))
    for region, span in below:
        begin, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
        zero = begin if zero is None else zero
        named = {a["key"]: a["value"].get("stringValue") for a in span.get("attributes", [])}
        link = f" {named['link.from']} → {named['link.to']}" if "link.from" in named else ""
        yield f"{'  ' * depth}{span['name']}{link} [{region}] at {(begin - zero) / 1e6:.2f} ms, took {(end - begin) / 1e6:.2f} ms"
        yield from tree(spans, span["spanId"], depth + 1, zero)


def metrics_of_all_regions(site):
    """The collector's file has metrics of each region."""
    found = {}
    for line in site.lines():
        for resource in line.get("resourceMetrics", []):
            names = {metric["name"] for scope in resource["scopeMetrics"] for metric in scope["metrics"]}
            found.setdefault(where(resource["resource"]), set()).update(names)
    assert "atoll.raft.term" in found.get("one", set()), f"by TLS: {sorted(found)}"
    for region in ("eu", "us", "ap"):
        assert "atoll.replication.lag" in found.get(region, set()), f"{region}: {sorted(found.get(region, []))}"
        print(f"  {region}: {len(found[region])} metrics by OTLP", flush=True)


def logs_of_all_regions(site):
    """What nodes log comes by OTLP as well, and what belongs to a traced request has its trace."""
    begun = {}
    for region, port in site.ports.items():
        begun[region] = secrets.token_hex(16)
        Client(port).put("pages", "zqkey-logged", "zqvalue-logged", traceparent=f"00-{begun[region]}-{secrets.token_hex(8)}-01")

    def all_records():
        for line in site.lines():
            for resource in line.get("resourceLogs", []):
                for record in (record for scope in resource["scopeLogs"] for record in scope["logRecords"]):
                    yield where(resource["resource"]), record

    def of_trace(region):
        return [record for there, record in all_records() if there == region and record.get("traceId") == begun[region]]

    for region in begun:
        records = until(f"the log of {region} has the trace", 30, lambda: of_trace(region))
        count = sum(there == region for there, _ in all_records())
        first = records[0]
        print(f"  {region}: {count} lines by OTLP; of the trace {begun[region][:8]}…: {first['severityText']} {first['body']['stringValue']}", flush=True)
    if getattr(site, "operator", None):
        count = sum(there == "atoll-operator" for there, _ in all_records())
        assert count, "the operator's log is not there"
        print(f"  the operator: {count} lines", flush=True)


def passes_of_the_operator(site):
    """Each pass is a trace of its steps."""
    steps = {}
    for line in site.lines():
        for resource in line.get("resourceSpans", []):
            if where(resource["resource"]) == "atoll-operator":
                for span in (span for scope in resource["scopeSpans"] for span in scope["spans"]):
                    steps.setdefault(span["traceId"], []).append(span["name"])
    whole = [names for names in steps.values() if {"pass", "validate", "observe", "plan", "make", "report"} <= set(names)]
    assert whole, f"no pass is whole: {list(steps.values())[:3]}"
    print(f"  {len(steps)} passes, the last whole one: {', '.join(whole[-1])}", flush=True)


def collector_gone(site):
    """Writes with every trace kept, with the collector well, frozen, and dead: clients see no difference, and what was
    dropped is counted."""
    import signal

    def writes(count):
        client, took = Client(site.ports["eu"]), []
        for number in range(count):
            begun = time.monotonic()
            client.put("pages", f"zqkey-{number % 50}", "zqvalue", traceparent=f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01")
            took.append(time.monotonic() - begun)
        return sorted(took)[count // 2] * 1000

    # By turns: what else the machine does touches all alike.
    well, frozen, dead = [], [], []
    for _ in range(3):
        well.append(writes(300))
        site.collector.signal(signal.SIGSTOP)
        frozen.append(writes(800))
        site.collector.signal(signal.SIGCONT)
    site.collector.stop()
    for _ in range(3):
        dead.append(writes(500))
    said = lambda medians: "/".join(f"{median:.1f}" for median in medians)
    print(f"  medians of writes, ms: {said(well)} with the collector well, {said(frozen)} frozen, {said(dead)} dead", flush=True)
    dropped = 'sum(atoll_telemetry_items_total{atoll_region="eu",signal="spans",result="dropped"})'
    until("dropped spans are counted", 30, lambda: (site.value(dropped) or 0) > 0)
    print(f"  spans dropped, and counted: {site.value(dropped):.0f}", flush=True)
    dropped = dropped.replace('"spans"', '"logs"')
    until("dropped lines of the log are counted", 30, lambda: (site.value(dropped) or 0) > 0)
    print(f"  lines of the log dropped, and counted: {site.value(dropped):.0f}", flush=True)
    assert max(min(frozen), min(dead)) < 2 * max(well) + 5, "clients notice the collector"
    site.start_collector()
    sent = 'sum(atoll_telemetry_items_total{atoll_region="eu",signal="spans",result="sent"})'
    before = site.value(sent) or 0
    writes(20)
    until("spans go to the collector again", 30, lambda: (site.value(sent) or 0) > before)
