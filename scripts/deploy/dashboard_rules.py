"""Prints the dashboard's expressions as recording rules, so that promtool judges their syntax.

Called by `scripts/deploy/check.sh`, `scripts/deploy/test.sh` and `scripts/deploy/live_faults.py`.
"""

from __future__ import annotations

import json
import sys

from scripts.generate.dashboard import dashboard

PICKS = {"$__rate_interval": "1m", "$namespace": ".*", "$job": ".*", "$instance": ".*"}
"""What Grafana would put in place of its variables."""


def expressions() -> dict[str, str]:
    """Every query of the dashboard, with the variables filled in: "panel / legend" → expression."""
    found = {}
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"]
            for name, value in PICKS.items():
                expression = expression.replace(name, value)
            found[f"{panel['title']} / {target['legendFormat']}"] = expression
    return found


def main() -> None:
    """One group of rules to standard output."""
    rules = [{"record": f"dashboard:query:{i}", "expr": text} for i, text in enumerate(expressions().values())]
    json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, sys.stdout)


if __name__ == "__main__":
    main()
