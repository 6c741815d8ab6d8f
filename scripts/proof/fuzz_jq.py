"""Compare the expression engine with libjq on random programs.

    python -m scripts.proof.fuzz_jq --programs 50000 --values 20 --seed 1

Prints the seed and every difference that is not in the table of allowed ones; exits 1 when there is one.

Called by `make fuzz`.
"""

from __future__ import annotations

import argparse
import sys
import time
from random import SystemRandom

from tests.jq.differential import Report, compare


def main() -> int:
    """Read the options, run, print."""
    options = argparse.ArgumentParser(description="Compare the expression engine with libjq on random programs.")
    options.add_argument("--programs", type=int, default=50_000)
    options.add_argument("--values", type=int, default=20)
    options.add_argument("--seed", type=int, default=SystemRandom().randrange(2**31))
    options.add_argument("--show", type=int, default=20, help="how many differences to print")
    given = options.parse_args()
    print(f"seed {given.seed}: {given.programs} programs, {given.values} values each", flush=True)
    began = time.monotonic()
    report = compare(given.seed, given.programs, given.values, Report())
    for difference in report.differences[: given.show]:
        print(difference)
    for reason, count in sorted(report.allowed.items()):
        print(f"allowed: {count} × {reason}")
    print(
        f"{report.compared} compared ({report.failed} failed in both), {report.refused} programs refused, "
        f"{report.over_budget} over the budget, {len(report.differences)} differences, {time.monotonic() - began:.0f} s"
    )
    return 1 if report.differences else 0


if __name__ == "__main__":
    sys.exit(main())
