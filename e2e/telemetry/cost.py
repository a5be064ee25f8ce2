#!/usr/bin/env python3
"""What metrics and traces cost: writes per core-second of a node that counts nothing, counts, and keeps 0 %, 1 %, all traces.

One node a case, all on this machine, each under the same load in turn, forwards and back, beginning with another one each
time, so that what else the machine does, and what changes with time, touches all alike. The nodes have one core to
themselves and everything else has the others, so no node waits for those that load it. What is counted is the node's CPU
alone. Spans go to `sink.py`, not to a real collector, which would take the cores of those that load the nodes.

Told are all writes by all CPU, and what that shows against the case to compare with, with the standard error of the mean of
the turns: single ones vary by ten per cent, so the default is many and short ones. "metrics on, again" is compared with what is
the same: what is told of it is noise. Nodes that count are scraped once a second, which is more often than usual.
`cost.py PROGRAM`, with a release build on a machine that does nothing else, for a quarter of an hour.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from parts import Client, Process, free_port, until
from site_of_three import Site

OFF, ON, AGAIN = "metrics off", "metrics on", "metrics on, again"
# Case → share of traces that is kept, where a collector gets them.
TRACED = {"traces 0 %": 0.0, "traces 1 %": 0.01, "traces 100 %": 1.0}
# Case → what it is compared with, and how much fewer writes it may show.
COMPARED = {ON: (OFF, 0.02), AGAIN: (ON, 0.0), "traces 0 %": (ON, 0.01), "traces 1 %": (ON, 0.01), "traces 100 %": (ON, 0.03)}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("program")
    arguments.add_argument("--turns", type=int, default=60, help="each is a measurement forwards and one back")
    arguments.add_argument("--seconds", type=int, default=1, help="of each measurement")
    arguments.add_argument("--connections", type=int, default=16)
    arguments = arguments.parse_args()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="atoll-cost-"))
    site = Site(arguments.program, directory)
    try:
        site.collector_port = free_port()
        Process("sink", [sys.executable, pathlib.Path(__file__).with_name("sink.py"), str(site.collector_port)], directory)
        cases = [OFF, ON, AGAIN, *TRACED]
        core, *others = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {core})  # for what is started from here on
        nodes = {case: Measured(site, f"cost-{number}", case) for number, case in enumerate(cases)}
        os.sched_setaffinity(0, others or {core})
        for node in nodes.values():
            until("a node is ready", 60, Client(node.port).is_ready)
        check(nodes)
        for node in nodes.values():
            node.load(arguments.connections, arguments.seconds)  # warms up
        turns = {case: [] for case in cases}
        for turn in range(arguments.turns):
            spent = {case: [0, 0.0] for case in cases}
            first = turn % len(cases)
            order = cases[first:] + cases[:first]
            for case in [*order, *reversed(order)]:
                writes, seconds = nodes[case].load(arguments.connections, arguments.seconds)
                spent[case][0] += writes
                spent[case][1] += seconds
            for case in cases:
                turns[case].append(spent[case])
            shown = (f"{case} {in_all([spent[case]]):.0f}" for case in cases)
            print(f"turn {turn + 1} of {arguments.turns}: {', '.join(shown)}", flush=True)
        tell(turns, nodes)
    finally:
        Process.stop_all()
        shutil.rmtree(directory, ignore_errors=True)


class Measured:
    """A node, and what it takes for writes."""

    def __init__(self, site, name, case):
        self.site, self.case, self.port = site, case, free_port()
        config = {
            "store": {"name": "cost", "id": "00000000000c701f"}, "region": "one", "listen": f"127.0.0.1:{self.port}",
            "data": str(site.directory / name), "collections": [{"name": "pages", "type": "Register"}],
        }
        if case in TRACED:
            config["telemetry"] = {"otlp": {"endpoint": f"http://127.0.0.1:{site.collector_port}"}, "traceRatio": TRACED[case]}
        # As a node does it by itself, and not as the test of telemetry wants it.
        self.process = site.run_node(name, config, {
            "ATOLL_LOG": "info,openraft=error", "OTEL_SDK_DISABLED": "true" if case == OFF else "false",
            "OTEL_METRIC_EXPORT_INTERVAL": "60000", "OTEL_BSP_SCHEDULE_DELAY": "5000", "OTEL_EXPORTER_OTLP_TIMEOUT": "10000",
        })

    def load(self, connections, seconds):
        """(writes, CPU seconds of the node)"""
        stop = threading.Event()
        reader = threading.Thread(target=self.scrape, args=(stop,))
        before = self.cpu()
        reader.start()
        told = subprocess.run([
            self.site.program, "--server", f"http://127.0.0.1:{self.port}", "-o", "json", "bench", "--connections", str(connections),
            "--duration", f"{seconds}s", "--keys", "100000",
        ], check=True, capture_output=True, text=True).stdout
        spent = self.cpu() - before
        stop.set()
        reader.join()
        told = json.loads(told)
        assert not told["errors"], f"{self.case}: {told['errors']}"
        return told["items"], spent

    def scrape(self, stop):
        client = Client(self.port)
        while self.case != OFF and not stop.wait(1):
            client.ask("GET", "/metrics")

    def cpu(self):
        """In nanoseconds' steps: /proc counts hundredths of a second. The clock of a process has this number on Linux."""
        return time.clock_gettime((~self.process.child.pid << 3) | 2)


def check(nodes):
    """Each case is what it is called."""
    for case, node in nodes.items():
        status, _, body = Client(node.port).ask("GET", "/metrics")
        if case == OFF:
            assert status == 404 and b"OTEL_SDK_DISABLED" in body, f"{case}: {status} {body[:200]}"
        else:
            assert status == 200 and b"process_cpu_time" in body, f"{case}: {status} {body[:200]}"


def tell(turns, nodes):
    print("| case | writes per core-second | compared with | fewer by (standard error) | bound |")
    print("|---|---|---|---|---|")
    for case in turns:
        if case not in COMPARED:
            print(f"| {case} | {in_all(turns[case]):.0f} | | | |")
            continue
        with_, bound = COMPARED[case]
        fewer = 1 - in_all(turns[case]) / in_all(turns[with_])
        single = [1 - in_all([one]) / in_all([other]) for one, other in zip(turns[case], turns[with_])]
        error = statistics.stdev(single) / len(single) ** 0.5 if len(single) > 1 else float("nan")
        print(f"| {case} | {in_all(turns[case]):.0f} | {with_} | {fewer:.1%} (± {error:.1%}) | {bound:.0%} |")
    for case in TRACED:
        print(f"spans with {case}: {spans(nodes[case].port)}")


def in_all(turns):
    return sum(writes for writes, _ in turns) / sum(seconds for _, seconds in turns)


def spans(port):
    """What became of them: dropped ones cost less than sent ones."""
    text = Client(port).ask("GET", "/metrics")[2].decode()
    counts = {}
    for result in ("sent", "dropped"):
        wanted = (f'result="{result}"', 'signal="spans"')
        lines = [line for line in text.splitlines() if line.startswith("atoll_telemetry_items_total{") and all(w in line for w in wanted)]
        counts[result] = sum(float(line.rsplit(" ", 1)[1]) for line in lines)
    return f"{counts['sent']:.0f} sent, {counts['dropped']:.0f} dropped"


if __name__ == "__main__":
    main()
