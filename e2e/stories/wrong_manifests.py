"""Somebody makes mistakes. The API server refuses each with words that say what to do, and other stores go on."""

import json

import shop
from story import Failed

PATIENCE = 180
TOPOLOGY = {"type": "AllToAll"}
PAIR = [{"name": "eu"}, {"name": "us"}]

# What is wrong, the manifest, and a word that the answer must have.
WRONG = [
    ("no region", {"topology": TOPOLOGY, "regions": []}, "regions"),
    ("one name twice", {"topology": TOPOLOGY, "regions": [{"name": "eu"}, {"name": "eu"}]}, "eu"),
    ("two nodes a region", {"topology": TOPOLOGY, "regions": [{"name": "eu", "replicas": 2}]}, "replicas"),
    ("no topology", {"regions": PAIR}, "topology"),
    ("an unknown topology", {"topology": {"type": "Mesh"}, "regions": PAIR}, "Mesh"),
    ("a star without a hub", {"topology": {"type": "Star"}, "regions": PAIR}, "hub"),
    ("a hub that is no region", {"topology": {"type": "Star", "hub": "ap"}, "regions": PAIR}, "hub"),
    ("a ring of two", {"topology": {"type": "Ring"}, "regions": PAIR}, "ing"),
    ("an order with a stranger", {"topology": {"type": "Ring", "order": ["eu", "us", "mars"]}, "regions": [*PAIR, {"name": "ap"}]}, "order"),
    ("links of another topology", {"topology": {"type": "AllToAll", "links": [{"from": "eu", "to": "us"}]}, "regions": PAIR}, "links"),
    ("a link to nowhere", {"topology": {"type": "Custom", "links": [{"from": "eu", "to": "mars"}]}, "regions": PAIR}, "link"),
    ("nobody leads", {"topology": TOPOLOGY, "regions": [{"name": "eu", "role": "ReadOnly"}]}, "eader"),
    ("a name that is none", {"topology": TOPOLOGY, "regions": [{"name": "EU West"}]}, "name"),
    ("a size that is none", {"topology": TOPOLOGY, "regions": PAIR, "template": {"storage": {"size": "much"}}}, "size"),
    ("a time that is none", {"topology": TOPOLOGY | {"failoverAfter": "soon"}, "regions": PAIR}, "failoverAfter"),
    ("too many regions", {"topology": TOPOLOGY, "regions": [{"name": f"r{at}"} for at in range(40)]}, "regions"),
]


def tell(story):
    for what, spec, word in WRONG:
        answer = refusal(story, shop.as_json("GeoStore", "wrong", spec))
        story.expect(f"{what}: {answer}", answer and word in answer)
    story.expect("a word nobody knows is refused", "unknown field" in (refusal(story, shop.geostore(regionz=[])) or ""))
    story.apply(shop.geostore(regions=("eu",)))
    changed = json.loads(shop.collection("pages"))
    story.apply(json.dumps(changed))
    changed["spec"]["type"] = "Counter"
    answer = refusal(story, json.dumps(changed))
    story.expect(f"a collection's type stays: {answer}", answer and "type" in answer)
    story.wait("Ready", "geostore/shop")
    story.figure(f"{len(WRONG) + 2} wrong manifests refused, each with a word of what to do")


def refusal(story, manifest):
    """What the API server says, or None when it takes the manifest."""
    try:
        story.kubectl("apply", "--validate=strict", "-f", "-", given=manifest)
    except Failed as failed:
        return str(failed)
    return None
