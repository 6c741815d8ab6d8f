"""Which metrics and labels an expression names: enough of PromQL to hold dashboards and alerts against the table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from bridge.observe.metrics import METRICS, PROCESS_METRICS

TARGET_LABELS = frozenset({"namespace", "job", "instance", "pod", "le", "alertname", "of"})
"""Labels that Prometheus, or an expression itself, adds."""
_SELECTOR = re.compile(r"(?<![\w:$\"])([a-z_:]+)\s*\{([^}]*)\}")
_WORD = re.compile(r"(?<![\w:$\"./])((?:bridge|process)_[a-z_]+)\b")
_MATCHER = re.compile(r"(\w+)\s*(=~|!~|!=|=)\s*\"([^\"]*)\"")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")


class Used(NamedTuple):
    """One selector: the metric of the table, and its matchers (label, operator, value)."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]


def known_names() -> dict[str, set[str]]:
    """Every series name that can be scraped, with its labels; histograms have three."""
    names: dict[str, set[str]] = {name: set() for name, _, _ in PROCESS_METRICS}
    for metric in METRICS:
        labels = {label.name for label in metric.labels}
        if metric.kind == "histogram":
            names |= {metric.name + suffix: labels for suffix in ("_bucket", "_sum", "_count")}
        else:
            names[metric.name] = labels
    return names


def used(expression: str) -> Iterator[Used]:
    """Every metric that the expression names, with its matchers."""
    selected = {match.start(1): match for match in _SELECTOR.finditer(expression)}
    for match in _WORD.finditer(expression):
        inner = selected[match.start()][2] if match.start() in selected else ""
        yield Used(match[1], tuple((m[1], m[2], m[3]) for m in _MATCHER.finditer(inner)))


def grouped(expression: str) -> set[str]:
    """Labels that the expression groups or matches by."""
    return {word for match in _GROUPING.finditer(expression) for word in re.findall(r"\w+", match[1])}


def wrong(expression: str) -> list[str]:
    """What the expression names that does not exist; empty when all is well."""
    names, found = known_names(), []
    labels = set(TARGET_LABELS)
    words = {label.name: set(label.words) for metric in METRICS for label in metric.labels if label.words}
    for one in used(expression):
        if one.metric not in names:
            found.append(f"no metric {one.metric}")
            continue
        labels |= names[one.metric]
        for label, operator, value in one.matchers:
            if label not in names[one.metric] | TARGET_LABELS:
                found.append(f"{one.metric} has no label {label}")
            elif operator in ("=", "!=") and label in words and value not in all_words(one.metric, label):
                found.append(f"{one.metric}: {label} is never {value}")
    return found + [f"no label {label}" for label in grouped(expression) - labels if not label.startswith("cause")]


def all_words(metric: str, label: str) -> set[str]:
    """The words that a label of a metric may take."""
    found = next(one for one in METRICS if one.name == metric)
    return {word for one in found.labels if one.name == label for word in one.words}
