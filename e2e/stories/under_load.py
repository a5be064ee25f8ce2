"""Sixteen writers write while the store is changed in every way that the operator knows: not one write fails, and in the
end every region has what was answered with success, once."""

import time

import shop
from load import watch
from story import IMAGE

PATIENCE = 1800
ALONE = True
NEXT = "next"


def tell(story):
    if not shop.is_reachable(story):
        return
    for machine in story.names("nodes"):
        story.machine("inside", machine, "ctr", "-n", "k8s.io", "images", "tag", "--force", f"docker.io/library/{IMAGE}", f"docker.io/library/atoll:{NEXT}")
    shop.opens(story)
    story.apply(shop.collection("votes", kind="Counter"))
    story.wait("Ready", "collection/votes")
    with shop.load(story) as load:
        time.sleep(5)
        change(story, load, "nothing", None)
        change(story, load, "replicas 1 to 3", shop.geostore(regions=three()))
        change(story, load, "another version, 3 x 3 nodes", shop.geostore(regions=three(), version=NEXT))
        ring = {"type": "Ring", "failoverAfter": "3s"}
        change(story, load, "all to all becomes a ring", shop.geostore(regions=three(), version=NEXT, topology=ring))
        more = {"regions": [*three(), "sa"], "version": NEXT, "topology": ring}
        change(story, load, "a region added", shop.geostore(**more))
        change(story, load, "a region removed", shop.geostore(**more | {"regions": three()}))
        change(story, load, "another policy", shop.collection("pages", policy="KeepSiblings"), "collection/pages")
        load.stop()
        shop.holds_all(story, load)


def three():
    return [{"name": region, "replicas": 3} for region in shop.REGIONS]


def change(story, load, what, manifest, waits_for="geostore/shop"):
    load.phase()
    began = time.monotonic()
    if manifest:
        story.apply(manifest)
    seen = watch(story, waits_for, 400) if manifest else time.sleep(10) or []
    seconds = time.monotonic() - began
    shop.figure_of_load(story, load, what, seconds)
    for text in seen:
        story.figure(f"    {text}")
    story.expect(f"no write failed: {load.failed[:5]}", not load.failed)
