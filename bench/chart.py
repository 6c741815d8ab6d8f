"""Draw `docs/performance.svg` from `bench/results/`: cost against partitions, rules and lag. `python -m bench.chart`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from bench.report import RESULTS, ROOT
from bridge.jsontext import loads

CHART: Final = ROOT / "docs" / "performance.svg"
PANELS: Final = (("partitions", "partitions"), ("rules", "rules, a topic each"), ("lag", "records behind"))
WIDTH, HEIGHT, LEFT, TOP = 260, 170, 44, 34
STYLE: Final = """<style>
text { font: 11px sans-serif; fill: #333 } .title { font-weight: bold } .axis { stroke: #999 }
.line { fill: none; stroke: #1f6feb; stroke-width: 2 } circle { fill: #1f6feb }
</style>"""


def drawn(folder: Path = RESULTS) -> str:
    """The chart as SVG; a scenario without results leaves its panel out."""
    found = [(title, _rows(folder / f"{name}.json")) for name, title in PANELS]
    panels = [(title, rows) for title, rows in found if rows]
    most = max(1.2 * cost for _, rows in panels for _, cost in rows)
    shown = "\n".join(_panel(number, title, rows, most) for number, (title, rows) in enumerate(panels))
    width, height = len(panels) * (WIDTH + LEFT) + LEFT, HEIGHT + TOP + 40
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n{STYLE}\n{shown}\n</svg>\n'


def _rows(path: Path) -> list[tuple[str, float]]:
    """Label and CPU per record in microseconds."""
    if not path.exists():
        return []
    rows: list[dict[str, Any]] = loads(path.read_bytes())["rows"]
    return [(row["name"].split()[0], 1e6 * row["cpu_seconds"] / row["records"]) for row in rows]


def _panel(number: int, title: str, rows: list[tuple[str, float]], most: float) -> str:
    left = LEFT + number * (WIDTH + LEFT)
    bottom = TOP + HEIGHT
    step = WIDTH / max(1, len(rows))
    points = [
        (left + step * (place + 0.5), bottom - HEIGHT * cost / most, label, cost)
        for place, (label, cost) in enumerate(rows)
    ]
    path = " ".join(f"{x:.0f},{y:.0f}" for x, y, _, _ in points)
    parts = [
        f'<text class="title" x="{left}" y="{TOP - 14}">µs of CPU a record, by {title}</text>',
        f'<path class="axis" d="M{left} {TOP}V{bottom}H{left + WIDTH}" fill="none"/>',
        f'<polyline class="line" points="{path}"/>',
    ]
    for x, y, label, cost in points:
        parts.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="3"/>')
        parts.append(f'<text x="{x:.0f}" y="{y - 8:.0f}" text-anchor="middle">{cost:.1f}</text>')
        parts.append(f'<text x="{x:.0f}" y="{bottom + 16}" text-anchor="middle">{label}</text>')
    return "\n".join(parts)


if __name__ == "__main__":
    CHART.write_text(drawn())
    print(CHART.relative_to(ROOT))
