"""`promtool check metrics` over what nodes and the operator show."""

import subprocess

from parts import Client

# What the linter says → why it is so all the same. One that it does not say any more has to go.
ALLOWED = {
    'process_unix_file_descriptor_count non-histogram and non-summary metrics should not have "_count" suffix':
        "OpenTelemetry calls it process.unix.file_descriptor.count",
}


def look(site):
    said = {}
    for target in site.targets:
        scrape = Client(int(target.rsplit(":", 1)[1])).ask("GET", "/metrics")[2]
        done = subprocess.run([site.tools / "promtool", "check", "metrics"], input=scrape, capture_output=True, check=False)
        for line in (done.stdout + done.stderr).decode().splitlines():
            said.setdefault(line.strip(), target)
        # 3: it dislikes something. Anything else is that it cannot read.
        assert done.returncode in (0, 3), f"{target}: promtool ends with {done.returncode}: {done.stderr.decode()}"
    for line, target in said.items():
        assert line in ALLOWED, f"{target}: {line}"
        print(f"  left as it is: {line}: {ALLOWED[line]}", flush=True)
    assert set(said) == set(ALLOWED), f"not said any more: {set(ALLOWED) - set(said)}"
    print(f"  {len(site.targets)} scrapes are clean otherwise", flush=True)
