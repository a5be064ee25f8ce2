"""The operator is killed ten times at random moments of a rolling update, then there are two of them, and one is killed;
then the API server stops answering for a minute. Sixteen writers notice nothing, and the work ends each time."""

import random
import time

import shop
from load import watch
from story import OPERATORS_PODS

PATIENCE = 1500
ALONE = True
KILLS = 10
STOPPED_SECONDS = 60


def tell(story):
    if not shop.is_reachable(story):
        return
    three = [{"name": region, "replicas": 3} for region in shop.REGIONS]
    shop.opens(story, regions=three)
    story.apply(shop.collection("votes", kind="Counter"))
    story.wait("Ready", "collection/votes")
    try:
        with shop.load(story) as load:
            killed(story, load, three)
            two_at_once(story, load, three)
            without_api_server(story, load, three)
            load.stop()
            shop.holds_all(story, load)
    finally:
        story.kubectl("scale", "-n", "atoll-system", "deployment/atoll", "--replicas=1")


def restarted(three, word):
    """The same store with nodes that have to be restarted for it."""
    return shop.geostore(regions=three, template={"storage": {"size": "1Gi"}, "podAnnotations": {"restarted-for": word}})


def killed(story, load, three):
    load.phase()
    began = time.monotonic()
    before = uids(story)
    story.apply(restarted(three, "kills"))
    seed = random.randrange(1 << 32)
    moments = random.Random(seed)
    for _ in range(KILLS):
        time.sleep(moments.uniform(1, 12))
        story.kubectl("delete", "pod", *OPERATORS_PODS, "--grace-period=0", "--force")
    watch(story, "geostore/shop", 400)
    story.expect("every node was restarted once", not set(uids(story).values()) & set(before.values()))
    seconds = time.monotonic() - began
    shop.figure_of_load(story, load, f"a rolling update of nine nodes, the operator killed {KILLS} times (seed {seed})", seconds)
    story.expect(f"no write failed: {load.failed[:5]}", not load.failed)


def two_at_once(story, load, three):
    story.kubectl("scale", "-n", "atoll-system", "deployment/atoll", "--replicas=2")
    story.kubectl("rollout", "status", "-n", "atoll-system", "deployment/atoll", "--timeout=90s", timeout=100)
    began = time.monotonic()
    before = uids(story)
    story.apply(restarted(three, "two operators"))
    leader = story.get("lease/atoll-operator", "-n", "atoll-system")["spec"]["holderIdentity"]
    story.eventually("a node is restarted", lambda: uids(story) != before, 60)
    story.kubectl("delete", "pod", "-n", "atoll-system", leader, "--grace-period=0", "--force")
    follower = story.eventually("another one acts", lambda: other_than(story, leader), 60)
    story.note(f"# {follower} follows {leader}")
    watch(story, "geostore/shop", 400)
    story.expect("every node was restarted", not set(uids(story).values()) & set(before.values()))
    shop.figure_of_load(story, load, "a rolling update with two operators, the acting one killed", time.monotonic() - began)
    story.expect(f"no write failed: {load.failed[:5]}", not load.failed)


def other_than(story, leader):
    holder = story.get("lease/atoll-operator", "-n", "atoll-system")["spec"].get("holderIdentity")
    return holder if holder and holder != leader else None


def without_api_server(story, load, three):
    began = time.monotonic()
    before = uids(story)
    story.apply(restarted(three, "no API server"))
    story.eventually("a node is restarted", lambda: uids(story) != before, 60)
    first = story.names("nodes")[0]
    story.machine("inside", first, "pkill", "-STOP", "-x", "kube-apiserver")
    try:
        time.sleep(STOPPED_SECONDS)
    finally:
        story.machine("inside", first, "pkill", "-CONT", "-x", "kube-apiserver")
    shop.figure_of_load(story, load, f"the API server stopped for {STOPPED_SECONDS} s amidst a rolling update", time.monotonic() - began)
    story.eventually("the API server answers", lambda: story.kubectl("get", "--raw", "/readyz"), 60)
    watch(story, "geostore/shop", 400)
    story.expect("every node was restarted", not set(uids(story).values()) & set(before.values()))
    shop.figure_of_load(story, load, "the rest of that rolling update, with what the API server did first", time.monotonic() - began)
    story.expect(f"no write failed: {load.failed[:5]}", not load.failed)


def uids(story):
    return {item["metadata"]["name"]: item["metadata"]["uid"] for item in story.get("pods")["items"]}
