"""Asks a running Prometheus every query of the dashboard, and says which has an error or no series.

    python -m scripts.deploy.ask_dashboard http://127.0.0.1:9090 [--empty-is-fine "panel / legend" …]

Queries that end in `> 0` may be empty: they show only what goes wrong.

Called by `scripts/deploy/live.py`, and by people for a Prometheus of theirs.
"""

from __future__ import annotations

import json
import sys
import urllib.parse
import urllib.request

from scripts.deploy.dashboard_rules import expressions


def ask(url: str, expression: str) -> int | str:
    """How many series the expression has now, or the error."""
    query = urllib.parse.urlencode({"query": expression})
    try:
        with urllib.request.urlopen(f"{url}/api/v1/query?{query}", timeout=10) as answer:
            return len(json.load(answer)["data"]["result"])
    except urllib.error.HTTPError as error:
        return str(json.load(error).get("error", error))


def main(arguments: list[str]) -> int:
    """Exit code 1 when a query fails or is empty without being allowed to be."""
    url, fine = arguments[0], set(arguments[2:])
    bad = 0
    queries = expressions()
    for name, expression in queries.items():
        found = ask(url, expression)
        may_be_empty = name in fine or expression.endswith("> 0")
        if isinstance(found, str) or (found == 0 and not may_be_empty):
            bad += 1
            sys.stdout.write(f"{name}: {found if isinstance(found, str) else 'no series'}\n    {expression}\n")
    sys.stdout.write(f"{len(queries)} queries, {bad} bad\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
