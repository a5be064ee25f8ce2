"""Every sample is one that the API server takes; so is what the chart atoll-store makes."""

import pathlib

PATIENCE = 120
SHORT = True
ROOT = pathlib.Path(__file__).parent.parent.parent


def tell(story):
    samples = sorted((ROOT / "manifests/samples").glob("*.yaml"))
    for sample in samples:
        story.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(sample))
    examples = sorted((ROOT / "charts/atoll-store/examples").glob("*.yaml"))
    for example in examples:
        made = story.run(["helm", "template", "shop", str(ROOT / "charts/atoll-store"), "-n", story.namespace, "-f", str(example)], None, 60)
        story.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", given=made)
    story.figure(f"{len(samples)} samples and {len(examples)} examples of atoll-store are taken")
