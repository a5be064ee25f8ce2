"""Known truth: what is made here, and what Prometheus says of it."""

import time
import urllib.parse

from harm import harmed
from parts import until

TO_EU = 'atoll_store="shop",link_from="us",link_to="eu"'


def near(what, measured, true, share):
    shown = "nothing" if measured is None else f"{measured:.3f}"
    print(f"  {what}: {shown}, true {true} ± {share:.0%}", flush=True)
    assert measured is not None and abs(measured - true) <= share * true, f"{what}: {shown} instead of {true} ± {share:.0%}"


def lag_of_a_slow_link(site, seconds):
    """A way of 2.0 s shows as a lag of 2.0 s."""
    site.way.slow(2.0)
    link = f"avg(atoll_replication_lag_seconds{{{TO_EU}}})"
    # The first round trip over the new connection takes 4 s; then the window must be all of it.
    until("the lag of the slow link shows", 40, lambda: 1.8 < (site.value(link) or 0) < 2.2)
    site.rest(seconds)
    near("lag of a link that is 2.0 s long, s", site.value(f"avg(avg_over_time(atoll_replication_lag_seconds{{{TO_EU}}}[{seconds - 3}s]))"), 2.0, 0.10)


def made_conflicts(site, count, seconds):
    """Each pair is written before either can know of the other, so many a second."""
    begun, pace = time.monotonic(), seconds / count
    for number in range(count):
        time.sleep(max(0.0, begun + number * pace - time.monotonic()))
        key = f"zqkey-made-{number}"
        # From us to eu it takes two seconds.
        site.clients["us"].put("made", key, f"zqvalue-us-{number}")
        site.clients["eu"].put("made", key, f"zqvalue-eu-{number}")
    took = time.monotonic() - begun
    # The first is noticed in eu after two seconds; the window begins later.
    window = int(seconds * 0.6)
    rate = site.value(f'sum(rate(atoll_conflicts_total{{atoll_store="shop",atoll_region="eu",collection="made"}}[{window}s]))')
    near(f"conflicts a second, {count} made in {took:.1f} s", rate, count / took, 0.05)
    for region in ("eu", "us", "ap"):
        rows = until(f"{region} has all rows", 60, lambda: (n := ledger(site, region, "made")) >= count and n)
        counter = f'sum(atoll_conflicts_total{{atoll_store="shop",atoll_region="{region}",collection="made"}})'
        until(f"{region} counts what its ledger has", 15, lambda: site.value(counter) == rows)
        print(f"  {region}: {rows} rows in the ledger, {site.value(counter):.0f} in the metric", flush=True)
        assert rows == count, f"{region} has {rows} rows of {count} conflicts"


def ledger(site, region, collection):
    """Rows of a collection, page by page."""
    rows, start = 0, {}
    while True:
        asked = urllib.parse.urlencode({"collection": collection, "limit": 1000, **start})
        page = site.clients[region].json(f"/v1/conflicts?{asked}")
        rows += len(page["conflicts"])
        if not page.get("next"):
            return rows
        start = {"since": page["next"]}


def resolution(site, seconds):
    """A conflict that somebody resolves after 5 s."""
    total = lambda end: site.value(
        f'sum(atoll_conflict_resolution_seconds_{end}{{atoll_store="shop",atoll_region="us",collection="kept"}})') or 0.0
    before = total("sum"), total("count")
    path = "/v1/collections/kept/keys/zqkey-kept"
    site.clients["us"].put("kept", "zqkey-kept", "zqvalue-us")
    site.clients["eu"].put("kept", "zqkey-kept", "zqvalue-eu")
    detected = time.monotonic()

    def siblings():
        status, headers, body = site.clients["us"].ask("GET", path, headers={"accept": "application/json"})
        is_both = b"zqvalue-us" in body and b"zqvalue-eu" in body
        return headers["atoll-context"] if is_both else None

    context = until("us shows both", 20, siblings)
    time.sleep(max(0.0, detected + seconds - time.monotonic()))
    site.clients["us"].put("kept", "zqkey-kept", "zqvalue-both", atoll_context=context)
    until("the resolution is counted", 15, lambda: total("count") > before[1])
    near("resolution of a conflict, s", (total("sum") - before[0]) / (total("count") - before[1]), seconds, 0.10)


def rest_after_healing(site):
    """Nothing of it stays."""
    site.way.slow(0.0)
    store = 'atoll_store="shop"'
    calm = {
        "lag": (f"max(atoll_replication_lag_seconds{{{store}}})", 0.25),
        "queue": (f"max(atoll_replication_queue{{{store}}})", 50),
        "age of the proof": (f"max(atoll_converged_age_seconds{{{store}}})", 4),
        "conflicts in the last 10 s": (f"max(increase(atoll_conflicts_total{{{store}}}[10s]))", 0.01),
    }
    for what, (expr, bound) in calm.items():
        until(f"{what} is at rest", 60, lambda: (v := site.value(expr)) is not None and v <= bound)
        print(f"  {what} at rest: {site.value(expr):.3f}", flush=True)


def damaged_entry(site):
    """us sends eu an entry that is damaged: eu takes none of it, stops the link and says so, until a person resumes it."""
    key, value = "zqkey-harmed", "zqvalue-harmed"
    site.way.harm = lambda chunk: harmed(chunk, value.encode())
    begun = time.monotonic()
    site.clients["us"].put("pages", key, value)
    quarantined = f'sum(atoll_replication_entries_total{{{TO_EU},result="quarantined"}})'
    until("the damaged entry is counted", 60, lambda: (site.value(quarantined) or 0) > 0)
    firing = 'ALERTS{alertname="AtollEntryQuarantined",alertstate="firing",link_from="us",link_to="eu"}'
    until("AtollEntryQuarantined fires", 60, lambda: site.query(firing))
    link = stopped(site)
    print(f"  AtollEntryQuarantined fires after {time.monotonic() - begun:.0f} s: {link['detail']}", flush=True)
    assert "checksum" in link["detail"], link
    # It comes by ap instead, whole.
    arrives = lambda: site.clients["eu"].ask("GET", f"/v1/collections/pages/keys/{key}")[2] == f'"{value}"'.encode()
    until("the entry comes by ap", 60, arrives)
    site.way.harm = lambda chunk: chunk
    status = site.clients["eu"].ask("POST", "/v1/links/us:eu/resume")[0]
    assert status == 200, f"resume: {status}"
    until("the link carries again", 60, lambda: site.value(f"max(atoll_replication_link_up{{{TO_EU}}})") == 1)


def stopped(site):
    """The link, as the runbook has a person look at it."""
    links = site.clients["eu"].json("/v1/links")["links"]
    link = next(link for link in links if (link["from"], link["to"]) == ("us", "eu"))
    assert link["state"] == "Stopped", link
    return link


def incident(site):
    """us → eu is cut, so that another stands in; a session is asked for that has not come; ap goes away and returns."""
    site.way.cut(True)
    relayed = 'sum(atoll_replication_entries_total{link_from="ap",link_to="eu",result="relayed"})'
    until("what us writes comes to eu by ap", 60, lambda: (site.value(relayed) or 0) > 0)
    print(f"  entries that ap took on for us: {site.value(relayed):.0f}", flush=True)
    token = site.clients["us"].put("pages", "zqkey-late", "zqvalue-late")["atoll-session"]
    site.nodes["ap"].stop()
    late = {"atoll-session": token, "atoll-timeout": "50ms"}
    failed = 0
    for _ in range(40):
        token = site.clients["us"].put("pages", "zqkey-late", "zqvalue-late")["atoll-session"]
        failed += site.clients["eu"].ask("GET", "/v1/collections/pages/keys/zqkey-late", headers={**late, "atoll-session": token})[0] == 503
        time.sleep(0.1)
    assert failed > 0, "a session that has not come is not waited for"
    firing = lambda name: site.query(f'ALERTS{{alertname="{name}",alertstate="firing"}}')
    for name in ("AtollRegionsCutOff", "AtollLinkDown", "AtollRegionSilent"):
        until(f"{name} fires", 240, lambda: firing(name))
        print(f"  {name} fires", flush=True)
    site.start_node("ap")
    site.way.cut(False)
    return lambda: {name: not firing(name) for name in ("AtollRegionsCutOff", "AtollLinkDown", "AtollRegionSilent")}
