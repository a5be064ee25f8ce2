"""A region of one node becomes one of three; its leader is killed, and it goes on."""

import shop

PATIENCE = 600


def tell(story):
    shop.opens(story, regions=("eu", "us"))
    shop.put(story, "eu", "kept", "by one")
    three = [{"name": "eu", "replicas": 3}, "us"]
    story.apply(shop.geostore(regions=three, on_own_machines=False))
    seconds = story.wait("Ready", "geostore/shop", 300)
    story.figure(f"from one node to three: {seconds:.0f} s")
    story.expect("three pods", [name for name in story.names("pods") if "-eu-" in name] == [f"shop-eu-{at}" for at in range(3)])
    leader = next(region["leader"] for region in story.get("geostore/shop")["status"]["regions"] if region["name"] == "eu")
    pod = leader if leader.startswith("shop-") else f"shop-{leader}"
    story.kubectl("delete", "pod", pod, "--grace-period=0", "--force")
    story.eventually("a write is taken again", lambda: writes(story), 60)
    shop.is_read(story, ["eu", "us"], "kept", "by one", pod="shop-us-0")
    shop.is_read(story, ["eu", "us"], "after", "the leader died", pod="shop-us-0")
    story.wait("Ready", "geostore/shop", 180)


def writes(story):
    shop.put(story, "eu", "after", "the leader died", pod="shop-us-0")
    return True
