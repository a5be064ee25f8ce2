"""An object is there that today's definitions would refuse, as one stored before they changed. It alone stalls, and an
event says so; stores beside it go on, and once it is corrected it is a store like any other."""

import json

import hostile
import shop

PATIENCE = 300
ALONE = True
DEFINITION = "customresourcedefinition/geostores.atoll.dev"
SCHEMA = "/spec/versions/0/schema/openAPIV3Schema"
LOOSE = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
ODD = {"regions": "three", "topology": "round"}


def tell(story):
    shop.opens(story, regions=("eu",), on_own_machines=False)
    strict = story.get(DEFINITION)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    odd = json.dumps(hostile.object_of("GeoStore", "odd", ODD))
    replace(story, LOOSE)
    try:
        story.eventually("the odd object is stored", lambda: story.kubectl("apply", "--validate=false", "-f", "-", given=odd), 30)
    finally:
        replace(story, strict)
    # The API server takes no status of such an object. It ends watches when definitions change; they are begun again
    # after pauses of up to half a minute.
    told = story.eventually("an event says that it cannot be read", lambda: events(story), 120)
    story.figure(f"told: {told[0]}")
    story.apply(shop.collection("votes", kind="Counter"))
    seconds = story.wait("Ready", "collection/votes", 60)
    story.figure(f"a collection of the store beside it: {seconds:.0f} s")
    story.apply(json.dumps(hostile.store(name="odd", deletionPolicy="Delete")))
    story.wait("Ready", "geostore/odd", 120)


def replace(story, schema):
    patch = [{"op": "replace", "path": SCHEMA, "value": schema}]
    story.kubectl("patch", DEFINITION, "--type=json", "-p", json.dumps(patch))


def events(story):
    found = story.get("events.events.k8s.io")["items"]
    return [event["note"] for event in found if event["reason"] == "Unreadable" and event["regarding"]["name"] == "odd"]
