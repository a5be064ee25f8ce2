"""A store of three regions, a lone node with certificates, Prometheus, a collector; all on this machine."""

import json
import pathlib
import subprocess
import time
import urllib.parse

from parts import Client, Process, Way, free_port, until

REGIONS = ["eu", "us", "ap"]
ROOT = pathlib.Path(__file__).resolve().parents[2]
COLLECTIONS = [
    {"name": "pages", "type": "Register"},
    {"name": "made", "type": "Register"},
    {"name": "kept", "type": "Register", "conflicts": {"policy": "KeepSiblings"}},
]


class Site:
    def __init__(self, program, directory, tools=None):
        self.program, self.tools, self.directory = program, tools and pathlib.Path(tools), pathlib.Path(directory)
        self.ports = {region: free_port() for region in REGIONS}
        # What eu pulls from us comes this way.
        self.way = Way(self.ports["us"])
        self.clients = {region: Client(port) for region, port in self.ports.items()}
        self.nodes, self.targets = {}, [f"127.0.0.1:{port}" for port in self.ports.values()]

    def start(self):
        self.make_certificates()
        self.start_collector()
        for region in REGIONS:
            self.start_node(region)
        self.start_vault()
        for region in REGIONS:
            until(f"{region} is ready", 60, self.clients[region].is_ready)
        self.start_prometheus()

    def start_node(self, region):
        others = [other for other in REGIONS if other != region]
        port = {**self.ports, "us": self.way.port} if region == "eu" else self.ports
        config = {
            "store": {"name": "shop", "id": "00000000000a701f"},
            "region": region,
            "listen": f"127.0.0.1:{self.ports[region]}",
            "data": str(self.directory / region),
            "peers": [{"region": other, "endpoint": f"http://127.0.0.1:{port[other]}"} for other in others],
            "topology": {"type": "AllToAll", "regions": REGIONS},
            "failoverAfter": "5s",
            "objectives": {"maxLag": "1s", "maxClockSkew": "500ms"},
            "collections": COLLECTIONS,
            "telemetry": {"otlp": {"endpoint": f"http://127.0.0.1:{self.collector_port}", "logs": True}, "traceRatio": 0},
        }
        self.nodes[region] = self.run_node(region, config)

    def run_node(self, name, config, variables=None):
        file = self.directory / f"{name}.yaml"
        file.write_text(json.dumps(config))
        env = {
            "OTEL_METRIC_EXPORT_INTERVAL": "2000", "OTEL_BSP_SCHEDULE_DELAY": "300", "OTEL_EXPORTER_OTLP_TIMEOUT": "1000",
            "OTEL_RESOURCE_ATTRIBUTES": "k8s.namespace.name=test",
            "ATOLL_LOG": "info,atoll_node=debug,atoll_client=debug,openraft=error", "ATOLL_LOG_FORMAT": "json", **(variables or {}),
        }
        return Process(name, [self.program, "node", "--config", str(file)], self.directory, env)

    def make_certificates(self):
        """A CA, and a certificate of it: the vault's node shows it, and so does the collector."""
        run = lambda *command: subprocess.run(command, check=True, capture_output=True, cwd=self.directory)
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        run("openssl", "req", "-x509", *key, "-days", "90", "-subj", "/CN=vault", "-keyout", "ca.key", "-out", "ca.crt")
        run("openssl", "req", *key, "-subj", "/CN=node", "-keyout", "node.key", "-out", "node.csr")
        (self.directory / "names").write_text(
            "subjectAltName=URI:atoll://00000000000b701f/one/one-0,IP:127.0.0.1\nextendedKeyUsage=clientAuth,serverAuth\n")
        run("openssl", "x509", "-req", "-in", "node.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
            "-out", "node.crt", "-extfile", "names")

    def start_vault(self):
        """A store of one node with certificates, for what only those show; it speaks to the collector by TLS."""
        listen, among = free_port(), free_port()
        here = {"name": "one-0", "address": f"https://127.0.0.1:{among}"}
        self.run_node("vault", {
            "store": {"name": "vault", "id": "00000000000b701f"},
            "region": "one",
            "listen": f"127.0.0.1:{listen}",
            "node": {**here, "listen": f"127.0.0.1:{among}"},
            "nodes": [here],
            "data": str(self.directory / "vault"),
            "tls": {"certificate": "node.crt", "key": "node.key", "ca": "ca.crt", "plainClients": True},
            "telemetry": {"otlp": {"endpoint": f"https://127.0.0.1:{self.collector_tls_port}", "ca": "ca.crt"}},
        })
        until("the node with certificates is ready", 60, Client(listen).is_ready)
        self.targets.append(f"127.0.0.1:{listen}")

    def start_collector(self):
        self.collector_port = getattr(self, "collector_port", None) or free_port()
        self.collected = self.directory / "collected.jsonl"
        self.collector_tls_port = getattr(self, "collector_tls_port", None) or free_port()
        receivers = {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{self.collector_port}"}}}}
        if (self.directory / "node.crt").exists():
            shown = {"cert_file": str(self.directory / "node.crt"), "key_file": str(self.directory / "node.key")}
            receivers["otlp/tls"] = {"protocols": {"http": {"endpoint": f"127.0.0.1:{self.collector_tls_port}", "tls": shown}}}
        config = self.directory / "collector.yaml"
        config.write_text(json.dumps({
            "receivers": receivers,
            "exporters": {"file": {"path": str(self.collected)}},
            "service": {
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {signal: {"receivers": list(receivers), "exporters": ["file"]} for signal in ("traces", "metrics", "logs")},
            },
        }))
        self.collector = Process("collector", [self.tools / "collector", "--config", f"file:{config}"], self.directory)
        until("the collector answers", 30, lambda: self.send_spans([]))

    def send_spans(self, spans):
        """What a client of the store has to tell, as OTLP's JSON."""
        named = {"key": "service.name", "value": {"stringValue": "client"}}
        body = {"resourceSpans": [{"resource": {"attributes": [named]}, "scopeSpans": [{"spans": spans}]}]}
        try:
            return Client(self.collector_port).ask("POST", "/v1/traces", json.dumps(body), {"content-type": "application/json"})[0] == 200
        except OSError:
            return False

    def add_target(self, address):
        """Prometheus looks at the file."""
        self.targets.append(address)
        (self.directory / "targets.json").write_text(json.dumps([{"targets": self.targets}]))

    def program_output(self, *words):
        return subprocess.run([self.program, *words], check=True, capture_output=True, text=True).stdout

    def start_prometheus(self):
        port = free_port()
        config = self.directory / "prometheus.yaml"
        self.add_target(self.targets.pop())
        config.write_text(json.dumps({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(ROOT / "charts/atoll/files/rules.yaml")],
            "scrape_configs": [{
                "job_name": "atoll", "file_sd_configs": [{"files": [str(self.directory / "targets.json")], "refresh_interval": "1s"}],
            }],
        }))
        Process("prometheus", [
            self.tools / "prometheus", f"--config.file={config}", f"--storage.tsdb.path={self.directory / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
        ], self.directory)
        self.prometheus = Client(port)
        until("Prometheus is ready", 60, lambda: self.is_up(self.prometheus, "/-/ready"))

    @staticmethod
    def is_up(client, path):
        try:
            return client.ask("GET", path)[0] == 200
        except OSError:
            return False

    def query(self, expr):
        """[(labels, value)] now."""
        answer = self.prometheus.json("/api/v1/query?" + urllib.parse.urlencode({"query": expr}))
        result = answer["data"]["result"]
        if answer["data"]["resultType"] == "scalar":
            return [({}, float(result[1]))]
        return [(sample["metric"], float(sample["value"][1])) for sample in result]

    def value(self, expr):
        """The one value of an expression; None when there is none."""
        samples = self.query(expr)
        assert len(samples) <= 1, f"{expr}: {len(samples)} values"
        return samples[0][1] if samples else None

    def spans(self, trace):
        """Spans of a trace that the collector has, each with its resource."""
        found = []
        for line in self.lines():
            for resource in line.get("resourceSpans", []):
                for scope in resource["scopeSpans"]:
                    found += [(resource["resource"], span) for span in scope.get("spans", []) if span["traceId"] == trace]
        return found

    def lines(self):
        for line in self.collected.read_text().splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                pass  # the last one is being written

    def rest(self, seconds):
        time.sleep(seconds)
