"""A region's machine loses its network. Both sides go on taking writes; the operator says what is the matter and stops
nothing elsewhere. When the network is back, every region has everything, and the conflict is in the ledger."""

import json

import shop
from story import OPERATORS_PODS

PATIENCE = 600
ALONE = True


def tell(story):
    shop.opens(story)
    # Not the operator's machine: its pod would be replaced only when Kubernetes gives it up, after five minutes.
    away, stays = ("us", "ap") if operators_machine(story) == story.node_of("shop-ap-0") else ("ap", "us")
    machine = story.node_of(f"shop-{away}-0")
    address = story.get("pod", f"shop-{away}-0")["status"]["podIP"]
    story.machine("cut", machine)
    try:
        shop.put(story, "eu", "home", "from this side")
        shop.is_read(story, [stays], "home", "from this side")
        page = f"https://{address}:7400/v1/collections/pages/keys/home"
        story.machine("inside", machine, "curl", "-skf", "-m", "10", "-X", "PUT", page, "-H", "content-type: application/json",
                      "-d", '"from the other side"')
        story.eventually("the operator says that a region is away", lambda: shop.condition(story, "Converged")[0] != "True", 90)
        story.figure(f"TopologyConnected while cut: {shop.condition(story, 'TopologyConnected')}")
        story.apply(shop.collection("votes", kind="Counter"))
        story.eventually("a collection is declared meanwhile", lambda: votes(story, stays), 90)
    finally:
        story.machine("heal", machine)
    seconds = story.wait("Converged", "geostore/shop", 180)
    story.figure(f"from healed to Converged: {seconds:.0f} s")
    story.eventually("one value is shown everywhere", lambda: len(homes(story)) == 1, 60)
    story.eventually("what was declared meanwhile is there, too", lambda: votes(story, away), 60)
    ledger = json.loads(story.atoll("shop-eu-0", "conflicts", "list", "--server", shop.SERVER.format(away), "-o", "json"))
    story.expect(f"the ledger has the conflict: {ledger}", "home" in json.dumps(ledger))
    story.expect("all regions are equal", shop.different(story) == 0)


def operators_machine(story):
    """The machine that the operator runs on."""
    pods = story.get("pods", *OPERATORS_PODS)["items"]
    return pods[0]["spec"]["nodeName"]


def homes(story):
    """What the regions show, through their Services."""
    return {story.read("shop-eu-0", shop.SERVER.format(region), "pages", "home") for region in shop.REGIONS}


def votes(story, region):
    story.atoll("shop-eu-0", "op", "votes", "tea", '{"increment": 1}', "--server", shop.SERVER.format(region))
    return True
