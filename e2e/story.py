"""What a story is told with: kubectl in a namespace of its own, data by way of Services, faults of machines.

Every wait is bounded, by the story's patience at the latest. What is asked and answered goes to the story's log.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import tarfile
import time

OUTPUT = pathlib.Path(os.environ.get("E2E_OUTPUT", "/tmp"))
CLUSTER = os.environ.get("E2E_CLUSTER", "")
PROVIDER = os.environ.get("E2E_PROVIDER", "")
IMAGE = os.environ.get("E2E_IMAGE", "atoll:0.1.0")
NODE_PROGRAM = "/usr/local/bin/atoll"
# Which pods are the operator's, as kubectl wants it.
OPERATORS_PODS = ("-n", "atoll-system", "-l", "app.kubernetes.io/component=operator")


class Failed(Exception):
    """A command, or a wait, that did not end well."""


class Story:
    def __init__(self, name, patience, cluster=CLUSTER, kubeconfig=None):
        self.name = name
        self.namespace = name.replace("_", "-")
        self.figures = []
        self._cluster = cluster
        self._environment = os.environ | ({"KUBECONFIG": kubeconfig} if kubeconfig else {})
        self._ends = time.monotonic() + patience
        self._log = OUTPUT / f"story-{name}.log"

    def __enter__(self):
        """A namespace that takes only pods that ask for nothing."""
        self.apply(
            f"""
            apiVersion: v1
            kind: Namespace
            metadata:
              name: {self.namespace}
              labels: {{ pod-security.kubernetes.io/enforce: restricted }}
            """
        )
        return self

    def __exit__(self, failed, *_):
        """The namespace goes when the story held; otherwise it stays to be looked at until the cluster goes."""
        if failed is None:
            self.kubectl("delete", "namespace", self.namespace, "--timeout=120s", timeout=130)

    # What a person types.

    def kubectl(self, *arguments, given=None, timeout=60):
        """kubectl's output, in the story's namespace."""
        return self.run(["kubectl", "-n", self.namespace, *arguments], given, timeout)

    def apply(self, manifest):
        """Applies YAML, which may be indented as a whole."""
        return self.kubectl("apply", "-f", "-", given=undented(manifest))

    def get(self, *what):
        """An object, or a list of them, as kubectl's JSON."""
        return json.loads(self.kubectl("get", *what, "-o", "json"))

    def names(self, kind, *selectors):
        """The names of the objects of a kind."""
        return sorted(item["metadata"]["name"] for item in self.get(kind, *selectors)["items"])

    def wait(self, condition, what, seconds=120):
        """`kubectl wait --for=condition=…`, and how long it took."""
        began = time.monotonic()
        self.kubectl("wait", f"--for=condition={condition}", what, f"--timeout={seconds}s", timeout=seconds + 10)
        return time.monotonic() - began

    # What an application does: from a pod of the namespace, through a region's Service.

    def atoll(self, pod, *arguments, timeout=60):
        """Runs `atoll …` in a node's pod: any pod with the image will do, and that one is there."""
        return self.kubectl("exec", pod, "--", NODE_PROGRAM, *arguments, timeout=timeout)

    def put(self, pod, server, collection, key, value):
        """Writes; again when nobody was reached: a Service knows of a pod that is ready a moment later."""

        def is_written():
            self.atoll(pod, "put", collection, key, json.dumps(value), "--server", server)
            return True

        self.eventually(f"{key} is written by way of {server}", is_written, 20)

    def read(self, pod, server, collection, key):
        """The value, or None when there is none."""
        try:
            return json.loads(self.atoll(pod, "get", collection, key, "--server", server))
        except Failed as failed:
            if "holds nothing under" in str(failed):
                return None
            raise

    def plugin(self):
        """The image's program as kubectl's plugin; the directory that it is in."""
        with tarfile.open(os.environ["E2E_IMAGE_FILE"]) as archive:
            layers = json.load(archive.extractfile("manifest.json"))[0]["Layers"]
            with tarfile.open(fileobj=archive.extractfile(layers[0])) as layer:
                program = layer.extractfile(NODE_PROGRAM.lstrip("/")).read()
        path = pathlib.Path(self.path("kubectl-atoll"))
        path.write_bytes(program)
        path.chmod(0o755)
        return str(path.parent)

    @contextlib.contextmanager
    def forwarded(self, pod, port):
        """A pod's port at `127.0.0.1:PORT` of this machine, by `kubectl port-forward`."""
        command = ["kubectl", "-n", self.namespace, "port-forward", pod, f":{port}"]
        self.note(f"$ {' '.join(command)}")
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self._environment) as forwarding:
            try:
                line = forwarding.stdout.readline()
                if "Forwarding from 127.0.0.1:" not in line:
                    raise Failed(f"no port-forward: {line}")
                yield "127.0.0.1:" + line.split("127.0.0.1:")[1].split()[0]
            finally:
                forwarding.terminate()

    # Files, for programs that want some.

    def path(self, name):
        """Where a file of the story is."""
        directory = OUTPUT / f"files-{self.name}"
        directory.mkdir(parents=True, exist_ok=True)
        return str(directory / name)

    def file(self, name, text):
        path = self.path(name)
        pathlib.Path(path).write_text(text, encoding="utf-8")
        return path

    # What the world does.

    def node_of(self, pod):
        """The machine that a pod runs on."""
        return self.get("pod", pod)["spec"]["nodeName"]

    def machine(self, verb, machine, *arguments):
        """`cut`, `heal`, `crash`, `start` or `inside` a machine."""
        return self.provider(verb, machine, *arguments)

    def provider(self, verb, *arguments, timeout=60):
        """What the cluster's provider does with the cluster."""
        return self.run([PROVIDER, verb, self._cluster, *arguments], None, timeout)

    def has_clusters(self):
        """Whether pods and Services of several clusters reach each other here."""
        return PROVIDER.endswith("/local.sh")

    def operator_of(self, name):
        """Installs the operator, or changes it, so that it knows its cluster by this name."""
        chart = str(pathlib.Path(__file__).parent.parent / "charts/atoll")
        upgrade = ["helm", "upgrade", "--install", "atoll", chart, "-n", "atoll-system", "--create-namespace", "--reuse-values"]
        self.run([*upgrade, "--set", f"clusterName={name}", "--wait", "--timeout", "180s"], None, 200)

    @contextlib.contextmanager
    def another_cluster(self, name, region):
        """A second cluster with one machine and an operator that knows the cluster by its name; a story in it."""
        other = Story(self.name, self._ends - time.monotonic(), cluster=f"{CLUSTER}-{name}")
        try:
            other.provider("up", "2", region, timeout=300)
            other._environment["KUBECONFIG"] = other.provider("kubeconfig").strip()
            other.provider("load", os.environ["E2E_IMAGE_FILE"], timeout=120)
            other.operator_of(name)
            with other:
                try:
                    yield other
                except BaseException:
                    for what in (["get", "geostores,pods", "-o", "yaml"], ["logs", "-n", "atoll-system", "deployment/atoll", "--tail=100"]):
                        other.kubectl(*what)
                    raise
        finally:
            other.provider("down", timeout=120)

    # Waiting, measuring, telling.

    def eventually(self, what, is_so, seconds=60):
        """Asks until `is_so()` answers something true, and returns that."""
        began = time.monotonic()
        last = None
        while time.monotonic() < min(began + seconds, self._ends):
            try:
                answer = is_so()
                if answer:
                    self.note(f"# {what}: after {time.monotonic() - began:.1f} s")
                    return answer
                last = answer
            except Failed as failed:
                last = failed
            time.sleep(0.5)
        raise Failed(f"not within {time.monotonic() - began:.0f} s: {what} (last: {last})")

    def expect(self, what, is_so):
        if not is_so:
            raise Failed(f"not so: {what}")
        self.note(f"# {what}")

    def refusal(self, attempt):
        """What is said to an attempt that has to fail."""
        try:
            answer = attempt()
        except Failed as failed:
            return str(failed)
        raise Failed(f"was not refused: {answer}")

    def figure(self, text):
        """Something measured, shown with the story's outcome."""
        self.figures.append(text)
        self.note(f"# {text}")

    def note(self, text):
        with self._log.open("a", encoding="utf-8") as log:
            log.write(text.rstrip() + "\n")

    def log_tail(self):
        lines = self._log.read_text(encoding="utf-8").splitlines() if self._log.exists() else []
        return "\n".join(f"             {line}" for line in lines[-15:])

    def run(self, command, given, timeout, **environment):
        left = self._ends - time.monotonic()
        if left <= 0:
            raise Failed(f"the story's patience ended before: {' '.join(command)}")
        self.note(f"$ {' '.join(command)}")
        try:
            done = subprocess.run(
                command, input=given, capture_output=True, text=True, timeout=min(timeout, left), check=False, env=self._environment | environment
            )
        except subprocess.TimeoutExpired as expired:
            raise Failed(f"no end within {expired.timeout:.0f} s: {' '.join(command)}") from None
        self.note(done.stdout[-4000:] + done.stderr[-4000:])
        if done.returncode != 0:
            raise Failed(f"{' '.join(command[:6])} …: {done.stderr.strip()[-500:]}")
        return done.stdout


def undented(text):
    lines = text.strip("\n").splitlines()
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[margin:] for line in lines) + "\n"
