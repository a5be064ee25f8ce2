#!/usr/bin/env python3
"""A thousand stores on a real API server without any machine: what a pass of the operator costs.

    scale.py [STORES]      1000 by default; ATOLL=PROGRAM takes that `atoll` instead of building one

Starts etcd, an API server and an operator on this machine, makes the stores, waits until all that they need is made, and
looks on for a while: passes over stores at which nothing changes must write nothing, and an operator of a thousand stores
needs less than 150 MB. Ends and removes what it started.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).parent
TOOLS = pathlib.Path(os.environ.get("ATOLL_E2E_TOOLS", pathlib.Path.home() / ".cache/atoll/kubernetes"))
REGIONS = ("eu", "us", "ap")
METRICS = 17_080
PATIENCE = 1800
LOOK_ON = 60
A_NAMESPACE = 50  # stores
MEMORY_MAX = 150  # MB, for a thousand stores


def main():
    stores = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("scale: told to end"))
    with tempfile.TemporaryDirectory(prefix="atoll-scale-") as directory:
        running = []
        try:
            measure(pathlib.Path(directory), stores, running)
        finally:
            for process in reversed(running):
                process.terminate()
            for process in running:
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()


def measure(directory, stores, running):
    program = os.environ.get("ATOLL") or built()
    subprocess.run([HERE / "cluster/build.sh", "etcd", "kube-apiserver", "kubectl"], check=True)
    server(directory, running)
    subprocess.run([*kubectl(directory), "apply", "--server-side", "-f", str(HERE.parent / "crds")], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*kubectl(directory), "wait", "--for=condition=Established", "crd", "--all"], check=True, stdout=subprocess.DEVNULL)
    began = time.monotonic()
    make(directory, stores)
    told(f"{stores} stores of {len(REGIONS)} regions declared", began)

    operator = start(running, directory / "operator.log", [program, "operator", "--listen", f"127.0.0.1:{METRICS}"], KUBECONFIG=str(directory / "pki/admin.conf"), POD_NAME="scale", POD_NAMESPACE="default")
    began = time.monotonic()
    wanted = stores * len(REGIONS)
    until("every StatefulSet is made", lambda: written("StatefulSet") >= wanted, operator)
    told(f"all is made; the operator wrote {written():.0f} times", began)
    until("nothing is written any more", is_quiet, operator)

    requests, passes, cpu = asked(directory), histogram(), processor_seconds(operator)
    before = written()
    time.sleep(LOOK_ON)
    requests = {what: times - requests.get(what, 0) for what, times in asked(directory).items() if times != requests.get(what, 0)}
    passes = {limit: count - passes[limit] for limit, count in histogram().items()}
    count = passes[float("inf")]
    print(f"scale: in {LOOK_ON} s at rest: {count:.0f} passes, p50 under {quantile(passes, 0.5)}, p99 under {quantile(passes, 0.99)}")
    print(f"scale: writes of the operator meanwhile: {written() - before:.0f}; requests for its kinds at the API server: {requests or 'none'}")
    print(f"scale: processor: {(processor_seconds(operator) - cpu) / LOOK_ON * 100:.0f} % of a core")
    print(f"scale: memory of the operator: {memory(operator, 'VmRSS'):.0f} MB, at most {memory(operator, 'VmHWM'):.0f} MB")
    if written() != before:
        sys.exit("scale: something was written though nothing changed")
    if stores <= 1000 and memory(operator, "VmHWM") >= MEMORY_MAX:
        sys.exit(f"scale: the operator needs more than {MEMORY_MAX} MB")


def built():
    root = HERE.parent
    subprocess.run(["make", "-s", "-C", root, "build"], check=True)
    directory = subprocess.run(["make", "-s", "-C", root, "print-bin"], check=True, capture_output=True, text=True).stdout.strip()
    return f"{directory}/atoll"


def server(directory, running):
    """etcd and an API server on loopback, without controllers and machines."""
    if port_is_taken(6443) or port_is_taken(22_379):
        sys.exit("scale: something listens on port 6443 or 22379 of this machine")
    subprocess.run([HERE / "cluster/pki.sh", directory / "pki", "127.0.0.1", "10.219.0.1"], check=True)
    pki, etcd, peers = directory / "pki", "http://127.0.0.1:22379", "http://127.0.0.1:22380"
    start(
        running, directory / "etcd.log",
        [TOOLS / "bin/etcd", "--data-dir", directory / "etcd", "--listen-client-urls", etcd, "--advertise-client-urls", etcd, "--name", "m",
         "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", f"m={peers}", "--unsafe-no-fsync"],
    )
    start(
        running, directory / "apiserver.log",
        [TOOLS / "bin/kube-apiserver", f"--etcd-servers={etcd}", "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port=6443",
         "--endpoint-reconciler-type=none",
         f"--tls-cert-file={pki}/apiserver.crt", f"--tls-private-key-file={pki}/apiserver.key", f"--client-ca-file={pki}/ca.crt",
         "--service-account-issuer=https://scale", f"--service-account-key-file={pki}/sa.pub", f"--service-account-signing-key-file={pki}/sa.key",
         "--service-cluster-ip-range=10.219.0.0/16", "--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount"],
    )
    until("the API server answers", lambda: subprocess.run([*kubectl(directory), "get", "--raw", "/readyz"], capture_output=True, check=False).returncode == 0)


def start(running, log, command, **environment):
    with log.open("wb") as output:
        process = subprocess.Popen([str(word) for word in command], stdout=output, stderr=output, env=os.environ | environment)
    running.append(process)
    return process


def port_is_taken(port):
    table = pathlib.Path("/proc/net/tcp").read_text(encoding="ascii")
    return f":{port:04X} 00000000:0000 0A" in table


def kubectl(directory):
    return [str(TOOLS / "bin/kubectl"), "--kubeconfig", str(directory / "pki/admin.conf")]


def make(directory, stores):
    """Declares the stores, in as many namespaces as teams would have."""
    namespaces = [f"team-{at}" for at in range(max(1, stores // A_NAMESPACE))]
    manifests = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in namespaces]
    spec = {"topology": {"type": "AllToAll"}, "regions": [{"name": region} for region in REGIONS]}
    for at in range(stores):
        metadata = {"name": f"store-{at}", "namespace": namespaces[at % len(namespaces)]}
        manifests.append({"apiVersion": "atoll.dev/v1alpha1", "kind": "GeoStore", "metadata": metadata, "spec": spec})
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    subprocess.run([*kubectl(directory), "create", "-f", "-"], input=text, text=True, check=True, stdout=subprocess.DEVNULL)


def metrics():
    with urllib.request.urlopen(f"http://127.0.0.1:{METRICS}/metrics", timeout=30) as answer:
        return answer.read().decode()


def written(kind=""):
    """Writes to the API server, of one kind or of all; leases aside."""
    try:
        lines = metrics().splitlines()
    except OSError:
        return -1
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("atoll_operator_writes_total") and kind in line)


def is_quiet():
    before = written()
    time.sleep(60)  # longer than a store is left alone
    return written() == before


def histogram():
    """Passes that took at most so many seconds."""
    found = re.findall(r'atoll_operator_pass_seconds_bucket\{le="([^"]+)"\} (\d+)', metrics())
    return {float(limit.replace("+Inf", "inf")): int(count) for limit, count in found}


def quantile(passes, part):
    wanted = passes[float("inf")] * part
    limit = min(limit for limit, count in passes.items() if count >= wanted)
    return f"{limit * 1000:.0f} ms" if limit != float("inf") else "infinity"


def asked(directory):
    """What the API server was asked for, but for watches, which last, and for its own affairs."""
    text = subprocess.run([*kubectl(directory), "get", "--raw", "/metrics"], capture_output=True, text=True, check=True).stdout
    counts = {}
    for labels, number in re.findall(r"^apiserver_request_total\{(.*)\} (\S+)$", text, re.MULTILINE):
        label = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        kinds = ("geostores", "collections", "replicationlinks", "statefulsets", "services", "configmaps", "secrets", "serviceaccounts", "poddisruptionbudgets", "pods", "persistentvolumeclaims", "leases")
        if label["verb"] != "WATCH" and label["resource"] in kinds:
            what = f"{label['verb']} {label['resource']}"
            counts[what] = counts.get(what, 0) + int(float(number))
    return counts


def memory(process, field):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(re.search(rf"{field}:\s+(\d+) kB", status)[1]) / 1000


def processor_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def until(what, is_so, process=None):
    began = time.monotonic()
    while not is_so():
        if process and process.poll() is not None:
            sys.exit(f"scale: the operator ended with {process.returncode}")
        if time.monotonic() - began > PATIENCE:
            sys.exit(f"scale: not within {PATIENCE} s: {what}")
        time.sleep(1)


def told(what, began):
    print(f"scale: {time.monotonic() - began:4.0f} s  {what}", flush=True)


if __name__ == "__main__":
    main()
