"""A store is deleted, with and without its volumes, and so is the operator: what is left is what was meant to be. Nothing
has a finalizer that only the operator could take away, so a store can be deleted while none runs."""

import pathlib

import shop

PATIENCE = 600
ALONE = True
CHART = pathlib.Path(__file__).parent.parent.parent / "charts/atoll"
KINDS = "pods,statefulsets,services,configmaps,secrets,serviceaccounts,poddisruptionbudgets,networkpolicies,persistentvolumeclaims,replicationlinks,geostores,collections"
KUBERNETES_OWN = {"configmap/kube-root-ca.crt", "serviceaccount/default"}
VOLUMES = {"persistentvolumeclaim/data-shop-eu-0", "persistentvolumeclaim/data-shop-us-0"}
# The lease says who acted last; the next operator takes it.
UNINSTALLED = {"configmap/kube-root-ca.crt", "lease.coordination.k8s.io/atoll-operator"}
PAIR = ("eu", "us")


def tell(story):
    kept(story)
    without_operator(story)
    uninstalled(story)


def kept(story):
    """Retain: volumes stay, and a store of the same name has what was written. Delete: nothing stays but the
    collections, which are the user's own."""
    shop.opens(story, regions=PAIR, deletionPolicy="Retain")
    shop.put(story, "eu", "kept", "by its volume")
    goes(story, VOLUMES | {"collection/pages"})
    shop.opens(story, regions=PAIR, deletionPolicy="Retain")
    shop.is_read(story, PAIR, "kept", "by its volume")
    story.figure("Retain: volumes and collections are left, and the next store of that name has the data")
    # Said at the last moment, it still counts.
    story.apply(shop.geostore(regions=PAIR, deletionPolicy="Delete"))
    story.wait("Ready", "geostore/shop", 60)
    goes(story, {"collection/pages"})
    story.figure("Delete: collections are left, as they are the user's own objects")


def goes(story, left):
    story.kubectl("delete", "geostore", "shop", "--timeout=120s", timeout=130)
    story.eventually(f"what is left is {sorted(left)}", lambda: objects(story) == left, 120)


def without_operator(story):
    shop.opens(story, regions=PAIR)
    story.kubectl("scale", "-n", "atoll-system", "deployment/atoll", "--replicas=0")
    try:
        goes(story, {"collection/pages"})
    finally:
        story.kubectl("scale", "-n", "atoll-system", "deployment/atoll", "--replicas=1")
    story.figure("a store deleted while no operator runs leaves as little")


def uninstalled(story):
    """`helm uninstall`: stores and definitions stay; a chart installed again takes them up."""
    shop.opens(story, regions=PAIR)
    before = {item["metadata"]["uid"] for item in story.get("pods")["items"]}
    story.run(["helm", "uninstall", "atoll", "--namespace", "atoll-system", "--wait"], None, 120)
    try:
        definitions = story.kubectl("get", "customresourcedefinitions", "-o", "name")
        story.expect("the definitions stay", all(f"/{kind}.atoll.dev" in definitions for kind in ("geostores", "collections", "replicationlinks")))
        story.eventually("nothing of the operator runs or may do anything", lambda: set(of_operator(story)) <= UNINSTALLED, 60)
        story.figure(f"helm uninstall leaves the definitions, the stores, and {', '.join(of_operator(story))}")
        shop.put(story, "eu", "alone", "without the chart")
        shop.is_read(story, PAIR, "alone", "without the chart")
    finally:
        story.run(["helm", "install", "atoll", str(CHART), "--namespace", "atoll-system", "--create-namespace", "--wait", "--timeout", "120s"], None, 130)
    story.apply(shop.collection("votes", kind="Counter"))
    story.wait("Ready", "collection/votes", 120)
    story.wait("Ready", "geostore/shop", 120)
    story.expect("the same pods run", before == {item["metadata"]["uid"] for item in story.get("pods")["items"]})


def of_operator(story):
    """What is there of the chart, in its namespace and of the cluster."""
    inside = story.kubectl("get", "all,configmaps,leases,roles,rolebindings", "-n", "atoll-system", "-o", "name").split()
    outside = story.kubectl("get", "clusterroles,clusterrolebindings", "-o", "name").split()
    return inside + [name for name in outside if "/atoll" in name]


def objects(story):
    """What is in the namespace, but for what Kubernetes puts into each."""
    found = story.kubectl("get", KINDS, "-o", "name").split()
    plain = {f"{kind.split('.')[0]}/{name}" for kind, name in (one.split("/", 1) for one in found)}
    return plain - KUBERNETES_OWN
