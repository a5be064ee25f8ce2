"""Whether an expression names only metrics and labels that there are. PromQL is read just as far as that takes."""

import re

from . import metrics, rules

KEYWORDS = {
    "by", "without", "on", "ignoring", "group_left", "group_right", "and", "or", "unless", "bool", "offset", "inf", "nan",
}
FUNCTIONS = {
    "sum", "max", "min", "avg", "count", "group", "topk", "rate", "increase", "histogram_quantile", "max_over_time", "avg_over_time",
    "predict_linear", "clamp_min", "abs", "vector", "changes", "label_replace", "time", "quantile", "delta",
}
LISTS = r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)"


def known():
    series = metrics.series()
    for record in rules.RECORDS:
        series[record.name] = set(record.labels)
    return series


def faults(expr):
    """What is wrong with an expression, in words."""
    # Variables of Grafana stand for values, and so do strings.
    text = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expr)
    text = re.sub(r"\$\w+", "5m", text)
    series = known()
    found, named = [], set()
    for match in re.finditer(LISTS, text):
        named.update(re.findall(r"[A-Za-z_]\w*", match[2]))
    rest = re.sub(LISTS, " ", text)
    for name, matchers in re.findall(r"([A-Za-z_:][\w:]*)\s*\{([^}]*)\}", rest):
        for label in re.findall(r"([A-Za-z_]\w*)\s*(?:=~|!~|!=|=)", matchers):
            if label not in series.get(name, {label}):
                found.append(f"{name} has no label {label}")
    rest = re.sub(r"\{[^}]*\}", " ", rest)
    rest = re.sub(r"\[[^\]]*\]", " ", rest)
    rest = re.sub(r"\b\d[\w.]*", " ", rest)
    used = set()
    for name in re.findall(r"[A-Za-z_:][\w:]*", rest):
        if name in series:
            used.add(name)
        elif name not in KEYWORDS | FUNCTIONS:
            found.append(f"there is no metric or function {name}")
    labels = set().union(*(series[name] for name in used)) if used else set()
    found += [f"no metric here has a label {label}" for label in sorted(named - labels)]
    return found + ([] if used else ["no metric is named"])
