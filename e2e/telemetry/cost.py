#!/usr/bin/env python3
"""What tracing costs: CPU time of a node for a write, with no traces kept, one in a hundred, and all.

Rounds take turns, so that what else the machine does touches all alike; told is the median of the rounds.
`cost.py PROGRAM --tools DIRECTORY`, best with a release build.
"""

import argparse
import pathlib
import secrets
import shutil
import statistics
import tempfile
import threading

from parts import Client, Process, free_port, until
from site_of_three import Site

CASES = {"no collector": None, "0 %": 0.0, "1 %": 0.01, "100 %": 1.0}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("program")
    arguments.add_argument("--tools", required=True)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--writes", type=int, default=3000)
    arguments = arguments.parse_args()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="atoll-cost-"))
    site = Site(arguments.program, arguments.tools, directory)
    try:
        site.start_collector()
        ports = {case: start(site, number, ratio) for number, (case, ratio) in enumerate(CASES.items())}
        for port in ports.values():
            until("a node is ready", 60, Client(port).is_ready)
        cost = {case: [] for case in CASES}
        for turn in range(arguments.rounds + 1):
            for case, port in ports.items():
                spent = measure(port, arguments.writes)
                if turn:  # the first one warms up
                    cost[case].append(spent)
        base = statistics.median(cost["no collector"])
        print("| traces kept | CPU for a write, µs | against no collector |\n|---|---|---|")
        for case, rounds in cost.items():
            median = statistics.median(rounds)
            print(f"| {case} | {median * 1e6:.1f} (from {min(rounds) * 1e6:.1f} to {max(rounds) * 1e6:.1f}) | {median / base - 1:+.1%} |")
    finally:
        Process.stop_all()
        shutil.rmtree(directory, ignore_errors=True)


def start(site, number, ratio):
    port, name = free_port(), f"cost-{number}"
    config = {
        "store": {"name": "cost", "id": "00000000000c701f"}, "region": "one", "listen": f"127.0.0.1:{port}",
        "data": str(site.directory / name), "collections": [{"name": "pages", "type": "Register"}],
    }
    if ratio is not None:
        config["telemetry"] = {"otlp": {"endpoint": f"http://127.0.0.1:{site.collector_port}"}, "traceRatio": ratio}
    site.run_node(name, config)
    return port


def measure(port, writes):
    """CPU seconds of the node for one write, eight clients at once."""
    before = cpu(port)

    def work(seed):
        client = Client(port)
        for number in range(writes // 8):
            client.put("pages", f"{seed}-{number % 100}", "x" * 100)

    clients = [threading.Thread(target=work, args=(secrets.token_hex(4),)) for _ in range(8)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return (cpu(port) - before) / (writes // 8 * 8)


def cpu(port):
    text = Client(port).ask("GET", "/metrics")[2].decode()
    return next(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith("process_cpu_time_seconds_total{"))


if __name__ == "__main__":
    main()
