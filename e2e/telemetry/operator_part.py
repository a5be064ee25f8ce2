"""The operator against a real API server, where `make e2e` has built one; its pods never run, its passes do."""

import json
import os
import pathlib
import secrets
import subprocess

from parts import Client, Process, free_port, until

TOOLS = pathlib.Path(os.environ.get("ATOLL_E2E_TOOLS", pathlib.Path.home() / ".cache/atoll/kubernetes")) / "bin"
STORE = {
    "apiVersion": "atoll.dev/v1alpha1", "kind": "GeoStore", "metadata": {"name": "shop", "namespace": "default"},
    "spec": {"topology": {"type": "AllToAll"}, "regions": [{"name": "eu"}, {"name": "us"}, {"name": "ap"}]},
}


def is_there(site):
    return getattr(site, "operator", None) is not None


def start(site):
    if not all((TOOLS / name).exists() for name in ("etcd", "kube-apiserver", "kubectl")):
        print("  no API server at hand (make e2e builds one): the operator is left out", flush=True)
        return
    directory = site.directory
    etcd, peer, api, listen = (free_port() for _ in range(4))
    Process("etcd", [
        TOOLS / "etcd", f"--data-dir={directory / 'etcd'}", f"--listen-client-urls=http://127.0.0.1:{etcd}", "--log-level=error",
        f"--advertise-client-urls=http://127.0.0.1:{etcd}", f"--listen-peer-urls=http://127.0.0.1:{peer}", "--unsafe-no-fsync",
    ], directory)
    token = secrets.token_hex(16)
    (directory / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n")
    run = lambda *command: subprocess.run(command, check=True, capture_output=True, cwd=directory)
    run("openssl", "genrsa", "-out", "sa.key", "2048")
    Process("kube-apiserver", [
        TOOLS / "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{etcd}", f"--secure-port={api}", "--bind-address=127.0.0.1",
        f"--cert-dir={directory / 'api'}", "--service-account-issuer=https://kubernetes", "--service-account-key-file=sa.key",
        "--service-account-signing-key-file=sa.key", "--token-auth-file=tokens.csv", "--authorization-mode=RBAC",
        "--disable-admission-plugins=ServiceAccount", "--service-cluster-ip-range=10.96.0.0/24",
    ], directory)
    config = directory / "kubeconfig"
    config.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{api}", "insecure-skip-tls-verify": True}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }))
    env = {**os.environ, "KUBECONFIG": str(config)}

    def kubectl(*words, text=None):
        done = subprocess.run([TOOLS / "kubectl", *words], env=env, input=text, capture_output=True, text=True, check=False)
        return done.returncode == 0

    until("the API server is ready", 240, lambda: kubectl("get", "--raw=/readyz"))
    crds = site.program_output("crds")
    until("the definitions are there", 30, lambda: kubectl("apply", "--server-side", "-f", "-", text=crds))
    until("stores can be declared", 30, lambda: kubectl("get", "geostores"))
    site.operator = Process("operator", [
        site.program, "operator", f"--listen=127.0.0.1:{listen}", "--look-every=2", "--identity=test",
    ], directory, {"KUBECONFIG": str(config), "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{site.collector_port}",
                   "OTEL_LOGS_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "always_on", "OTEL_BSP_SCHEDULE_DELAY": "300"})
    until("a store is declared", 10, lambda: kubectl("apply", "-f", "-", text=json.dumps(STORE)))
    # A second one, for which a name is taken: its passes fail.
    until("a name is taken", 10, lambda: kubectl("create", "serviceaccount", "wiki-nodes"))
    taken = {**STORE, "metadata": {"name": "wiki", "namespace": "default"}}
    until("another store is declared", 10, lambda: kubectl("apply", "-f", "-", text=json.dumps(taken)))
    until("the operator fails", 60, lambda: b'outcome="user"' in metrics(listen))
    until("the operator acts", 60, lambda: b"atoll_operator_objects{" in metrics(listen))
    site.add_target(f"127.0.0.1:{listen}")


def metrics(port):
    try:
        return Client(port).ask("GET", "/metrics")[2]
    except OSError:
        return b""
