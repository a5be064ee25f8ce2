"""A store of all to all becomes a ring, while somebody writes: links change, nothing is lost, nobody restarts."""

import shop

PATIENCE = 420


def tell(story):
    shop.opens(story)
    story.expect("six links", len(story.names("replicationlinks")) == 6)
    for at in range(10):
        shop.put(story, shop.REGIONS[at % 3], f"before-{at}", at)
    story.apply(shop.geostore(topology={"type": "Ring", "order": ["eu", "ap", "us"], "failoverAfter": "3s"}))
    for at in range(10):
        shop.put(story, shop.REGIONS[at % 3], f"after-{at}", at)
    story.wait("Ready", "geostore/shop", 180)
    story.eventually("three links are left", lambda: len(story.names("replicationlinks")) == 3, 120)
    story.wait("Converged", "geostore/shop")
    for at in range(10):
        shop.is_read(story, shop.REGIONS, f"before-{at}", at)
        shop.is_read(story, shop.REGIONS, f"after-{at}", at)
    story.expect("nothing restarted", restarts(story) == 0)


def restarts(story):
    return sum(status["restartCount"] for pod in story.get("pods")["items"] for status in pod["status"]["containerStatuses"])
