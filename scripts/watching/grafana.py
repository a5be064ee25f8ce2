"""Dashboards in few words, and as Grafana's JSON."""

from collections import namedtuple

# `queries` are (expression, legend); `kind` is a Grafana panel type. `links` are titles of dashboards to go on to.
Panel = namedtuple("Panel", "title text kind unit queries width thresholds links", defaults=["timeseries", "short", (), 8, (), ()])
Row = namedtuple("Row", "title panels repeat", defaults=[""])
Board = namedtuple("Board", "uid title text variables rows")

HEIGHT = 7
SOURCE = {"type": "prometheus", "uid": "${source}"}
TAGS = ["atoll"]


def variable(name, label, expr, several=True):
    """A choice among the values of a label: `expr` is `label_values(…)` of Grafana."""
    return {"name": name, "label": label, "query": expr, "several": several}


def board_json(board, uids):
    panels, at, number = [], 0, 1
    for row in board.rows:
        panels.append({
            "id": number, "type": "row", "title": row.title, "collapsed": False, "panels": [],
            "gridPos": {"h": 1, "w": 24, "x": 0, "y": at},
            **({"repeat": row.repeat} if row.repeat else {}),
        })
        number, at, left = number + 1, at + 1, 0
        for panel in row.panels:
            if left + panel.width > 24:
                at, left = at + HEIGHT, 0
            panels.append(panel_json(panel, number, left, at, uids))
            number, left = number + 1, left + panel.width
        at += HEIGHT
    return {
        "uid": board.uid,
        "title": board.title,
        "description": board.text,
        "tags": TAGS,
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timepicker": {},
        "annotations": {"list": []},
        "links": [{
            "type": "dashboards", "title": "Atoll", "tags": TAGS, "asDropdown": True, "includeVars": True, "keepTime": True,
        }],
        "templating": {"list": [source_json(), *(variable_json(v) for v in board.variables)]},
        "panels": panels,
    }


def source_json():
    return {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": {}, "hide": 0}


def variable_json(v):
    return {
        "name": v["name"], "label": v["label"], "type": "query", "datasource": SOURCE, "definition": v["query"],
        "query": {"query": v["query"], "refId": v["name"]}, "refresh": 2, "sort": 1, "multi": v["several"],
        "includeAll": v["several"], "current": {}, "hide": 0,
    }


def panel_json(panel, number, x, y, uids):
    steps = [{"color": "green", "value": None}, *({"color": color, "value": value} for value, color in panel.thresholds)]
    targets = [
        {
            "refId": chr(ord("A") + at), "datasource": SOURCE, "expr": expr, "legendFormat": legend,
            **({"format": "table", "instant": True} if panel.kind == "table" else {}),
            **({"instant": True} if panel.kind in ("stat", "gauge") else {}),
        }
        for at, (expr, legend) in enumerate(panel.queries)
    ]
    json = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "gridPos": {"h": HEIGHT, "w": panel.width, "x": x, "y": y},
        "targets": targets,
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "thresholds": {"mode": "absolute", "steps": steps},
                "color": {"mode": "thresholds" if panel.kind in ("stat", "gauge", "table") else "palette-classic"},
                "custom": custom(panel.kind),
                "links": [
                    {"title": f"Open {title}", "url": f"/d/{uids[title]}?${{__url_time_range}}&${{__all_variables}}"} for title in panel.links
                ],
            },
            "overrides": [],
        },
        "options": options(panel.kind),
    }
    if panel.kind == "table":
        json["transformations"] = [{"id": "organize", "options": {"excludeByName": {"Time": True}}}]
    return json


def custom(kind):
    if kind == "table":
        return {"cellOptions": {"type": "color-background"}}
    return {"fillOpacity": 10, "lineWidth": 1, "showPoints": "never"} if kind == "timeseries" else {}


def options(kind):
    if kind == "timeseries":
        return {"legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}, "tooltip": {"mode": "multi"}}
    if kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": "value_and_name", "colorMode": "background", "graphMode": "area"}
    return {}
