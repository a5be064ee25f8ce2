#!/usr/bin/env python3
"""What is made from the charts is what they say: their READMEs, their copy of the custom resource definitions, and
`manifests/install.yaml`. Without arguments it compares and writes nothing; with `--write` it writes.

The table of a README comes from the comments `# --` in values.yaml. `install.yaml` is `helm template` of charts/atoll:
where there is no helm, that part is left out and said to be.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

CHARTS = [pathlib.Path("charts/atoll"), pathlib.Path("charts/atoll-store")]
INSTALL = pathlib.Path("manifests/install.yaml")
TOOLS = pathlib.Path(os.environ.get("ATOLL_E2E_TOOLS", pathlib.Path.home() / ".cache/atoll/kubernetes"))
NAMESPACE = "atoll-system"


def main():
    wanted = {chart / "README.md": readme(chart) for chart in CHARTS}
    for definition in sorted(pathlib.Path("crds").glob("*.yaml")):
        wanted[CHARTS[0] / "files/crds" / definition.name] = definition.read_text(encoding="utf-8")
    write("--write" in sys.argv, wanted)
    helm = shutil.which("helm", path=f"{TOOLS / 'bin'}:{os.environ.get('PATH', '')}")
    if not helm:
        print(f"charts: no helm at hand, so the charts and {INSTALL} were not looked at (e2e/cluster/build.sh helm builds one)")
        return
    write("--write" in sys.argv, {INSTALL: install_manifest(helm)})
    for chart in CHARTS:
        run([helm, "lint", "--strict", "--quiet", str(chart)])
        for example in sorted((chart / "examples").glob("*.yaml")):
            run([helm, "lint", "--strict", "--quiet", str(chart), "--values", str(example)])
    print("charts: what is made from them is as they say; helm finds no fault")


def write(is_allowed, wanted):
    differing = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in differing:
        if not is_allowed:
            print(f"charts: {path} is not what the chart says: `make fix` writes it")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], encoding="utf-8")
        print(f"charts: wrote {path}")
    if differing and not is_allowed:
        sys.exit(1)


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(f"charts: {' '.join(command)}\n{done.stdout}{done.stderr}")
        sys.exit(1)
    return done.stdout


def install_manifest(helm):
    made = run([helm, "template", "atoll", str(CHARTS[0]), "--namespace", NAMESPACE])
    # A plain file belongs to no release: helm's own words go.
    lines = [
        line
        for line in made.splitlines()
        if not re.match(r"\s*(helm\.sh/chart:|helm\.sh/resource-policy:|# Source:)", line)
    ]
    text = "\n".join(lines) + "\n"
    text = text.replace("app.kubernetes.io/managed-by: Helm", "app.kubernetes.io/managed-by: kubectl")
    text = re.sub(r"\n  annotations:\n(?=  \S)", "\n", text)
    return (
        "# Atoll's operator with its custom resource definitions: kubectl apply --server-side -f manifests/install.yaml\n"
        "# Made from charts/atoll by `make fix`; for anything but the defaults use the chart.\n"
        "apiVersion: v1\n"
        "kind: Namespace\n"
        f"metadata: {{ name: {NAMESPACE}, labels: {{ pod-security.kubernetes.io/enforce: restricted }} }}\n"
    ) + text


def readme(chart):
    about = dict(re.findall(r"^(\w+): (.*)$", (chart / "Chart.yaml").read_text(encoding="utf-8"), re.MULTILINE))
    words = (chart / "README.head.md").read_text(encoding="utf-8").rstrip()
    rows = [f"| `{key}` | `{default}` | {text} |" for key, default, text in described(chart / "values.yaml")]
    table = "\n".join(["| value | default | |", "|---|---|---|", *rows])
    return f"# {about['name']}\n\n{about['description']}\n\n{words}\n\n## Values\n\n{table}\n\n<!-- Made from values.yaml and README.head.md by `make fix`. -->\n"


def described(values):
    """(key, default, text) of every value with a `# --` comment; keys are joined with dots."""
    path, text, found = [], None, []
    lines = values.read_text(encoding="utf-8").splitlines()
    for at, line in enumerate(lines):
        if match := re.match(r"\s*# -- (.*)", line):
            text = [match[1]]
        elif text and (match := re.match(r"\s*# (.*)", line)):
            text.append(match[1])
        elif match := re.match(r"( *)([A-Za-z]\w*):\s*(.*)", line):
            depth = len(match[1]) // 2
            path = [*path[:depth], match[2]]
            if text:
                found.append((".".join(path), match[3] or below(lines[at + 1 :], depth), " ".join(text)))
            text = None
    return found


def below(lines, depth):
    """A nested default, on one line as well as it goes."""
    inner = []
    for line in lines:
        if not line.startswith("  " * (depth + 1)):
            break
        inner.append(line.strip())
    return "see values.yaml" if len(inner) > 2 else "; ".join(inner)


if __name__ == "__main__":
    main()
