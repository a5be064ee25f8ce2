"""Objects of the names that a store needs are there already, made by somebody else. None of them is taken over or changed;
a condition names the one that is in the way. Once they are out of the way, the store is made."""

import json

import shop

PATIENCE = 420
THEIRS = {"metadata": {"labels": {"made-by": "somebody"}}}
SELECTOR = {"matchLabels": {"app": "theirs"}}
POD = {
    "metadata": {"labels": {"app": "theirs"}},
    "spec": {"containers": [{"name": "theirs", "image": "theirs.invalid/theirs:1"}]},
}
# In the order in which they are found to be in the way, with what is in them.
OBJECTS = [
    ("v1", "Secret", "shop-ca", {"stringData": {"a": "b"}}),
    ("v1", "ServiceAccount", "shop-nodes", {}),
    ("v1", "ConfigMap", "shop-eu", {"data": {"a": "b"}}),
    ("v1", "Service", "shop-us", {"spec": {"selector": {"app": "theirs"}, "ports": [{"port": 80}]}}),
    ("networking.k8s.io/v1", "NetworkPolicy", "shop-ap", {"spec": {"podSelector": SELECTOR}}),
    ("policy/v1", "PodDisruptionBudget", "shop-eu", {"spec": {"selector": SELECTOR, "maxUnavailable": 1}}),
    ("apps/v1", "StatefulSet", "shop-us", {"spec": {"replicas": 0, "serviceName": "theirs", "selector": SELECTOR, "template": POD}}),
    ("atoll.dev/v1alpha1", "ReplicationLink", "shop.eu.us", {"spec": {"storeRef": {"name": "shop"}, "from": "us", "to": "eu"}}),
]


def tell(story):
    for api_version, kind, name, rest in OBJECTS:
        # Labelled as if the operator had made it: what is ours is told by its owner alone.
        labels = {"app.kubernetes.io/managed-by": "atoll-operator", "atoll.dev/store": "shop"} if kind == "ReplicationLink" else {}
        metadata = {"name": name, "labels": labels | {"made-by": "somebody"}}
        story.apply(json.dumps({"apiVersion": api_version, "kind": kind, "metadata": metadata} | rest))
    before = all_of_them(story)
    story.apply(shop.geostore())
    for _, kind, name, _ in OBJECTS:
        story.eventually(
            f"{kind} {name} is said to be in the way",
            lambda kind=kind, name=name: is_in_the_way(story, kind, name),
            90,
        )
        now = all_of_them(story)
        story.expect(f"nothing was changed: {before} and {now}", now.items() <= before.items())
        story.kubectl("delete", kind, name, "--timeout=60s", timeout=70)
    seconds = story.wait("Ready", "geostore/shop", 240)
    story.figure(f"{len(OBJECTS)} objects of other people were left as they were; Ready {seconds:.0f} s after the last was gone")


def is_in_the_way(story, kind, name):
    stalled = shop.condition(story, "Stalled")
    return stalled and stalled[1] == "NameTaken" and stalled[2].startswith(f"{kind} {name} ")


def all_of_them(story):
    """The uid and version of each that is there; the generation where a controller of Kubernetes writes a status."""
    found = {}
    for _, kind, name, _ in OBJECTS:
        for item in story.get(kind, "--field-selector", f"metadata.name={name}")["items"]:
            metadata = item["metadata"]
            if metadata.get("labels", {}).get("made-by") == "somebody":
                is_controlled = kind in ("StatefulSet", "PodDisruptionBudget")
                found[kind, name] = metadata["uid"], metadata["generation" if is_controlled else "resourceVersion"]
    return found
