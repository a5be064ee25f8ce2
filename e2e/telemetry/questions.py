"""Every expression of every panel and rule, asked of the real Prometheus."""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))

from watching import boards, check, rules  # noqa: E402

VARIABLES = {
    "$store": ["shop", "vault"], "$region": [".+"], "$collection": [".+"], "$node": [".+"],
}
# Not made here, and why.
EXEMPT = {
    "atoll_tls_refused_total": "has a zero beside it in panels",
}


def panels():
    for board in boards.BOARDS.values():
        for row in board.rows:
            for panel in row.panels:
                for expr, _ in panel.queries:
                    yield f"{board.title} / {panel.title}", expr


def ask(site, with_operator):
    """(asked, without data, exempt). Faults in names are errors of the expression; they fail at once."""
    asked, silent, exempt = 0, [], []
    for where, expr in panels():
        assert not check.faults(expr), f"{where}: {check.faults(expr)}"
        if "atoll_operator_" in expr and not with_operator:
            exempt.append((where, "no API server at hand"))
            continue
        asked += 1
        if not any(site.query(asked_as) for asked_as in forms(expr)):
            silent.append((where, expr))
    for where, expr in [*((r.name, r.expr) for r in rules.RECORDS), *((a.name, a.expr) for a in rules.ALERTS)]:
        assert not check.faults(expr), f"{where}: {check.faults(expr)}"
        for selector in selectors(expr):
            reason = next((reason for part, reason in EXEMPT.items() if part in selector), None)
            if "atoll_operator_" in selector and not with_operator:
                reason = "no API server at hand"
            if reason:
                exempt.append((where, reason))
                continue
            asked += 1
            if not site.query(f"last_over_time({selector}[15m])"):
                silent.append((where, selector))
    return asked, silent, exempt


def forms(expr):
    """An expression with its variables said, for each store."""
    expr = expr.replace("$__rate_interval", "5m")
    for store in VARIABLES["$store"]:
        said = expr.replace("$store", store)
        for name in ("$region", "$collection", "$node"):
            said = said.replace(name, VARIABLES[name][0])
        yield said


def selectors(expr):
    """The series that an expression looks at."""
    known = check.known()
    text = re.sub(check.LISTS, " ", expr)
    for match in re.finditer(r"([A-Za-z_:][\w:]*)(\{[^}]*\})?", text):
        if match[1] in known:
            yield match[0]
