#!/usr/bin/env python3
"""Every crate that reaches a build carries a licence that Apache-2.0 software may ship with."""

import json
import re
import subprocess
import sys

PERMISSIVE = {
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
}

# Where Atoll is built. Crates for other platforms are never compiled.
PLATFORMS = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "aarch64-apple-darwin"]


def main():
    packages = [package for package in dependencies() if package["source"]]
    refused = [package for package in packages if not permitted(package["license"] or "")]
    for package in refused:
        print(f"licences: {package['name']} {package['version']}: {package['license'] or 'states none'}")
    if refused:
        sys.exit("licences: take another crate, or argue the licence and add it to scripts/licences.py")
    print(f"licences: {len(packages)} crates, all permissive")


def dependencies():
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    for platform in PLATFORMS:
        command += ["--filter-platform", platform]
    answer = subprocess.run(command, stdout=subprocess.PIPE)
    if answer.returncode != 0:
        sys.exit("licences: " + " ".join(command) + " failed, see above")
    return json.loads(answer.stdout)["packages"]


def permitted(expression):
    """Whether an SPDX expression can be satisfied; the old `A/B` means `A OR B`."""
    words = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))
    position = 0

    def any_of():
        nonlocal position
        satisfied = all_of()
        while position < len(words) and words[position] == "OR":
            position += 1
            satisfied = all_of() or satisfied
        return satisfied

    def all_of():
        nonlocal position
        satisfied = one()
        while position < len(words) and words[position] == "AND":
            position += 1
            satisfied = one() and satisfied
        return satisfied

    def one():
        nonlocal position
        if position >= len(words):
            return False
        name = words[position]
        position += 1
        if name == "(":
            satisfied = any_of()
            position += 1  # the closing parenthesis
            return satisfied
        if words[position : position + 1] == ["WITH"]:
            name = " ".join(words[position - 1 : position + 2])
            position += 2
        return name in PERMISSIVE

    return any_of() and position == len(words)


main()
