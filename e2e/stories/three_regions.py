"""Somebody who knows Kubernetes and nothing of Atoll applies a manifest, waits on a condition, writes in each region and
reads it in the others, changes the manifest, and deletes it: nothing is left that was not meant to be."""

import shop

PATIENCE = 600
SHORT = True
OURS = "statefulsets,services,configmaps,secrets,poddisruptionbudgets,networkpolicies,serviceaccounts,persistentvolumeclaims"
KUBERNETES_OWN = {"kube-root-ca.crt", "default"}


def tell(story):
    shop.opens(story)
    story.note(story.kubectl("get", "geostores,replicationlinks,collections", "-o", "wide"))
    for region in shop.REGIONS:
        shop.put(story, region, f"from-{region}", f"hello from {region}")
    for region in shop.REGIONS:
        shop.is_read(story, shop.REGIONS, f"from-{region}", f"hello from {region}")
    story.expect("every link has an object", len(story.names("replicationlinks")) == 6)
    changed(story)
    deleted(story)


def changed(story):
    """A collection more: it is there in every region, and nothing was restarted for it."""
    before = {pod["metadata"]["uid"] for pod in story.get("pods")["items"]}
    story.apply(shop.collection("votes", kind="Counter"))
    story.wait("Ready", "collection/votes")
    for region in shop.REGIONS:
        story.atoll("shop-eu-0", "op", "votes", "tea", '{"increment": 1}', "--server", shop.SERVER.format(region))
    for region in shop.REGIONS:
        story.eventually(
            f"three votes are counted in {region}",
            lambda region=region: story.read("shop-eu-0", shop.SERVER.format(region), "votes", "tea") == 3,
        )
    story.expect("the same pods run", before == {pod["metadata"]["uid"] for pod in story.get("pods")["items"]})


def deleted(story):
    story.kubectl("delete", "collections", "--all", "--timeout=60s", timeout=70)
    story.kubectl("delete", "geostore", "shop", "--timeout=120s", timeout=130)
    story.eventually("all that the operator made is gone", lambda: not left(story), 120)


def left(story):
    return [name for name in story.names(f"pods,{OURS},replicationlinks") if name not in KUBERNETES_OWN]
