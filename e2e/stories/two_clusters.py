"""One store across two Kubernetes clusters: each has an API server and an operator of its own, and nobody has the other's
kubeconfig. People make a Service by which nodes are reached, apply the same GeoStore in both, and exchange CAs. What is
written in one is read in the other; a change that only one has is told of; with one API server gone, the store goes on."""

import json

import shop

PATIENCE = 1200
ALONE = True
CLUSTERS = {"eu": "west", "sa": "east"}


def tell(story):
    if not story.has_clusters():
        return story.figure("left out: the clusters of this provider do not reach each other")
    story.operator_of("west")
    try:
        with story.another_cluster("east", "sa") as other:
            both(story, other)
    finally:
        story.operator_of("")


def both(story, other):
    here = {"eu": story, "sa": other}
    addresses = {region: reached(here[region], region) for region in CLUSTERS}
    manifest = store(addresses)
    for at in here.values():
        at.apply(manifest)
        at.apply(shop.collection("pages"))
    told = story.eventually("the store says whose CA it lacks", lambda: fault(story), 60)
    story.figure(f"before CAs are exchanged: {told}")
    exchange(story, other)
    exchange(other, story)
    for region, at in here.items():
        at.wait("Converged", "geostore/shop", 240)
        at.wait("Ready", "geostore/shop", 120)
        at.eventually("both have the same manifest", lambda at=at: agrees(at))
        at.expect("only the own region runs here", at.names("statefulsets") == [f"shop-{region}"])
        shop.put(at, region, f"from-{region}", f"hello from {region}", pod=f"shop-{region}-0")
    shop.is_read(story, ["eu"], "from-sa", "hello from sa")
    shop.is_read(other, ["sa"], "from-eu", "hello from eu", pod="shop-sa-0")
    differs(story, other, manifest, addresses)
    cut_off(story, other)
    for at in here.values():
        at.kubectl("delete", "geostore", "shop", "--timeout=60s", timeout=70)


def store(addresses, topology=None):
    regions = [
        {"name": region, "location": {"cluster": cluster, "endpoint": f"https://{addresses[region]}:7401"}}
        for region, cluster in CLUSTERS.items()
    ]
    tls = {"trustedCaSecretRefs": [{"name": "ca-of-the-other"}]}
    return shop.geostore(regions=regions, on_own_machines=False, tls=tls, topology=topology)


def reached(at, region):
    """A Service by which the other cluster reaches the region's nodes; elsewhere it would be of type LoadBalancer."""
    selector = {"atoll.dev/store": "shop", "atoll.dev/region": region}
    spec = {"selector": selector, "ports": [{"port": 7401}], "publishNotReadyAddresses": True}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"to-{region}"}, "spec": spec}
    at.apply(json.dumps(service))
    return at.get(f"service/to-{region}")["spec"]["clusterIP"]


def exchange(of, to):
    """The CA bundle of one cluster, as a Secret in the other."""
    bundle = of.file("ca.crt", of.get("configmap/shop-ca.crt")["data"]["ca.crt"])
    made = of.kubectl("create", "secret", "generic", "ca-of-the-other", f"--from-file=ca.crt={bundle}", "--dry-run=client", "-o", "yaml")
    secret = "\n".join(line for line in made.splitlines() if "namespace:" not in line)
    to.apply(secret)


def fault(at):
    found = shop.condition(at, "CertificatesValid")
    return found and found[1] == "CaNotUsable" and "ca-of-the-other" in found[2] and found[2]


def differs(story, other, manifest, addresses):
    """The manifest is changed in the cluster that declares, then in the other one."""
    links = [{"from": "eu", "to": "sa"}, {"from": "sa", "to": "eu"}]
    changed = store(addresses, {"type": "Custom", "links": links})
    story.apply(changed)
    told = other.eventually("the other cluster says that manifests differ", lambda: disagrees(other), 120)
    story.figure(f"changed in one cluster alone: {told}")
    other.apply(changed)
    for at in (story, other):
        at.eventually("they agree again", lambda at=at: agrees(at), 120)
        at.wait("Ready", "geostore/shop", 120)


def agrees(at):
    found = shop.condition(at, "SpecAgreed")
    return found and found[0] == "True"


def disagrees(at):
    found = shop.condition(at, "SpecAgreed")
    return found and found[:2] == ("False", "SpecsDiffer") and found[2]


def cut_off(story, other):
    """The other cluster's machine loses its network, and its API server with it."""
    machine = other.node_of("shop-sa-0")
    other.machine("cut", machine)
    try:
        shop.put(story, "eu", "alone", "from eu")
        state = story.eventually("the region there is shown as it was, with the time", lambda: stale(story), 120)
        story.figure(f"while the other cluster is away: {state}")
        available = shop.condition(story, "Available")
        story.expect(f"this cluster is available all the same: {available}", available[0] == "True")
    finally:
        other.machine("heal", machine)
    story.wait("Converged", "geostore/shop", 240)
    other.eventually("what was written meanwhile is there", lambda: read(other) == "from eu", 120)


def stale(story):
    regions = story.get("geostore/shop")["status"]["regions"]
    there = next(region for region in regions if region["name"] == "sa")
    return there.get("stale") and there.get("staleSince") and f"{there['state']}, stale since {there['staleSince']}"


def read(other):
    return other.read("shop-sa-0", shop.SERVER.format("sa"), "pages", "alone")
