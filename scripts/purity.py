#!/usr/bin/env python3
"""The rooms keep to their arrows, and core and replication stay pure.

Three facts, each from cargo or from the sources themselves:
1. a room uses only the rooms that ARCHITECTURE.md draws an arrow to, and some crates have one owner;
2. core and replication reach only the crates named here: no runtime, no I/O, no randomness;
3. their sources name no part of the standard library that does I/O, and never silence the bans of
   their clippy.toml (clocks, randomness and more), which clippy itself enforces.
Dev-dependencies are free: they are not in what ships.
"""

import json
import pathlib
import re
import subprocess
import sys

# a: what a may use. A new arrow is a design decision: draw it in ARCHITECTURE.md in the same commit.
ARROWS = {
    "core": set(),
    "replication": {"core"},
    "store": {"core"},
    "api": {"core"},
    "client": {"core", "api"},
    "node": {"core", "replication", "store", "api", "client"},
    "operator": {"api", "client"},
    "cli": {"api", "client", "node", "operator"},
    "sim": {"core", "replication", "store", "api", "node", "client"},
}

# Crates that one room alone may name.
OWNERS = {
    "rocksdb": {"store"},
    "reqwest": {"client"},
    "axum": {"node"},
    "openraft": {"node"},
    # Its client speaks to the API server and to nobody else.
    "kube": {"api", "operator"},
}

# All that the pure rooms may reach, themselves and through others. Whoever adds a name has looked
# whether that crate does I/O, reads a clock or draws random numbers.
PURE = {
    "core": {
        "atoll-core", "base64", "bytes", "crc32c", "equivalent", "foldhash", "hashbrown", "indexmap",
        "itoa", "memchr", "prost", "serde", "serde_core", "serde_json", "thiserror", "zmij",
    },
}  # fmt: skip
PURE["replication"] = PURE["core"] | {"atoll-replication", "zstd", "zstd-safe", "zstd-sys"}

IMPURE_SOURCE = re.compile(r"\bstd::(?:fs|net|os|process|thread|env)\b|\bclippy::disallowed_\w+")


def main():
    faults = [*arrows_not_drawn(), *crates_out_of_reach(), *impure_sources()]
    for fault in faults:
        print(f"purity: {fault}")
    if faults:
        sys.exit(1)
    print("purity: arrows as drawn; core and replication do no I/O, read no clock, draw no random number")


def arrows_not_drawn():
    metadata = cargo("metadata", "--no-deps", "--offline", "--format-version", "1")
    packages = json.loads(metadata)["packages"]
    # What stands in for a crate of others (patches/) is no room.
    packages = [package for package in packages if pathlib.Path(package["manifest_path"]).parents[1].name == "crates"]
    room_of = {package["name"]: pathlib.Path(package["manifest_path"]).parent.name for package in packages}
    for package in packages:
        room = room_of[package["name"]]
        if room not in ARROWS:
            yield f"crates/{room} is a room that is not drawn"
            continue
        for used in sorted({d["name"] for d in package["dependencies"] if d["kind"] != "dev"}):
            if used in room_of and room_of[used] not in ARROWS[room]:
                yield f"the arrow {room} → {room_of[used]} is not drawn"
            if room not in OWNERS.get(used, {room}):
                yield f"{room} names {used}, which belongs to {', '.join(OWNERS[used])}"


def crates_out_of_reach():
    for room, allowed in PURE.items():
        # Procedural macros run in the compiler, not in the crate.
        tree = cargo("tree", "--locked", "-p", f"atoll-{room}", "-e", "normal,no-proc-macro", "--prefix", "none")
        reached = {line.split()[0] for line in tree.splitlines() if line.strip()}
        for name in sorted(reached - allowed):
            yield f"{room} reaches {name} (`cargo tree -p atoll-{room} -e normal --invert {name}` shows how)"


def impure_sources():
    bans = {room: pathlib.Path(f"crates/{room}/clippy.toml").read_text(encoding="utf-8") for room in PURE}
    if len(set(bans.values())) != 1:
        yield "the clippy.toml of " + " and ".join(bans) + " differ: they are one text"
    for room in PURE:
        for path in sorted(pathlib.Path(f"crates/{room}/src").rglob("*.rs")):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                found = IMPURE_SOURCE.search(line.split("//")[0])
                if found:
                    yield f"{path}:{number}: {found.group()}"


def cargo(*arguments):
    answer = subprocess.run(["cargo", *arguments], stdout=subprocess.PIPE, text=True)
    if answer.returncode != 0:
        sys.exit("purity: cargo " + " ".join(arguments) + " failed, see above")
    return answer.stdout


main()
