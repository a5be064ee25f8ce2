"""The store that most stories are about: a shop, with a region on each of the three machines."""

import json
import os
import socket
import ssl

from load import Load

REGIONS = ("eu", "us", "ap")
SERVER = "https://shop-{}:7400"


def geostore(regions=REGIONS, topology=None, on_own_machines=True, **spec):
    """A GeoStore as JSON, which is YAML. `regions` are names, or names with more of a region's spec."""
    declared = []
    for region in regions:
        region = {"name": region} if isinstance(region, str) else dict(region)
        if on_own_machines and region["name"] in REGIONS:
            at = {"nodeSelector": {"topology.kubernetes.io/region": region["name"]}}
            region["template"] = at | region.get("template", {})
        declared.append(region)
    whole = {
        "topology": topology or {"type": "AllToAll", "failoverAfter": "3s"},
        "regions": declared,
        "template": {"storage": {"size": "1Gi"}},
        "deletionPolicy": "Delete",
    } | spec
    return as_json("GeoStore", "shop", whole)


def collection(name, kind="Register", **conflicts):
    spec = {"storeRef": {"name": "shop"}, "type": kind}
    if conflicts:
        spec["conflicts"] = conflicts
    return as_json("Collection", name, spec)


def as_json(kind, name, spec):
    return json.dumps({"apiVersion": "atoll.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})


def opens(story, **more):
    """Declares the shop with its pages, and waits until all regions have what the others have."""
    story.apply(geostore(**more))
    story.apply(collection("pages"))
    seconds = story.wait("Converged", "geostore/shop", 180)
    story.figure(f"from `kubectl apply` to Converged: {seconds:.0f} s")
    story.wait("Ready", "geostore/shop", 180)


def put(story, region, key, value, pod="shop-eu-0"):
    """Writes through a region's Service, from a pod of the namespace."""
    story.put(pod, SERVER.format(region), "pages", key, value)


def is_read(story, regions, key, value, pod="shop-eu-0", seconds=30):
    """Waits until a value is read through the Service of each of the regions."""
    for region in regions:
        story.eventually(
            f"{key} is {value!r} in {region}",
            lambda region=region: story.read(pod, SERVER.format(region), "pages", key) == value,
            seconds,
        )


def different(story, regions=REGIONS, pod="shop-eu-0"):
    """How much `atoll verify` finds that is not equal."""
    servers = ",".join(SERVER.format(region) for region in regions)
    return json.loads(story.atoll(pod, "verify", "--server", servers, "-o", "json"))["different"]


def load(story, regions=REGIONS):
    """Writers for these regions."""
    address = {region: story.get(f"service/shop-{region}")["spec"]["clusterIP"] for region in regions}
    servers = {region: (f"shop-{region}", address[region]) for region in regions}
    return Load(servers, story.get("configmap/shop-ca.crt")["data"]["ca.crt"])


def is_reachable(story):
    """Whether Services can be dialled from this machine, as load is made from here. It must be the cluster's own that
    answers: on some networks anything does."""
    address = story.get("service/kubernetes", "-n", "default")["spec"]["clusterIP"]
    trust = ssl.create_default_context(cadata=story.get("configmap/kube-root-ca.crt")["data"]["ca.crt"])
    try:
        with socket.create_connection((address, 443), timeout=5) as line:
            trust.wrap_socket(line, server_hostname="kubernetes.default.svc").close()
    except OSError:
        story.figure("left out: Services of this cluster cannot be dialled from this machine")
        return False
    return True


def figure_of_load(story, load, what, seconds):
    """What load felt of a change."""
    writes, longest, again = load.phase()
    story.figure(
        f"{what}: {seconds:.0f} s, {writes} writes, {len(load.failed)} failed, {sum(again.values())} tried again, "
        f"the longest took {longest:.2f} s; load of this machine {os.getloadavg()[0]:.0f}"
    )
    for why, times in sorted(again.items(), key=lambda one: -one[1]):
        story.note(f"# {what}: {times} times {why}")


def holds_all(story, load, regions=REGIONS):
    """Every region has all that was written, and they are equal."""
    for region in regions:
        story.eventually(f"{region} has all that was written", lambda region=region: not load.missing(region), 90)
    story.expect("all regions are equal", different(story, regions) == 0)
    story.figure(f"{len(load.written)} keys and {load.votes} votes are in every region as they were acknowledged")


def condition(story, kind, what="geostore/shop"):
    """A condition's (status, reason, message), once it is about the manifest as it is now."""
    found = story.get(what)
    status = found.get("status", {})
    if status.get("observedGeneration") != found["metadata"]["generation"]:
        return None
    for one in status.get("conditions", []):
        if one["type"] == kind:
            return one["status"], one["reason"], one["message"]
    return None
