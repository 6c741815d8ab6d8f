"""The reference page of the metrics, made from their table.

Called by `make docs`.
"""

from __future__ import annotations

from bridge.observe.metrics import PROCESS_METRICS, SECTIONS
from bridge.observe.reading import Metric

INTRODUCTION = """# Metrics

Generated from the table in `bridge/observe/metrics.py`; `make docs` writes it again.

`GET /metrics` answers in Prometheus's text format. All numbers of a scrape are of one moment: for each topic,
consumed = finished + in work, exactly. Every label set that is known exists at 0 from the start. Series of a partition
go away when it is revoked; a partition has three. Counters begin at 0 with the process.

Alerts over these metrics are in `helm/files/alerts.yaml`, a dashboard is in `helm/files/bridge.json`.
"""


def metrics_page() -> str:
    """The whole page."""
    lines = [INTRODUCTION]
    for title, metrics in SECTIONS:
        lines += [f"## {title}", "", "| metric | kind | labels | what it says |", "|---|---|---|---|"]
        lines += [_row(metric) for metric in metrics]
        lines.append("")
    lines += ["From `prometheus_client`, on Linux:", "", "| metric | kind | what it says |", "|---|---|---|"]
    lines += [f"| `{name}` | {kind} | {text} |" for name, kind, text in PROCESS_METRICS]
    lines += ["", "## Labels", "", "| label | values | of |", "|---|---|---|", *_labels()]
    return "\n".join(lines) + "\n"


def _row(metric: Metric) -> str:
    names = ", ".join(f"`{label.name}`" for label in metric.labels)
    text = metric.help
    if metric.buckets:
        text += " Buckets: " + ", ".join(f"{bound:g}" for bound in metric.buckets) + "."
    return f"| `{metric.name}` | {metric.kind} | {names} | {text} |"


def _labels() -> list[str]:
    users: dict[tuple[str, str], list[str]] = {}
    for _, metrics in SECTIONS:
        for metric in metrics:
            for label in metric.labels:
                words = ", ".join(f"`{word}`" for word in label.words)
                values = words + (", other HTTP status codes" if label.numeric else "") if words else label.bound
                users.setdefault((label.name, values), []).append(f"`{metric.name}`")
    return [
        f"| `{name}` | {values} | {', '.join(metrics) if len(metrics) < 4 else f'{len(metrics)} metrics'} |"
        for (name, values), metrics in users.items()
    ]
