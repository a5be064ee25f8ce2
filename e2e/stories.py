#!/usr/bin/env python3
"""Tells the stories of `e2e/stories` on the cluster that KUBECONFIG names, several side by side.

    stories.py [STORY...]      all of them, or those named; with SHORT=1 only those that say `SHORT = True`

A story is a file with a docstring, `PATIENCE` in seconds and `def tell(story)`. Each has a namespace of its own, which
goes when it ends. One that cuts machines off says `ALONE = True` and is told after the others; one that looks back at
all of them says `LAST = True`, and is left out when only some are told.
"""

import concurrent.futures
import importlib.util
import os
import pathlib
import sys
import time
import traceback

from story import Story

DIRECTORY = pathlib.Path(__file__).parent / "stories"
AT_ONCE = int(os.environ.get("AT_ONCE", "3"))


def main():
    stories = [story for story in map(load, chosen(sys.argv[1:])) if is_wanted(story)]
    alone = [story for story in stories if getattr(story, "ALONE", False)]
    last = [story for story in stories if getattr(story, "LAST", False)]
    together = [story for story in stories if story not in alone + last]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        told = list(pool.map(tell, together))
    told += [tell(story) for story in alone]
    if len(sys.argv) == 1:
        told += [tell(story) for story in last]
    print(f"stories: {sum(told)} of {len(told)} hold")
    sys.exit(0 if told and all(told) else 1)


def chosen(named):
    there = sorted(path.stem for path in DIRECTORY.glob("*.py"))
    unknown = set(named) - set(there)
    if unknown:
        sys.exit(f"stories: no story {', '.join(sorted(unknown))}; there are {', '.join(there)}")
    return named or there


def load(name):
    specification = importlib.util.spec_from_file_location(name, DIRECTORY / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def is_wanted(story):
    if not os.environ.get("SHORT") or getattr(story, "SHORT", False):
        return True
    print(f"stories: left out  {story.__name__} (not among the short ones)")
    return False


def tell(module):
    """Whether it holds; prints one line, and what went wrong."""
    name = module.__name__
    began = time.monotonic()
    story = Story(name, patience=module.PATIENCE)
    try:
        with story:
            module.tell(story)
    except Exception as error:  # whatever it is, it is the story's outcome
        spent = time.monotonic() - began
        print(f"stories: FAILED    {name} after {spent:.0f} s: {error}\n{story.log_tail()}", flush=True)
        story.note(traceback.format_exc())
        return False
    print(f"stories: holds     {name} in {time.monotonic() - began:.0f} s", flush=True)
    for line in story.figures:
        print(f"             {line}", flush=True)
    return True


if __name__ == "__main__":
    main()
