"""A store of two regions gets a third one, which has everything before it takes requests, and loses it again: what it
wrote stays with the others, and nothing of it is left in the cluster."""

import shop

PATIENCE = 600


def tell(story):
    shop.opens(story, regions=("eu", "us"))
    shop.put(story, "us", "early", "written before")
    story.apply(shop.geostore())
    seconds = story.wait("Ready", "geostore/shop", 240)
    story.figure(f"a region added: {seconds:.0f} s")
    shop.is_read(story, ["ap"], "early", "written before")
    shop.put(story, "ap", "late", "written by the third")
    story.apply(shop.geostore(regions=("eu", "us")))
    seconds = story.wait("Ready", "geostore/shop", 240)
    story.figure(f"a region removed: {seconds:.0f} s")
    shop.is_read(story, ["eu", "us"], "late", "written by the third")
    story.eventually(
        "nothing of it is left",
        lambda: not [name for name in story.names("statefulsets,services,configmaps,pods,persistentvolumeclaims") if "shop-ap" in name],
        120,
    )
    story.expect("both regions are equal", shop.different(story, ("eu", "us")) == 0)
