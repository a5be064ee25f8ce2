"""The store that most stories are about: a shop, with a region on each of the three machines."""

import json

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
