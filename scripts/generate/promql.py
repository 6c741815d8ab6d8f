"""PromQL in the dashboard's words: what is picked above the panels, rates, sums and quantiles of it.

Called by `scripts/generate/panels.py`.
"""

from __future__ import annotations

PICKED = 'namespace=~"$namespace", job=~"$job", instance=~"$instance"'
WINDOW = "$__rate_interval"


def picked(name: str, *more: str) -> str:
    return f"{name}{{{', '.join((PICKED, *more))}}}"


def rate(name: str, *more: str) -> str:
    return f"rate({picked(name, *more)}[{WINDOW}])"


def by(labels: str, expression: str, how: str = "sum") -> str:
    return f"{how} by ({labels}) ({expression})"


def quantile(part: float, name: str) -> str:
    return f"histogram_quantile({part}, {by('le', rate(name + '_bucket'))})"


def quantiles(name: str) -> tuple[tuple[str, str], ...]:
    return tuple((quantile(part, name), f"p{part * 100:g}") for part in (0.5, 0.95, 0.99))
