"""Prints the dashboard as TypeScript that Grafana's own types can check: unknown keys, wrong types and wrong words fail.

    python -m scripts.deploy.dashboard_types > check.ts && tsc --noEmit … check.ts

Called by `scripts/deploy/test.sh`.
"""

from __future__ import annotations

import json
import sys

from scripts.generate.dashboard import dashboard

ENUMS = {
    '"mode": "absolute"': '"mode": ThresholdsMode.Absolute',
    '"mode": "thresholds"': '"mode": FieldColorModeId.Thresholds',
    '"mode": "palette-classic"': '"mode": FieldColorModeId.PaletteClassic',
    '"graphTooltip": 1': '"graphTooltip": DashboardCursorSync.Crosshair',
    '"refresh": 2': '"refresh": VariableRefresh.onTimeRangeChanged',
    '"sort": 1': '"sort": VariableSort.alphabeticalAsc',
    '"hide": 0': '"hide": VariableHide.dontHide',
}
"""Words that Grafana's types want as members of an enumeration."""


def typescript() -> str:
    """One module whose only statement is the dashboard, held against the type."""
    text = json.dumps(dashboard(), indent=1)
    for plain, member in ENUMS.items():
        text = text.replace(plain, member)
    names = sorted({member.split(": ")[1].split(".")[0] for member in ENUMS.values()})
    head = f'import {{ {", ".join(names)} }} from "@grafana/schema";\nimport type {{ Dashboard }} from "@grafana/schema";\n'
    return f"{head}const made = {text} satisfies Partial<Dashboard>;\nvoid made;\n"


if __name__ == "__main__":
    sys.stdout.write(typescript())
