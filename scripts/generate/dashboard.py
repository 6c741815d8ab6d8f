"""Draws the Grafana dashboard from its panels.

Called by `make docs` and `scripts/deploy/dashboard_rules.py`.
"""

from __future__ import annotations

from typing import Any

from scripts.generate.panels import ROWS, Panel

Json = dict[str, Any]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def dashboard() -> Json:
    """The whole dashboard."""
    panels: list[Json] = []
    top = 0
    for title, row in ROWS:
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": title,
                "collapsed": False,
                "panels": [],
                "gridPos": {"h": 1, "w": 24, "x": 0, "y": top},
            }
        )
        top += 1
        left = 0
        height = 0
        for panel in row:
            tall = 4 if panel.kind == "stat" else 8
            if left + panel.width > 24:
                top, left, height = top + height, 0, 0
            height = max(height, tall)
            panels.append(drawn(panel, len(panels) + 1, {"h": tall, "w": panel.width, "x": left, "y": top}))
            left += panel.width
        top += height
    return {
        "uid": "suprsend-kafka-bridge",
        "title": "Kafka to SuprSend bridge",
        "description": "Is it delivering, how late, what fails and why; then rules, Kafka, API and process.",
        "tags": ["kafka", "suprsend"],
        "schemaVersion": 41,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": variables()},
        "annotations": {"list": []},
        "links": [],
        "panels": panels,
    }


def drawn(panel: Panel, number: int, place: Json) -> Json:
    """One panel as Grafana reads it."""
    custom = {
        "lineWidth": 1,
        "fillOpacity": 20 if panel.stack else 5,
        "showPoints": "never",
        "stacking": {"mode": "normal" if panel.stack else "none", "group": "A"},
    }
    defaults: Json = {
        "unit": panel.unit,
        "min": 0,
        "thresholds": {
            "mode": "absolute",
            "steps": [{"value": value, "color": colour} for value, colour in panel.steps],
        },
        "color": {"mode": "thresholds" if panel.kind == "stat" else "palette-classic"},
    }
    options: Json = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    if panel.kind == "stat":
        del defaults["min"]
        options = {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "background",
            "graphMode": "area",
            "textMode": "value",
        }
    else:
        defaults["custom"] = custom
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {
                "refId": chr(ord("A") + i),
                "datasource": SOURCE,
                "expr": expression,
                "legendFormat": legend or "__auto",
                "range": True,
            }
            for i, (expression, legend) in enumerate(panel.queries)
        ],
    }


def variables() -> list[Json]:
    """What can be picked above: the data source, then namespace, job and instance of the bridges."""
    source = {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "hide": 0,
        "multi": False,
        "includeAll": False,
    }
    above: list[str] = []
    made: list[Json] = [source]
    for name in ("namespace", "job", "instance"):
        matched = f"bridge_build_info{{{', '.join(above)}}}" if above else "bridge_build_info"
        above.append(f'{name}=~"${name}"')
        made.append(
            {
                "name": name,
                "label": name.capitalize(),
                "type": "query",
                "datasource": SOURCE,
                "query": {"query": f"label_values({matched}, {name})", "refId": name},
                "refresh": 2,
                "sort": 1,
                "multi": True,
                "includeAll": True,
                "allValue": ".*",
                "hide": 0,
                "current": {"text": ["All"], "value": ["$__all"]},
            }
        )
    return made
