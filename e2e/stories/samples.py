"""Every sample is one that the API server takes; so is what the charts make of each of their examples, and the manifest
for those who have no helm. helm finds no fault in them."""

import pathlib

PATIENCE = 180
SHORT = True
ROOT = pathlib.Path(__file__).parent.parent.parent
CHARTS = ROOT / "charts"
# The operator of Prometheus is not installed here, and the namespace of the example is not there.
HERE = {
    "one-namespace": ["--set", "watchNamespaces={{{namespace}}}"],
    "two-operators": ["--set", "serviceMonitor.enabled=false"],
    "watched": ["--set", "serviceMonitor.enabled=false,podMonitor.enabled=false,prometheusRule.enabled=false"],
}


def tell(story):
    samples = sorted((ROOT / "manifests/samples").glob("*.yaml"))
    for sample in samples:
        taken(story, sample.read_text(encoding="utf-8"))
    taken(story, (ROOT / "manifests/install.yaml").read_text(encoding="utf-8"))
    examples = sorted(CHARTS.glob("*/examples/*.yaml"))
    for example in examples:
        chart = example.parent.parent
        more = [word.format(namespace=story.namespace) for word in HERE.get(example.stem, [])]
        story.run(["helm", "lint", "--strict", str(chart), "-f", str(example)], None, 60)
        taken(story, story.run(["helm", "template", "shop", str(chart), "-n", story.namespace, "-f", str(example), *more], None, 60))
    story.figure(f"{len(samples)} samples, {len(examples)} examples of charts and install.yaml are taken")


def taken(story, manifest):
    story.run(["kubectl", "apply", "--dry-run=server", "--validate=strict", "-f", "-", *of_namespace(story, manifest)], manifest, 90)


def of_namespace(story, manifest):
    """Where what names no namespace goes; a manifest that names others cannot be given one."""
    return [] if "\n  namespace: " in manifest else ["-n", story.namespace]
