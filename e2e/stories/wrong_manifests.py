"""Somebody makes mistakes. The API server refuses each with words that say what to do; what only makes no sense as a whole
is taken, and a condition says so. A store beside them goes on as if they were not there."""

import json

import hostile
import shop
from story import OPERATORS_PODS, Failed

PATIENCE = 420


def tell(story):
    shop.opens(story, regions=("eu",), on_own_machines=False)
    before = restarts(story)
    otherwise = [answer for wrong in hostile.REFUSED for answer in refused(story, *wrong)]
    otherwise += [answer for wrong in hostile.CHANGES for answer in refused_change(story, *wrong)]
    for _, manifest, *_ in hostile.TOLD:
        story.apply(json.dumps(manifest))
    goes_on(story)
    otherwise += [answer for wrong in hostile.TOLD for answer in told(story, *wrong)]
    story.expect("all is answered as it should be:\n" + "\n".join(otherwise), not otherwise)
    story.expect("the operator runs as it ran", restarts(story) == before)
    story.expect("and never panicked", "panicked" not in story.kubectl("logs", "-n", "atoll-system", "deployment/atoll", "--tail=-1"))
    by_server, said = len(hostile.REFUSED) + len(hostile.CHANGES), len(hostile.TOLD)
    story.figure(f"{by_server + said} wrong manifests: the API server refuses {by_server}, of {said} a condition says what to do")


def refused(story, what, manifest, word):
    """Nothing, or what the API server said in place of the word."""
    answer = refusal(story, manifest)
    story.note(f"# refused: {what}: {answer}")
    return [] if answer and word in answer else [f"{what}: {answer}, without {word!r}"]


def refused_change(story, what, manifest, changed, word):
    story.apply(json.dumps(manifest))
    answer = refused(story, what, changed, word)
    story.kubectl("delete", hostile.name_of(manifest), "--wait=false")
    return answer


def told(story, what, manifest, condition, reason, word):
    """Nothing, or what the condition said in place of the reason with the word."""
    name, said = hostile.name_of(manifest), None

    def is_told():
        nonlocal said
        said = shop.condition(story, condition, name)
        return said and said[1] == reason and word in said[2]

    try:
        story.eventually(f"told: {what}", is_told, 30)
    except Failed:
        return [f"{what}: {condition} is {said}, not {reason} with {word!r}"]
    story.note(f"# told: {what}: {condition}: {said}")
    return []


def goes_on(story):
    """The store that is right takes a change as if it were alone."""
    story.apply(shop.collection("votes", kind="Counter"))
    seconds = story.wait("Ready", "collection/votes", 30)
    story.wait("Ready", "geostore/shop", 60)
    story.figure(f"a collection of the store beside them: {seconds:.0f} s")


def refusal(story, manifest):
    """What the API server says, or None when it takes the manifest."""
    text = manifest if isinstance(manifest, str) else json.dumps(manifest)
    try:
        story.kubectl("apply", "--validate=strict", "-f", "-", given=text)
    except Failed as failed:
        return str(failed)
    return None


def restarts(story):
    pods = story.get("pods", *OPERATORS_PODS)["items"]
    return sorted((pod["metadata"]["name"], status["restartCount"]) for pod in pods for status in pod["status"]["containerStatuses"])
