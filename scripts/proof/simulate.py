"""Run the simulator of the delivery core until so many faults were injected.

    python -m scripts.proof.simulate --faults 1000000 --seed 1

Prints the faults by kind and every violation; a failing case is made small and printed so that it can be kept as a
test (`tests/simulation/test_regressions.py`). Exits 1 when an invariant was broken.

Called by `make simulate`.
"""

from __future__ import annotations

import argparse
import sys
import time
from random import SystemRandom

from tests.simulation.campaign import STEPS, Report, campaign
from tests.simulation.shrink import outcome, shrink


def main() -> int:
    """Read the options, run, print."""
    options = argparse.ArgumentParser(description="Simulate the delivery core under faults.")
    options.add_argument("--faults", type=int, default=1_000_000)
    options.add_argument("--seed", type=int, default=SystemRandom().randrange(2**31))
    options.add_argument("--steps", type=int, default=STEPS, help="steps of each run")
    options.add_argument("--processes", type=int, default=2)
    options.add_argument("--often", nargs="*", default=[], help="kinds of trouble that every run is rich in")
    options.add_argument("--shrink", type=float, default=30.0, help="seconds to make a failing case smaller")
    given = options.parse_args()
    print(f"seed {given.seed}: {given.faults:,} faults in {given.processes} processes", flush=True)
    began = time.monotonic()
    report = campaign(given.faults, given.seed, processes=given.processes, steps=given.steps, often=tuple(given.often))
    _print(report, time.monotonic() - began)
    for case, violation in report.violations:
        small = shrink(case, given.shrink)
        print(f"\nVIOLATION {violation}\n  found by {case}\n  smallest {small}\n  there    {outcome(small)[0]}")
    return 1 if report.violations else 0


def _print(report: Report, seconds: float) -> None:
    for kind, times in sorted(report.faults.items(), key=lambda each: (-each[1], each[0])):
        print(f"{times:>10,}  {kind}")
    rate = report.injected / max(seconds, 1e-9)
    print(
        f"{report.injected:>10,}  faults of {len(report.faults)} kinds in {report.runs:,} runs, {report.records:,} records,"
        f" {report.calls:,} calls; {seconds:.1f} s, {rate:,.0f} faults/s; violations: {len(report.violations)}"
    )


if __name__ == "__main__":
    sys.exit(main())
