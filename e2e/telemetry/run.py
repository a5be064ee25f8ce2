#!/usr/bin/env python3
"""make telemetry-test: what Atoll is watched with, on real parts. See docs/watching.md.

A store of three regions (processes on loopback) is watched by a real Prometheus with the real rules, and sends to a real
OpenTelemetry Collector. Lag and conflicts of known size are made, then an incident; every expression of every panel and
rule must have data, every trace must be whole, and nothing that clients wrote may be seen anywhere.
"""

import argparse
import pathlib
import shutil
import sys
import tempfile
import time

import lint
import operator_part
import questions
import secrecy
import traces
import truth
from parts import Load, Process, until
from site_of_three import Site


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("program")
    arguments.add_argument("--tools", required=True)
    arguments.add_argument("--conflicts", type=int, default=1000, help="how many are made; 150 at least, for a rate to be seen")
    arguments.add_argument("--keep", action="store_true", help="keep logs and data")
    arguments = arguments.parse_args()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="atoll-telemetry-"))
    begun, passed = time.monotonic(), 0
    site = Site(arguments.program, directory, arguments.tools)
    try:
        for what, step in steps(site, arguments):
            print(f"{what} ({time.monotonic() - begun:.0f} s)", flush=True)
            step()
            passed += 1
    except Exception:
        print(f"logs and data are in {directory}")
        arguments.keep = True
        raise
    finally:
        Process.stop_all()
        if not arguments.keep:
            shutil.rmtree(directory, ignore_errors=True)
    print(f"telemetry: {passed} passed, 0 failed")


def steps(site, arguments):
    """What is told, in order; each stands on those before."""
    yield "Three regions, Prometheus and a collector start", site.start
    yield "The operator starts, where there is an API server", lambda: operator_part.start(site)
    loads = [Load(port, region, 10) for region, port in site.ports.items()]
    yield "Clients write", lambda: [load.start() for load in loads]
    yield "Traces: one write, from the client to the last region", lambda: traces.one_write(site)
    yield "A link of 2.0 s", lambda: truth.lag_of_a_slow_link(site, 20)
    yield "A conflict resolved after 5 s", lambda: truth.resolution(site, 5.0)
    yield "Clients stop", lambda: [load.stop() for load in loads]
    count = arguments.conflicts
    yield f"{count} conflicts, ten a second", lambda: truth.made_conflicts(site, count, count / 10)
    yield "All heals", lambda: truth.rest_after_healing(site)
    again = [Load(port, region, 10) for region, port in site.ports.items() if region != "ap"]
    yield "Clients write again", lambda: [load.start() for load in again]
    yield "A damaged entry", lambda: truth.damaged_entry(site)
    cleared = {}
    yield "An incident", lambda: cleared.update(by=truth.incident(site))
    yield "Every panel and rule is asked", lambda: ask(site)
    yield "promtool looks at what is shown", lambda: lint.look(site)
    yield "Alerts end", lambda: until("all alerts of the incident end", 240, lambda: all(cleared["by"]().values()))
    yield "Clients stop again", lambda: [load.stop() for load in again]
    yield "Metrics by OTLP", lambda: traces.metrics_of_all_regions(site)
    yield "Logs by OTLP", lambda: traces.logs_of_all_regions(site)
    if operator_part.is_there(site):
        yield "Passes of the operator", lambda: traces.passes_of_the_operator(site)
    yield "The collector freezes and dies", lambda: traces.collector_gone(site)
    yield "Nothing that clients wrote is seen", lambda: secrecy.look(site)


def ask(site):
    site.rest(5)
    asked, silent, exempt = questions.ask(site, operator_part.is_there(site))
    for where, expr in silent:
        print(f"  no data: {where}: {expr}")
    for where, reason in dict.fromkeys(exempt):
        print(f"  not asked: {where}: {reason}")
    print(f"  {asked} expressions have data" if not silent else f"  {len(silent)} of {asked} have none")
    assert not silent, "expressions without data"


if __name__ == "__main__":
    sys.exit(main())
