"""A store runs, and the chart is the one from before its last change; then the chart as it is now takes its place. Both go
through, the nodes run on, and what the present definitions know can be used."""

import pathlib
import tempfile

import shop
from story import Failed

PATIENCE = 420
ALONE = True
ROOT = pathlib.Path(__file__).parent.parent.parent
NAMESPACE = "atoll-system"


def tell(story):
    before = commit_before(story)
    if not before:
        story.figure("left out: this is no clone with the chart's history")
        return
    shop.opens(story, regions=("eu", "us"))
    nodes = {item["metadata"]["uid"] for item in story.get("pods")["items"]}
    with tempfile.TemporaryDirectory() as directory:
        story.run(["sh", "-c", f"git -C {ROOT} archive {before} charts/atoll | tar -x -C {directory}"], None, 60)
        try:
            upgraded(story, pathlib.Path(directory) / "charts/atoll")
        finally:
            upgraded(story, ROOT / "charts/atoll")
    story.apply(shop.collection("votes", kind="Counter"))
    story.wait("Ready", "collection/votes")
    story.wait("Ready", "geostore/shop", 120)
    story.expect("the same nodes run", nodes == {item["metadata"]["uid"] for item in story.get("pods")["items"]})
    story.figure(f"from the chart of {before[:9]} to the present one: the nodes run on")


def commit_before(story):
    """The parent of the last commit that changed the chart."""
    try:
        last = story.run(["git", "-C", str(ROOT), "log", "-n", "1", "--format=%H", "--", "charts/atoll"], None, 30).strip()
        return story.run(["git", "-C", str(ROOT), "rev-parse", "--verify", "--quiet", f"{last}^"], None, 30).strip()
    except Failed:
        return None


def upgraded(story, chart):
    values = story.run(["helm", "get", "values", "atoll", "-n", NAMESPACE, "-o", "json"], None, 60)
    story.run(["helm", "upgrade", "atoll", str(chart), "-n", NAMESPACE, "-f", "-", "--wait", "--timeout", "120s"], values, 150)
