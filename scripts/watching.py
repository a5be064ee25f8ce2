#!/usr/bin/env python3
"""Dashboards, rules and docs/metrics.md are what scripts/watching says, and that names only what there is.

Without arguments it compares, checks and writes nothing; with `--write` it writes. With promtool at hand, it checks the
rules, and that each alert fires and clears (`scripts/telemetry.sh` fetches one).
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from watching import boards, check, grafana, metrics, rules

RUNBOOKS = pathlib.Path("docs/runbooks")
DASHBOARDS = pathlib.Path("charts/atoll/dashboards")
RULES = pathlib.Path("charts/atoll/files/rules.yaml")
TOOLS = pathlib.Path(os.environ.get("ATOLL_TELEMETRY_TOOLS", pathlib.Path.home() / ".cache/atoll/telemetry/bin"))


def main():
    faults = [*of_expressions(), *of_boards(), *of_runbooks()]
    faults += made("--write" in sys.argv)
    promtool = shutil.which("promtool", path=f"{TOOLS}:{os.environ.get('PATH', '')}")
    if promtool:
        faults += of_rules(promtool)
    for fault in faults:
        print(f"watching: {fault}")
    if faults:
        sys.exit(1)
    count = sum(len(row.panels) for board in boards.BOARDS.values() for row in board.rows)
    promised = "each alert fires and clears" if promtool else "no promtool at hand, so rules were not run"
    print(f"watching: {len(boards.BOARDS)} dashboards, {count} panels, {len(rules.ALERTS)} alerts; {promised}")


def expressions():
    """(where, expression) of every panel, variable and rule."""
    for board in boards.BOARDS.values():
        for row in board.rows:
            for panel in row.panels:
                yield from ((f"{board.title} / {panel.title}", expr) for expr, _ in panel.queries)
    yield from ((record.name, record.expr) for record in rules.RECORDS)
    yield from ((alert.name, alert.expr) for alert in rules.ALERTS)


def of_expressions():
    return [f"{where}: {fault}" for where, expr in expressions() for fault in check.faults(expr)]


def of_boards():
    """What Grafana would not say, and a person would miss."""
    titles = {board.title for board in boards.BOARDS.values()}
    for board in boards.BOARDS.values():
        variables = {v["name"] for v in board.variables}
        for row in board.rows:
            for panel in row.panels:
                where = f"{board.title} / {panel.title}"
                if not panel.text.endswith("."):
                    yield f"{where}: its description is no sentence"
                if not panel.queries:
                    yield f"{where}: it asks nothing"
                yield from (f"{where}: no dashboard is called {link}" for link in panel.links if link not in titles)
                for expr, _ in panel.queries:
                    asked = {word for word in ("store", "region", "collection", "node") if f'"${word}"' in expr}
                    yield from (f"{where}: there is no variable {word}" for word in asked - variables)


def of_runbooks():
    wanted = {alert.name for alert in rules.ALERTS}
    there = {page.stem for page in RUNBOOKS.glob("*.md")}
    yield from (f"alert {name} has no page in {RUNBOOKS}" for name in sorted(wanted - there))
    yield from (f"{RUNBOOKS}/{name}.md is about no alert" for name in sorted(there - wanted))


def made(is_allowed):
    """Writes what is made, or says what differs."""
    uids = {board.title: board.uid for board in boards.BOARDS.values()}
    wanted = {DASHBOARDS / f"{name}.json": dashboard(board, uids) for name, board in boards.BOARDS.items()}
    wanted[RULES] = rules.rules()
    wanted[pathlib.Path("docs/metrics.md")] = metrics.page()
    wanted[pathlib.Path("docs/dashboards.md")] = queries()
    strangers = [path for path in DASHBOARDS.glob("*.json") if path not in wanted]
    faults = [f"{path} is no dashboard of scripts/watching" for path in strangers]
    for path, text in wanted.items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if is_allowed:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"watching: wrote {path}")
        else:
            faults.append(f"{path} is not what scripts/watching says: `make fix` writes it")
    return faults


def dashboard(board, uids):
    return json.dumps(grafana.board_json(board, uids), ensure_ascii=False, indent=1) + "\n"


def queries():
    """docs/dashboards.md: what each panel asks."""
    lines = ["# Dashboards", "", "What each panel asks Prometheus. [watching.md](watching.md) says how they come to Grafana.", ""]
    for name, board in boards.BOARDS.items():
        lines += [f"## {board.title}", "", f"{board.text} (`charts/atoll/dashboards/{name}.json`)", ""]
        for row in board.rows:
            lines += [f"**{row.title}**", "", "| panel | unit | query |", "|---|---|---|"]
            for panel in row.panels:
                for expr, _ in panel.queries:
                    shown = expr.replace("|", "\\|")
                    lines.append(f"| {panel.title}: {panel.text} | {panel.unit} | `{shown}` |")
            lines.append("")
    return "\n".join([*lines, "<!-- Made from scripts/watching/boards.py by `make fix`. -->"]) + "\n"


def of_rules(promtool):
    with tempfile.TemporaryDirectory() as directory:
        cases = pathlib.Path(directory, "cases.yaml")
        cases.write_text(rules.cases(RULES.resolve()), encoding="utf-8")
        for command in ([promtool, "check", "rules", str(RULES)], [promtool, "test", "rules", str(cases)]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                yield f"{' '.join(command[1:3])} finds fault:\n{done.stdout}{done.stderr}"


if __name__ == "__main__":
    main()
