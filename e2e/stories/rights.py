"""The operator has no right that it does not use: what it may do is compared with what it asked the API server for while
the other stories were told. Told last, and only with all of them."""

import json
import pathlib

from story import Failed

PATIENCE = 120
LAST = True

# What no story brings about, and why the right is there all the same.
SELDOM = {
    ("geostores/finalizers", "update"): "asked for by clusters that check who may block a deletion; no call of its own",
    ("persistentvolumeclaims", "patch"): "volumes grow only where the storage class can",
    ("events", "patch"): "an event that happens again counts up",
}


def tell(story):
    try:
        log = pathlib.Path(story.machine("audit", "").strip())
    except Failed:
        log = None
    if not log or not log.exists():
        story.figure("left out: this cluster keeps no audit log")
        return
    used = used_rights(log)
    granted = granted_rights(story)
    unused = sorted(right for right in granted - used if right not in SELDOM)
    story.expect(f"every right is used; unused: {unused}", not unused)
    # What is granted is refused all the same in a namespace that goes, and while a story has the chart uninstalled.
    refused = sorted(refused_calls(log) - granted)
    story.expect(f"no right is lacking: {refused}", not refused)
    story.figure(f"{len(granted & used)} rights used, {len(granted - used)} for what no story brings about")


def calls(log):
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            call = json.loads(line)
            if call["user"]["username"].startswith("system:serviceaccount:atoll-system:") and "objectRef" in call:
                about = call["objectRef"]
                resource = "/".join(filter(None, [about["resource"], about.get("subresource")]))
                yield resource, call["verb"], call.get("responseStatus", {}).get("code", 0)


def used_rights(log):
    used = set()
    for resource, verb, code in calls(log):
        used.add((resource, verb))
        if verb == "patch" and code == 201:  # an apply that made the object needs both
            used.add((resource, "create"))
    return used


def refused_calls(log):
    return {(resource, verb) for resource, verb, code in calls(log) if code == 403}


def granted_rights(story):
    rules = story.get("clusterrole/atoll")["rules"]
    rules += json.loads(story.kubectl("get", "role", "atoll-leader", "-n", "atoll-system", "-o", "json"))["rules"]
    return {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}
