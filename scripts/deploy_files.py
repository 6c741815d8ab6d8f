"""What is generated for operators: references of metrics and log events, dashboard, alert tests, the chart's schema.

python -m scripts.deploy_files            writes; `make docs` does too
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from scripts.alert_tests import alert_tests
from scripts.dashboard import dashboard
from scripts.logs_page import logs_page
from scripts.metrics_page import metrics_page
from scripts.values_schema import values_schema

ROOT = Path(__file__).resolve().parent.parent


def _dashboard() -> str:
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


def _values_schema() -> str:
    return json.dumps(values_schema(), indent=2, ensure_ascii=False) + "\n"


DEPLOY_FILES: dict[str, Callable[[], str]] = {
    "docs/reference/logs.md": logs_page,
    "docs/reference/metrics.md": metrics_page,
    "deploy/prometheus/alerts_test.yaml": alert_tests,
    "helm/files/bridge.json": _dashboard,
    "helm/values.schema.json": _values_schema,
}
"""File → what makes its text."""


def main() -> None:
    """Write every file whose text is another one."""
    for name, make in DEPLOY_FILES.items():
        path, text = ROOT / name, make()
        if not path.is_file() or path.read_text("utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            sys.stdout.write(f"wrote {name}\n")


if __name__ == "__main__":
    main()
