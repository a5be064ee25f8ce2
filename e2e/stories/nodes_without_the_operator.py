"""Somebody runs nodes without the operator: a StatefulSet and a ConfigMap a region. The regions find each other by DNS,
what is written in one is read in the others, a pod that is deleted comes back with its data, and all are equal."""

import json

from story import IMAGE

PATIENCE = 300
SHORT = True
REGIONS = ["eu", "us", "ap"]


def tell(story):
    for region in REGIONS:
        story.apply(node_of(region, story.namespace))
    for region in REGIONS:
        story.kubectl("rollout", "status", f"statefulset/shop-{region}", "--timeout=120s", timeout=130)
    for region in REGIONS:
        story.put("shop-eu-0", server(region), "pages", f"from-{region}", f"hello from {region}")
    read_everywhere(story)
    story.kubectl("delete", "pod", "shop-us-0", "--timeout=60s", timeout=70)
    story.wait("Ready", "pod/shop-us-0")
    read_everywhere(story)
    servers = ",".join(server(region) for region in REGIONS)
    verdict = story.atoll("shop-eu-0", "verify", "--server", servers, "-o", "json")
    story.expect("all regions are equal", json.loads(verdict)["different"] == 0)


def read_everywhere(story):
    for written in REGIONS:
        for region in REGIONS:
            story.eventually(
                f"what {written} wrote is read in {region}",
                lambda region=region, written=written: story.read("shop-ap-0", server(region), "pages", f"from-{written}")
                == f"hello from {written}",
            )


def server(region):
    return f"http://shop-{region}:7400"


def node_of(region, namespace):
    peers = [
        {"region": other, "endpoint": f"http://shop-{other}-0.shop-{other}-nodes.{namespace}.svc:7400"}
        for other in REGIONS
        if other != region
    ]
    config = {
        "store": {"name": "shop", "id": "5bd1e995cafe0001"},
        "region": region,
        "listen": "0.0.0.0:7400",
        "data": "/data/atoll",
        "peers": peers,
        "topology": {"type": "AllToAll", "regions": REGIONS},
        "collections": [{"name": "pages", "type": "Register"}],
        "objectives": {"maxClockSkew": "500ms"},
    }
    labels = {"app": "shop", "region": region}
    documents = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"shop-{region}"}, "data": {"node.yaml": json.dumps(config)}},
        service(f"shop-{region}", labels, {}),
        service(f"shop-{region}-nodes", labels, {"clusterIP": "None", "publishNotReadyAddresses": True}),
        stateful_set(region, labels),
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})


def service(name, labels, more):
    spec = {"selector": labels, "ports": [{"name": "http", "port": 7400}]} | more
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def stateful_set(region, labels):
    def probe(path, **more):
        return {"httpGet": {"path": path, "port": "http"}, **more}

    container = {
        "name": "node",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": ["node", "--config", "/config/node.yaml"],
        "ports": [{"name": "http", "containerPort": 7400}],
        "startupProbe": probe("/healthz", periodSeconds=1, failureThreshold=60),
        "readinessProbe": probe("/readyz", periodSeconds=1),
        "livenessProbe": probe("/healthz", periodSeconds=10, timeoutSeconds=5),
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
            {"name": "config", "mountPath": "/config"},
        ],
    }
    pod = {
        "nodeSelector": {"topology.kubernetes.io/region": region},
        "terminationGracePeriodSeconds": 20,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": f"shop-{region}"}}],
    }
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": f"shop-{region}"},
        "spec": {
            "serviceName": f"shop-{region}-nodes",
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
            "volumeClaimTemplates": [claim],
        },
    }
